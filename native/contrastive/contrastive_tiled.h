// The contrastive slots over tile operations; what the SIMD backends share.
#ifndef BINCE_CONTRASTIVE_CONTRASTIVE_TILED_H_
#define BINCE_CONTRASTIVE_CONTRASTIVE_TILED_H_

#include "native/contrastive/tile_plan.h"

namespace bince {

enum class TilePhase { kForward, kPositives, kGradient };

// One call at work.
struct TiledRun {
  const TileOps* ops;
  const ContrastiveProblem* problem;
  const ContrastiveResults* results;
  const Run* run;
  TilePlan plan;
  TileMemory memory;
  TileTerms terms;
  bool backward;

  // What is packed: -1 is nothing.
  int64_t packed_span, packed_k_segment, packed_chunk, packed_q_segment;
  // The block at hand.
  int64_t span_at, chunk_at, segment_at;
  float* values;  // its tiles, [span_tiles][chunk_tiles][kTileSide][kTileSide]
  bool ready;     // they hold similarities already
  TilePhase phase;

  double squares;        // sum of raw^2
  double sum_gd, sum_g;  // of g d and of g
};

// The block's extent; first indices and sizes inside the matrix.
int64_t block_row(const TiledRun& run);
int64_t block_rows(const TiledRun& run);
int64_t block_column(const TiledRun& run);
int64_t block_columns(const TiledRun& run);

// Runs one phase over the block (span, chunk): similarities unless ready, statistics or gradients by tile,
// and what was summed merged into the lines.
void sweep_block(TiledRun* run, TilePhase phase, int64_t span, int64_t chunk, bool ready);
// dq and dk of the block whose tiles hold gradients.
void multiply_gradients(TiledRun* run);
// The same in fixed point (plan.fixed): operands of one tile, its similarities, its gradients as words, and
// their products with one panel of dimensions from d on.
void pack_k_fixed(TiledRun* run, int64_t column_tile, int64_t begin, int64_t count);
void pack_q_fixed(TiledRun* run, int64_t row_tile, int64_t begin, int64_t count);
void multiply_scores_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile);
void quantize_gradients(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile);
void multiply_rows_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile,
                         int64_t first_row, int64_t d, float* out, bool accumulate);
void multiply_columns_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile,
                            int64_t first_column, int32_t columns, int64_t d, float* out, bool accumulate);
// The positives' share of rows [begin, end) of dq or dk, which stayed float32.
void add_positives_to_dq(TiledRun* run, int64_t begin, int64_t end);
void add_positives_to_dk(TiledRun* run, int64_t begin, int64_t end);
// task(run, i) for i < count, on the pool when `flops` in all are worth waking it.
void run_tasks(TiledRun* run, int64_t count, double flops, void (*task)(TiledRun* run, int64_t i));

// What the statistics of lines mean: LSE and loss after kForward, loss and slack after kPositives.
void finish_forward(TiledRun* run, int64_t first_row, int64_t rows, bool columns);
void finish_positives(TiledRun* run, int64_t first_row, int64_t rows, bool columns);
void reset_statistics(const LineStatistics& statistics, int64_t first, int64_t count);
// The factors of the gradients, from LSE and slack.
void fill_gradient_factors(TiledRun* run, int64_t first_row, int64_t rows);

// MoCo: the row's own key, outside all tiles.
void own_key_forward(TiledRun* run);
void own_key_positives(TiledRun* run, int64_t first_row, int64_t rows);  // EACH, after the LSEs
void own_key_gradients(TiledRun* run);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_CONTRASTIVE_TILED_H_
