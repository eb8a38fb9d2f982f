// Products of bfloat16 rows in 16-bit fixed point: what a backend with 16-bit dot products supplies.
//
// A unit row is held as round(kFixedUnit * x), so a similarity is an int32 sum times kFixedUnit^-2.  A tile
// of gradients g is held twice, with a factor a row for dq and a factor a column for dk:
//   dq_i += row_unit_i * sum_j round(g_ij / row_step_i) K_j,   K_j = round(kFixedUnit * k_j)
// No sum overflows: by Cauchy-Schwarz it is at most the product of two norms, and the steps follow from the
// norm of the tile's row (or column) and the largest norm of a dimension over the tile's keys (or queries).
//
// Two 16-bit numbers that are neighbours along the sum form a word: dimensions in the scores, columns in dq,
// rows in dk.
#ifndef BINCE_CONTRASTIVE_FIXED_OPS_H_
#define BINCE_CONTRASTIVE_FIXED_OPS_H_

#include <stdint.h>

#include "native/contrastive/contrastive_ops.h"

namespace bince {

struct Tile;

enum { kFixedUnit = 32767 };

struct FixedOps {
  // Unit rows [begin, begin + count) as words of two dimensions, [ceil(count / width)][ceil(dim / 2)][width],
  // padded with zeros.
  void (*pack_panels)(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                      int32_t width, uint32_t* out);
  // The same rows as words of two rows, [ceil(dim / panel_columns)][capacity / 2][panel_columns], padded.
  // Returns the largest euclidean norm of a dimension over these rows.
  float (*pack_rows)(const ContrastiveRows& rows, const float* inverse_norm, int64_t begin, int64_t count,
                     int64_t capacity, uint32_t* out);

  // tile = q k^T, similarities as floats, from panels of `words` words.
  void (*multiply_scores)(const Tile& tile, const uint32_t* q_panels, const uint32_t* k_panels,
                          int64_t words);
  // The tile's gradients become words, for each pair of rows: the two rows as words of two columns, then
  // words of the two rows.  `row_room`, `column_room`: the norm that a row or column of integers may have.  A
  // unit is what one step of a line is worth in dq or dk, `gain` times the step.
  void (*quantize_tile)(const Tile& tile, float row_room, float column_room, float gain, float* row_unit,
                        float* column_unit);
  // out[rows][width] (+)= unit * tile * panel.  `next`, if not null, is where words of later calls begin: of
  // six pairs of rows for each of this call's register tiles, three lines of the cache are fetched ahead.
  // Rows [0, tile.rows) of `tile`, whose first row is even.
  void (*multiply_rows)(const Tile& tile, const float* row_unit, const uint32_t* panel, int32_t width,
                        float* out, int64_t stride, bool accumulate, const float* next);
  // out[columns][width] (+)= unit * tile^T * panel.
  void (*multiply_columns)(const Tile& tile, int32_t columns, const float* column_unit, const uint32_t* panel,
                           int32_t width, float* out, int64_t stride, bool accumulate, const float* next);
};

const FixedOps& fixed_ops_avx512_vnni();

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_FIXED_OPS_H_
