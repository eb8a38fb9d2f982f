// Packing, score tiles and gradient products of one block, as tasks.
#include <algorithm>

#include "native/contrastive/contrastive_tiled.h"
#include "native/core/thread_pool.h"

namespace bince {
namespace {

constexpr double kInlineFlops = 2e6;    // below this, waking threads costs more than it saves
constexpr int64_t kGradientLines = 48;  // rows of a dq task, columns of a dk task
constexpr int64_t kGradientDims = 128;  // of a dq or dk task

int64_t segment_depth(const TiledRun& run) {
  return std::min(run.plan.segment, run.problem->dim - run.segment_at * run.plan.segment);
}

Tile block_tile(const TiledRun& run, int64_t row_tile, int64_t column_tile) {
  Tile tile;
  tile.values = run.values + (column_tile * run.plan.chunk_tiles + row_tile) * kTileSide * kTileSide;
  tile.row = block_row(run) + row_tile * kTileSide;
  tile.column = block_column(run) + column_tile * kTileSide;
  tile.rows = static_cast<int32_t>(std::min<int64_t>(kTileSide, run.problem->rows - tile.row));
  tile.columns = static_cast<int32_t>(std::min<int64_t>(kTileSide, run.problem->columns - tile.column));
  return tile;
}

int64_t tiles_of(int64_t count) {
  return (count + kTileSide - 1) / kTileSide;
}

void pack_k_task(TiledRun* run, int64_t i) {
  const int64_t depth = segment_depth(*run), offset = i * kTileSide;
  const int64_t begin = block_column(*run) + offset, d0 = run->segment_at * run->plan.segment;
  const int64_t count = std::min<int64_t>(kTileSide, run->problem->columns - begin);
  if (run->plan.fixed) return pack_k_fixed(run, i, begin, count);
  run->ops->pack_panels(run->problem->k, run->memory.column.inverse_norm, begin, count, d0, depth,
                        run->ops->panel_columns, run->memory.k_panels + offset * depth);
  if (run->backward && run->results->dq)
    run->ops->pack_rows(run->problem->k, run->memory.column.inverse_norm, run->problem->scale, begin, count,
                        d0, depth, run->plan.k_capacity,
                        run->memory.k_rows + offset * run->ops->panel_columns);
}

void pack_q_task(TiledRun* run, int64_t i) {
  const int64_t depth = segment_depth(*run), offset = i * kTileSide;
  const int64_t begin = block_row(*run) + offset, d0 = run->segment_at * run->plan.segment;
  const int64_t count = std::min<int64_t>(kTileSide, run->problem->rows - begin);
  if (run->plan.fixed) return pack_q_fixed(run, i, begin, count);
  run->ops->pack_panels(run->problem->q, run->memory.row.inverse_norm, begin, count, d0, depth,
                        run->ops->panel_rows, run->memory.q_panels + offset * depth);
  if (run->backward && run->results->dk)
    run->ops->pack_rows(run->problem->q, run->memory.row.inverse_norm, run->problem->scale, begin, count, d0,
                        depth, run->plan.q_capacity, run->memory.q_rows + offset * run->ops->panel_columns);
}

// Packs the block's operands for the segment at hand, unless they are packed already.
void pack_operands(TiledRun* run) {
  const double depth = static_cast<double>(segment_depth(*run));
  if (run->packed_span != run->span_at || run->packed_k_segment != run->segment_at) {
    run_tasks(run, tiles_of(block_columns(*run)), 16 * depth * static_cast<double>(block_columns(*run)),
              pack_k_task);
    run->packed_span = run->span_at;
    run->packed_k_segment = run->segment_at;
  }
  if (run->packed_chunk != run->chunk_at || run->packed_q_segment != run->segment_at) {
    run_tasks(run, tiles_of(block_rows(*run)), 16 * depth * static_cast<double>(block_rows(*run)),
              pack_q_task);
    run->packed_chunk = run->chunk_at;
    run->packed_q_segment = run->segment_at;
  }
}

bool has_positive(const TiledRun& run, const Tile& tile) {
  const TileTerms& terms = run.terms;
  for (int32_t i = 0; i < tile.rows; ++i) {
    if (terms.row_group) {
      const int32_t group = terms.row_group[tile.row + i];
      for (int32_t j = 0; group >= 0 && j < tile.columns; ++j)
        if (terms.column_group[tile.column + j] == group) return true;
    } else {
      const int64_t at = terms.positive[tile.row + i] - tile.column;
      if (at >= 0 && at < tile.columns) return true;
    }
  }
  return false;
}

void clear_part(const LineStatistics& part, int64_t count) {
  std::fill_n(part.maximum, count, 0.0f);
  std::fill_n(part.sum, count, 0.0f);
  std::fill_n(part.positive, count, 0.0f);
}

LineStatistics offset_by(const LineStatistics& statistics, int64_t offset) {
  return {statistics.maximum + offset, statistics.sum + offset, statistics.positive + offset};
}

void tile_task(TiledRun* run, int64_t i) {
  const TilePlan& plan = run->plan;
  const int64_t row_tiles = tiles_of(block_rows(*run));
  const int64_t row_tile = i % row_tiles, column_tile = i / row_tiles, depth = segment_depth(*run);
  const Tile tile = block_tile(*run, row_tile, column_tile);
  const LineStatistics rows =
      offset_by(run->memory.row_part, column_tile * plan.chunk + row_tile * kTileSide);
  const LineStatistics columns =
      offset_by(run->memory.column_part, row_tile * plan.span + column_tile * kTileSide);
  if (run->phase == TilePhase::kPositives && !has_positive(*run, tile)) {
    clear_part(rows, kTileSide);
    clear_part(columns, kTileSide);
    return;
  }
  if (!run->ready && plan.fixed)
    multiply_scores_fixed(run, tile, row_tile, column_tile);
  else if (!run->ready)
    run->ops->multiply_scores(tile, run->memory.q_panels + row_tile * kTileSide * depth,
                              run->memory.k_panels + column_tile * kTileSide * depth, depth,
                              run->segment_at > 0);
  if (run->segment_at + 1 < plan.segments) return;
  double* sums = run->memory.task_sums + 2 * i;
  sums[0] = sums[1] = 0;
  switch (run->phase) {
    case TilePhase::kForward:
      run->ops->forward_tile(run->terms, tile, rows, columns, sums);
      break;
    case TilePhase::kPositives:
      run->ops->positives_tile(run->terms, tile, rows, columns);
      break;
    case TilePhase::kGradient:
      run->ops->gradient_tile(run->terms, tile, sums);
      if (plan.fixed) quantize_gradients(run, tile, row_tile, column_tile);
      break;
  }
}

// Joins the parts of the block's tiles to the lines, in the order of the tiles.
void merge_parts(TiledRun* run) {
  const int64_t rows = block_rows(*run), columns = block_columns(*run);
  for (int64_t tile = 0; tile < tiles_of(columns); ++tile)
    run->ops->merge(offset_by(run->memory.row.statistics, block_row(*run)),
                    offset_by(run->memory.row_part, tile * run->plan.chunk), rows);
  if (!run->terms.symmetric) return;
  for (int64_t tile = 0; tile < tiles_of(rows); ++tile)
    run->ops->merge(offset_by(run->memory.column.statistics, block_column(*run)),
                    offset_by(run->memory.column_part, tile * run->plan.span), columns);
}

void sum_tasks(TiledRun* run, int64_t tasks) {
  for (int64_t i = 0; i < tasks; ++i) {
    const double* sums = run->memory.task_sums + 2 * i;
    if (run->phase == TilePhase::kForward) run->squares += sums[0];
    if (run->phase == TilePhase::kGradient) {
      run->sum_gd += sums[0];
      run->sum_g += sums[1];
    }
  }
}

// dq[kGradientLines rows][kGradientDims dimensions] += the block's gradients times k.
void dq_task(TiledRun* run, int64_t row_part, int64_t dim_part) {
  const int64_t offset = row_part * kGradientLines, dim = run->problem->dim, depth = segment_depth(*run);
  const int64_t panel_columns = run->ops->panel_columns, d_begin = dim_part * kGradientDims;
  const int64_t d_end = std::min(depth, d_begin + kGradientDims);
  for (int64_t column_tile = 0; column_tile < tiles_of(block_columns(*run)); ++column_tile) {
    Tile tile = block_tile(*run, offset / kTileSide, column_tile);
    const int64_t inside = offset % kTileSide;
    tile.values += inside * kTileSide;
    tile.row += inside;
    tile.rows = static_cast<int32_t>(std::min<int64_t>(kGradientLines, tile.rows - inside));
    const bool accumulate = run->span_at > 0 || column_tile > 0;
    for (int64_t d = d_begin; d < d_end; d += panel_columns) {
      float* out = run->results->dq + tile.row * dim + run->segment_at * run->plan.segment + d;
      if (run->plan.fixed)
        multiply_rows_fixed(run, tile, offset / kTileSide, column_tile, inside, d, out, accumulate);
      else
        run->ops->multiply_rows(
            tile, run->memory.k_rows + d * run->plan.k_capacity + column_tile * kTileSide * panel_columns,
            static_cast<int32_t>(std::min(panel_columns, depth - d)), out, dim, accumulate);
    }
  }
}

// dk[kGradientLines keys][kGradientDims dimensions] += the block's gradients, transposed, times q.
void dk_task(TiledRun* run, int64_t column_part, int64_t dim_part) {
  const int64_t offset = column_part * kGradientLines, dim = run->problem->dim, depth = segment_depth(*run);
  const int64_t panel_columns = run->ops->panel_columns, d_begin = dim_part * kGradientDims;
  const int64_t d_end = std::min(depth, d_begin + kGradientDims);
  for (int64_t row_tile = 0; row_tile < tiles_of(block_rows(*run)); ++row_tile) {
    Tile tile = block_tile(*run, row_tile, offset / kTileSide);
    const int64_t inside = offset % kTileSide;
    tile.values += inside;
    tile.column += inside;
    const int64_t keys = std::min(kGradientLines, run->problem->keys - tile.column);
    const bool accumulate = run->chunk_at > 0 || row_tile > 0;
    for (int64_t d = d_begin; d < d_end; d += panel_columns) {
      float* out = run->results->dk + tile.column * dim + run->segment_at * run->plan.segment + d;
      if (run->plan.fixed)
        multiply_columns_fixed(run, tile, row_tile, offset / kTileSide, inside, static_cast<int32_t>(keys), d,
                               out, accumulate);
      else
        run->ops->multiply_columns(
            tile, static_cast<int32_t>(keys),
            run->memory.q_rows + d * run->plan.q_capacity + row_tile * kTileSide * panel_columns,
            static_cast<int32_t>(std::min(panel_columns, depth - d)), out, dim, accumulate);
    }
  }
}

int64_t dq_row_parts(const TiledRun& run) {
  return run.results->dq ? (block_rows(run) + kGradientLines - 1) / kGradientLines : 0;
}

void gradient_task(TiledRun* run, int64_t i) {
  const int64_t dim_parts = (segment_depth(*run) + kGradientDims - 1) / kGradientDims;
  const int64_t row_parts = dq_row_parts(*run);
  if (i < row_parts * dim_parts)
    dq_task(run, i / dim_parts, i % dim_parts);
  else
    dk_task(run, i / dim_parts - row_parts, i % dim_parts);
}

}  // namespace

int64_t block_row(const TiledRun& run) {
  return run.chunk_at * run.plan.chunk;
}

int64_t block_rows(const TiledRun& run) {
  return std::min(run.plan.chunk, run.problem->rows - block_row(run));
}

int64_t block_column(const TiledRun& run) {
  return run.problem->first_column + run.span_at * run.plan.span;
}

int64_t block_columns(const TiledRun& run) {
  return std::min(run.plan.span, run.problem->columns - block_column(run));
}

void run_tasks(TiledRun* run, int64_t count, double flops, void (*task)(TiledRun* run, int64_t i)) {
  struct Tasks {
    TiledRun* run;
    void (*task)(TiledRun*, int64_t);
  } tasks = {run, task};
  if (flops < kInlineFlops) {
    for (int64_t i = 0; i < count; ++i) task(run, i);
    return;
  }
  parallel_for(
      run->run->pool, count,
      [](void* argument, int64_t i, int) {
        const Tasks& all = *static_cast<const Tasks*>(argument);
        if (!cancelled(*all.run->run)) all.task(all.run, i);
      },
      &tasks);
}

void sweep_block(TiledRun* run, TilePhase phase, int64_t span, int64_t chunk, bool ready) {
  const int64_t index = span * run->plan.chunks + chunk;
  const bool kept = index < run->plan.kept_blocks;
  run->span_at = span;
  run->chunk_at = chunk;
  run->values = kept ? run->memory.kept + index * run->plan.block_floats : run->memory.block;
  run->ready = ready || (kept && phase != TilePhase::kForward);
  run->phase = phase;
  const int64_t tasks = tiles_of(block_rows(*run)) * tiles_of(block_columns(*run));
  const double pairs = static_cast<double>(block_rows(*run)) * static_cast<double>(block_columns(*run));
  const int64_t first = run->ready ? run->plan.segments - 1 : 0;
  for (run->segment_at = first; run->segment_at < run->plan.segments; ++run->segment_at) {
    // Fixed point takes the gradients' steps from the operands' norms.
    const bool steps = run->plan.fixed && phase == TilePhase::kGradient;
    if (!run->ready || steps) pack_operands(run);
    const double depth = run->ready ? 0.0 : static_cast<double>(segment_depth(*run));
    run_tasks(run, tasks, pairs * (2 * depth + 40), tile_task);
  }
  if (cancelled(*run->run)) return;
  sum_tasks(run, tasks);
  if (phase != TilePhase::kGradient) merge_parts(run);
}

void multiply_gradients(TiledRun* run) {
  const int64_t keys = std::min(block_columns(*run), run->problem->keys - block_column(*run));
  const int64_t key_parts = run->results->dk && keys > 0 ? (keys + kGradientLines - 1) / kGradientLines : 0;
  const double pairs = static_cast<double>(block_rows(*run)) * static_cast<double>(block_columns(*run));
  for (run->segment_at = 0; run->segment_at < run->plan.segments; ++run->segment_at) {
    const int64_t dim_parts = (segment_depth(*run) + kGradientDims - 1) / kGradientDims;
    const int64_t tasks = (dq_row_parts(*run) + key_parts) * dim_parts;
    if (tasks == 0 || cancelled(*run->run)) return;
    pack_operands(run);
    run_tasks(run, tasks, 4 * pairs * static_cast<double>(segment_depth(*run)), gradient_task);
  }
}

}  // namespace bince
