// What a SIMD backend supplies to contrastive_tiled.cc: products of tiles and what happens to a tile of
// scores.
//
// A tile is a block of kTileSide rows x kTileSide columns of the score matrix, stored [kTileSide][kTileSide].
// It first holds the similarities d_ij, then, in the backward, the gradients d total / d raw_ij in their
// place.
#ifndef BINCE_CONTRASTIVE_TILE_OPS_H_
#define BINCE_CONTRASTIVE_TILE_OPS_H_

#include <stdint.h>

#include "native/contrastive/contrastive_ops.h"
#include "native/contrastive/fixed_ops.h"

namespace bince {

enum { kTileSide = 192 };  // a multiple of every backend's register tile

struct Tile {
  float* values;          // [kTileSide][kTileSide]
  int64_t row, column;    // of the first element
  int32_t rows, columns;  // those inside the matrix
};

// Statistics of some lines (rows or columns), merged over tiles.  SIGMOID and the second sweep of EACH keep
// maximum 0 and plain sums.
struct LineStatistics {
  float* maximum;   // of t in the denominator, -infinity when it is empty
  float* sum;       // of exp(t - maximum)
  float* positive;  // sum of s over positives; EACH's second sweep: of 1 - p
};

// The problem as the tiles need it, and in the backward the factors of the two softmaxes: with t the score in
// the denominator,
//   g_ij = exp(t - row_reference_i) (row_factor_i + column_factor_j) - row_positive_i - column_positive_j
// where the last two stand at positives only.  Symmetric with widely spread LSEs ("wide"), the columns have
// references of their own.
struct TileTerms {
  uint32_t denominator;
  bool symmetric;
  bool exclude_diagonal;
  bool plain;  // explicit positives and nothing that clips, excludes, weighs or regularises
  bool wide;
  bool regularized;  // the sum of raw^2 is wanted
  float scale, bias, clip, negative_log_weight, threshold;
  float squares_factor;  // d total / d raw = squares_factor * raw, from the regulariser
  const int32_t* positive;
  const int32_t *row_group, *column_group, *row_id, *column_id;
  const float *row_lse, *column_lse;  // [N], [C]
  const float *row_reference, *row_factor, *row_positive;
  const float *column_reference, *column_factor, *column_positive;
};

struct TileOps {
  int32_t panel_rows;  // a register tile is panel_rows x panel_columns
  int32_t panel_columns;

  // The first row in [begin, end) that holds a NaN or an infinity, or -1.
  int64_t (*find_nonfinite)(const ContrastiveRows& rows, int64_t begin, int64_t end);
  // out[i] = 1 / |row i|, 0 for a row of zeros, for i in [begin, end).
  void (*inverse_norms)(const ContrastiveRows& rows, int64_t begin, int64_t end, float* out);

  // Rows [begin, begin + count) x dimensions [d0, d0 + depth), times inverse_norm where not null, as
  // [ceil(count / width)][depth][width], padded with zeros.
  void (*pack_panels)(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                      int64_t d0, int64_t depth, int32_t width, float* out);
  // The same rows times `factor`, as [ceil(depth / panel_columns)][capacity][panel_columns], padded.
  void (*pack_rows)(const ContrastiveRows& rows, const float* inverse_norm, float factor, int64_t begin,
                    int64_t count, int64_t d0, int64_t depth, int64_t capacity, float* out);

  // tile (+)= q k^T from panels of panel_rows and panel_columns.
  void (*multiply_scores)(const Tile& tile, const float* q_panels, const float* k_panels, int64_t depth,
                          bool accumulate);
  // out[rows][width] (+)= tile * panel, panel [tile.columns][panel_columns].
  void (*multiply_rows)(const Tile& tile, const float* panel, int32_t width, float* out, int64_t stride,
                        bool accumulate);
  // out[columns][width] (+)= tile^T * panel, panel [tile.rows][panel_columns]; the first `columns` only.
  void (*multiply_columns)(const Tile& tile, int32_t columns, const float* panel, int32_t width, float* out,
                           int64_t stride, bool accumulate);

  // Statistics of the tile's rows and, if symmetric, columns; adds the sum of raw^2 to *squares.
  void (*forward_tile)(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                       const LineStatistics& columns, double* squares);
  // EACH, when the LSEs are known: sum of the losses in `sum`, of 1 - p in `positive`.
  void (*positives_tile)(const TileTerms& terms, const Tile& tile, const LineStatistics& rows,
                         const LineStatistics& columns);
  // d becomes g; adds sum g d and sum g to sums[0] and sums[1].
  void (*gradient_tile)(const TileTerms& terms, const Tile& tile, double* sums);
  // into = into with part, line by line.
  void (*merge)(const LineStatistics& into, const LineStatistics& part, int64_t count);

  // <row i of a, row j of b>, normalised where inverse norms are given.
  float (*dot)(const ContrastiveRows& a, const float* a_inverse, int64_t i, const ContrastiveRows& b,
               const float* b_inverse, int64_t j);
  // out += factor * row i, normalised where inverse norms are given.
  void (*add_row)(const ContrastiveRows& rows, const float* inverse_norm, int64_t i, float factor,
                  float* out);
  // The gradient of the normalised rows becomes that of the rows: g <- (g - x <g, x>) / |row|, x the unit
  // row.
  void (*denormalize)(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t end,
                      float* gradient);

  // Products in fixed point for bfloat16 rows, or null.
  const FixedOps* fixed = nullptr;
};

const TileOps& tile_ops_avx2();
const TileOps& tile_ops_avx512();
const TileOps& tile_ops_neon();

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_OPS_H_
