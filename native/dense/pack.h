// Panels of the second factor, and images with their borders; included by the SIMD files.
#ifndef BINCE_DENSE_PACK_H_
#define BINCE_DENSE_PACK_H_

#include <string.h>

#include "native/core/thread_pool.h"
#include "native/core/workspace.h"
#include "native/dense/tile_kernel.h"

namespace {

// Floats of the panels of a matrix of `depth` x `columns`: [ceil(columns /
// kPanelColumns)][depth][kPanelColumns].
BINCE_INLINE int64_t packed_size(int64_t depth, int64_t columns) {
  return parts_of(columns, kPanelColumns) * depth * kPanelColumns;
}

// Up to a vector of p[0 .. count).
BINCE_INLINE Vec load_first(const float* p, int64_t count) {
  return count >= kLanes ? v_load(p) : v_load_where(m_first(static_cast<int>(count)), p);
}

// Rows [k0, k1) of b [..][columns], `stride` apart, into panels of `depth` rows; columns beyond the last are
// zeros.
void pack_rows(const float* b, int64_t stride, int64_t columns, int64_t k0, int64_t k1, int64_t depth,
               float* out) {
  for (int64_t column = 0; column < columns; column += kPanelColumns) {
    const int64_t low = columns - column, high = low - kLanes;
    float* to = out + column * depth + k0 * kPanelColumns;
    const float* from = b + k0 * stride + column;
    for (int64_t k = k0; k < k1; ++k, to += kPanelColumns, from += stride) {
      v_store(to, load_first(from, low));
      v_store(to + kLanes, high > 0 ? load_first(from + kLanes, high) : v_zero());
    }
  }
}

// The transpose of columns [j0, j1) x `count` depths of b [columns][..], `stride` apart: depth k of the
// matrix is row first + k of panels of `depth` rows.  j0 and j1 are multiples of kPanelColumns or the end.
void pack_columns(const float* b, int64_t stride, int64_t columns, int64_t j0, int64_t j1, int64_t count,
                  int64_t first, int64_t depth, float* out) {
  for (int64_t j = j0; j < j1 || j % kPanelColumns != 0; j += kLanes) {
    float* to = out + j / kPanelColumns * kPanelColumns * depth + j % kPanelColumns + first * kPanelColumns;
    for (int64_t k = 0; k < count; k += kLanes) {
      const int64_t n = smaller(kLanes, count - k);
      Vec x[kLanes];
      for (int i = 0; i < kLanes; ++i)
        x[i] = j + i < columns ? load_first(b + (j + i) * stride + k, n) : v_zero();
      v_transpose(x);
      for (int64_t i = 0; i < n; ++i) v_store(to + (k + i) * kPanelColumns, x[i]);
    }
  }
}

// Rows [y, y + rows) x columns [x, x + columns) of an image [H][W][C], zeros outside it.
void copy_window(const float* image, int64_t H, int64_t W, int64_t C, int64_t y, int64_t rows, int64_t x,
                 int64_t columns, float* out) {
  const int64_t left = smaller(columns, larger(0, -x)), end = larger(left, smaller(columns, W - x));
  for (int64_t r = 0; r < rows; ++r, out += columns * C) {
    if (y + r < 0 || y + r >= H || end == left) {
      memset(out, 0, static_cast<size_t>(columns * C) * sizeof(float));
      continue;
    }
    memset(out, 0, static_cast<size_t>(left * C) * sizeof(float));
    memcpy(out + left * C, image + ((y + r) * W + x + left) * C,
           static_cast<size_t>((end - left) * C) * sizeof(float));
    memset(out + end * C, 0, static_cast<size_t>((columns - end) * C) * sizeof(float));
  }
}

// to[j] = sum over parts of parts[part * size + j], in order, (+ bias[j]) (+ to[j]) for j in [0, n).
void reduce_parts(const float* parts, int64_t count, int64_t size, int64_t n, const float* bias,
                  bool accumulate, float* to) {
  for (int64_t j = 0; j < n; j += kLanes) {
    Vec sum = load_first(parts + j, n - j);
    for (int64_t part = 1; part < count; ++part) sum = v_add(sum, load_first(parts + part * size + j, n - j));
    if (bias) sum = v_add(sum, load_first(bias + j, n - j));
    if (accumulate) sum = v_add(sum, load_first(to + j, n - j));
    v_store_where(m_first(static_cast<int>(smaller(n - j, kLanes))), to + j, sum);
  }
}

// Runs tasks on the pool, or in order on this thread without one.
void run_tasks(bince::ThreadPool* pool, int64_t count, void (*task)(void*, int64_t, int), void* argument) {
  if (pool && count > 1)
    bince::parallel_for(pool, count, task, argument);
  else
    for (int64_t i = 0; i < count; ++i) task(argument, i, 0);
}

}  // namespace

#endif  // BINCE_DENSE_PACK_H_
