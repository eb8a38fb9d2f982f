// The contrastive calls over tile operations.
//
// Symmetric, or with several spans: forward over all blocks, then backward over all, with the similarities of
// the first blocks kept while the workspace lasts.  Otherwise each chunk of rows goes through forward and
// backward in turn, and its scores are made once.
#include "native/contrastive/contrastive_tiled.h"

#include <algorithm>
#include <cmath>

#include "native/core/cpu_features.h"
#include "native/core/status.h"
#include "native/core/thread_pool.h"

namespace bince {
namespace {

constexpr int64_t kNormRows = 64;  // of a task

void norm_task(TiledRun* run, int64_t i) {
  const int64_t q_tasks = (run->problem->rows + kNormRows - 1) / kNormRows;
  const bool is_q = i < q_tasks;
  const ContrastiveRows& rows = is_q ? run->problem->q : run->problem->k;
  const int64_t begin = (is_q ? i : i - q_tasks) * kNormRows, end = std::min(rows.count, begin + kNormRows);
  run->ops->inverse_norms(rows, begin, end,
                          is_q ? run->memory.row.inverse_norm : run->memory.column.inverse_norm);
}

void find_norms(TiledRun* run) {
  const ContrastiveProblem& problem = *run->problem;
  const int64_t tasks =
      (problem.rows + kNormRows - 1) / kNormRows + (problem.columns + kNormRows - 1) / kNormRows;
  run_tasks(run, tasks, 8.0 * static_cast<double>((problem.rows + problem.columns) * problem.dim), norm_task);
}

void denormalize_task(TiledRun* run, int64_t i) {
  const int64_t q_tasks = run->results->dq ? (run->problem->rows + kNormRows - 1) / kNormRows : 0;
  const bool is_q = i < q_tasks;
  const int64_t count = is_q ? run->problem->rows : run->problem->keys;
  const int64_t begin = (is_q ? i : i - q_tasks) * kNormRows, end = std::min(count, begin + kNormRows);
  if (run->plan.fixed && is_q) add_positives_to_dq(run, begin, end);
  if (run->plan.fixed && !is_q) add_positives_to_dk(run, begin, end);
  run->ops->denormalize(is_q ? run->problem->q : run->problem->k,
                        is_q ? run->memory.row.inverse_norm : run->memory.column.inverse_norm, begin, end,
                        is_q ? run->results->dq : run->results->dk);
}

// From the gradients of unit rows to those of the rows given.
void denormalize(TiledRun* run) {
  const ContrastiveProblem& problem = *run->problem;
  const int64_t tasks = (run->results->dq ? (problem.rows + kNormRows - 1) / kNormRows : 0) +
                        (run->results->dk ? (problem.keys + kNormRows - 1) / kNormRows : 0);
  run_tasks(run, tasks, 8.0 * static_cast<double>((problem.rows + problem.keys) * problem.dim),
            denormalize_task);
}

TileTerms tile_terms(const ContrastiveProblem& problem, const TileMemory& memory) {
  TileTerms terms = {};
  terms.denominator = problem.denominator;
  terms.symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  terms.exclude_diagonal = problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  terms.scale = problem.scale;
  terms.bias = problem.bias;
  terms.clip = problem.clip;
  terms.negative_log_weight = problem.negative_log_weight;
  terms.threshold = problem.threshold;
  terms.regularized = problem.regularizer != 0;
  if (memory.prepared.scored_pairs > 0)
    terms.squares_factor =
        static_cast<float>(2.0 * problem.grad_loss * problem.regularizer / memory.prepared.scored_pairs);
  terms.positive = memory.prepared.positive;
  terms.row_group = problem.row_group;
  terms.column_group = problem.column_group;
  terms.row_id = problem.row_id;
  terms.column_id = problem.column_id;
  terms.plain = problem.denominator == BINCE_DENOMINATOR_ALL && !problem.row_group && !problem.row_id &&
                !terms.exclude_diagonal && problem.clip == 0 && problem.negative_log_weight == 0 &&
                problem.threshold == INFINITY && problem.regularizer == 0;
  terms.row_lse = memory.row.lse;
  terms.row_reference = memory.row.reference;
  terms.row_factor = memory.row.factor;
  terms.row_positive = memory.row.positive;
  terms.column_lse = memory.column.lse;
  terms.column_reference = memory.column.reference;
  terms.column_factor = memory.column.factor;
  terms.column_positive = memory.column.positive;
  return terms;
}

void reset_all(TiledRun* run) {
  reset_statistics(run->memory.row.statistics, 0, run->problem->rows);
  if (run->terms.symmetric) reset_statistics(run->memory.column.statistics, 0, run->problem->columns);
}

// Phase over every block; spans outside, so that a packed k serves all rows.
void sweep_all(TiledRun* run, TilePhase phase) {
  for (int64_t span = 0; span < run->plan.spans; ++span)
    for (int64_t chunk = 0; chunk < run->plan.chunks && !cancelled(*run->run); ++chunk) {
      sweep_block(run, phase, span, chunk, false);
      if (phase == TilePhase::kGradient) multiply_gradients(run);
    }
}

void positives_all(TiledRun* run) {
  if (run->problem->denominator != BINCE_DENOMINATOR_EACH) return;
  reset_all(run);
  if (!run->problem->first_column) sweep_all(run, TilePhase::kPositives);
  finish_positives(run, 0, run->problem->rows, run->terms.symmetric);
  if (run->problem->first_column) own_key_positives(run, 0, run->problem->rows);
}

void forward_all(TiledRun* run) {
  sweep_all(run, TilePhase::kForward);
  finish_forward(run, 0, run->problem->rows, run->terms.symmetric);
  positives_all(run);
}

void backward_all(TiledRun* run) {
  fill_gradient_factors(run, 0, run->problem->rows);
  sweep_all(run, TilePhase::kGradient);
}

// One span, rows alone: everything a chunk needs is known once its own row of the matrix is.
void sweep_once(TiledRun* run) {
  const bool each = run->problem->denominator == BINCE_DENOMINATOR_EACH;
  const bool own_key = run->problem->first_column > 0;
  for (int64_t chunk = 0; chunk < run->plan.chunks && !cancelled(*run->run); ++chunk) {
    sweep_block(run, TilePhase::kForward, 0, chunk, false);
    const int64_t first = block_row(*run), rows = block_rows(*run);
    finish_forward(run, first, rows, false);
    if (each && !own_key) {
      reset_statistics(run->memory.row.statistics, first, rows);
      sweep_block(run, TilePhase::kPositives, 0, chunk, true);
      finish_positives(run, first, rows, false);
    }
    if (each && own_key) own_key_positives(run, first, rows);
    if (!run->backward) continue;
    fill_gradient_factors(run, first, rows);
    sweep_block(run, TilePhase::kGradient, 0, chunk, true);
    multiply_gradients(run);
  }
}

void load_lse(TiledRun* run) {
  if (run->problem->denominator == BINCE_DENOMINATOR_SIGMOID) return;
  for (int64_t i = 0; i < run->problem->rows; ++i)
    run->memory.row.exact_lse[i] = run->memory.row.lse[i] = run->results->row_lse[i];
  for (int64_t j = 0; run->terms.symmetric && j < run->problem->columns; ++j)
    run->memory.column.exact_lse[j] = run->memory.column.lse[j] = run->results->column_lse[j];
}

bince_status store_forward(TiledRun* run) {
  const ContrastiveResults& results = *run->results;
  for (int64_t i = 0; results.row_lse && i < run->problem->rows; ++i)
    results.row_lse[i] = static_cast<float>(run->memory.row.exact_lse[i]);
  for (int64_t j = 0; results.column_lse && j < run->problem->columns; ++j)
    results.column_lse[j] = static_cast<float>(run->memory.column.exact_lse[j]);
  return finish_loss(*run->problem, run->memory.prepared, run->memory.row.loss, run->memory.column.loss,
                     run->squares, results);
}

bince_status store_backward(TiledRun* run) {
  if (run->problem->first_column) own_key_gradients(run);
  if (run->problem->has(BINCE_CONTRASTIVE_COSINE)) denormalize(run);
  if (run->results->dscale) run->results->dscale[0] = static_cast<float>(run->sum_gd);
  if (run->results->dbias) run->results->dbias[0] = static_cast<float>(run->sum_g);
  return check_scalar_gradients(*run->problem, *run->results);
}

// The first bad row of each of up to kParts parts of the rows.
constexpr int64_t kParts = 64;
struct Search {
  const TileOps* ops;
  const ContrastiveRows* rows;
  int64_t part_rows;
  int64_t found[kParts];
};

int64_t find_nonfinite_tiled(const TileOps& ops, const Run& run, const ContrastiveRows& rows) {
  Search search = {&ops, &rows, (rows.count + kParts - 1) / kParts, {}};
  if (rows.count * rows.dim < (1 << 17)) return ops.find_nonfinite(rows, 0, rows.count);
  parallel_for(
      run.pool, kParts,
      [](void* argument, int64_t part, int) {
        Search& all = *static_cast<Search*>(argument);
        const int64_t begin = std::min(part * all.part_rows, all.rows->count);
        all.found[part] =
            all.ops->find_nonfinite(*all.rows, begin, std::min(begin + all.part_rows, all.rows->count));
      },
      &search);
  for (const int64_t row : search.found)
    if (row >= 0) return row;
  return -1;
}

// Only an unchecked call may hold such a row, and 16-bit numbers cannot say so.
bool holds_nonfinite(const TileOps& ops, const Run& run, const ContrastiveProblem& problem) {
  return problem.has(BINCE_CONTRASTIVE_UNCHECKED) &&
         (find_nonfinite_tiled(ops, run, problem.q) >= 0 || find_nonfinite_tiled(ops, run, problem.k) >= 0);
}

// Whether the steps of the gradients' 16-bit numbers, float32 themselves, can stand beside each other:
// neither so small that they vanish nor, in one tile, too far apart.
bool steps_fit(const ContrastiveProblem& problem) {
  float least = 1, largest = 1;
  for (int64_t i = 0; problem.row_weight && i < problem.rows; ++i) {
    const float weight = problem.row_weight[i];
    if (!(weight > 0)) continue;
    least = std::min(least, weight);
    largest = std::max(largest, weight);
  }
  const double factor = std::fabs(double{problem.grad_loss} * problem.scale);
  return (factor == 0 || factor * least >= 0x1p-40) && double{largest} <= 0x1p40 * least;
}

bince_status run_tiled(const TileOps& ops, const Run& run, const ContrastiveProblem& problem,
                       const ContrastiveResults& results, uint32_t call) {
  TiledRun tiled = {};
  tiled.ops = &ops;
  tiled.problem = &problem;
  tiled.results = &results;
  tiled.run = &run;
  tiled.plan = plan_tiles(ops, problem, call);
  const bool fixed = tiled.plan.fixed && steps_fit(problem) && !holds_nonfinite(ops, run, problem);
  tiled.backward =
      (call & BINCE_CONTRASTIVE_BACKWARD) && (results.dq || results.dk || results.dscale || results.dbias);
  tiled.packed_span = tiled.packed_chunk = -1;
  Workspace workspace = {run.workspace, 0};
  carve_tiles(&workspace, problem, tiled.plan, &tiled.memory);
  prepare_contrastive(problem, &tiled.memory.prepared);
  tiled.terms = tile_terms(problem, tiled.memory);
  if (problem.has(BINCE_CONTRASTIVE_COSINE)) find_norms(&tiled);
  if (!fixed) tiled.plan.fixed = nullptr;
  if (fixed) std::fill_n(tiled.memory.positive_gradient, problem.rows, 0.0f);
  reset_all(&tiled);
  if (problem.first_column) own_key_forward(&tiled);
  if (tiled.plan.single_sweep) {
    sweep_once(&tiled);
  } else {
    if (call & BINCE_CONTRASTIVE_FORWARD) {
      forward_all(&tiled);
    } else {
      load_lse(&tiled);
      positives_all(&tiled);
    }
    if (tiled.backward && !cancelled(run)) backward_all(&tiled);
  }
  if (cancelled(run)) return BINCE_CANCELLED;
  if (call & BINCE_CONTRASTIVE_FORWARD) BINCE_RETURN_IF_ERROR(store_forward(&tiled));
  if (tiled.backward) BINCE_RETURN_IF_ERROR(store_backward(&tiled));
  return cancelled(run) ? BINCE_CANCELLED : BINCE_OK;
}

size_t workspace_tiled(const TileOps& ops, const ContrastiveProblem& problem, uint32_t call) {
  Workspace workspace;
  TileMemory memory;
  carve_tiles(&workspace, problem, plan_tiles(ops, problem, call), &memory);
  return workspace.used;
}

template <const TileOps& (*kTileOps)()>
const ContrastiveOps& tiled_ops() {
  static const ContrastiveOps ops = {
      [](const ContrastiveProblem& problem, uint32_t call) {
        return workspace_tiled(kTileOps(), problem, call);
      },
      [](const Run& run, const ContrastiveProblem& problem, const ContrastiveResults& results,
         uint32_t call) { return run_tiled(kTileOps(), run, problem, results, call); },
      [](const Run& run, const ContrastiveRows& rows) {
        return find_nonfinite_tiled(kTileOps(), run, rows);
      }};
  return ops;
}

}  // namespace

#if defined(BINCE_X86)
namespace {

// Those of AVX-512, with products of bfloat16 rows in fixed point.
const TileOps& tile_ops_avx512_vnni() {
  static const TileOps ops = [] {
    TileOps all = tile_ops_avx512();
    all.fixed = &fixed_ops_avx512_vnni();
    return all;
  }();
  return ops;
}

}  // namespace

const ContrastiveOps& contrastive_ops_avx2() {
  return tiled_ops<tile_ops_avx2>();
}

const ContrastiveOps& contrastive_ops_avx512() {
  return cpu_features().avx512_vnni ? tiled_ops<tile_ops_avx512_vnni>() : tiled_ops<tile_ops_avx512>();
}
#endif

#if defined(BINCE_ARM64)
const ContrastiveOps& contrastive_ops_neon() {
  return tiled_ops<tile_ops_neon>();
}
#endif

}  // namespace bince
