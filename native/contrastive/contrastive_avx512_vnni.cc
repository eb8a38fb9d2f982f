// Products of bfloat16 rows in 16-bit fixed point: vpdpwssd multiplies 32 pairs of 16-bit numbers and adds
// them to 16 sums, twice the products of a float32 multiply-add.  12 x 32 register tiles, as in
// tile_product.h.
#include "native/contrastive/vector_avx512.h"

#include "native/contrastive/fixed_ops.h"
#include "native/contrastive/tile_ops.h"

namespace {

using bince::ContrastiveRows;
using bince::kFixedUnit;
using bince::kTileSide;
using bince::Tile;

// A pair of the tile's rows, in words: two rows of words along columns, one of words along rows.
enum { kRowWords = kTileSide / 2, kPairWords = 2 * kTileSide, kTileVectors = kTileSide / kLanes };
enum { kPanelColumns = 2 * kLanes, kDepthBlock = 256 };
enum Operand { kPanels, kByRows, kByColumns };  // where a micro-kernel reads its 12 rows

BINCE_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

BINCE_INLINE const uint16_t* element(const ContrastiveRows& rows, int64_t row, int64_t d) {
  const bool queued = row >= rows.first_count;
  const void* base = queued ? rows.second : rows.first;
  return static_cast<const uint16_t*>(base) + (queued ? row - rows.first_count : row) * rows.dim + d;
}

BINCE_INLINE IntVec fixed(Vec x, Vec inverse_norm) {
  return _mm512_cvtps_epi32(v_mul(v_mul(x, inverse_norm), v_set(kFixedUnit)));
}

// Words of two numbers each: 16 bits of `low`, 16 bits of `high`.
BINCE_INLINE IntVec join(IntVec low, IntVec high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaau, low, _mm512_slli_epi32(high, 16));
}

// Up to 16 words of dimensions d, d + 1, ...; zeros beyond the row.
BINCE_INLINE IntVec dimension_words(const ContrastiveRows& rows, int64_t row, int64_t d, Vec inverse_norm) {
  const int64_t n = rows.dim - d;
  const uint16_t* p = element(rows, row, d);
  const IntVec bits =
      n >= 32 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1u << n) - 1), p);
  const Vec even = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
  const Vec odd = _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(INT32_MIN >> 15)));
  return join(fixed(even, inverse_norm), fixed(odd, inverse_norm));
}

void pack_panels(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                 int32_t width, uint32_t* out) {
  const int64_t words = (rows.dim + 1) / 2;
  for (int64_t panel = 0; panel < count; panel += width, out += words * width)
    for (int32_t r0 = 0; r0 < width; r0 += kLanes) {  // up to a vector of the panel's rows
      const int64_t lanes = smaller(kLanes, width - r0), present = count - panel - r0;
      const Mask inside = m_first(static_cast<int>(lanes));
      for (int64_t w = 0; w < words; w += kLanes) {
        Vec x[kLanes];
        for (int32_t r = 0; r < kLanes; ++r) {
          const int64_t row = begin + panel + r0 + r;
          x[r] = v_zero();
          if (r < lanes && r < present)
            x[r] = _mm512_castsi512_ps(dimension_words(rows, row, 2 * w, v_set(inverse_norm[row])));
        }
        v_transpose(x);
        for (int64_t l = 0; l < smaller(kLanes, words - w); ++l)
          _mm512_mask_storeu_epi32(out + (w + l) * width + r0, inside, _mm512_castps_si512(x[l]));
      }
    }
}

// Dimensions d .. d + 15 of a row in fixed point; zeros beyond `count`.
BINCE_INLINE IntVec fixed_elements(const ContrastiveRows& rows, int64_t row, int64_t d, int64_t count,
                                   Vec inverse_norm) {
  const __m256i bits = _mm256_maskz_loadu_epi16(m_first(static_cast<int>(count)), element(rows, row, d));
  return fixed(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)), inverse_norm);
}

