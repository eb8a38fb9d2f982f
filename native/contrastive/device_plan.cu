#include "native/contrastive/device_plan.h"

#include "native/contrastive/pad_rows.h"

namespace bince {
namespace {

#if defined(BINCE_SMALL_TILES)
constexpr int64_t kTargetBlocks = 8;
constexpr int64_t kPartBytes = 12 * 1024;
constexpr int64_t kSpan = 64;
constexpr int64_t kBlockLines = 128;
#else
// Blocks that a launch of statistics should have: eight for each of 128 multiprocessors.
constexpr int64_t kTargetBlocks = 1024;
// Of the columns' parts in one launch, and the columns of one.
constexpr int64_t kPartBytes = int64_t{48} << 20;
constexpr int64_t kSpan = 65536;
// Sides of a block of gradients: 32 MiB, which stay in the L2 cache of an H100; half the rows in float32.
constexpr int64_t kBlockLines = 4096;
#endif
static_assert(kBlockLines % kGradientPadding == 0, "blocks of gradients are padded");

// Epilogues and products read the arrays of lines up to the end of the last padded tile.
constexpr int64_t kLinePadding = 2 * kGradientPadding;

int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

template <typename T>
T* carve(Workspace* workspace, int64_t count) {
  return static_cast<T*>(carve_bytes(workspace, static_cast<size_t>(count), sizeof(T)));
}

const ScoreKernels& kernels_for(const ContrastiveProblem& problem) {
  if (problem.q.bfloat16) return score_kernels_bfloat16();
  return problem.has(BINCE_CONTRASTIVE_TF32) ? score_kernels_tf32() : score_kernels_float32();
}

void plan_statistics(const ContrastiveProblem& problem, DevicePlan* plan) {
  const int64_t tile_rows = plan->kernels->tile_rows, tile_columns = plan->kernels->tile_columns;
  plan->row_tiles = parts_of(problem.rows, tile_rows);
  plan->span = plan->symmetric ? smaller(plan->columns, kSpan) : plan->columns;
  plan->launch_row_tiles = plan->row_tiles;
  const int64_t span_tiles = parts_of(plan->span, tile_columns);
  if (plan->symmetric) {
    const int64_t tile_floats = plan->kernels->warp_rows * span_tiles * tile_columns;
    const int64_t most = larger(1, kPartBytes / (tile_floats * 3 * int64_t{sizeof(float)}));
    plan->launch_row_tiles = parts_of(plan->row_tiles, parts_of(plan->row_tiles, most));
    plan->column_parts = plan->launch_row_tiles * tile_floats;
  }
  // The last launch may have fewer row tiles and more splits; neither has more blocks than this.
  plan->most_blocks = smaller(kTargetBlocks + plan->launch_row_tiles, plan->launch_row_tiles * span_tiles);
  plan->row_parts = plan->most_blocks * tile_rows;
}

void plan_gradients(const ContrastiveProblem& problem, DevicePlan* plan) {
  const int64_t most_rows = problem.q.bfloat16 ? kBlockLines : larger(kBlockLines / 2, kGradientPadding);
  plan->block_rows = smaller(parts_of(problem.rows, kGradientPadding) * kGradientPadding, most_rows);
  plan->block_columns = smaller(parts_of(plan->columns, kGradientPadding) * kGradientPadding, kBlockLines);
  plan->gradient_blocks =
      plan->block_rows / plan->kernels->tile_rows * (plan->block_columns / plan->kernels->tile_columns);
}

void carve_statistics(Workspace* workspace, DeviceLines* lines) {
  lines->maximum = carve<float>(workspace, lines->padded);
  lines->sum = carve<double>(workspace, lines->padded);
  lines->positive = carve<double>(workspace, lines->padded);
  lines->lse = carve<double>(workspace, lines->padded);
  lines->rounded_lse = carve<float>(workspace, lines->padded);
  lines->slack = carve<float>(workspace, lines->padded);
  lines->reference = carve<float>(workspace, lines->padded);
  lines->factor = carve<float>(workspace, lines->padded);
  lines->pull = carve<float>(workspace, lines->padded);
}

void carve_lines(Workspace* workspace, const ContrastiveProblem& problem, const DevicePlan& plan,
                 DeviceMemory* memory) {
  memory->row = memory->column = {};
  memory->row.count = problem.rows;
  memory->row.padded = problem.rows + kLinePadding;
  memory->row.weight = problem.row_weight;
  memory->column.count = problem.columns;
  memory->column.padded = problem.columns + kLinePadding;
  memory->column.weight = problem.column_weight;
  memory->row.inverse_norm = carve<float>(workspace, memory->row.padded);
  memory->column.inverse_norm = carve<float>(workspace, memory->column.padded);
  carve_statistics(workspace, &memory->row);
  if (plan.symmetric) carve_statistics(workspace, &memory->column);
}

LineParts carve_parts(Workspace* workspace, int64_t floats) {
  LineParts parts = {};
  parts.maximum = carve<float>(workspace, floats);
  parts.sum = carve<float>(workspace, floats);
  parts.positive = carve<float>(workspace, floats);
  return parts;
}

void carve_cleared(Workspace* workspace, const DevicePlan& plan, DeviceMemory* memory) {
  const size_t begin = workspace->used;
  memory->row.positives = carve<int32_t>(workspace, memory->row.padded);
  if (plan.symmetric) memory->column.positives = carve<int32_t>(workspace, memory->column.padded);
  memory->squares = carve<double>(workspace, plan.most_blocks);
  memory->sums = carve<double>(workspace, 2 * plan.gradient_blocks);
  memory->cleared = workspace->base ? workspace->base + begin : nullptr;
  memory->cleared_bytes = workspace->used - begin;
}

void* carve_copy(Workspace* workspace, const void* rows, int64_t count, const ContrastiveProblem& problem) {
  if (count == 0 || rows_are_padded(rows, problem.dim, problem.q.bfloat16)) return nullptr;
  const int64_t elements = count * padded_stride(problem.dim, problem.q.bfloat16);
  return carve_bytes(workspace, static_cast<size_t>(elements), problem.q.bfloat16 ? 2 : 4);
}

}  // namespace

int64_t tiles_of_block(int64_t row_tiles, int64_t column_tiles) {
  const int64_t splits = smaller(column_tiles, parts_of(kTargetBlocks, row_tiles));
  return parts_of(column_tiles, splits);
}

DevicePlan plan_device(const ContrastiveProblem& problem, uint32_t call) {
  DevicePlan plan = {};
  plan.kernels = &kernels_for(problem);
  plan.forward = (call & BINCE_CONTRASTIVE_FORWARD) != 0;
  plan.backward = (call & BINCE_CONTRASTIVE_BACKWARD) != 0;
  plan.symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  plan.own_key = problem.has(BINCE_CONTRASTIVE_OWN_KEY);
  plan.columns = problem.columns - problem.first_column;
  plan_statistics(problem, &plan);
  if (plan.backward) plan_gradients(problem, &plan);
  return plan;
}

void carve_device(Workspace* workspace, const ContrastiveProblem& problem, const DevicePlan& plan,
                  DeviceMemory* memory) {
  carve_lines(workspace, problem, plan, memory);
  carve_cleared(workspace, plan, memory);
  const int64_t blocks = line_blocks(problem.rows) + (plan.symmetric ? line_blocks(problem.columns) : 0);
  memory->line_sums = carve<LineSums>(workspace, blocks);
  memory->totals = carve<ContrastiveTotals>(workspace, 1);
  memory->own_similarity = plan.own_key ? carve<float>(workspace, problem.rows) : nullptr;
  memory->q = carve_copy(workspace, problem.q.first, problem.rows, problem);
  memory->keys = carve_copy(workspace, problem.k.first, problem.keys, problem);
  memory->queue = carve_copy(workspace, problem.k.second, problem.columns - problem.keys, problem);
  memory->row_parts = carve_parts(workspace, plan.row_parts);
  Workspace shared = *workspace;
  memory->column_parts = carve_parts(&shared, plan.column_parts);
  const int64_t elements = plan.block_rows * plan.block_columns;
  memory->gradients = carve_bytes(workspace, static_cast<size_t>(elements), problem.q.bfloat16 ? 2 : 4);
  if (shared.used > workspace->used) workspace->used = shared.used;
}

}  // namespace bince
