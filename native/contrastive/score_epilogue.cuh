// What happens to a tile of scores in registers: statistics of its rows and columns, and the gradient in its
// place.
//
// Two forms.  `plain`: explicit positives, the denominator ALL, and nothing that clips, excludes, weighs or
// regularises; unrolled over registers.  `general`: every mode; the tile goes through shared memory, every
// thread keeping its own elements in a column of its own, so that loops stay loops and no register array is
// indexed.
//
// Row statistics are kept in shared memory by the four lanes that share a row; column statistics leave for
// the workspace after every tile, a part for every row of warps.
#ifndef BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_
#define BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_

#include "native/contrastive/contrastive_device.cuh"
#include "native/contrastive/score_tile.cuh"
#include "native/cuda/bfloat16.cuh"

namespace bince {

constexpr int kSameRow = 3;      // lanes that share a row differ in these bits,
constexpr int kSameColumn = 28;  // those that share a column in these
constexpr int kWholeWarp = 31;
// A line whose sum is below this, relative to its warp's largest exponential, is summed again with its own
// maximum: e^-40 times the smallest sum that matters is still a normal float.
constexpr float kLowSum = 4e-18f;

// Where a tile lies, and how much of it lies in the matrix.
struct TilePlace {
  int32_t row, column;
  int32_t rows, columns;
};

// Running statistics of this warp's rows, [Tile::kRows] each; touched by the lanes with lane % 4 == 0 alone.
struct RowState {
  float *maximum, *sum, *positive;
};

// Where this warp's column statistics go, from the tile's first column on; null unless symmetric.
struct ColumnOutput {
  float *maximum, *sum, *positive;
};

// (maximum, sum) and another pair, joined.
__device__ __forceinline__ void join_sums(float* maximum, float* sum, float other_maximum, float other_sum) {
  const float joined = fmaxf(*maximum, other_maximum);
  const float reference = joined > -INFINITY ? joined : 0.0f;
  *sum = fmaf(*sum, exp_above(*maximum, reference), other_sum * exp_above(other_maximum, reference));
  *maximum = joined;
}

// Joins one row's sum, known to its four lanes.
__device__ __forceinline__ void add_to_row(const RowState& state, int row, float maximum, float sum) {
  if (threadIdx.x % 4 == 0) join_sums(&state.maximum[row], &state.sum[row], maximum, sum);
}

// --- plain ------------------------------------------------------------------------------------------------

template <class Tile>
__device__ __forceinline__ bool outside(const TilePlace& place, int i, int j) {
  return Tile::row_of(i) >= place.rows || Tile::column_of(j) >= place.columns;
}

// The positive's column in the tile, or something outside [0, Tile::kColumns).
template <class Tile>
__device__ __forceinline__ int32_t positive_in_tile(const ScoreTerms& terms, const TilePlace& place, int i) {
  if (Tile::row_of(i) >= place.rows) return -1;
  const int32_t at = explicit_positive(terms.positive, false, place.row + Tile::row_of(i)) - place.column;
  return at < place.columns ? at : -1;
}

template <class Tile>
__device__ __forceinline__ void multiply_columns(Tile& tile, const ScoreTerms& terms,
                                                 const TilePlace& place) {
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    const float inverse = terms.column_inverse[place.column + Tile::column_of(j)];
#pragma unroll
    for (int i = 0; i < Tile::kRowsPerThread; ++i) tile.value[i][j] *= inverse;
  }
}

// d becomes the score, -infinity outside the matrix.
template <bool kPartial, class Tile>
__device__ __forceinline__ void score_plainly(Tile& tile, const ScoreTerms& terms, const TilePlace& place) {
  if (terms.cosine) multiply_columns(tile, terms, place);
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const float scale = terms.scale * terms.row_inverse[place.row + Tile::row_of(i)];
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const float score = fmaf(tile.value[i][j], scale, terms.bias);
      tile.value[i][j] = kPartial && outside<Tile>(place, i, j) ? -INFINITY : score;
    }
  }
}

