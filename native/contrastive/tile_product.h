// Packing and the register-tiled products; included by the SIMD files after vector_*.h.
//
// One micro-kernel makes kTileRows x (2 vectors) of a product: a[row][k] broadcast, b[k][2 vectors] loaded.
// The three products differ only in the strides of `a`: packed panels, a tile by rows, a tile by columns.
#ifndef BINCE_CONTRASTIVE_TILE_PRODUCT_H_
#define BINCE_CONTRASTIVE_TILE_PRODUCT_H_

#include "native/contrastive/tile_ops.h"

namespace {

using bince::ContrastiveRows;
using bince::kTileSide;
using bince::Tile;

enum { kPanelColumns = 2 * kLanes, kDepthBlock = 256 };  // a depth block of b is 32 KB, or 16: it stays in L1

BINCE_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Up to a vector of elements d.. of a row, as floats; zeros beyond `count`.
BINCE_INLINE Vec load_elements(const ContrastiveRows& rows, int64_t row, int64_t d, int64_t count) {
  const bool queued = row >= rows.first_count;
  const void* base = queued ? rows.second : rows.first;
  const int64_t at = (queued ? row - rows.first_count : row) * rows.dim + d;
  if (!rows.bfloat16) {
    const float* p = static_cast<const float*>(base) + at;
    return count >= kLanes ? v_load(p) : v_load_where(m_first(static_cast<int>(count)), p);
  }
  const uint16_t* p = static_cast<const uint16_t*>(base) + at;
  if (count >= kLanes) return v_load_bfloat16(p);
  uint16_t part[kLanes] = {};
  for (int64_t l = 0; l < count; ++l) part[l] = p[l];
  return v_load_bfloat16(part);
}

int64_t find_nonfinite(const ContrastiveRows& rows, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    Mask bad = m_none();
    for (int64_t d = 0; d < rows.dim; d += kLanes)
      bad = m_or(bad, m_not_finite(load_elements(rows, row, d, rows.dim - d)));
    if (m_any(bad)) return row;
  }
  return -1;
}

float dot(const ContrastiveRows& a, const float* a_inverse, int64_t i, const ContrastiveRows& b,
          const float* b_inverse, int64_t j) {
  Vec sum = v_zero();
  for (int64_t d = 0; d < a.dim; d += kLanes)
    sum = v_fma(load_elements(a, i, d, a.dim - d), load_elements(b, j, d, a.dim - d), sum);
  return v_sum(sum) * (a_inverse ? a_inverse[i] : 1.0f) * (b_inverse ? b_inverse[j] : 1.0f);
}

// The squares are summed after a division by the largest element, so that they neither overflow nor vanish.
void inverse_norms(const ContrastiveRows& rows, int64_t begin, int64_t end, float* out) {
  for (int64_t row = begin; row < end; ++row) {
    Vec largest = v_zero();
    for (int64_t d = 0; d < rows.dim; d += kLanes)
      largest = v_max(largest, v_abs(load_elements(rows, row, d, rows.dim - d)));
    const float size = v_largest(largest);
    if (!(size > 0)) {
      out[row] = 0;
      continue;
    }
    Vec sum = v_zero();
    const Vec unit = v_set(size);
    for (int64_t d = 0; d < rows.dim; d += kLanes) {
      const Vec x = v_div(load_elements(rows, row, d, rows.dim - d), unit);
      sum = v_fma(x, x, sum);
    }
    const double inverse = 1.0 / (double{size} * __builtin_sqrt(double{v_sum(sum)}));
    out[row] = static_cast<float>(inverse < __FLT_MAX__ ? inverse : __FLT_MAX__);
  }
}

void pack_panels(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                 int64_t d0, int64_t depth, int32_t width, float* out) {
  for (int64_t panel = 0; panel < count; panel += width, out += depth * width)
    for (int32_t r0 = 0; r0 < width; r0 += kLanes) {  // up to a vector of the panel's rows
      const int64_t lanes = smaller(kLanes, width - r0), present = count - panel - r0;
      const Mask inside = m_first(static_cast<int>(lanes));
      for (int64_t d = 0; d < depth; d += kLanes) {
        const int64_t n = smaller(kLanes, depth - d);
        Vec x[kLanes];
        for (int32_t r = 0; r < kLanes; ++r) {
          const int64_t row = begin + panel + r0 + r;
          x[r] = r < lanes && r < present ? load_elements(rows, row, d0 + d, n) : v_zero();
          if (inverse_norm && r < lanes && r < present) x[r] = v_mul(v_set(inverse_norm[row]), x[r]);
        }
        v_transpose(x);
        for (int64_t l = 0; l < n; ++l) v_store_where(inside, out + (d + l) * width + r0, x[l]);
      }
    }
}

void pack_rows(const ContrastiveRows& rows, const float* inverse_norm, float factor, int64_t begin,
               int64_t count, int64_t d0, int64_t depth, int64_t capacity, float* out) {
  for (int64_t r = 0; r < count; ++r) {
    const Vec all = v_set(inverse_norm ? inverse_norm[begin + r] * factor : factor);
    for (int64_t d = 0; d < depth; d += kPanelColumns) {
      float* to = out + (d / kPanelColumns * capacity + r) * kPanelColumns;
      for (int half = 0; half < 2; ++half) {
        const int64_t at = d + half * kLanes;
        const Vec x = at < depth ? load_elements(rows, begin + r, d0 + at, depth - at) : v_zero();
        v_store(to + half * kLanes, v_mul(all, x));
      }
    }
  }
}

