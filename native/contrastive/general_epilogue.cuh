// The general epilogue: every mode.  The tile goes through shared memory, every thread keeping its own
// elements in a column of its own, so that loops stay loops and no register array is indexed.
#ifndef BINCE_CONTRASTIVE_GENERAL_EPILOGUE_CUH_
#define BINCE_CONTRASTIVE_GENERAL_EPILOGUE_CUH_

#include "native/contrastive/score_epilogue.cuh"

namespace bince {

// What is the same for all pairs of a row.
struct RowTerms {
  int32_t row, positive, group, id;
  float scale, inverse;
};

struct Pair {
  float d, raw, s, t;  // t: s in the denominator, -infinity outside it
  bool scored, positive, negative;
};

__device__ __forceinline__ RowTerms row_terms(const ScoreTerms& terms, int32_t row) {
  RowTerms r = {row, -1, -1, -1, 0, 0};
  if (row >= terms.rows) return r;
  r.positive = explicit_positive(terms.positive, terms.row_group != nullptr, row);
  if (terms.row_group) r.group = terms.row_group[row];
  if (terms.row_id) r.id = terms.row_id[row];
  r.inverse = terms.row_inverse[row];
  r.scale = terms.scale * r.inverse;
  return r;
}

__device__ __forceinline__ bool is_positive(const ScoreTerms& terms, const RowTerms& row, int32_t column) {
  if (row.row >= terms.rows || column >= terms.columns) return false;
  if (terms.exclude_diagonal && row.row == column) return false;
  return terms.row_group ? row.group >= 0 && row.group == terms.column_group[column] : row.positive == column;
}

// `value`: the product times the column's inverse norm.
__device__ __forceinline__ Pair read_pair(const ScoreTerms& terms, const RowTerms& row, int32_t column,
                                          float value) {
  Pair p;
  p.scored = row.row < terms.rows && column < terms.columns && !(terms.exclude_diagonal && row.row == column);
  p.positive = is_positive(terms, row, column);
  p.d = value * row.inverse;
  p.raw = fmaf(value, row.scale, terms.bias);
  p.s = clipped_score(p.raw, terms.clip);
  p.negative = p.scored && !p.positive && !(p.d > terms.threshold);
  if (p.negative && row.id >= 0 && row.id == terms.column_id[column]) p.negative = false;
  p.t = p.negative                                                 ? p.s + terms.negative_log_weight
        : p.positive && terms.denominator == BINCE_DENOMINATOR_ALL ? p.s
                                                                   : -INFINITY;
  return p;
}

// A thread's elements of a tile in its own column of shared memory.
template <class Tile>
struct ThreadTile {
  static constexpr size_t kSharedBytes = sizeof(float) * Tile::kRows * Tile::kColumns;
  float* own;

  __device__ __forceinline__ explicit ThreadTile(void* shared)
      : own(static_cast<float*>(shared) + threadIdx.x) {}
  __device__ __forceinline__ float& at(int i, int j) const {
    return own[(i * Tile::kColumnsPerThread + j) * Tile::kThreads];
  }
  __device__ __forceinline__ void store(const Tile& tile) const {
#pragma unroll
    for (int i = 0; i < Tile::kRowsPerThread; ++i)
#pragma unroll
      for (int j = 0; j < Tile::kColumnsPerThread; ++j) at(i, j) = tile.value[i][j];
  }
  __device__ __forceinline__ void load(Tile* tile) const {
#pragma unroll
    for (int i = 0; i < Tile::kRowsPerThread; ++i)
#pragma unroll
      for (int j = 0; j < Tile::kColumnsPerThread; ++j) tile->value[i][j] = at(i, j);
  }
};

// Elements become scores in the denominator; adds positives and squares.  All columns have been read before.
template <class Tile>
__device__ __forceinline__ void general_softmax_rows(const ThreadTile<Tile>& tile, const ScoreTerms& terms,
                                                     const TilePlace& place, const RowState& rows,
                                                     float* squares) {
#pragma unroll 1
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
    float maximum = -INFINITY, positive = 0, sum = 0;
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const int32_t column = place.column + Tile::column_of(j);
      const Pair p = read_pair(terms, row, column, tile.at(i, j) * terms.column_inverse[column]);
      if (p.positive) positive += p.s;
      if (p.scored) *squares = fmaf(p.raw, p.raw, *squares);
      maximum = fmaxf(maximum, p.t);
      tile.at(i, j) = p.t;
    }
    maximum = max_over_lanes(maximum, kSameRow);
    const float reference = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) sum += exp_above(tile.at(i, j), reference);
    sum = sum_over_lanes(sum, kSameRow);
    positive = sum_over_lanes(positive, kSameRow);
    add_to_row(rows, Tile::row_of(i), maximum, sum);
    if (threadIdx.x % 4 == 0) rows.positive[Tile::row_of(i)] += positive;
  }
}