// Adds the scores of positives to rows and writes those of columns.  Few tiles hold any.
template <class Tile>
__device__ __forceinline__ void add_plain_positives(const Tile& tile, const ScoreTerms& terms,
                                                    const TilePlace& place, const RowState& rows,
                                                    const ColumnOutput& columns) {
  bool found = false;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) found |= positive_in_tile<Tile>(terms, place, i) >= 0;
  const bool any = __ballot_sync(kAllLanes, found) != 0;
  if (any) {
#pragma unroll
    for (int i = 0; i < Tile::kRowsPerThread; ++i) {
      const int32_t at = positive_in_tile<Tile>(terms, place, i);
      float score = 0;
#pragma unroll
      for (int j = 0; j < Tile::kColumnsPerThread; ++j)
        if (Tile::column_of(j) == at) score = tile.value[i][j];
      score = sum_over_lanes(score, kSameRow);
      if (threadIdx.x % 4 == 0) rows.positive[Tile::row_of(i)] += score;
    }
  }
  if (!columns.positive) return;
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    float score = 0;
    if (any) {
#pragma unroll
      for (int i = 0; i < Tile::kRowsPerThread; ++i)
        if (positive_in_tile<Tile>(terms, place, i) == Tile::column_of(j)) score += tile.value[i][j];
      score = sum_over_lanes(score, kSameColumn);
    }
    if (Tile::lane() < 4) columns.positive[Tile::column_of(j)] = score;
  }
}

// Every row with its own maximum.
template <class Tile>
__device__ __forceinline__ void sum_rows_plainly(const Tile& tile, const RowState& rows) {
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    float maximum = tile.value[i][0], sum = 0;
#pragma unroll
    for (int j = 1; j < Tile::kColumnsPerThread; ++j) maximum = fmaxf(maximum, tile.value[i][j]);
    maximum = max_over_lanes(maximum, kSameRow);
    const float reference = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) sum += exp_above(tile.value[i][j], reference);
    add_to_row(rows, Tile::row_of(i), maximum, sum_over_lanes(sum, kSameRow));
  }
}

template <class Tile>
__device__ __forceinline__ void sum_columns_plainly(const Tile& tile, const ColumnOutput& columns) {
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    float maximum = tile.value[0][j], sum = 0;
#pragma unroll
    for (int i = 1; i < Tile::kRowsPerThread; ++i) maximum = fmaxf(maximum, tile.value[i][j]);
    maximum = max_over_lanes(maximum, kSameColumn);
    const float reference = maximum > -INFINITY ? maximum : 0.0f;
#pragma unroll
    for (int i = 0; i < Tile::kRowsPerThread; ++i) sum += exp_above(tile.value[i][j], reference);
    sum = sum_over_lanes(sum, kSameColumn);
    if (Tile::lane() < 4) {
      columns.maximum[Tile::column_of(j)] = maximum;
      columns.sum[Tile::column_of(j)] = sum;
    }
  }
}

// One exponential serves the row and the column, with the warp's largest score as the reference of both;
// where a line lies far below it, all are summed again with references of their own.
template <class Tile>
__device__ __forceinline__ void sum_both_plainly(const Tile& tile, const RowState& rows,
                                                 const ColumnOutput& columns) {
  float largest = -INFINITY;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i)
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) largest = fmaxf(largest, tile.value[i][j]);
  largest = max_over_lanes(largest, kWholeWarp);
  const float reference = largest > -INFINITY ? largest : 0.0f;
  float row_sum[Tile::kRowsPerThread], column_sum[Tile::kColumnsPerThread];
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) column_sum[j] = 0;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    row_sum[i] = 0;
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const float e = exp_above(tile.value[i][j], reference);
      row_sum[i] += e;
      column_sum[j] += e;
    }
  }
  bool low = false;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    row_sum[i] = sum_over_lanes(row_sum[i], kSameRow);
    low |= !(row_sum[i] >= kLowSum);
  }
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
    column_sum[j] = sum_over_lanes(column_sum[j], kSameColumn);
    low |= !(column_sum[j] >= kLowSum);
  }
  if (__ballot_sync(kAllLanes, low)) {
    sum_rows_plainly(tile, rows);
    sum_columns_plainly(tile, columns);
    return;
  }
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) add_to_row(rows, Tile::row_of(i), largest, row_sum[i]);
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j)
    if (Tile::lane() < 4) {
      columns.maximum[Tile::column_of(j)] = largest;
      columns.sum[Tile::column_of(j)] = column_sum[j];
    }
}

