// How a convolution is cut into units and how a unit's image windows are read; included by the SIMD files.
//
// A unit is a group of whole images or a band of rows of one image, chosen by the shape alone.  Its windows
// are copied, with their borders of zeros, into a worker's scratch (or read in place where there is no
// border); rows and depths of the product are offsets into that copy, the same for every unit.
#ifndef BINCE_DENSE_CONV_PLAN_H_
#define BINCE_DENSE_CONV_PLAN_H_

#include "native/dense/pack.h"

namespace {

constexpr int64_t kUnits = 16;              // wanted: enough to share evenly among a few threads
constexpr int64_t kUnitFloats = 128 << 10;  // of a unit's data: it stays in the second-level cache
constexpr int64_t kUnitPixels = 48;         // bands smaller than this fill too few register tiles

// The cut of N images of `rows` rows.
struct Units {
  int64_t images;  // a unit; 1 where there are bands
  int64_t band;    // rows a unit
  int64_t bands;   // an image
  int64_t count;
};

struct Unit {
  int64_t image, images, row, rows;
};

// Bands begin at multiples of `multiple`; `floats` are touched a row of `pixels` pixels.
Units cut_images(int64_t N, int64_t rows, int64_t pixels, int64_t floats, int64_t multiple) {
  Units u;
  u.images = larger(1, smaller(N / kUnits, kUnitFloats / larger(1, rows * floats)));
  u.band = rows;
  if (u.images == 1) {
    const int64_t wanted = parts_of(rows, parts_of(kUnits, N));
    const int64_t fitting = rows * floats > 2 * kUnitFloats ? kUnitFloats / floats : rows;
    u.band = larger(smaller(wanted, fitting), parts_of(kUnitPixels, pixels));
    u.band = smaller(rows, parts_of(u.band, multiple) * multiple);
  }
  u.bands = parts_of(rows, u.band);
  u.count = parts_of(N, u.images) * u.bands;
  return u;
}

Unit unit_at(const Units& u, int64_t N, int64_t rows, int64_t i) {
  Unit unit;
  unit.image = i / u.bands * u.images;
  unit.images = smaller(u.images, N - unit.image);
  unit.row = i % u.bands * u.band;
  unit.rows = smaller(u.band, rows - unit.row);
  return unit;
}

// What a unit sees of the source images [N][H][W][C]: rows first_row + up * row / down .. of columns
// first_column ..
struct Window {
  int64_t H, W, C;
  int64_t first_row, first_column;
  int64_t up, down;       // source rows a row of the unit: up / down
  int64_t rows, columns;  // of a whole unit
  bool in_place;          // no border: the unit is read where it lies
  int64_t image_pitch;    // elements from one image of the unit to the next
  int64_t row_pitch;      // elements
  int64_t floats;         // of a unit's copy
};

void place_window(Window* w, int64_t images, bool in_place) {
  w->in_place = in_place;
  w->row_pitch = (in_place ? w->W : w->columns) * w->C;
  w->image_pitch = (in_place ? w->H : w->rows) * w->row_pitch;
  w->floats = in_place ? 0 : images * w->image_pitch;
}

const float* read_window(const Window& w, const float* source, const Unit& unit, float* copy) {
  const int64_t row = w.first_row + unit.row / w.down * w.up;
  const float* image = source + unit.image * w.H * w.W * w.C;
  if (w.in_place) return image + row * w.row_pitch;
  for (int64_t i = 0; i < unit.images; ++i, image += w.H * w.W * w.C)
    copy_window(image, w.H, w.W, w.C, row, w.rows, w.first_column, w.columns, copy + i * w.image_pitch);
  return copy;
}

// The windows of a forward convolution, whose units are rows of the output: [images][band][OW] of them.
void forward_window(const bince::ConvGeometry& g, const Units& u, Window* w) {
  *w = {};
  w->H = g.H;
  w->W = g.W;
  w->C = g.C;
  w->first_row = -g.pad_y;
  w->first_column = -g.pad_x;
  w->up = g.stride_y;
  w->down = 1;
  w->rows = (u.band - 1) * g.stride_y + g.kh;
  w->columns = (g.OW - 1) * g.stride_x + g.kw;
  place_window(w, u.images, g.pad_y == 0 && g.pad_x == 0);
}

Units forward_units(const bince::ConvGeometry& g) {
  const int64_t columns = (g.OW - 1) * g.stride_x + g.kw;
  return cut_images(g.N, g.OH, g.OW, g.stride_y * columns * g.C + g.OW * g.O, 1);
}

// Offsets of a unit's output pixels in its window, and of a pixel's kernel elements (ky, kx, c) from it.
void forward_offsets(const bince::ConvGeometry& g, const Units& u, const Window& w, int64_t* pixels,
                     int64_t* taps) {
  for (int64_t i = 0; i < u.images; ++i)
    for (int64_t y = 0; y < u.band; ++y)
      for (int64_t x = 0; x < g.OW; ++x)
        *pixels++ = i * w.image_pitch + y * g.stride_y * w.row_pitch + x * g.stride_x * g.C;
  for (int64_t ky = 0; ky < g.kh; ++ky)
    for (int64_t kx = 0; kx < g.kw; ++kx)
      for (int64_t c = 0; c < g.C; ++c) *taps++ = ky * w.row_pitch + kx * g.C + c;
}

BINCE_INLINE int64_t floor_division(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// The windows of the input's gradient: rows of dy that reach rows of dx.
Units backward_units(const bince::ConvGeometry& g) {
  const int64_t columns =
      (g.W - 1 + g.pad_x) / g.stride_x - floor_division(g.pad_x - g.kw + 1, g.stride_x) + 1;
  return cut_images(g.N, g.H, g.W, parts_of(columns * g.O, g.stride_y) + g.W * g.C, g.stride_y);
}

void backward_window(const bince::ConvGeometry& g, const Units& u, Window* w) {
  *w = {};
  w->H = g.OH;
  w->W = g.OW;
  w->C = g.O;
  w->first_row = floor_division(g.pad_y - g.kh + 1, g.stride_y);
  w->first_column = floor_division(g.pad_x - g.kw + 1, g.stride_x);
  w->up = 1;
  w->down = g.stride_y;
  w->rows = (u.band - 1 + g.pad_y) / g.stride_y - w->first_row + 1;
  w->columns = (g.W - 1 + g.pad_x) / g.stride_x - w->first_column + 1;
  const bool pointwise = g.kh == 1 && g.kw == 1 && g.stride_y == 1 && g.stride_x == 1;
  place_window(w, u.images, pointwise && g.pad_y == 0 && g.pad_x == 0);
}

// Along one axis, the pixels of dx that see kernel elements phase, phase + stride, ...: first, first +
// stride, ... Pixel first + stride i sees dy at origin + i through kernel element `phase`, one less for each
// further element.
struct Phase {
  int64_t first, origin, taps;
};

Phase phase_of(int64_t phase, int64_t stride, int64_t pad, int64_t kernel) {
  Phase p;
  p.first = ((phase - pad) % stride + stride) % stride;
  p.origin = (p.first + pad - phase) / stride;
  p.taps = phase < kernel ? (kernel - phase + stride - 1) / stride : 0;
  return p;
}

BINCE_INLINE int64_t pixels_of(const Phase& p, int64_t stride, int64_t extent) {
  return extent > p.first ? parts_of(extent - p.first, stride) : 0;
}

}  // namespace

#endif  // BINCE_DENSE_CONV_PLAN_H_