// Of similarities: the sums of the columns' positives.
template <class Tile>
__device__ __forceinline__ void general_column_positives(const ThreadTile<Tile>& tile,
                                                         const ScoreTerms& terms, const TilePlace& place,
                                                         const ColumnOutput& columns) {
#pragma unroll 1
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    const int32_t column = place.column + Tile::column_of(j);
    float positive = 0;
#pragma unroll 1
    for (int i = 0; i < Tile::kRowsPerThread; ++i) {
      const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
      if (!is_positive(terms, row, column)) continue;
      positive += read_pair(terms, row, column, tile.at(i, j) * terms.column_inverse[column]).s;
    }
    positive = sum_over_lanes(positive, kSameColumn);
    if (Tile::lane() < 4) columns.positive[Tile::column_of(j)] = positive;
  }
}

// Of scores in the denominator.
template <class Tile>
__device__ __forceinline__ void general_softmax_columns(const ThreadTile<Tile>& tile,
                                                        const ColumnOutput& columns) {
#pragma unroll 1
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    float maximum = -INFINITY, sum = 0;
#pragma unroll 1
    for (int i = 0; i < Tile::kRowsPerThread; ++i) maximum = fmaxf(maximum, tile.at(i, j));
    maximum = max_over_lanes(maximum, kSameColumn);
    const float reference = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll 1
    for (int i = 0; i < Tile::kRowsPerThread; ++i) sum += exp_above(tile.at(i, j), reference);
    sum = sum_over_lanes(sum, kSameColumn);
    if (Tile::lane() < 4) {
      columns.maximum[Tile::column_of(j)] = maximum;
      columns.sum[Tile::column_of(j)] = sum;
    }
  }
}

// SIGMOID: the sum of the losses of a row's pairs.
template <class Tile>
__device__ __forceinline__ void general_sigmoid_rows(const ThreadTile<Tile>& tile, const ScoreTerms& terms,
                                                     const TilePlace& place, const RowState& rows,
                                                     float* squares) {
  const float weight = expf(terms.negative_log_weight);
#pragma unroll 1
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
    float sum = 0;
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const int32_t column = place.column + Tile::column_of(j);
      const Pair p = read_pair(terms, row, column, tile.at(i, j) * terms.column_inverse[column]);
      if (p.positive) sum += softplus(-p.s);
      if (p.negative) sum = fmaf(weight, softplus(p.s), sum);
      if (p.scored) *squares = fmaf(p.raw, p.raw, *squares);
    }
    add_to_row(rows, Tile::row_of(i), 0, sum_over_lanes(sum, kSameRow));
  }
}

// EACH, when the LSEs are known: the losses of a line's positives in `sum`, 1 - p in `positive`.
template <class Tile>
__device__ __forceinline__ void general_positive_rows(const ThreadTile<Tile>& tile, const ScoreTerms& terms,
                                                      const TilePlace& place, const RowState& rows) {
#pragma unroll 1
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
    const float lse = terms.row_lse[place.row + Tile::row_of(i)];
    float sum = 0, slack = 0;
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const int32_t column = place.column + Tile::column_of(j);
      if (!is_positive(terms, row, column)) continue;
      const Pair p = read_pair(terms, row, column, tile.at(i, j) * terms.column_inverse[column]);
      sum += softplus(lse - p.s);
      slack += sigmoid(lse - p.s);
    }
    sum = sum_over_lanes(sum, kSameRow);
    slack = sum_over_lanes(slack, kSameRow);
    add_to_row(rows, Tile::row_of(i), 0, sum);
    if (threadIdx.x % 4 == 0) rows.positive[Tile::row_of(i)] += slack;
  }
}