template <class Tile>
__device__ __forceinline__ void plain_statistics(Tile& tile, const ScoreTerms& terms, const TilePlace& place,
                                                 const RowState& rows, const ColumnOutput& columns) {
  if (place.rows == Tile::kRows && place.columns == Tile::kColumns)
    score_plainly<false>(tile, terms, place);
  else
    score_plainly<true>(tile, terms, place);
  add_plain_positives(tile, terms, place, rows, columns);
  if (terms.symmetric)
    sum_both_plainly(tile, rows, columns);
  else
    sum_rows_plainly(tile, rows);
}

// Sums of a thread over its pairs.
struct GradientSums {
  float gd, g;
};

// d becomes d total / d (q_i or k_j of the product): g_ij times the scale and, with COSINE, both inverse
// norms.  kWide: rows and columns have references of their own.
template <bool kPartial, bool kWide, class Tile>
__device__ __forceinline__ void differentiate_plainly(Tile& tile, const ScoreTerms& terms,
                                                      const TilePlace& place, GradientSums* sums) {
  float factor[Tile::kColumnsPerThread];
#pragma unroll
  for (int j = 0; j < Tile::kColumnsPerThread; ++j)
    factor[j] = terms.symmetric ? terms.column_factor[place.column + Tile::column_of(j)] : 0.0f;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const int32_t row = place.row + Tile::row_of(i);
    const float inverse = terms.row_inverse[row], scale = terms.scale * inverse;
    const float reference = terms.row_reference[row], row_factor = terms.row_factor[row];
    const int32_t at = positive_in_tile<Tile>(terms, place, i);
    float at_positive = 0, gd = 0, sum = 0;
    if (at >= 0) {
#pragma unroll
      for (int j = 0; j < Tile::kColumnsPerThread; ++j)
        if (Tile::column_of(j) == at) at_positive = tile.value[i][j];
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const float d = tile.value[i][j];
      const float score = fmaf(d, scale, terms.bias);
      float g;
      if (kWide) {
        const float other = terms.column_reference[place.column + Tile::column_of(j)];
        g = fmaf(exp_above(score, reference), row_factor, exp_above(score, other) * factor[j]);
      } else {
        g = exp_above(score, reference) * (row_factor + factor[j]);
      }
      if (kPartial && outside<Tile>(place, i, j)) g = 0;
      gd = fmaf(g, d, gd);
      sum += g;
      tile.value[i][j] = g * scale;
    }
    if (at >= 0) {
      float pull = terms.row_pull[row];
      if (terms.symmetric) pull += terms.column_pull[place.column + at];
#pragma unroll
      for (int j = 0; j < Tile::kColumnsPerThread; ++j)
        if (Tile::column_of(j) == at) {
          tile.value[i][j] = fmaf(-pull, scale, tile.value[i][j]);
          gd = fmaf(-pull, at_positive, gd);
          sum -= pull;
        }
    }
    sums->gd = fmaf(gd, inverse, sums->gd);
    sums->g += sum;
  }
}

template <class Tile>
__device__ __forceinline__ void plain_gradients(Tile& tile, const ScoreTerms& terms, const TilePlace& place,
                                                GradientSums* sums) {
  const bool wide = terms.symmetric && terms.totals->wide != 0;
  const bool whole = place.rows == Tile::kRows && place.columns == Tile::kColumns;
  if (terms.cosine) multiply_columns(tile, terms, place);
  if (wide)
    differentiate_plainly<true, true>(tile, terms, place, sums);
  else if (whole)
    differentiate_plainly<false, false>(tile, terms, place, sums);
  else
    differentiate_plainly<true, false>(tile, terms, place, sums);
  if (terms.cosine) multiply_columns(tile, terms, place);
}

// --- general ----------------------------------------------------------------------------------------------

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

#endif  // BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_
