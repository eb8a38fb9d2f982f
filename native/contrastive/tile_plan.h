// How a problem is cut into blocks, and where everything lies in the workspace.
//
// Columns are swept in spans, rows in chunks; a chunk x span is a block of tiles, the unit whose scores exist
// at a time.  Dimensions beyond kMaxSegment are taken in segments.  All sizes follow from the shape of the
// problem alone, so results do not depend on the number of threads.
#ifndef BINCE_CONTRASTIVE_TILE_PLAN_H_
#define BINCE_CONTRASTIVE_TILE_PLAN_H_

#include "native/contrastive/contrastive_prepare.h"
#include "native/contrastive/tile_ops.h"

namespace bince {

struct TilePlan {
  int64_t segment, segments;        // dimensions
  int64_t chunk, chunks;            // rows, a multiple of kTileSide
  int64_t span, spans;              // columns, a multiple of kTileSide
  int64_t chunk_tiles, span_tiles;  // tiles of a block in each direction
  int64_t q_capacity, k_capacity;   // rows of the packed operands
  int64_t block_floats;
  int64_t kept_blocks;    // blocks whose similarities the forward leaves for the backward
  const FixedOps* fixed;  // products in fixed point, or null: float32
  bool single_sweep;      // each chunk goes through forward and backward in turn, its scores made once
};

// Per line, row or column.
struct LineArrays {
  LineStatistics statistics;                   // merged so far
  float *lse, *reference, *factor, *positive;  // what TileTerms points to
  double *exact_lse, *loss, *slack;            // slack: EACH's mean of 1 - p
  float* inverse_norm;                         // null without cosine
};

struct TileMemory {
  ContrastivePrepared prepared;
  LineArrays row, column;
  float* own_similarity;       // [N] with OWN_KEY
  float* positive_gradient;    // [N] in fixed point: of the positive, 0 without one
  float *q_panels, *k_panels;  // operands of the scores
  float *q_rows, *k_rows;      // operands of the gradients, times scale
  float* block;                // the block at hand
  float* kept;                 // [kept_blocks][block_floats]
  LineStatistics row_part;     // [span_tiles][chunk]
  LineStatistics column_part;  // [chunk_tiles][span]
  double* task_sums;           // [tiles of a block][2]
  // In fixed point: largest norms of a dimension over the packed rows of a tile, and units of lines.
  float *q_norm, *k_norm;  // [chunk_tiles], [span_tiles]
  float* units;            // [tiles of a block][2][kTileSide]: of rows, of columns
};

TilePlan plan_tiles(const TileOps& ops, const ContrastiveProblem& problem, uint32_t call);
void carve_tiles(Workspace* workspace, const ContrastiveProblem& problem, const TilePlan& plan,
                 TileMemory* memory);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_PLAN_H_