float pack_rows(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                int64_t capacity, uint32_t* out) {
  Vec largest = v_zero();
  for (int64_t d0 = 0; d0 < rows.dim; d0 += kPanelColumns)
    for (int64_t d = d0; d < d0 + kPanelColumns; d += kLanes) {
      uint32_t* to = out + d0 / 2 * capacity + (d - d0);
      const int64_t n = smaller(kLanes, rows.dim - d);
      Vec squares = v_zero();
      for (int64_t r = 0; r < count; r += 2, to += kPanelColumns) {
        IntVec low = _mm512_setzero_si512(), high = low;
        if (n > 0) low = fixed_elements(rows, begin + r, d, n, v_set(inverse_norm[begin + r]));
        if (n > 0 && r + 1 < count)
          high = fixed_elements(rows, begin + r + 1, d, n, v_set(inverse_norm[begin + r + 1]));
        _mm512_storeu_si512(to, join(low, high));
        const Vec a = _mm512_cvtepi32_ps(low), b = _mm512_cvtepi32_ps(high);
        squares = v_fma(a, a, v_fma(b, b, squares));
      }
      largest = v_max(largest, squares);
    }
  return v_largest(_mm512_sqrt_ps(largest));
}

// sum + a . b, word by word.  Not the intrinsic: GCC 12 copies and spills its accumulators in a loop over
// many.
BINCE_INLINE IntVec add_dots(IntVec sum, IntVec a, IntVec b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}

template <int kOperand>
BINCE_INLINE int64_t row_offset(int i) {
  return kOperand == kByRows ? i / 2 * kPairWords + i % 2 * kRowWords : i;
}

// c[mr][nr] (+)= unit * sum_w a[row i, word w] . b[w][j]; `unit` has one value a row, one in all for kPanels.
// Computes a whole register tile and stores the part that is inside.
template <int kOperand>
__attribute__((noinline)) void micro_kernel(int64_t words, const uint32_t* a, const uint32_t* b,
                                            const float* unit, float* c, int64_t c_stride, bool accumulate,
                                            int64_t mr, int64_t nr) {
  constexpr int kStep = kOperand == kPanels ? kTileRows : kOperand == kByRows ? 1 : kPairWords;
  IntVec low[kTileRows], high[kTileRows];
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) low[i] = high[i] = _mm512_setzero_si512();
  for (int64_t w = 0; w < words; ++w, a += kStep, b += kPanelColumns) {
    const IntVec b_low = _mm512_loadu_si512(b), b_high = _mm512_loadu_si512(b + kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kTileRows; ++i) {
      const IntVec x = _mm512_set1_epi32(static_cast<int32_t>(a[row_offset<kOperand>(i)]));
      low[i] = add_dots(low[i], x, b_low);
      high[i] = add_dots(high[i], x, b_high);
    }
  }
  const Mask low_part = m_first(static_cast<int>(nr)), high_part = m_first(static_cast<int>(nr) - kLanes);
  const Mask low_old = accumulate ? low_part : m_none(), high_old = accumulate ? high_part : m_none();
#pragma GCC unroll 12
  for (int i = 0; i < kTileRows; ++i) {
    if (i >= mr) break;
    float* row = c + i * c_stride;
    const Vec all = v_set(unit[kOperand == kPanels ? 0 : i]);
    const Vec first = v_fma(_mm512_cvtepi32_ps(low[i]), all, v_load_where(low_old, row));
    const Vec second = v_fma(_mm512_cvtepi32_ps(high[i]), all, v_load_where(high_old, row + kLanes));
    v_store_where(low_part, row, first);
    v_store_where(high_part, row + kLanes, second);
  }
}

void multiply_scores(const Tile& tile, const uint32_t* q_panels, const uint32_t* k_panels, int64_t words) {
  const float unit = 1.0f / (static_cast<float>(kFixedUnit) * static_cast<float>(kFixedUnit));
  for (int64_t column = 0; column < tile.columns; column += kPanelColumns) {
    const uint32_t* b = k_panels + column * words;
    for (int64_t w = 0; w < words; w += kDepthBlock)
      for (int64_t row = 0; row < tile.rows; row += kTileRows)
        micro_kernel<kPanels>(smaller(kDepthBlock, words - w), q_panels + row * words + w * kTileRows,
                              b + w * kPanelColumns, &unit, tile.values + row * kTileSide + column, kTileSide,
                              w > 0, kTileRows, kPanelColumns);
  }
}

