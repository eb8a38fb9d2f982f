// Batch normalisation over lanes. Forward: mean and variance in one pass over blocks of rows, each about a
// shift of its own, merged by Chan's formula in block order; a second pass normalises and applies the
// activation. Backward: one pass for the two sums, one for dx.
#ifndef BINCE_TENSOR_BATCH_NORM_LANES_H_
#define BINCE_TENSOR_BATCH_NORM_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/column_sums.h"
#include "native/tensor/special_functions.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

template <class L, int kAct>
BINCE_INLINE typename L::V activate(typename L::V z, typename L::V slope) {
  const typename L::V zero = L::set(0.0f);
  if (kAct == kActRelu) return L::select(L::greater_equal(zero, z), zero, z);
  if (kAct == kActLeakyRelu) return L::select(L::greater_equal(zero, z), L::mul(slope, z), z);
  if (kAct == kActSoftplus) return softplus_of<L>(z);
  return z;
}
// dy times the activation's slope at z.
template <class L, int kAct>
BINCE_INLINE typename L::V activate_backward(typename L::V z, typename L::V slope, typename L::V dy) {
  const typename L::V zero = L::set(0.0f);
  if (kAct == kActRelu) return L::select(L::greater_equal(zero, z), zero, dy);
  if (kAct == kActLeakyRelu) return L::select(L::greater_equal(zero, z), L::mul(slope, dy), dy);
  if (kAct == kActSoftplus) return L::mul(dy, sigmoid_of<L>(z));
  return dy;
}

// Sums of x - shift and of its square, the shift being the mean of the block's first rows.
template <class L>
struct MomentTerms {
  const float* x;
  int64_t width;
  struct Prepared {
    typename L::V shift;
  };
  static constexpr int64_t kShiftRows = 8;

  int64_t shift_rows(int64_t first) const {
    return wide_rows - first < kShiftRows ? wide_rows - first : kShiftRows;
  }
  int64_t wide_rows;

  Prepared prepare(int64_t first, int64_t j, typename L::Mask mask) const {
    typename L::V sum = L::set(0.0f);
    const int64_t rows = shift_rows(first);
    for (int64_t r = 0; r < rows; ++r) sum = L::add(sum, L::load(x + (first + r) * width + j, mask));
    return {L::mul(sum, L::set(1.0f / static_cast<float>(rows)))};
  }
  BINCE_INLINE_MEMBER void terms(int64_t row, int64_t j, typename L::Mask mask, const Prepared& prepared,
                                 typename L::V* a, typename L::V* b) const {
    const typename L::V v = L::sub(L::load(x + row * width + j, mask), prepared.shift);
    *a = L::add(*a, v);
    *b = L::fma(v, v, *b);
  }
  // The block's mean and its sum of squared deviations.
  void finish(int64_t first, int64_t last, double* sums0, double* sums1) const {
    const double n = static_cast<double>(last - first);
    const int64_t rows = shift_rows(first);
    for (int64_t j = 0; j < width; ++j) {
      float shift = 0;  // as prepare() has it
      for (int64_t r = 0; r < rows; ++r) shift += x[(first + r) * width + j];
      shift *= 1.0f / static_cast<float>(rows);
      const double mean = sums0[j] / n, squares = sums1[j] - sums0[j] * mean;
      sums0[j] = shift + mean;
      sums1[j] = squares < 0 ? 0 : squares;
    }
  }
};

// Merges a group of `extra` elements into one of `count`.
BINCE_INLINE void merge_moments(double count, double extra, double extra_mean, double extra_squares,
                                double* mean, double* squares) {
  const double total = count + extra, share = extra / total, delta = extra_mean - *mean;
  *mean += delta * share;
  *squares += extra_squares + delta * delta * (count * share);
}

