// A block's tasks with products in fixed point, and the positives, whose gradients stay float32.
//
// A positive's gradient is near -1 where all others of its line are near 1 / N: in one step size with them it
// would leave them no digits.  It is taken out of its tile and multiplied at the end, one row each way.
#include <algorithm>

#include "native/contrastive/contrastive_tiled.h"

namespace bince {
namespace {

constexpr float kLargestSum = 2147000000.0f;  // 2^31, less what rounding adds to norms
constexpr float kRounding = 7;                // half a step in each of a line's kTileSide numbers

// The norm that a line of integers may have beside rows of the norm `other`.
float room_beside(float other) {
  const float largest = static_cast<float>(kFixedUnit) - kRounding;
  return other > 0 ? std::min(largest, kLargestSum / other - kRounding) : largest;
}

uint32_t* as_words(float* memory) {
  return reinterpret_cast<uint32_t*>(memory);
}

int64_t words_of(const TiledRun& run) {
  return (run.problem->dim + 1) / 2;
}

// Units of the rows of a tile, then those of its columns.
float* tile_units(const TiledRun& run, int64_t row_tile, int64_t column_tile) {
  return run.memory.units + (column_tile * run.plan.chunk_tiles + row_tile) * 2 * kTileSide;
}

void take_positives(TiledRun* run, const Tile& tile) {
  const int32_t* positive = run->terms.positive;
  for (int32_t i = 0; i < tile.rows; ++i) {
    const int64_t at = positive[tile.row + i] - tile.column;
    if (at < 0 || at >= tile.columns) continue;
    float* value = tile.values + i * kTileSide + at;
    run->memory.positive_gradient[tile.row + i] = *value;
    *value = 0;
  }
}

}  // namespace

void pack_k_fixed(TiledRun* run, int64_t column_tile, int64_t begin, int64_t count) {
  const FixedOps& ops = *run->plan.fixed;
  const int64_t offset = column_tile * kTileSide, width = run->ops->panel_columns;
  const float* inverse_norm = run->memory.column.inverse_norm;
  ops.pack_panels(run->problem->k, inverse_norm, begin, count, run->ops->panel_columns,
                  as_words(run->memory.k_panels) + offset * words_of(*run));
  run->memory.k_norm[column_tile] = 0;
  if (run->backward && run->results->dq)
    run->memory.k_norm[column_tile] =
        ops.pack_rows(run->problem->k, inverse_norm, begin, count, run->plan.k_capacity,
                      as_words(run->memory.k_rows) + offset / 2 * width);
}

void pack_q_fixed(TiledRun* run, int64_t row_tile, int64_t begin, int64_t count) {
  const FixedOps& ops = *run->plan.fixed;
  const int64_t offset = row_tile * kTileSide, width = run->ops->panel_columns;
  const float* inverse_norm = run->memory.row.inverse_norm;
  ops.pack_panels(run->problem->q, inverse_norm, begin, count, run->ops->panel_rows,
                  as_words(run->memory.q_panels) + offset * words_of(*run));
  run->memory.q_norm[row_tile] = 0;
  if (run->backward && run->results->dk)
    run->memory.q_norm[row_tile] =
        ops.pack_rows(run->problem->q, inverse_norm, begin, count, run->plan.q_capacity,
                      as_words(run->memory.q_rows) + offset / 2 * width);
}

void multiply_scores_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile) {
  const int64_t words = words_of(*run);
  run->plan.fixed->multiply_scores(tile, as_words(run->memory.q_panels) + row_tile * kTileSide * words,
                                   as_words(run->memory.k_panels) + column_tile * kTileSide * words, words);
}

void quantize_gradients(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile) {
  take_positives(run, tile);
  float* units = tile_units(*run, row_tile, column_tile);
  run->plan.fixed->quantize_tile(tile, room_beside(run->memory.k_norm[column_tile]),
                                 room_beside(run->memory.q_norm[row_tile]), run->problem->scale / kFixedUnit,
                                 units, units + kTileSide);
}

void multiply_rows_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile,
                         int64_t first_row, int64_t d, float* out, bool accumulate) {
  const int64_t width = run->ops->panel_columns, part = d / width % 4;
  const float* next = nullptr;  // a quarter of the next tile of these rows
  if ((column_tile + 1) * kTileSide < block_columns(*run))
    next = tile.values + run->plan.chunk_tiles * kTileSide * kTileSide + part * kTileSide / 4;
  run->plan.fixed->multiply_rows(
      tile, tile_units(*run, row_tile, column_tile) + first_row,
      as_words(run->memory.k_rows) + d / 2 * run->plan.k_capacity + column_tile * kTileSide / 2 * width,
      static_cast<int32_t>(std::min(width, run->problem->dim - d)), out, run->problem->dim, accumulate, next);
}

void multiply_columns_fixed(TiledRun* run, const Tile& tile, int64_t row_tile, int64_t column_tile,
                            int64_t first_column, int32_t columns, int64_t d, float* out, bool accumulate) {
  const int64_t width = run->ops->panel_columns, part = d / width % 4;
  const float* next = nullptr;  // a quarter of the next tile of these columns
  if ((row_tile + 1) * kTileSide < block_rows(*run))
    next = tile.values + (kTileSide + 1 + part * kTileSide / 4) * kTileSide;
  run->plan.fixed->multiply_columns(
      tile, columns, tile_units(*run, row_tile, column_tile) + kTileSide + first_column,
      as_words(run->memory.q_rows) + d / 2 * run->plan.q_capacity + row_tile * kTileSide / 2 * width,
      static_cast<int32_t>(std::min(width, run->problem->dim - d)), out, run->problem->dim, accumulate, next);
}

void add_positives_to_dq(TiledRun* run, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    if (run->memory.positive_gradient[i] != 0)
      run->ops->add_row(run->problem->k, run->memory.column.inverse_norm, run->terms.positive[i],
                        run->problem->scale * run->memory.positive_gradient[i],
                        run->results->dq + i * run->problem->dim);
}

void add_positives_to_dk(TiledRun* run, int64_t begin, int64_t end) {
  for (int64_t i = 0; i < run->problem->rows; ++i) {
    const int64_t key = run->terms.positive[i];
    if (key >= begin && key < end && run->memory.positive_gradient[i] != 0)
      run->ops->add_row(run->problem->q, run->memory.row.inverse_norm, i,
                        run->problem->scale * run->memory.positive_gradient[i],
                        run->results->dk + key * run->problem->dim);
  }
}

}  // namespace bince