// Zeros beyond the matrix, up to whole rows and an even number of them.  Returns that number.
BINCE_INLINE int32_t clear_outside(const Tile& tile) {
  for (int32_t i = 0; i < tile.rows && tile.columns < kTileSide; ++i)
    for (int32_t j = tile.columns; j < kTileSide; ++j) tile.values[i * kTileSide + j] = 0;
  if (tile.rows % 2 == 0) return tile.rows;
  for (int v = 0; v < kTileVectors; ++v) v_store(tile.values + tile.rows * kTileSide + v * kLanes, v_zero());
  return tile.rows + 1;
}

// A power of two that brings the tile's largest gradient to 1 .. 2, as far as it fits a float.
BINCE_INLINE float tile_unit(const Tile& tile, int32_t rows) {
  Vec largest[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  for (int32_t i = 0; i < rows; ++i)
#pragma GCC unroll 12
    for (int v = 0; v < kTileVectors; ++v)
      largest[v % 4] = _mm512_range_ps(v_load(tile.values + i * kTileSide + v * kLanes), largest[v % 4], 0xb);
  const float size = v_largest(v_max(v_max(largest[0], largest[1]), v_max(largest[2], largest[3])));
  int32_t bits;
  __builtin_memcpy(&bits, &size, sizeof bits);
  int32_t exponent = 254 - (bits >> 23);
  exponent = exponent < 1 ? 1 : exponent > 227 ? 227 : exponent;
  bits = exponent << 23;
  float unit;
  __builtin_memcpy(&unit, &bits, sizeof unit);
  return unit;
}

// From sums of squares of `scale` g over lines to what g is multiplied by, and what a step is worth in
// results.
BINCE_INLINE void find_steps(const float* squares, int count, float room, float scale, float gain,
                             float* inverse_step, float* unit) {
  for (int i = 0; i < count; i += kLanes) {
    const Vec norm = _mm512_sqrt_ps(v_load(squares + i));
    const Mask some = static_cast<Mask>(~_mm512_cmp_ps_mask(norm, v_zero(), _CMP_EQ_OQ));  // NaN too
    const Vec inverse = v_min(v_set(__FLT_MAX__), v_div(v_set(room), norm));
    const Vec scaled = v_min(v_set(__FLT_MAX__), v_mul(inverse, v_set(scale)));
    v_store(inverse_step + i, v_where(some, scaled));
    v_store(unit + i, v_where(some, v_div(v_set(gain), scaled)));
  }
}

// squares of rows and of columns of `scale` g.
void sum_squares(const Tile& tile, int32_t rows, float scale, float* of_rows, float* of_columns) {
  const Vec all = v_set(scale);
  Vec columns[kTileVectors];
#pragma GCC unroll 12
  for (int v = 0; v < kTileVectors; ++v) columns[v] = v_zero();
  for (int32_t i = 0; i < rows; ++i) {
    Vec row[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
#pragma GCC unroll 12
    for (int v = 0; v < kTileVectors; ++v) {
      const Vec g = v_mul(all, v_load(tile.values + i * kTileSide + v * kLanes));
      columns[v] = v_fma(g, g, columns[v]);
      row[v % 4] = v_fma(g, g, row[v % 4]);
    }
    of_rows[i] = v_sum(v_add(v_add(row[0], row[1]), v_add(row[2], row[3])));
  }
#pragma GCC unroll 12
  for (int v = 0; v < kTileVectors; ++v) v_store(of_columns + v * kLanes, columns[v]);
}

// 32 numbers of two vectors as 16 bits each, in their order.
BINCE_INLINE IntVec narrow(IntVec first, IntVec second) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
                                  _mm512_packs_epi32(first, second));
}