// Mean and sum of squared deviations of every column, into the totals of the partials.
template <class L>
static void column_moments(const float* x, int64_t rows, int64_t columns, const RowBlocks& blocks,
                           const Run& run, double** mean, double** squares) {
  MomentTerms<L> terms = {x, blocks.width, blocks.wide_rows};
  sum_blocks<L>(terms, blocks, run);
  const ColumnPartials partials = column_partials(blocks, run.workspace);
  double *m = *mean = partial(partials, blocks.count, 0), *s = *squares = partial(partials, blocks.count, 1);
  for (int64_t j = 0; j < blocks.width; ++j) m[j] = s[j] = 0;
  double count = 0;
  for (int64_t i = 0; i < blocks.count; ++i) {
    const int64_t left = blocks.wide_rows - i * blocks.block_rows;
    const double extra = static_cast<double>(left < blocks.block_rows ? left : blocks.block_rows);
    const double *block_mean = partial(partials, i, 0), *block_squares = partial(partials, i, 1);
    for (int64_t j = 0; j < blocks.width; ++j)
      merge_moments(count, extra, block_mean[j], block_squares[j], &m[j], &s[j]);
    count += extra;
  }
  for (int64_t c = 0; c < columns; ++c) {
    double mine = count;
    for (int64_t j = c + columns; j < blocks.width && count > 0; j += columns) {
      merge_moments(mine, count, m[j], s[j], &m[c], &s[c]);
      mine += count;
    }
    for (int64_t r = blocks.wide_rows * blocks.fold; r < rows; ++r) {
      merge_moments(mine, 1, x[r * columns + c], 0, &m[c], &s[c]);
      mine += 1;
    }
  }
}

// What the second passes need of every wide column.
struct BatchNormPass {
  const float *x, *dy;
  float* out;
  int64_t width;
  float slope;
  // z = (x - mean) scale + bias; dx = scale dz + (x - mean) tilt + shift
  float *mean, *scale, *bias, *tilt, *shift;
};

// Elements [0, n) of one wide row.
template <class L, int kAct>
static void normalize_row(const BatchNormPass& pass, const float* x, float* y, int64_t n) {
  const typename L::V slope = L::set(pass.slope);
  int64_t j = 0;
  for (; j + L::kLanes <= n; j += L::kLanes) {
    const typename L::V z = L::fma(L::sub(L::load(x + j), L::load(pass.mean + j)), L::load(pass.scale + j),
                                   L::load(pass.bias + j));
    L::store(y + j, activate<L, kAct>(z, slope));
  }
  if (j == n) return;
  const auto mask = L::mask(n - j);
  const typename L::V z = L::fma(L::sub(L::load(x + j, mask), L::load(pass.mean + j, mask)),
                                 L::load(pass.scale + j, mask), L::load(pass.bias + j, mask));
  L::store(y + j, activate<L, kAct>(z, slope), mask);
}
template <class L, int kAct>
static void normalize_rows(const void* arguments, int64_t first, int64_t last) {
  const BatchNormPass& pass = *static_cast<const BatchNormPass*>(arguments);
  for (int64_t r = first; r < last; ++r)
    normalize_row<L, kAct>(pass, pass.x + r * pass.width, pass.out + r * pass.width, pass.width);
}

// The wide rows, then the remainder.
template <class L>
BINCE_INLINE void over_wide_rows(const Run& run, const RowBlocks& blocks, int64_t elements,
                                 BatchNormPass pass, RangeTask task) {
  pass.width = blocks.width;
  over_ranges(run, blocks.wide_rows, blocks.width, task, &pass);
  const int64_t done = blocks.wide_rows * blocks.width;
  if (done == elements) return;
  pass.x += done;
  pass.out += done;
  if (pass.dy) pass.dy += done;
  pass.width = elements - done;
  task(&pass, 0, 1);
}

// Column c's parameter, in all wide columns that are c.
BINCE_INLINE void spread_parameter(float* to, int64_t c, int64_t columns, int64_t width, float value) {
  for (int64_t j = c; j < width; j += columns) to[j] = value;
}

BINCE_INLINE float blended(float old, double momentum, double fresh) {
  return static_cast<float>((1 - momentum) * old + momentum * fresh);
}

