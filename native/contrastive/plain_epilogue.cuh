// The plain epilogue: explicit positives, the denominator ALL, nothing excluded but a diagonal, nothing that
// clips, weighs or regularises.  Works on the accumulators in registers; every loop is unrolled.
#ifndef BINCE_CONTRASTIVE_PLAIN_EPILOGUE_CUH_
#define BINCE_CONTRASTIVE_PLAIN_EPILOGUE_CUH_

#include "native/contrastive/score_epilogue.cuh"

namespace bince {

// Whether the tile lies in the matrix and holds no excluded pair.
template <class Tile>
__device__ __forceinline__ bool is_whole(const ScoreTerms& terms, const TilePlace& place) {
  if (place.rows < Tile::kRows || place.columns < Tile::kColumns) return false;
  return !terms.exclude_diagonal || place.row >= place.column + Tile::kColumns ||
         place.column >= place.row + Tile::kRows;
}

// Whether the pair is none, or excluded.
template <class Tile>
__device__ __forceinline__ bool outside(const ScoreTerms& terms, const TilePlace& place, int i, int j) {
  if (Tile::row_of(i) >= place.rows || Tile::column_of(j) >= place.columns) return true;
  return terms.exclude_diagonal && place.row + Tile::row_of(i) == place.column + Tile::column_of(j);
}

// The positive's column in the tile, or something outside [0, Tile::kColumns).
template <class Tile>
__device__ __forceinline__ int32_t positive_in_tile(const ScoreTerms& terms, const TilePlace& place, int i) {
  if (Tile::row_of(i) >= place.rows) return -1;
  const int32_t row = place.row + Tile::row_of(i);
  const int32_t column = explicit_positive(terms.positive, false, row), at = column - place.column;
  return at < place.columns && !(terms.exclude_diagonal && column == row) ? at : -1;
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

// d becomes the score, -infinity where there is no pair.
template <bool kPartial, class Tile>
__device__ __forceinline__ void score_plainly(Tile& tile, const ScoreTerms& terms, const TilePlace& place) {
  if (terms.cosine) multiply_columns(tile, terms, place);
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    const float scale = terms.scale * terms.row_inverse[place.row + Tile::row_of(i)];
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
      const float score = fmaf(tile.value[i][j], scale, terms.bias);
      tile.value[i][j] = kPartial && outside<Tile>(terms, place, i, j) ? -INFINITY : score;
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
  if (is_whole<Tile>(terms, place))
    score_plainly<false>(tile, terms, place);
  else
    score_plainly<true>(tile, terms, place);
  add_plain_positives(tile, terms, place, rows, columns);
  if (terms.symmetric)
    sum_both_plainly(tile, rows, columns);
  else
    sum_rows_plainly(tile, rows);
}

// d becomes d total / d (q_i or k_j of the product): g_ij times the scale and, with COSINE, both inverse
// norms.  Rows and columns share a reference.
template <bool kPartial, class Tile>
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
      float g = exp_above(score, reference) * (row_factor + factor[j]);
      if (kPartial && outside<Tile>(terms, place, i, j)) g = 0;
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

// Not for LSEs too far apart for one reference (totals->wide).
template <class Tile>
__device__ __forceinline__ void plain_gradients(Tile& tile, const ScoreTerms& terms, const TilePlace& place,
                                                GradientSums* sums) {
  if (terms.cosine) multiply_columns(tile, terms, place);
  if (is_whole<Tile>(terms, place))
    differentiate_plainly<false>(tile, terms, place, sums);
  else
    differentiate_plainly<true>(tile, terms, place, sums);
  if (terms.cosine) multiply_columns(tile, terms, place);
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_PLAIN_EPILOGUE_CUH_
