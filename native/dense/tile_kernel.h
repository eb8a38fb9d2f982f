// The register-tiled product that everything dense is made of; included by the SIMD files after vector_*.h.
//
//   c[c_rows[i] + j] = sum_k a[a_rows[i] + a_depth[k]] b[k][j]   (+ bias[j]) (+ c[c_rows[i] + j])
//
// Rows and depths of `a` are given by tables of offsets: a matrix, a transposed matrix, the overlapping
// windows of an image (a convolution without im2col) and the same windows read the other way (its weight
// gradient) are all of this form, for one more load a step of depth.
#ifndef BINCE_DENSE_TILE_KERNEL_H_
#define BINCE_DENSE_TILE_KERNEL_H_

#include "native/core/inline.h"
#include "native/dense/dense_ops.h"

namespace {

// A panel of b has two vectors of columns.  Depth goes in blocks: a block of a panel stays in the first-level
// cache.
constexpr int64_t kPanelColumns = 2 * kLanes, kDepthBlock = 384;
constexpr int64_t kPrefetch =
    8;  // steps of depth: a panel and its rows of a are a little too much for that cache

BINCE_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
BINCE_INLINE int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}
BINCE_INLINE int64_t parts_of(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

// One block of depth of a product.
struct BlockProduct {
  const float* a;
  const int64_t* a_rows;   // [rows]
  const int64_t* a_depth;  // [depth]
  const float* b;  // columns j .. of panel p begin at b + p * b_panel; b_stride elements a step of depth
  int64_t b_panel, b_stride;
  float* c;
  const int64_t* c_rows;  // [rows]
  int64_t rows, columns, depth;
  const float* bias;  // [columns] or null
  bool accumulate;
};

// Up to kRows rows x kVectors vectors.  Computes the whole register tile, rows beyond the last one repeating
// it, and stores the part that is inside: `rows` x `columns`.
template <int kRows, int kVectors>
__attribute__((noinline)) void tile_kernel(const BlockProduct& p, int64_t row, int64_t column) {
  const int64_t rows = p.rows - row, columns = p.columns - column;
  const float* a[kRows];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) a[i] = p.a + p.a_rows[row + (i < rows ? i : rows - 1)];
  Vec low[kRows], high[kRows];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) low[i] = high[i] = v_zero();
  const float* b = p.b + column / kPanelColumns * p.b_panel;
  const int64_t b_stride = p.b_stride;
  const int64_t* const end = p.a_depth + p.depth;
  for (const int64_t* k = p.a_depth; k != end; ++k, b += b_stride) {
    const int64_t at = *k;
    __builtin_prefetch(b + kPrefetch * b_stride);
    if (kVectors == 2) __builtin_prefetch(b + kPrefetch * b_stride + kLanes);
    const Vec b_low = v_load(b), b_high = kVectors == 2 ? v_load(b + kLanes) : v_zero();
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const Vec x = v_set(a[i][at]);
      low[i] = v_fma(x, b_low, low[i]);
      if (kVectors == 2) high[i] = v_fma(x, b_high, high[i]);
    }
  }
  const Mask low_part = m_first(static_cast<int>(smaller(columns, kLanes)));
  const Mask high_part = m_first(static_cast<int>(smaller(columns, kPanelColumns)) - kLanes);
  const bool whole = columns >= kVectors * kLanes;
  const Vec bias_low = p.bias ? v_load_where(low_part, p.bias + column) : v_zero();
  const Vec bias_high =
      kVectors == 2 && p.bias ? v_load_where(high_part, p.bias + column + kLanes) : v_zero();
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
    if (i >= rows) break;
    float* c = p.c + p.c_rows[row + i] + column;
    low[i] = v_add(low[i], bias_low);
    if (kVectors == 2) high[i] = v_add(high[i], bias_high);
    if (whole) {
      v_store(c, p.accumulate ? v_add(v_load(c), low[i]) : low[i]);
      if (kVectors == 2) v_store(c + kLanes, p.accumulate ? v_add(v_load(c + kLanes), high[i]) : high[i]);
    } else {
      v_store_where(low_part, c, p.accumulate ? v_add(v_load_where(low_part, c), low[i]) : low[i]);
      if (kVectors == 2)
        v_store_where(high_part, c + kLanes,
                      p.accumulate ? v_add(v_load_where(high_part, c + kLanes), high[i]) : high[i]);
    }
  }
}

template <int kVectors>
void multiply_panel(const BlockProduct& p, int64_t column) {
  int64_t row = 0;
  for (; row + kTileRows <= p.rows; row += kTileRows) tile_kernel<kTileRows, kVectors>(p, row, column);
  const int64_t left = p.rows - row;
  if (left > kTileRows * 2 / 3)
    tile_kernel<kTileRows, kVectors>(p, row, column);
  else if (left > kTileRows / 3)
    tile_kernel<kTileRows * 2 / 3, kVectors>(p, row, column);
  else if (left > 2)
    tile_kernel<kTileRows / 3 + 1, kVectors>(p, row, column);
  else if (left > 1)
    tile_kernel<2, kVectors>(p, row, column);
  else if (left > 0)
    tile_kernel<1, kVectors>(p, row, column);
}

// The block panel by panel, so that one is read from the first-level cache for all rows.
void multiply_block(const BlockProduct& p) {
  for (int64_t column = 0; column < p.columns; column += kPanelColumns)
    if (p.columns - column > kLanes)
      multiply_panel<2>(p, column);
    else
      multiply_panel<1>(p, column);
}

// Depth in equal blocks of at most kDepthBlock.
BINCE_INLINE int64_t depth_block(int64_t depth) {
  return larger(1, parts_of(depth, larger(1, parts_of(depth, kDepthBlock))));
}

// The whole depth, block after block: later blocks are added to the first.
void multiply_blocks(BlockProduct p) {
  const int64_t depth = p.depth, block = depth_block(depth);
  for (int64_t k = 0; k == 0 || k < depth; k += block) {
    p.depth = smaller(block, depth - k);
    multiply_block(p);
    p.a_depth += block;
    p.b += block * p.b_stride;
    p.bias = nullptr;
    p.accumulate = true;
  }
}

}  // namespace

#endif  // BINCE_DENSE_TILE_KERNEL_H_