template <class L>
static void batch_norm_lanes(const BatchNormArgs& args, const Run& run) {
  const RowBlocks blocks = row_blocks(args.rows, args.C);
  BatchNormPass pass = {args.x,  nullptr, args.y,  blocks.width, args.slope,
                        nullptr, nullptr, nullptr, nullptr,      nullptr};
  pass.mean = column_vector(blocks, run.workspace, 0);
  pass.scale = column_vector(blocks, run.workspace, 1);
  pass.bias = column_vector(blocks, run.workspace, 2);
  double *means = nullptr, *squares = nullptr;
  if (args.training) column_moments<L>(args.x, args.rows, args.C, blocks, run, &means, &squares);
  for (int64_t c = 0; c < args.C; ++c) {
    const double mean = args.training ? means[c] : args.running_mean[c];
    double variance = 0;
    if (args.training) {
      variance = squares[c] / static_cast<double>(args.rows);
      const double unbiased = squares[c] / static_cast<double>(args.rows > 1 ? args.rows - 1 : 1);
      if (args.running_mean) args.running_mean[c] = blended(args.running_mean[c], args.momentum, mean);
      if (args.running_var) args.running_var[c] = blended(args.running_var[c], args.momentum, unbiased);
    } else {
      variance = args.running_var[c];
    }
    const double rstd = 1 / ::sqrt(variance + args.eps);
    const double scale = rstd * (args.gamma ? args.gamma[c] : 1);
    args.mean[c] = static_cast<float>(mean);
    args.rstd[c] = static_cast<float>(rstd);
    spread_parameter(pass.mean, c, args.C, blocks.width, args.mean[c]);
    spread_parameter(pass.scale, c, args.C, blocks.width, static_cast<float>(scale));
    // What rounding the mean left out goes into the bias.
    const double bias = (args.beta ? args.beta[c] : 0) - (mean - static_cast<double>(args.mean[c])) * scale;
    spread_parameter(pass.bias, c, args.C, blocks.width, static_cast<float>(bias));
  }
  const RangeTask tasks[] = {normalize_rows<L, kNone>, normalize_rows<L, kActRelu>,
                             normalize_rows<L, kActLeakyRelu>, normalize_rows<L, kActSoftplus>};
  over_wide_rows<L>(run, blocks, args.rows * args.C, pass, tasks[args.act]);
}

// An activation whose slope takes an exponential: its dz is kept in dx between the passes.
BINCE_INLINE constexpr bool keeps_dz(int act) {
  return act == kActSoftplus;
}

// Sums of dz and of dz (x - mean).
template <class L, int kAct>
struct GradientTerms {
  const BatchNormPass* pass;
  struct Prepared {
    typename L::V mean, scale, bias;
  };
  Prepared prepare(int64_t, int64_t j, typename L::Mask mask) const {
    return {L::load(pass->mean + j, mask), L::load(pass->scale + j, mask), L::load(pass->bias + j, mask)};
  }
  BINCE_INLINE_MEMBER void terms(int64_t row, int64_t j, typename L::Mask mask, const Prepared& prepared,
                                 typename L::V* a, typename L::V* b) const {
    const int64_t at = row * pass->width + j;
    const typename L::V deviation = L::sub(L::load(pass->x + at, mask), prepared.mean);
    typename L::V dz = L::load(pass->dy + at, mask);
    if (kAct != kNone)
      dz = activate_backward<L, kAct>(L::fma(deviation, prepared.scale, prepared.bias), L::set(pass->slope),
                                      dz);
    if (keeps_dz(kAct)) L::store(pass->out + at, dz, mask);
    *a = L::add(*a, dz);
    *b = L::fma(dz, deviation, *b);
  }
  void finish(int64_t, int64_t, double*, double*) const {}
};

// Elements [0, n) of one wide row; whole vectors where the mask is null.
template <class L, int kAct>
BINCE_INLINE typename L::V gradient_of(const BatchNormPass& pass, typename L::V x, typename L::V dy,
                                       int64_t j, typename L::Mask mask) {
  const typename L::V deviation = L::sub(x, L::load(pass.mean + j, mask)),
                      scale = L::load(pass.scale + j, mask);
  typename L::V dz = dy;
  if (kAct != kNone)
    dz = activate_backward<L, kAct>(L::fma(deviation, scale, L::load(pass.bias + j, mask)),
                                    L::set(pass.slope), dy);
  return L::fma(scale, dz, L::fma(deviation, L::load(pass.tilt + j, mask), L::load(pass.shift + j, mask)));
}
template <class L, int kAct>
static void gradient_rows(const void* arguments, int64_t first, int64_t last) {
  const BatchNormPass& pass = *static_cast<const BatchNormPass*>(arguments);
  const auto all = L::mask(L::kLanes);
  for (int64_t r = first; r < last; ++r) {
    const float *x = pass.x + r * pass.width, *dy = pass.dy + r * pass.width;
    float* dx = pass.out + r * pass.width;
    int64_t j = 0;
    for (; j + L::kLanes <= pass.width; j += L::kLanes)
      L::store(dx + j, gradient_of<L, kAct>(pass, L::load(x + j), L::load(dy + j), j, all));
    if (j == pass.width) continue;
    const auto mask = L::mask(pass.width - j);
    L::store(dx + j, gradient_of<L, kAct>(pass, L::load(x + j, mask), L::load(dy + j, mask), j, mask), mask);
  }
}