template <class Tile>
__device__ __forceinline__ void general_positive_columns(const ThreadTile<Tile>& tile,
                                                         const ScoreTerms& terms, const TilePlace& place,
                                                         const ColumnOutput& columns) {
#pragma unroll 1
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    const int32_t column = place.column + Tile::column_of(j);
    const float lse = terms.column_lse[column];
    float sum = 0, slack = 0;
#pragma unroll 1
    for (int i = 0; i < Tile::kRowsPerThread; ++i) {
      const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
      if (!is_positive(terms, row, column)) continue;
      const Pair p = read_pair(terms, row, column, tile.at(i, j) * terms.column_inverse[column]);
      sum += softplus(lse - p.s);
      slack += sigmoid(lse - p.s);
    }
    sum = sum_over_lanes(sum, kSameColumn);
    slack = sum_over_lanes(slack, kSameColumn);
    if (Tile::lane() < 4) {
      columns.maximum[Tile::column_of(j)] = 0;
      columns.sum[Tile::column_of(j)] = sum;
      columns.positive[Tile::column_of(j)] = slack;
    }
  }
}

// Whether one of the thread's pairs is a positive.
template <class Tile>
__device__ __forceinline__ bool holds_positive(const ScoreTerms& terms, const TilePlace& place) {
  bool found = false;
#pragma unroll 1
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j)
      found |= is_positive(terms, row, place.column + Tile::column_of(j));
  }
  return found;
}

template <class Tile>
__device__ __forceinline__ void general_statistics(const ThreadTile<Tile>& tile, const ScoreTerms& terms,
                                                   const TilePlace& place, bool positives_alone,
                                                   const RowState& rows, const ColumnOutput& columns,
                                                   float* squares) {
  if (positives_alone) {
    general_positive_rows(tile, terms, place, rows);
    if (terms.symmetric) general_positive_columns(tile, terms, place, columns);
    return;
  }
  if (terms.denominator == BINCE_DENOMINATOR_SIGMOID) {
    general_sigmoid_rows(tile, terms, place, rows, squares);
    return;
  }
  if (terms.symmetric) general_column_positives(tile, terms, place, columns);
  general_softmax_rows(tile, terms, place, rows, squares);
  if (terms.symmetric) general_softmax_columns(tile, columns);
}

// d total / d s through the softmaxes of the pair's row and column.
__device__ __forceinline__ float softmax_gradient(const ScoreTerms& terms, int32_t row, int32_t column,
                                                  const Pair& p) {
  float g = exp_above(p.t, terms.row_reference[row]) * terms.row_factor[row];
  if (terms.symmetric)
    g = fmaf(exp_above(p.t, terms.column_reference[column]), terms.column_factor[column], g);
  if (!p.positive) return g;
  const bool each = terms.denominator == BINCE_DENOMINATOR_EACH;
  g = fmaf(-terms.row_pull[row], each ? sigmoid(terms.row_lse[row] - p.s) : 1.0f, g);
  if (terms.symmetric)
    g = fmaf(-terms.column_pull[column], each ? sigmoid(terms.column_lse[column] - p.s) : 1.0f, g);
  return g;
}

__device__ __forceinline__ float sigmoid_gradient(const ScoreTerms& terms, int32_t row, const Pair& p) {
  if (p.positive) return -terms.row_pull[row] * sigmoid(-p.s);
  return p.negative ? terms.row_factor[row] * sigmoid(p.s) : 0.0f;
}

// d total / d raw.
__device__ __forceinline__ float raw_gradient(const ScoreTerms& terms, int32_t row, int32_t column,
                                              const Pair& p) {
  if (!p.scored) return 0;
  float g = terms.denominator == BINCE_DENOMINATOR_SIGMOID ? sigmoid_gradient(terms, row, p)
                                                           : softmax_gradient(terms, row, column, p);
  if (terms.clip > 0) {
    const float ratio = p.s / terms.clip;
    g *= fmaf(-ratio, ratio, 1.0f);
  }
  return fmaf(terms.totals->squares_factor, p.raw, g);
}

// As plain_gradients, on elements in shared memory.
template <class Tile>
__device__ __forceinline__ void general_gradients(const ThreadTile<Tile>& tile, const ScoreTerms& terms,
                                                  const TilePlace& place, GradientSums* sums) {
#pragma unroll 1
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const RowTerms row = row_terms(terms, place.row + Tile::row_of(i));
    float gd = 0, sum = 0;
#pragma unroll 1
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const int32_t column = place.column + Tile::column_of(j);
      const float inverse = terms.column_inverse[column];
      const Pair p = read_pair(terms, row, column, tile.at(i, j) * inverse);
      const float g = raw_gradient(terms, row.row, column, p);
      gd = fmaf(g, p.d, gd);
      sum += g;
      tile.at(i, j) = g * row.scale * inverse;
    }
    sums->gd += gd;
    sums->g += sum;
  }
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_GENERAL_EPILOGUE_CUH_
