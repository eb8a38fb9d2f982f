// Convolutions over the tile kernel, as products of windows of images; included by the SIMD files.
//
// forward           y[pixel][o]      = sum over taps of     x[pixel + tap] w[tap][o]
// input gradient    dx[pixel][c]     = sum over (tap, o) of dy[..][o] w[tap][c][o], one product a phase of
// the stride weight gradient   dw[tap][o]       = sum over pixels of   x[tap + pixel] dy[pixel][o]
#ifndef BINCE_DENSE_CONV_TILED_H_
#define BINCE_DENSE_CONV_TILED_H_

#include "native/dense/conv_plan.h"
#include "native/dense/matmul_tiled.h"

namespace {

using bince::ConvBackwardInput;
using bince::ConvBackwardWeight;
using bince::ConvForward;
using bince::ConvGeometry;

constexpr int64_t kMaxPartFloats = 4 << 20;  // of all partial weight gradients together

// --- forward
// ---------------------------------------------------------------------------------------------------

struct ForwardPlan {
  ConvForward p;
  Units units;
  Window window;
  float *w_panels, *copies;  // copies: [threads][window.floats]
  int64_t *pixels, *taps, *outputs;
  int64_t depth;
};

void plan_forward(const ConvForward& p, int threads, Workspace* workspace, ForwardPlan* f) {
  const ConvGeometry& g = p.g;
  f->p = p;
  f->units = forward_units(g);
  forward_window(g, f->units, &f->window);
  f->depth = g.kh * g.kw * g.C;
  const int64_t unit_pixels = f->units.images * f->units.band * g.OW;
  f->w_panels = carve_floats(workspace, packed_size(f->depth, g.O));
  f->copies = carve_floats(workspace, f->window.floats * threads);
  f->pixels = carve_offsets(workspace, unit_pixels);
  f->outputs = carve_offsets(workspace, unit_pixels);
  f->taps = carve_offsets(workspace, f->depth);
  if (!workspace->base) return;
  forward_offsets(g, f->units, f->window, f->pixels, f->taps);
  for (int64_t i = 0; i < unit_pixels; ++i) f->outputs[i] = i * g.O;
}

void forward_task(void* argument, int64_t i, int worker) {
  const ForwardPlan& f = *static_cast<const ForwardPlan*>(argument);
  const ConvGeometry& g = f.p.g;
  const Unit unit = unit_at(f.units, g.N, g.OH, i);
  BlockProduct t = {};
  t.a = read_window(f.window, f.p.x, unit, f.copies + worker * f.window.floats);
  t.a_rows = f.pixels;
  t.a_depth = f.taps;
  t.b = f.w_panels;
  t.b_panel = f.depth * kPanelColumns;
  t.b_stride = kPanelColumns;
  t.c = f.p.y + (unit.image * g.OH + unit.row) * g.OW * g.O;
  t.c_rows = f.outputs;
  t.rows = unit.images * unit.rows * g.OW;
  t.columns = g.O;
  t.depth = f.depth;
  t.bias = f.p.bias;
  const auto saved = flush_denormals();
  multiply_blocks(t);
  restore_denormals(saved);
}

size_t conv2d_workspace(const ConvForward& problem, int threads) {
  Workspace counted;
  ForwardPlan f;
  plan_forward(problem, threads, &counted, &f);
  return counted.used;
}

// Whether a convolution has so few multiplications that waking another thread does not pay.
bool little_work(const ConvGeometry& g) {
  return static_cast<double>(g.N * g.OH * g.OW) * static_cast<double>(g.kh * g.kw * g.C * g.O) <
         static_cast<double>(kSmallProduct);
}

void conv2d(const ConvForward& problem, const Run& run) {
  Workspace workspace;
  workspace.base = run.workspace;
  ForwardPlan f;
  plan_forward(problem, bince::pool_threads(run.pool), &workspace, &f);
  pack_rows(problem.w, problem.g.O, problem.g.O, 0, f.depth, f.depth, f.w_panels);
  run_tasks(little_work(problem.g) ? nullptr : run.pool, f.units.count, forward_task, &f);
}

// --- input gradient
// --------------------------------------------------------------------------------------------

struct InputPlan {
  ConvBackwardInput p;
  Units units;
  Window window;
  float *w_panels, *copies;              // panels phase by phase
  int64_t *pixels, *outputs, *elements;  // offsets phase by phase: in the window, in dx, of (tap, o)
};

// Tables and panels of one phase begin at these places.
struct PhasePlace {
  Phase y, x;
  int64_t pixel, element;
};

// Calls visit(argument, place) for each phase of the stride that has pixels in a whole unit.
void each_phase(const InputPlan& f, void* argument, void (*visit)(void*, const PhasePlace&)) {
  const ConvGeometry& g = f.p.g;
  PhasePlace at = {};
  for (int64_t y = 0; y < g.stride_y; ++y)
    for (int64_t x = 0; x < g.stride_x; ++x) {
      at.y = phase_of(y, g.stride_y, g.pad_y, g.kh);
      at.x = phase_of(x, g.stride_x, g.pad_x, g.kw);
      const int64_t rows = pixels_of(at.y, g.stride_y, f.units.band),
                    columns = pixels_of(at.x, g.stride_x, g.W);
      if (rows == 0 || columns == 0) continue;
      visit(argument, at);
      at.pixel += f.units.images * rows * columns;
      at.element += at.y.taps * at.x.taps * g.O;
    }
}

void fill_phase(void* argument, const PhasePlace& at) {
  const InputPlan& f = *static_cast<const InputPlan*>(argument);
  const ConvGeometry& g = f.p.g;
  int64_t *pixel = f.pixels + at.pixel, *output = f.outputs + at.pixel, *element = f.elements + at.element;
  for (int64_t i = 0; i < f.units.images; ++i)
    for (int64_t y = at.y.first, j = 0; y < f.units.band; y += g.stride_y, ++j)
      for (int64_t x = at.x.first, k = 0; x < g.W; x += g.stride_x, ++k) {
        *pixel++ = i * f.window.image_pitch + (at.y.origin - f.window.first_row + j) * f.window.row_pitch +
                   (at.x.origin - f.window.first_column + k) * g.O;
        *output++ = ((i * g.H + y) * g.W + x) * g.C;
      }
  const int64_t depth = at.y.taps * at.x.taps * g.O,
                phase_y = at.y.first + g.pad_y - at.y.origin * g.stride_y,
                phase_x = at.x.first + g.pad_x - at.x.origin * g.stride_x;
  int64_t first = 0;
  for (int64_t j = 0; j < at.y.taps; ++j)
    for (int64_t k = 0; k < at.x.taps; ++k, first += g.O) {
      for (int64_t o = 0; o < g.O; ++o) *element++ = o - j * f.window.row_pitch - k * g.O;
      const int64_t tap = (phase_y + j * g.stride_y) * g.kw + phase_x + k * g.stride_x;
      pack_columns(f.p.w + tap * g.C * g.O, g.O, g.C, 0, g.C, g.O, first, depth,
                   f.w_panels + packed_size(at.element, g.C));
    }
}

void plan_input(const ConvBackwardInput& p, int threads, Workspace* workspace, InputPlan* f) {
  const ConvGeometry& g = p.g;
  f->p = p;
  f->units = backward_units(g);
  backward_window(g, f->units, &f->window);
  const int64_t unit_pixels = f->units.images * f->units.band * g.W;
  f->w_panels = carve_floats(workspace, packed_size(g.kh * g.kw * g.O, g.C));
  f->copies = carve_floats(workspace, f->window.floats * threads);
  f->pixels = carve_offsets(workspace, unit_pixels);
  f->outputs = carve_offsets(workspace, unit_pixels);
  f->elements = carve_offsets(workspace, g.kh * g.kw * g.O);
  if (workspace->base) each_phase(*f, f, fill_phase);
}

struct InputUnit {
  const InputPlan* f;
  const float* window;
  Unit unit;
};

void input_phase(void* argument, const PhasePlace& at) {
  const InputUnit& u = *static_cast<const InputUnit*>(argument);
  const InputPlan& f = *u.f;
  const ConvGeometry& g = f.p.g;
  BlockProduct t = {};
  t.a = u.window;
  t.a_rows = f.pixels + at.pixel;
  t.a_depth = f.elements + at.element;
  t.depth = at.y.taps * at.x.taps * g.O;
  t.b = f.w_panels + packed_size(at.element, g.C);
  t.b_panel = t.depth * kPanelColumns;
  t.b_stride = kPanelColumns;
  t.c = f.p.dx + (u.unit.image * g.H + u.unit.row) * g.W * g.C;
  t.c_rows = f.outputs + at.pixel;
  t.rows = u.unit.images * pixels_of(at.y, g.stride_y, u.unit.rows) * pixels_of(at.x, g.stride_x, g.W);
  t.columns = g.C;
  t.bias = f.p.bias;
  multiply_blocks(t);
}

void input_task(void* argument, int64_t i, int worker) {
  const InputPlan& f = *static_cast<const InputPlan*>(argument);
  const auto saved = flush_denormals();
  InputUnit u = {&f, nullptr, unit_at(f.units, f.p.g.N, f.p.g.H, i)};
  u.window = read_window(f.window, f.p.dy, u.unit, f.copies + worker * f.window.floats);
  each_phase(f, &u, input_phase);
  restore_denormals(saved);
}

size_t conv2d_backward_input_workspace(const ConvBackwardInput& problem, int threads) {
  Workspace counted;
  InputPlan f;
  plan_input(problem, threads, &counted, &f);
  return counted.used;
}

void conv2d_backward_input(const ConvBackwardInput& problem, const Run& run) {
  Workspace workspace;
  workspace.base = run.workspace;
  InputPlan f;
  plan_input(problem, bince::pool_threads(run.pool), &workspace, &f);
  run_tasks(little_work(problem.g) ? nullptr : run.pool, f.units.count, input_task, &f);
}

// --- weight gradient
// -------------------------------------------------------------------------------------------

struct WeightPlan {
  ConvBackwardWeight p;
  Units units;
  Window window;
  bool in_place;  // dy is read where it lies
  int64_t parts;  // runs of units, each with sums of its own
  int64_t taps_count, dy_floats;
  float *sums, *bias_sums;    // [parts][taps][O], [parts][O]
  float *copies, *dy_panels;  // by worker
  int64_t *pixels, *taps, *outputs;
};

void plan_weight(const ConvBackwardWeight& p, int threads, Workspace* workspace, WeightPlan* f) {
  const ConvGeometry& g = p.g;
  f->p = p;
  f->units = forward_units(g);
  forward_window(g, f->units, &f->window);
  f->taps_count = g.kh * g.kw * g.C;
  f->parts = smaller(smaller(kUnits, f->units.count), larger(4, kMaxPartFloats / (f->taps_count * g.O)));
  f->in_place = g.O % kLanes == 0;
  const int64_t unit_pixels = f->units.images * f->units.band * g.OW;
  f->dy_floats = f->in_place ? 0 : packed_size(unit_pixels, g.O);
  f->sums = carve_floats(workspace, f->parts * f->taps_count * g.O);
  f->bias_sums = carve_floats(workspace, f->parts * g.O);
  f->copies = carve_floats(workspace, f->window.floats * threads);
  f->dy_panels = carve_floats(workspace, f->dy_floats * threads);
  f->pixels = carve_offsets(workspace, unit_pixels);
  f->taps = carve_offsets(workspace, f->taps_count);
  f->outputs = carve_offsets(workspace, f->taps_count);
  if (!workspace->base) return;
  forward_offsets(g, f->units, f->window, f->pixels, f->taps);
  for (int64_t i = 0; i < f->taps_count; ++i) f->outputs[i] = i * g.O;
}

// sums[o] (+)= sum over pixels of dy[pixel][o].
void add_columns(const float* dy, int64_t pixels, int64_t O, bool accumulate, float* sums) {
  for (int64_t o = 0; o < O; o += kLanes) {
    const Mask inside = m_first(static_cast<int>(smaller(O - o, kLanes)));
    Vec part[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    const float* from = dy + o;
    int64_t i = 0;
    for (; i + 4 <= pixels; i += 4, from += 4 * O)
      for (int j = 0; j < 4; ++j) part[j] = v_add(part[j], v_load_where(inside, from + j * O));
    for (; i < pixels; ++i, from += O) part[0] = v_add(part[0], v_load_where(inside, from));
    const Vec sum = v_add(v_add(part[0], part[1]), v_add(part[2], part[3]));
    v_store_where(inside, sums + o, accumulate ? v_add(sum, v_load_where(inside, sums + o)) : sum);
  }
}

void weight_unit(const WeightPlan& f, int64_t part, const Unit& unit, bool accumulate, int worker) {
  const ConvGeometry& g = f.p.g;
  const float* dy = f.p.dy + (unit.image * g.OH + unit.row) * g.OW * g.O;
  const int64_t pixels = unit.images * unit.rows * g.OW;
  BlockProduct t = {};
  t.a = read_window(f.window, f.p.x, unit, f.copies + worker * f.window.floats);
  t.a_rows = f.taps;
  t.a_depth = f.pixels;
  t.depth = pixels;
  t.b = dy;
  t.b_panel = kPanelColumns;
  t.b_stride = g.O;
  if (!f.in_place) {
    float* panels = f.dy_panels + worker * f.dy_floats;
    pack_rows(dy, g.O, g.O, 0, pixels, pixels, panels);
    t.b = panels;
    t.b_panel = pixels * kPanelColumns;
    t.b_stride = kPanelColumns;
  }
  t.c = f.sums + part * f.taps_count * g.O;
  t.c_rows = f.outputs;
  t.rows = f.taps_count;
  t.columns = g.O;
  t.accumulate = accumulate;
  multiply_blocks(t);
  if (f.p.dbias) add_columns(dy, pixels, g.O, accumulate, f.bias_sums + part * g.O);
}

void weight_task(void* argument, int64_t part, int worker) {
  const WeightPlan& f = *static_cast<const WeightPlan*>(argument);
  const int64_t begin = f.units.count * part / f.parts, end = f.units.count * (part + 1) / f.parts;
  const auto saved = flush_denormals();
  for (int64_t i = begin; i < end; ++i)
    weight_unit(f, part, unit_at(f.units, f.p.g.N, f.p.g.OH, i), i > begin, worker);
  restore_denormals(saved);
}

void weight_reduce(void* argument, int64_t tap, int) {
  const WeightPlan& f = *static_cast<const WeightPlan*>(argument);
  const int64_t O = f.p.g.O;
  if (tap < f.taps_count)
    reduce_parts(f.sums + tap * O, f.parts, f.taps_count * O, O, nullptr, false, f.p.dw + tap * O);
  else
    reduce_parts(f.bias_sums, f.parts, O, O, nullptr, false, f.p.dbias);
}

size_t conv2d_backward_weight_workspace(const ConvBackwardWeight& problem, int threads) {
  Workspace counted;
  WeightPlan f;
  plan_weight(problem, threads, &counted, &f);
  return counted.used;
}

void conv2d_backward_weight(const ConvBackwardWeight& problem, const Run& run) {
  Workspace workspace;
  workspace.base = run.workspace;
  WeightPlan f;
  plan_weight(problem, bince::pool_threads(run.pool), &workspace, &f);
  run_tasks(little_work(problem.g) ? nullptr : run.pool, f.parts, weight_task, &f);
  const bool little = f.parts * f.taps_count * problem.g.O < kSmallProduct / 4;
  run_tasks(little ? nullptr : run.pool, f.taps_count + (problem.dbias ? 1 : 0), weight_reduce, &f);
}

}  // namespace

#endif  // BINCE_DENSE_CONV_TILED_H_