// Adds the remainder's terms, element by element through one vector, to the totals.
template <class L, int kAct>
static void gradient_sums(const BatchNormPass& pass, const RowBlocks& blocks, int64_t elements, int64_t C,
                          const Run& run) {
  const GradientTerms<L, kAct> terms = {&pass};
  sum_blocks<L>(terms, blocks, run);
  const ColumnPartials partials = column_partials(blocks, run.workspace);
  add_blocks(blocks, C, partials);
  double *sums = partial(partials, blocks.count, 0), *products = partial(partials, blocks.count, 1);
  const int64_t done = blocks.wide_rows * blocks.width;
  for (int64_t j = 0; j < elements - done; j += L::kLanes) {
    const int64_t count = elements - done - j < L::kLanes ? elements - done - j : L::kLanes;
    typename L::V a = L::set(0.0f), b = a;
    float first[L::kLanes], second[L::kLanes];
    const auto mask = L::mask(count);
    terms.terms(blocks.wide_rows, j, mask, terms.prepare(0, j, mask), &a, &b);
    L::store(first, a);
    L::store(second, b);
    for (int64_t k = 0; k < count; ++k) {
      sums[(j + k) % C] += static_cast<double>(first[k]);
      products[(j + k) % C] += static_cast<double>(second[k]);
    }
  }
}

template <class L>
static void batch_norm_backward_lanes(const BatchNormBackwardArgs& args, const Run& run) {
  const RowBlocks blocks = row_blocks(args.rows, args.C);
  const int64_t C = args.C, elements = args.rows * C;
  BatchNormPass pass = {args.x,  args.dy, args.dx, blocks.width, args.slope,
                        nullptr, nullptr, nullptr, nullptr,      nullptr};
  float** vectors[] = {&pass.mean, &pass.scale, &pass.bias, &pass.tilt, &pass.shift};
  for (int v = 0; v < 5; ++v) *vectors[v] = column_vector(blocks, run.workspace, v);
  for (int64_t c = 0; c < C; ++c) {
    spread_parameter(pass.mean, c, C, blocks.width, args.mean[c]);
    spread_parameter(pass.scale, c, C, blocks.width, args.rstd[c] * (args.gamma ? args.gamma[c] : 1));
    spread_parameter(pass.bias, c, C, blocks.width, args.beta ? args.beta[c] : 0);
  }
  void (*const sums_of[])(const BatchNormPass&, const RowBlocks&, int64_t, int64_t, const Run&) = {
      gradient_sums<L, kNone>, gradient_sums<L, kActRelu>, gradient_sums<L, kActLeakyRelu>,
      gradient_sums<L, kActSoftplus>};
  sums_of[args.act](pass, blocks, elements, C, run);
  const ColumnPartials partials = column_partials(blocks, run.workspace);
  const double *sums = partial(partials, blocks.count, 0), *products = partial(partials, blocks.count, 1);
  for (int64_t c = 0; c < C; ++c) {
    const double rstd = args.rstd[c], dgamma = products[c] * rstd, rows = static_cast<double>(args.rows);
    if (args.dgamma) args.dgamma[c] = static_cast<float>(dgamma);
    if (args.dbeta) args.dbeta[c] = static_cast<float>(sums[c]);
    const double scale = args.training ? -rstd * (args.gamma ? args.gamma[c] : 1) / rows : 0;
    spread_parameter(pass.tilt, c, C, blocks.width, static_cast<float>(scale * rstd * dgamma));
    spread_parameter(pass.shift, c, C, blocks.width, static_cast<float>(scale * sums[c]));
  }
  const RangeTask tasks[] = {gradient_rows<L, kNone>, gradient_rows<L, kActRelu>,
                             gradient_rows<L, kActLeakyRelu>, gradient_rows<L, kActSoftplus>};
  if (keeps_dz(args.act)) pass.dy = pass.out;
  over_wide_rows<L>(run, blocks, elements, pass, tasks[keeps_dz(args.act) ? kNone : args.act]);
}

}  // namespace bince

#endif  // BINCE_TENSOR_BATCH_NORM_LANES_H_
