// What happens to a tile of similarities: statistics of rows and columns, and the gradient in its place.
// Included by the SIMD files after vector_*.h and vector_math.h.
//
// Every routine has two forms: `plain` for explicit positives with nothing that clips, excludes, weighs or
// regularises, and the general one.
#ifndef BINCE_CONTRASTIVE_TILE_EPILOGUE_H_
#define BINCE_CONTRASTIVE_TILE_EPILOGUE_H_

#include "native/contrastive/tile_ops.h"

namespace {

using bince::LineStatistics;
using bince::TileTerms;

enum { kTileVectors = kTileSide / kLanes };
const float kNever = -__builtin_inff();
// A column whose maximum lies this far below the tile's is summed again with its own: exp(-40) times the
// smallest sum that matters is still a normal float.
const float kColumnSlack = 40.0f;

// What is the same for all pairs of a row.
struct RowTerms {
  IntVec index, positive, group, id;
  bool has_group, has_id;
};

// A vector of pairs.
struct Pairs {
  Vec d, raw, s, t;  // t: s in the denominator, -infinity outside it
  Mask scored, positive, negative;
};

BINCE_INLINE Mask lanes_of(const Tile& tile, int v) {
  return m_first(tile.columns - v * kLanes);
}

BINCE_INLINE int vectors_of(const Tile& tile) {
  return (tile.columns + kLanes - 1) / kLanes;
}

template <bool kPlain>
BINCE_INLINE RowTerms row_terms(const TileTerms& terms, int64_t row) {
  RowTerms r;
  r.index = i_set(static_cast<int32_t>(row));
  r.positive = i_set(terms.positive ? terms.positive[row] : -1);
  if (kPlain) return r;
  r.has_group = terms.row_group && terms.row_group[row] >= 0;
  r.has_id = terms.row_id && terms.row_id[row] >= 0;
  r.group = i_set(r.has_group ? terms.row_group[row] : -1);
  r.id = i_set(r.has_id ? terms.row_id[row] : -1);
  return r;
}

// The vector v of row i of the tile, which still holds similarities.
template <bool kPlain>
BINCE_INLINE Pairs read_pairs(const TileTerms& terms, const RowTerms& row, const Tile& tile, int32_t i,
                              int v) {
  Pairs p;
  const int64_t column = tile.column + v * kLanes;
  const Mask lanes = lanes_of(tile, v);
  const IntVec index = i_count_from(static_cast<int32_t>(column));
  p.d = v_load(tile.values + i * kTileSide + v * kLanes);
  p.raw = v_fma(p.d, v_set(terms.scale), v_set(terms.bias));
  p.s = p.raw;
  p.scored = lanes;
  p.positive = m_and(m_equal(index, row.positive), lanes);
  if (kPlain) {
    p.negative = m_and_not(lanes, p.positive);
    p.t = v_select(lanes, p.s, v_set(kNever));
    return p;
  }
  if (terms.clip > 0) {
    const Vec clip = v_set(terms.clip);
    p.s = v_mul(clip, v_tanh(v_div(p.raw, clip)));
  }
  if (terms.row_group)
    p.positive = row.has_group
                     ? m_and(m_equal(i_load_where(lanes, terms.column_group + column), row.group), lanes)
                     : m_none();
  if (terms.exclude_diagonal) {
    const Mask diagonal = m_equal(index, row.index);
    p.scored = m_and_not(p.scored, diagonal);
    p.positive = m_and_not(p.positive, diagonal);
  }
  p.negative = m_and_not(p.scored, p.positive);
  if (row.has_id)
    p.negative = m_and_not(p.negative, m_equal(i_load_where(lanes, terms.column_id + column), row.id));
  p.negative = m_and_not(p.negative, m_greater(p.d, v_set(terms.threshold)));
  p.t = v_select(p.negative, v_add(p.s, v_set(terms.negative_log_weight)), v_set(kNever));
  if (terms.denominator == BINCE_DENOMINATOR_ALL) p.t = v_select(p.positive, p.s, p.t);
  return p;
}

BINCE_INLINE float finite_or_zero(float x) {
  return x > kNever ? x : 0.0f;
}

// Columns whose maximum is far below the tile's reference, summed with their own.
template <bool kPlain>
void sum_low_columns(const TileTerms& terms, const Tile& tile, float reference,
                     const LineStatistics& columns) {
  for (int v = 0; v < vectors_of(tile); ++v) {
    const Vec maximum = v_load(columns.maximum + v * kLanes);
    const Vec own = v_select(m_greater(maximum, v_set(kNever)), maximum, v_zero());
    Vec sum = v_load(columns.sum + v * kLanes), kept = v_set(reference);
    const Mask empty = m_and_not(m_first(kLanes), m_greater(maximum, v_set(kNever)));
    if (m_any(m_and(lanes_of(tile, v), m_greater(v_set(reference - kColumnSlack), maximum)))) {
      sum = v_zero();
      kept = own;
      for (int32_t i = 0; i < tile.rows; ++i) {
        const RowTerms row = row_terms<kPlain>(terms, tile.row + i);
        sum = v_add(sum, v_exp(v_sub(read_pairs<kPlain>(terms, row, tile, i, v).t, own)));
      }
    }
    v_store(columns.sum + v * kLanes, sum);
    v_store(columns.maximum + v * kLanes, v_select(empty, v_set(kNever), kept));
  }
}

BINCE_INLINE void add_to(float* p, Vec x) {
  v_store(p, v_add(v_load(p), x));
}

// One row of forward_softmax: t into `scores`, its maximum, positives and squares.
BINCE_INLINE float scan_row(const TileTerms& terms, const Tile& tile, int32_t i, const LineStatistics& rows,
                            const LineStatistics& columns, float* scores, double* squares) {
  const RowTerms row = row_terms<false>(terms, tile.row + i);
  Vec largest = v_set(kNever), positive = v_zero(), square = v_zero();
  const bool regularized = terms.regularized;
  for (int v = 0; v < vectors_of(tile); ++v) {
    const Pairs p = read_pairs<false>(terms, row, tile, i, v);
    v_store(scores + v * kLanes, p.t);
    largest = v_max(largest, p.t);
    if (terms.symmetric) {
      float* maximum = columns.maximum + v * kLanes;
      v_store(maximum, v_max(v_load(maximum), p.t));
    }
    if (m_any(p.positive)) {
      const Vec s = v_where(p.positive, p.s);
      positive = v_add(positive, s);
      if (terms.symmetric) add_to(columns.positive + v * kLanes, s);
    }
    if (regularized) square = v_add(square, v_where(p.scored, v_mul(p.raw, p.raw)));
  }
  rows.positive[i] = v_sum(positive);
  if (regularized) *squares += v_sum(square);
  return v_largest(largest);
}

// The column of the tile that is the row's explicit positive, or -1.
BINCE_INLINE int64_t positive_inside(const TileTerms& terms, const Tile& tile, int32_t i) {
  const int64_t at = int64_t{terms.positive[tile.row + i]} - tile.column;
  return at >= 0 && at < tile.columns ? at : -1;
}

// scan_row for plain problems: no masks but in the last vector, and one positive.
BINCE_INLINE float scan_plain_row(const TileTerms& terms, const Tile& tile, int32_t i,
                                  const LineStatistics& rows, const LineStatistics& columns, float* scores) {
  const Vec scale = v_set(terms.scale), bias = v_set(terms.bias);
  Vec largest = v_set(kNever);
  for (int v = 0; v < vectors_of(tile); ++v) {
    Vec t = v_fma(v_load(tile.values + i * kTileSide + v * kLanes), scale, bias);
    if (v == tile.columns / kLanes) t = v_select(lanes_of(tile, v), t, v_set(kNever));
    v_store(scores + v * kLanes, t);
    largest = v_max(largest, t);
    if (terms.symmetric) {
      float* maximum = columns.maximum + v * kLanes;
      v_store(maximum, v_max(v_load(maximum), t));
    }
  }
  const int64_t positive = positive_inside(terms, tile, i);
  rows.positive[i] = positive >= 0 ? scores[positive] : 0.0f;
  if (positive >= 0 && terms.symmetric) columns.positive[positive] += scores[positive];
  return v_largest(largest);
}

BINCE_INLINE void clear_columns(const Tile& tile, const LineStatistics& columns) {
  for (int v = 0; v < vectors_of(tile); ++v) {
    v_store(columns.maximum + v * kLanes, v_set(kNever));
    v_store(columns.sum + v * kLanes, v_zero());
    v_store(columns.positive + v * kLanes, v_zero());
  }
}

// forward_softmax for plain problems, four rows at a time: a row's maximum, which its exponentials wait for,
// takes as long to find as a third of them to compute, and sums by column are loaded and stored once for
// four.
void forward_plain(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                   const LineStatistics& columns) {
  enum { kGroup = 4 };
  float scores[kGroup][kTileSide];
  float reference = kNever;  // of the columns: the largest row maximum so far
  if (terms.symmetric) clear_columns(tile, columns);
  for (int32_t first = 0; first < tile.rows; first += kGroup) {
    const int32_t count = tile.rows - first < kGroup ? tile.rows - first : kGroup;
    float maximum[kGroup], largest = reference;
    for (int32_t r = 0; r < count; ++r) {
      maximum[r] = scan_plain_row(terms, tile, first + r, rows, columns, scores[r]);
      if (maximum[r] > largest) largest = maximum[r];
    }
    if (terms.symmetric && largest > reference) {
      const Vec shrink = v_exp(v_set(reference - largest));
      for (int v = 0; v < vectors_of(tile); ++v)
        v_store(columns.sum + v * kLanes, v_mul(v_load(columns.sum + v * kLanes), shrink));
      reference = largest;
    }
    Vec own[kGroup], sum[kGroup], to_columns[kGroup];
    for (int32_t r = 0; r < kGroup; ++r) {
      const int32_t row = r < count ? r : 0;  // rows that are not there repeat one, for nothing
      own[r] = v_set(finite_or_zero(maximum[row]));
      sum[r] = v_zero();
      to_columns[r] = r < count && maximum[row] > kNever ? v_exp(v_set(maximum[row] - reference)) : v_zero();
    }
    for (int v = 0; v < vectors_of(tile); ++v) {
      float* column = columns.sum + v * kLanes;
      Vec column_sum = terms.symmetric ? v_load(column) : v_zero();
      for (int32_t r = 0; r < kGroup; ++r) {
        const Vec e = v_exp(v_sub(v_load(scores[r < count ? r : 0] + v * kLanes), own[r]));
        sum[r] = v_add(sum[r], e);
        column_sum = v_fma(e, to_columns[r], column_sum);
      }
      if (terms.symmetric) v_store(column, column_sum);
    }
    for (int32_t r = 0; r < count; ++r) {
      rows.maximum[first + r] = maximum[r];
      rows.sum[first + r] = v_sum(sum[r]);
    }
  }
  if (terms.symmetric) sum_low_columns<true>(terms, tile, reference, columns);
}

void forward_softmax(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                     const LineStatistics& columns, double* squares) {
  float scores[kTileSide];
  float reference = kNever;  // of the columns: the largest row maximum so far
  if (terms.symmetric) clear_columns(tile, columns);
  for (int32_t i = 0; i < tile.rows; ++i) {
    const float maximum = scan_row(terms, tile, i, rows, columns, scores, squares);
    const Vec own = v_set(finite_or_zero(maximum));
    Vec sum = v_zero(), to_columns = v_zero();
    if (terms.symmetric && maximum > kNever) {
      if (maximum > reference) {
        const Vec shrink = v_exp(v_set(reference - maximum));
        for (int v = 0; v < vectors_of(tile); ++v)
          v_store(columns.sum + v * kLanes, v_mul(v_load(columns.sum + v * kLanes), shrink));
        reference = maximum;
      }
      to_columns = v_exp(v_set(maximum - reference));
    }
    for (int v = 0; v < vectors_of(tile); ++v) {
      const Vec e = v_exp(v_sub(v_load(scores + v * kLanes), own));
      sum = v_add(sum, e);
      if (terms.symmetric) {
        float* column_sum = columns.sum + v * kLanes;
        v_store(column_sum, v_fma(e, to_columns, v_load(column_sum)));
      }
    }
    rows.maximum[i] = maximum;
    rows.sum[i] = v_sum(sum);
  }
  if (terms.symmetric) sum_low_columns<false>(terms, tile, reference, columns);
}

void forward_sigmoid(const TileTerms& terms, const Tile& tile, const LineStatistics& rows, double* squares) {
  const Vec weight = v_exp(v_set(terms.negative_log_weight));
  for (int32_t i = 0; i < tile.rows; ++i) {
    const RowTerms row = row_terms<false>(terms, tile.row + i);
    Vec sum = v_zero(), square = v_zero();
    for (int v = 0; v < vectors_of(tile); ++v) {
      const Pairs p = read_pairs<false>(terms, row, tile, i, v);
      sum = v_add(sum, v_where(p.negative, v_mul(weight, v_softplus(p.s))));
      if (m_any(p.positive)) sum = v_add(sum, v_where(p.positive, v_softplus(v_sub(v_zero(), p.s))));
      square = v_add(square, v_where(p.scored, v_mul(p.raw, p.raw)));
    }
    rows.maximum[i] = 0;
    rows.sum[i] = v_sum(sum);
    rows.positive[i] = 0;
    *squares += v_sum(square);
  }
}

void forward_tile(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                  const LineStatistics& columns, double* squares) {
  const auto saved = flush_denormals();
  if (terms.denominator == BINCE_DENOMINATOR_SIGMOID)
    forward_sigmoid(terms, tile, rows, squares);
  else if (terms.plain)
    forward_plain(terms, tile, rows, columns);
  else
    forward_softmax(terms, tile, rows, columns, squares);
  restore_denormals(saved);
}

void positives_tile(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                    const LineStatistics& columns) {
  const auto saved = flush_denormals();
  for (int v = 0; terms.symmetric && v < vectors_of(tile); ++v) {
    v_store(columns.maximum + v * kLanes, v_zero());
    v_store(columns.sum + v * kLanes, v_zero());
    v_store(columns.positive + v * kLanes, v_zero());
  }
  for (int32_t i = 0; i < tile.rows; ++i) {
    const RowTerms row = row_terms<false>(terms, tile.row + i);
    const Vec lse = v_set(terms.row_lse[tile.row + i]);
    Vec sum = v_zero(), slack = v_zero();
    for (int v = 0; v < vectors_of(tile); ++v) {
      const Pairs p = read_pairs<false>(terms, row, tile, i, v);
      if (!m_any(p.positive)) continue;
      const Vec x = v_sub(lse, p.s);
      sum = v_add(sum, v_where(p.positive, v_softplus(x)));
      slack = v_add(slack, v_where(p.positive, v_sigmoid(x)));
      if (!terms.symmetric) continue;
      const Vec y = v_sub(v_load_where(p.scored, terms.column_lse + tile.column + v * kLanes), p.s);
      add_to(columns.sum + v * kLanes, v_where(p.positive, v_softplus(y)));
      add_to(columns.positive + v * kLanes, v_where(p.positive, v_sigmoid(y)));
    }
    rows.maximum[i] = 0;
    rows.sum[i] = v_sum(sum);
    rows.positive[i] = v_sum(slack);
  }
  restore_denormals(saved);
}

// Factors of a row's gradients, in all lanes.
struct RowFactors {
  Vec reference, factor, positive, lse;
};

// d total / d s for a vector of pairs of one row.
BINCE_INLINE Vec softmax_gradient(const TileTerms& terms, const Tile& tile, const RowFactors& row,
                                  const Pairs& p, int v) {
  const int64_t column = tile.column + v * kLanes;
  const Mask lanes = lanes_of(tile, v);
  const Vec e = v_exp(v_sub(p.t, row.reference));
  const Vec factor = terms.symmetric ? v_load_where(lanes, terms.column_factor + column) : v_zero();
  Vec g;
  if (terms.wide) {
    const Vec other = v_exp(v_sub(p.t, v_load_where(lanes, terms.column_reference + column)));
    g = v_fma(e, row.factor, v_mul(other, factor));
  } else {
    g = v_mul(e, v_add(row.factor, factor));
  }
  if (!m_any(p.positive)) return g;
  const Vec of_column = terms.symmetric ? v_load_where(lanes, terms.column_positive + column) : v_zero();
  if (terms.denominator != BINCE_DENOMINATOR_EACH)
    return v_sub(g, v_where(p.positive, v_add(row.positive, of_column)));
  Vec pull = v_mul(row.positive, v_sigmoid(v_sub(row.lse, p.s)));
  if (terms.symmetric)
    pull = v_fma(of_column, v_sigmoid(v_sub(v_load_where(lanes, terms.column_lse + column), p.s)), pull);
  return v_select(p.positive, v_sub(v_zero(), pull), g);
}

BINCE_INLINE Vec sigmoid_gradient(const RowFactors& row, const Pairs& p) {
  const Vec push = v_where(p.negative, v_mul(row.factor, v_sigmoid(p.s)));
  const Vec pull = v_mul(row.positive, v_sigmoid(v_sub(v_zero(), p.s)));
  return v_select(p.positive, v_sub(v_zero(), pull), push);
}

// softmax_gradient for whole vectors of a plain row without its positive; *d gets the similarities.
template <bool kSymmetric>
BINCE_INLINE Vec plain_gradient(const TileTerms& terms, const Tile& tile, const RowFactors& row, int32_t i,
                                int v, Vec* d) {
  const int64_t column = tile.column + v * kLanes;
  *d = v_load(tile.values + i * kTileSide + v * kLanes);
  const Vec t = v_fma(*d, v_set(terms.scale), v_set(terms.bias));
  const Vec e = v_exp(v_sub(t, row.reference));
  if (!kSymmetric) return v_mul(e, row.factor);
  const Vec factor = v_load(terms.column_factor + column);
  if (!terms.wide) return v_mul(e, v_add(row.factor, factor));
  return v_fma(e, row.factor, v_mul(v_exp(v_sub(t, v_load(terms.column_reference + column))), factor));
}

template <bool kSymmetric>
void gradient_plain(const TileTerms& terms, const Tile& tile, double* sums) {
  double total_gd = 0, total_g = 0;
  for (int32_t i = 0; i < tile.rows; ++i) {
    const int64_t line = tile.row + i, positive = positive_inside(terms, tile, i);
    const RowTerms row = row_terms<true>(terms, line);
    const RowFactors factors = {v_set(terms.row_reference[line]), v_set(terms.row_factor[line]),
                                v_set(terms.row_positive[line]), v_set(terms.row_lse[line])};
    const int masked = positive >= 0 ? static_cast<int>(positive / kLanes) : -1;
    Vec sum_gd = v_zero(), sum_g = v_zero();
    for (int v = 0; v < vectors_of(tile); ++v) {
      Vec d, g;
      if (v == masked || v == tile.columns / kLanes) {  // the positive's, and a last one that is not whole
        const Pairs p = read_pairs<true>(terms, row, tile, i, v);
        d = p.d;
        g = softmax_gradient(terms, tile, factors, p, v);
      } else {
        g = plain_gradient<kSymmetric>(terms, tile, factors, i, v, &d);
      }
      sum_gd = v_fma(g, d, sum_gd);
      sum_g = v_add(sum_g, g);
      v_store(tile.values + i * kTileSide + v * kLanes, g);
    }
    total_gd += v_sum(sum_gd);
    total_g += v_sum(sum_g);
  }
  sums[0] += total_gd;
  sums[1] += total_g;
}

void gradient_rows(const TileTerms& terms, const Tile& tile, double* sums) {
  const bool sigmoid = terms.denominator == BINCE_DENOMINATOR_SIGMOID;
  double total_gd = 0, total_g = 0;
  for (int32_t i = 0; i < tile.rows; ++i) {
    const int64_t line = tile.row + i;
    const RowTerms row = row_terms<false>(terms, line);
    const RowFactors factors = {v_set(terms.row_reference[line]), v_set(terms.row_factor[line]),
                                v_set(terms.row_positive[line]), v_set(terms.row_lse[line])};
    Vec sum_gd = v_zero(), sum_g = v_zero();
    for (int v = 0; v < vectors_of(tile); ++v) {
      const Pairs p = read_pairs<false>(terms, row, tile, i, v);
      Vec g = sigmoid ? sigmoid_gradient(factors, p) : softmax_gradient(terms, tile, factors, p, v);
      if (terms.clip > 0) {
        const Vec ratio = v_div(p.s, v_set(terms.clip));
        g = v_mul(g, v_fnma(ratio, ratio, v_set(1.0f)));
      }
      g = v_add(g, v_where(p.scored, v_mul(v_set(terms.squares_factor), p.raw)));
      sum_gd = v_fma(g, p.d, sum_gd);
      sum_g = v_add(sum_g, g);
      v_store(tile.values + i * kTileSide + v * kLanes, g);
    }
    total_gd += v_sum(sum_gd);
    total_g += v_sum(sum_g);
  }
  sums[0] += total_gd;
  sums[1] += total_g;
}

void gradient_tile(const TileTerms& terms, const Tile& tile, double* sums) {
  const auto saved = flush_denormals();
  if (terms.plain && terms.symmetric)
    gradient_plain<true>(terms, tile, sums);
  else if (terms.plain)
    gradient_plain<false>(terms, tile, sums);
  else
    gradient_rows(terms, tile, sums);
  restore_denormals(saved);
}

void merge(const LineStatistics& into, const LineStatistics& part, int64_t count) {
  const auto saved = flush_denormals();
  for (int64_t i = 0; i < count; i += kLanes) {
    const Mask lanes = m_first(static_cast<int>(smaller(kLanes, count - i)));
    const Vec a = v_load_where(lanes, into.maximum + i), b = v_load_where(lanes, part.maximum + i);
    const Vec maximum = v_max(a, b);
    const Vec reference = v_select(m_greater(maximum, v_set(kNever)), maximum, v_zero());
    const Vec grown = v_fma(v_load_where(lanes, into.sum + i), v_exp(v_sub(a, reference)),
                            v_mul(v_load_where(lanes, part.sum + i), v_exp(v_sub(b, reference))));
    const Vec positive =
        v_add(v_load_where(lanes, into.positive + i), v_load_where(lanes, part.positive + i));
    v_store_where(lanes, into.maximum + i, maximum);
    v_store_where(lanes, into.sum + i, grown);
    v_store_where(lanes, into.positive + i, positive);
  }
  restore_denormals(saved);
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_TILE_EPILOGUE_H_