BINCE_INLINE IntVec steps(Vec g, Vec inverse_step) {
  return _mm512_cvtps_epi32(v_mul(g, inverse_step));
}

// One pair of rows, in place: both are read whole before words are written.
BINCE_INLINE void quantize_pair(float* values, Vec even_row, Vec odd_row, const float* columns) {
  Vec even[kTileVectors], odd[kTileVectors];
#pragma GCC unroll 12
  for (int v = 0; v < kTileVectors; ++v) {
    even[v] = v_load(values + v * kLanes);
    odd[v] = v_load(values + kTileSide + v * kLanes);
  }
#pragma GCC unroll 6
  for (int v = 0; v < kTileVectors; v += 2) {
    float* to = values + v * kLanes / 2;
    _mm512_storeu_si512(to, narrow(steps(even[v], even_row), steps(even[v + 1], even_row)));
    _mm512_storeu_si512(to + kRowWords, narrow(steps(odd[v], odd_row), steps(odd[v + 1], odd_row)));
    for (int u = v; u < v + 2; ++u) {
      const Vec column = v_load(columns + u * kLanes);
      _mm512_storeu_si512(values + kTileSide + u * kLanes,
                          join(steps(even[u], column), steps(odd[u], column)));
    }
  }
}

void quantize_tile(const Tile& tile, float row_room, float column_room, float gain, float* row_unit,
                   float* column_unit) {
  const auto saved = flush_denormals();
  const int32_t rows = clear_outside(tile);
  const float scale = tile_unit(tile, rows);
  float row_squares[kTileSide] = {}, column_squares[kTileSide];
  float row_inverse[kTileSide], column_inverse[kTileSide];
  sum_squares(tile, rows, scale, row_squares, column_squares);
  find_steps(row_squares, kTileSide, row_room, scale, gain, row_inverse, row_unit);
  find_steps(column_squares, kTileSide, column_room, scale, gain, column_inverse, column_unit);
  for (int32_t i = 0; i < rows; i += 2)
    quantize_pair(tile.values + i * kTileSide, v_set(row_inverse[i]), v_set(row_inverse[i + 1]),
                  column_inverse);
  restore_denormals(saved);
}

// Three lines of each of the pairs of rows that a register tile spans.
BINCE_INLINE void fetch(const float* next) {
  for (int pair = 0; pair < kTileRows / 2; ++pair)
    for (int line = 0; line < 3; ++line)
      _mm_prefetch(reinterpret_cast<const char*>(next + pair * kPairWords + line * kLanes), _MM_HINT_T1);
}

void multiply_rows(const Tile& tile, const float* row_unit, const uint32_t* panel, int32_t width, float* out,
                   int64_t stride, bool accumulate, const float* next) {
  const uint32_t* words = reinterpret_cast<const uint32_t*>(tile.values);
  for (int64_t row = 0; row < tile.rows; row += kTileRows) {
    if (next) fetch(next + row / 2 * kPairWords);
    micro_kernel<kByRows>((tile.columns + 1) / 2, words + row / 2 * kPairWords, panel, row_unit + row,
                          out + row * stride, stride, accumulate, smaller(kTileRows, tile.rows - row), width);
  }
}

void multiply_columns(const Tile& tile, int32_t columns, const float* column_unit, const uint32_t* panel,
                      int32_t width, float* out, int64_t stride, bool accumulate, const float* next) {
  const uint32_t* words = reinterpret_cast<const uint32_t*>(tile.values) + kTileSide;
  for (int64_t column = 0; column < columns; column += kTileRows) {
    if (next) fetch(next + column / 2 * kPairWords);
    micro_kernel<kByColumns>((tile.rows + 1) / 2, words + column, panel, column_unit + column,
                             out + column * stride, stride, accumulate, smaller(kTileRows, columns - column),
                             width);
  }
}

}  // namespace

namespace bince {

const FixedOps& fixed_ops_avx512_vnni() {
  static const FixedOps ops = {pack_panels,   pack_rows,     multiply_scores,
                               quantize_tile, multiply_rows, multiply_columns};
  return ops;
}

}  // namespace bince