// c[mr][nr] (+)= sum_k a[i * row_stride + k * depth_stride] * b[k][j].  Computes a whole register tile and
// stores the part that is inside.
template <int kRowStride, int kDepthStride>
__attribute__((noinline)) void micro_kernel(int64_t depth, const float* a, const float* b, float* c,
                                            int64_t c_stride, bool accumulate, int64_t mr, int64_t nr) {
  Vec low[kTileRows], high[kTileRows];
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) low[i] = high[i] = v_zero();
  for (int64_t k = 0; k < depth; ++k, a += kDepthStride, b += kPanelColumns) {
    const Vec b_low = v_load(b), b_high = v_load(b + kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kTileRows; ++i) {
      const Vec x = v_set(a[i * kRowStride]);
      low[i] = v_fma(x, b_low, low[i]);
      high[i] = v_fma(x, b_high, high[i]);
    }
  }
  const bool whole = nr >= kPanelColumns;
  const Mask low_part = m_first(static_cast<int>(nr)), high_part = m_first(static_cast<int>(nr) - kLanes);
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) {
    if (i >= mr) break;
    float* row = c + i * c_stride;
    if (whole) {
      v_store(row, accumulate ? v_add(v_load(row), low[i]) : low[i]);
      v_store(row + kLanes, accumulate ? v_add(v_load(row + kLanes), high[i]) : high[i]);
    } else {
      const Vec old_low = accumulate ? v_load_where(low_part, row) : v_zero();
      v_store_where(low_part, row, v_add(old_low, low[i]));
      if (nr > kLanes) {
        const Vec old_high = accumulate ? v_load_where(high_part, row + kLanes) : v_zero();
        v_store_where(high_part, row + kLanes, v_add(old_high, high[i]));
      }
    }
  }
}

// Panels beyond the matrix hold zeros, so whole register tiles are stored.
void multiply_scores(const Tile& tile, const float* q_panels, const float* k_panels, int64_t depth,
                     bool accumulate) {
  const auto saved = flush_denormals();
  for (int64_t column = 0; column < tile.columns; column += kPanelColumns) {
    const float* b = k_panels + column * depth;
    for (int64_t k = 0; k < depth; k += kDepthBlock)
      for (int64_t row = 0; row < tile.rows; row += kTileRows)
        micro_kernel<1, kTileRows>(smaller(kDepthBlock, depth - k), q_panels + row * depth + k * kTileRows,
                                   b + k * kPanelColumns, tile.values + row * kTileSide + column, kTileSide,
                                   accumulate || k > 0, kTileRows, kPanelColumns);
  }
  restore_denormals(saved);
}

void multiply_rows(const Tile& tile, const float* panel, int32_t width, float* out, int64_t stride,
                   bool accumulate) {
  const auto saved = flush_denormals();
  for (int64_t row = 0; row < tile.rows; row += kTileRows)
    micro_kernel<kTileSide, 1>(tile.columns, tile.values + row * kTileSide, panel, out + row * stride, stride,
                               accumulate, smaller(kTileRows, tile.rows - row), width);
  restore_denormals(saved);
}

void multiply_columns(const Tile& tile, int32_t columns, const float* panel, int32_t width, float* out,
                      int64_t stride, bool accumulate) {
  const auto saved = flush_denormals();
  for (int64_t column = 0; column < columns; column += kTileRows)
    micro_kernel<1, kTileSide>(tile.rows, tile.values + column, panel, out + column * stride, stride,
                               accumulate, smaller(kTileRows, columns - column), width);
  restore_denormals(saved);
}

void add_row(const ContrastiveRows& rows, const float* inverse_norm, int64_t i, float factor, float* out) {
  const Vec all = v_set(inverse_norm ? inverse_norm[i] * factor : factor);
  for (int64_t d = 0; d < rows.dim; d += kLanes) {
    const int64_t n = smaller(kLanes, rows.dim - d);
    const Mask inside = m_first(static_cast<int>(n));
    const Vec x = load_elements(rows, i, d, n);
    v_store_where(inside, out + d, v_fma(all, x, v_load_where(inside, out + d)));
  }
}

void denormalize(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t end,
                 float* gradient) {
  for (int64_t row = begin; row < end; ++row) {
    float* g = gradient + row * rows.dim;
    const Vec inverse = v_set(inverse_norm[row]);
    Vec sum = v_zero();
    for (int64_t d = 0; d < rows.dim; d += kLanes) {
      const int64_t n = smaller(kLanes, rows.dim - d);
      const Vec x = v_mul(inverse, load_elements(rows, row, d, n));
      sum = v_fma(x, v_load_where(m_first(static_cast<int>(n)), g + d), sum);
    }
    const Vec along = v_set(v_sum(sum));
    for (int64_t d = 0; d < rows.dim; d += kLanes) {
      const int64_t n = smaller(kLanes, rows.dim - d);
      const Mask inside = m_first(static_cast<int>(n));
      const Vec x = v_mul(inverse, load_elements(rows, row, d, n));
      v_store_where(inside, g + d, v_mul(inverse, v_fnma(along, x, v_load_where(inside, g + d))));
    }
  }
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_TILE_PRODUCT_H_
