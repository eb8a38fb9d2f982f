#include "native/contrastive/tile_plan.h"

#include <algorithm>

namespace bince {
namespace {

constexpr int64_t kMaxSegment = 4096;
constexpr int64_t kChunk = 2 * kTileSide;     // rows that share a packed q
constexpr int64_t kBlockTiles = 24;           // more rows than that where columns are few: work for threads
constexpr int64_t kMaxSpan = 24 * kTileSide;  // columns: a block is at most 7 MB
// Symmetric calls sweep twice in any case: smaller blocks and operands leave room for kept ones.
constexpr int64_t kMaxSymmetricSpan = 8 * kTileSide;
constexpr int64_t kPackedFloats = 9 << 18;    // of one packed form of k: 9 MiB
constexpr size_t kWorkspaceLimit = 64000000;  // bytes in all up to which blocks are kept

int64_t round_up(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

template <typename T>
T* carve(Workspace* workspace, int64_t count) {
  return static_cast<T*>(carve_bytes(workspace, static_cast<size_t>(count), sizeof(T)));
}

LineStatistics carve_statistics(Workspace* workspace, int64_t count) {
  LineStatistics statistics;
  statistics.maximum = carve<float>(workspace, count);
  statistics.sum = carve<float>(workspace, count);
  statistics.positive = carve<float>(workspace, count);
  return statistics;
}

LineArrays carve_lines(Workspace* workspace, int64_t count, bool statistics, bool cosine) {
  LineArrays lines = {};
  if (statistics) {
    lines.statistics = carve_statistics(workspace, count);
    lines.lse = carve<float>(workspace, count);
    lines.reference = carve<float>(workspace, count);
    lines.factor = carve<float>(workspace, count);
    lines.positive = carve<float>(workspace, count);
    lines.exact_lse = carve<double>(workspace, count);
    lines.loss = carve<double>(workspace, count);
    lines.slack = carve<double>(workspace, count);
  }
  if (cosine) lines.inverse_norm = carve<float>(workspace, count);
  return lines;
}

// Arrays that grow with N and C alone.
void carve_line_arrays(Workspace* workspace, const ContrastiveProblem& problem, TileMemory* memory) {
  const bool cosine = problem.has(BINCE_CONTRASTIVE_COSINE);
  carve_prepared(workspace, problem, &memory->prepared);
  memory->row = carve_lines(workspace, problem.rows, true, cosine);
  memory->column = carve_lines(workspace, problem.columns, problem.has(BINCE_CONTRASTIVE_SYMMETRIC), cosine);
  memory->own_similarity =
      problem.has(BINCE_CONTRASTIVE_OWN_KEY) ? carve<float>(workspace, problem.rows) : nullptr;
}

// Fixed point serves unit rows in one segment.  A group's positives may be a large part of a line, too many
// to be handled one by one beside the tiles.
const FixedOps* fixed_ops(const TileOps& ops, const ContrastiveProblem& problem) {
  const bool suits = problem.q.bfloat16 && problem.has(BINCE_CONTRASTIVE_COSINE) && !problem.row_group &&
                     problem.dim <= kMaxSegment;
  return suits ? ops.fixed : nullptr;
}

void carve_fixed(Workspace* workspace, const TilePlan& plan, TileMemory* memory) {
  memory->q_norm = carve<float>(workspace, plan.chunk_tiles);
  memory->k_norm = carve<float>(workspace, plan.span_tiles);
  memory->units = carve<float>(workspace, 2 * kTileSide * plan.chunk_tiles * plan.span_tiles);
}

void carve_block_arrays(Workspace* workspace, const TilePlan& plan, TileMemory* memory) {
  const int64_t padded = round_up(plan.segment, 32);
  memory->q_panels = carve<float>(workspace, plan.q_capacity * plan.segment);
  memory->k_panels = carve<float>(workspace, plan.k_capacity * plan.segment);
  memory->q_rows = carve<float>(workspace, plan.q_capacity * padded);
  memory->k_rows = carve<float>(workspace, plan.k_capacity * padded);
  memory->row_part = carve_statistics(workspace, plan.span_tiles * plan.chunk);
  memory->column_part = carve_statistics(workspace, plan.chunk_tiles * plan.span);
  memory->task_sums = carve<double>(workspace, 2 * plan.span_tiles * plan.chunk_tiles);
  if (plan.fixed) carve_fixed(workspace, plan, memory);
  memory->block = carve<float>(workspace, plan.block_floats);
  memory->kept = carve<float>(workspace, plan.kept_blocks * plan.block_floats);
}

}  // namespace

TilePlan plan_tiles(const TileOps& ops, const ContrastiveProblem& problem, uint32_t call) {
  TilePlan plan = {};
  const int64_t swept = problem.columns - problem.first_column;
  plan.segment = std::min(problem.dim, kMaxSegment);
  plan.segments = (problem.dim + plan.segment - 1) / plan.segment;
  const int64_t packed_span = std::max<int64_t>(kPackedFloats / plan.segment / kTileSide, 1) * kTileSide;
  const int64_t max_span = problem.has(BINCE_CONTRASTIVE_SYMMETRIC) ? kMaxSymmetricSpan : kMaxSpan;
  plan.span = std::min({max_span, packed_span, round_up(swept, kTileSide)});
  plan.spans = (swept + plan.span - 1) / plan.span;
  plan.span_tiles = plan.span / kTileSide;
  const int64_t chunk = std::max(kChunk, std::min(packed_span, kBlockTiles / plan.span_tiles * kTileSide));
  plan.chunk = std::min(chunk, round_up(problem.rows, kTileSide));
  plan.chunks = (problem.rows + plan.chunk - 1) / plan.chunk;
  plan.chunk_tiles = plan.chunk / kTileSide;
  plan.q_capacity = std::min(plan.chunk, round_up(problem.rows, ops.panel_rows));
  plan.k_capacity = std::min(plan.span, round_up(swept, ops.panel_columns));
  plan.block_floats = plan.chunk * plan.span;
  plan.fixed = fixed_ops(ops, problem);
  plan.single_sweep =
      (call & BINCE_CONTRASTIVE_FORWARD) && plan.spans == 1 && !problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  if (call == BINCE_CONTRASTIVE_FORWARD_BACKWARD && !plan.single_sweep) {
    TileMemory memory;
    Workspace workspace;
    carve_tiles(&workspace, problem, plan, &memory);
    const size_t left = workspace.used < kWorkspaceLimit ? kWorkspaceLimit - workspace.used : 0;
    plan.kept_blocks =
        std::min(static_cast<int64_t>(left / (plan.block_floats * sizeof(float))), plan.chunks * plan.spans);
  }
  return plan;
}

void carve_tiles(Workspace* workspace, const ContrastiveProblem& problem, const TilePlan& plan,
                 TileMemory* memory) {
  carve_line_arrays(workspace, problem, memory);
  memory->positive_gradient = plan.fixed ? carve<float>(workspace, problem.rows) : nullptr;
  carve_block_arrays(workspace, plan, memory);
}

}  // namespace bince
