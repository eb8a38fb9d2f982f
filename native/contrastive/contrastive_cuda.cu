// The contrastive slots on a CUDA device: queues kernels on the caller's stream and returns.
//
// prepare (checks, numbers of positives, norms, own keys) -> statistics by launches of tiles, merged into the
// lines -> LSE and losses -> totals -> factors -> gradients by blocks of pairs: scores made again, G written,
// two products -> projection, dscale, dbias.  README.md, "CUDA".
#include "native/contrastive/device_plan.h"
#include "native/contrastive/line_gradients.cuh"
#include "native/contrastive/pad_rows.h"
#include "native/cuda/device_runtime.h"

namespace bince {
namespace {

constexpr size_t kSumsBytes = kLineThreads * sizeof(LineSums);

struct DeviceRun {
  const Run* run;
  const ContrastiveProblem* problem;
  const ContrastiveResults* results;
  DevicePlan plan;
  DeviceMemory memory;
  LineProblem lines;
  ScoreTerms terms;
  TileRows q, k;
  bool plain;  // the epilogue
};

#define BINCE_RETURN_IF_CANCELLED(device)                 \
  do {                                                    \
    if (cancelled(*(device).run)) return BINCE_CANCELLED; \
  } while (0)

LineProblem line_problem(const DeviceRun& device) {
  const ContrastiveProblem& problem = *device.problem;
  LineProblem lines = {};
  lines.row = device.memory.row;
  lines.column = device.memory.column;
  lines.q = problem.q;
  lines.k = problem.k;
  lines.positive = problem.positive;
  lines.row_group = problem.row_group;
  lines.column_group = problem.column_group;
  lines.keys = problem.keys;
  lines.denominator = problem.denominator;
  lines.symmetric = device.plan.symmetric;
  lines.cosine = problem.has(BINCE_CONTRASTIVE_COSINE);
  lines.exclude_diagonal = problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  lines.own_key = device.plan.own_key;
  lines.mean = !problem.has(BINCE_CONTRASTIVE_SUM);
  lines.checked = !problem.has(BINCE_CONTRASTIVE_UNCHECKED);
  lines.scale = problem.scale;
  lines.bias = problem.bias;
  lines.clip = problem.clip;
  lines.regularizer = problem.regularizer;
  lines.negative_log_weight = problem.negative_log_weight;
  lines.grad_loss = problem.grad_loss;
  lines.own_similarity = device.memory.own_similarity;
  lines.report = device.run->report;
  return lines;
}

ScoreTerms score_terms(const DeviceRun& device) {
  const ContrastiveProblem& problem = *device.problem;
  const DeviceLines &row = device.memory.row, &column = device.memory.column;
  ScoreTerms terms = {};
  terms.denominator = problem.denominator;
  terms.symmetric = device.plan.symmetric;
  terms.cosine = problem.has(BINCE_CONTRASTIVE_COSINE);
  terms.exclude_diagonal = problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  terms.scale = problem.scale;
  terms.bias = problem.bias;
  terms.clip = problem.clip;
  terms.negative_log_weight = problem.negative_log_weight;
  terms.threshold = problem.threshold;
  terms.rows = static_cast<int32_t>(problem.rows);
  terms.columns = static_cast<int32_t>(problem.columns);
  terms.positive = problem.positive;
  terms.row_group = problem.row_group;
  terms.column_group = problem.column_group;
  terms.row_id = problem.row_id;
  terms.column_id = problem.column_id;
  terms.row_inverse = row.inverse_norm;
  terms.column_inverse = column.inverse_norm;
  terms.row_lse = row.rounded_lse;
  terms.column_lse = column.rounded_lse;
  terms.row_reference = row.reference;
  terms.row_factor = row.factor;
  terms.row_pull = row.pull;
  terms.column_reference = column.reference;
  terms.column_factor = column.factor;
  terms.column_pull = column.pull;
  terms.totals = device.memory.totals;
  return terms;
}

bool is_plain(const ContrastiveProblem& problem) {
  return problem.denominator == BINCE_DENOMINATOR_ALL && !problem.row_group && !problem.row_id &&
         problem.clip == 0 && problem.negative_log_weight == 0 && problem.threshold == INFINITY &&
         problem.regularizer == 0;
}

// --- before any score -------------------------------------------------------------------------------------

// Rows as tiles read them: padded copies where theirs are not aligned.
bince_status copy_rows(const DeviceRun& device, const void* from, int64_t count, void* to) {
  if (!to) return BINCE_OK;
  return launch_pad_rows(device.run->stream, from, count, device.problem->dim, device.problem->q.bfloat16,
                         to);
}

bince_status find_rows(DeviceRun* device) {
  const ContrastiveProblem& problem = *device->problem;
  const DeviceMemory& memory = device->memory;
  const int64_t stride = padded_stride(problem.dim, problem.q.bfloat16);
  BINCE_RETURN_IF_ERROR(copy_rows(*device, problem.q.first, problem.rows, memory.q));
  BINCE_RETURN_IF_ERROR(copy_rows(*device, problem.k.first, problem.keys, memory.keys));
  BINCE_RETURN_IF_ERROR(copy_rows(*device, problem.k.second, problem.columns - problem.keys, memory.queue));
  device->q = {memory.q ? memory.q : problem.q.first, nullptr, problem.rows, problem.rows, stride};
  device->k = {memory.keys ? memory.keys : problem.k.first, memory.queue ? memory.queue : problem.k.second,
               problem.keys, problem.columns, stride};
  return BINCE_OK;
}

// Blocks and shares do not change the counts, which are sums of integers.
bince_status count_positives(const DeviceRun& device, bool of_columns) {
  const ContrastiveProblem& problem = *device.problem;
  const int64_t lines = of_columns ? problem.columns : problem.rows;
  const int64_t others = of_columns ? problem.rows : problem.columns;
  const int64_t shares = smaller(parts_of(1024, line_blocks(lines)), parts_of(others, kGroupTile));
  const int64_t share = parts_of(parts_of(others, shares), kGroupTile) * kGroupTile;
  const dim3 grid(line_blocks(lines), static_cast<unsigned>(parts_of(others, share)));
  BINCE_LAUNCH(count_groups, grid, kLineThreads, kGroupTile * sizeof(int32_t), device.run->stream,
               of_columns ? problem.column_group : problem.row_group, lines,
               of_columns ? problem.row_group : problem.column_group, others, share,
               problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL),
               of_columns ? device.memory.column.positives : device.memory.row.positives);
  return launch_status("count_groups");
}

bool in_pieces(const ContrastiveProblem& problem) {
  const bool bfloat16 = problem.q.bfloat16;
  return rows_are_padded(problem.q.first, problem.dim, bfloat16) &&
         rows_are_padded(problem.k.first, problem.dim, bfloat16) &&
         (!problem.k.second || rows_are_padded(problem.k.second, problem.dim, bfloat16));
}

bince_status prepare(DeviceRun* device) {
  const ContrastiveProblem& problem = *device->problem;
  const DeviceMemory& memory = device->memory;
  void* const stream = device->run->stream;
  BINCE_RETURN_IF_ERROR(
      cuda_status(cudaMemsetAsync(memory.cleared, 0, memory.cleared_bytes, static_cast<cudaStream_t>(stream)),
                  "cudaMemsetAsync"));
  BINCE_RETURN_IF_ERROR(find_rows(device));
  BINCE_LAUNCH(prepare_lines, line_blocks(memory.row.padded) + line_blocks(memory.column.padded),
               kLineThreads, 0, stream, device->lines);
  BINCE_RETURN_IF_ERROR(launch_status("prepare_lines"));
  if (device->lines.checked || device->lines.cosine) {
    BINCE_LAUNCH(scan_rows, warp_blocks(problem.rows + problem.columns), kLineThreads, 0, stream,
                 device->lines, in_pieces(problem));
    BINCE_RETURN_IF_ERROR(launch_status("scan_rows"));
  }
  if (problem.row_group) {
    BINCE_RETURN_IF_ERROR(count_positives(*device, false));
    if (device->plan.symmetric) BINCE_RETURN_IF_ERROR(count_positives(*device, true));
  }
  if (!device->plan.own_key) return BINCE_OK;
  BINCE_LAUNCH(own_key_scores, warp_blocks(problem.rows), kLineThreads, 0, stream, device->lines);
  return launch_status("own_key_scores");
}

// --- statistics -------------------------------------------------------------------------------------------

bince_status merge_launch(const DeviceRun& device, const StatisticsLaunch& launch) {
  const ContrastiveProblem& problem = *device.problem;
  const TileRange& range = launch.range;
  const ScoreKernels& kernels = *device.plan.kernels;
  const int64_t rows = range.row_tiles * int64_t{kernels.tile_rows};
  const int64_t columns = range.column_tiles * int64_t{kernels.tile_columns};
  const MergeRange of_rows = {range.first_row, smaller(rows, problem.rows - range.first_row), launch.rows,
                              range.splits};
  MergeRange of_columns = {range.first_column, 0, launch.columns, range.row_tiles * kernels.warp_rows};
  if (device.plan.symmetric) of_columns.count = smaller(columns, problem.columns - range.first_column);
  BINCE_LAUNCH(merge_lines, merge_blocks(of_rows.count) + merge_blocks(of_columns.count), kLineThreads,
               kLineThreads * sizeof(MergedLine), device.run->stream, device.memory.row, device.memory.column,
               of_rows, of_columns);
  return launch_status("merge_lines");
}

bince_status sweep_launch(const DeviceRun& device, int64_t first_tile, int64_t span, bool positives_alone) {
  const DevicePlan& plan = device.plan;
  const int64_t tile_columns = plan.kernels->tile_columns;
  StatisticsLaunch launch = {device.terms, device.q, device.k, static_cast<int32_t>(device.problem->dim),
                             {},           false,    {},       {},
                             nullptr};
  TileRange& range = launch.range;
  range.first_row = static_cast<int32_t>(first_tile * plan.kernels->tile_rows);
  range.first_column = static_cast<int32_t>(device.problem->first_column + span * plan.span);
  range.row_tiles = static_cast<int32_t>(smaller(plan.launch_row_tiles, plan.row_tiles - first_tile));
  const int64_t columns = smaller(plan.span, plan.columns - span * plan.span);
  range.column_tiles = static_cast<int32_t>(parts_of(columns, tile_columns));
  range.split_tiles = static_cast<int32_t>(tiles_of_block(range.row_tiles, range.column_tiles));
  range.splits = static_cast<int32_t>(parts_of(range.column_tiles, range.split_tiles));
  launch.positives_alone = positives_alone;
  launch.rows = device.memory.row_parts;
  launch.rows.stride = range.row_tiles * int64_t{plan.kernels->tile_rows};
  launch.columns = device.memory.column_parts;
  launch.columns.stride = range.column_tiles * tile_columns;
  launch.squares = device.memory.squares;
  BINCE_RETURN_IF_ERROR(plan.kernels->statistics(device.run->stream, device.plain, launch));
  return merge_launch(device, launch);
}

bince_status sweep(const DeviceRun& device, bool positives_alone) {
  const DevicePlan& plan = device.plan;
  for (int64_t span = 0; span < parts_of(plan.columns, plan.span); ++span)
    for (int64_t tile = 0; tile < plan.row_tiles; tile += plan.launch_row_tiles) {
      BINCE_RETURN_IF_CANCELLED(device);
      BINCE_RETURN_IF_ERROR(sweep_launch(device, tile, span, positives_alone));
    }
  return BINCE_OK;
}

bince_status launch_finish_lines(const DeviceRun& device, uint32_t steps) {
  const ContrastiveResults& results = *device.results;
  const LineResults to = {results.row_loss, results.row_lse, results.column_loss, results.column_lse};
  const unsigned blocks =
      line_blocks(device.problem->rows) + (device.plan.symmetric ? line_blocks(device.problem->columns) : 0);
  BINCE_LAUNCH(finish_lines, blocks, kLineThreads, kSumsBytes, device.run->stream, device.lines, to, steps,
               device.memory.line_sums);
  return launch_status("finish_lines");
}

bince_status launch_totals(const DeviceRun& device) {
  const ContrastiveProblem& problem = *device.problem;
  TotalsLaunch launch = {};
  launch.sums = device.memory.line_sums;
  launch.row_blocks = line_blocks(problem.rows);
  launch.column_blocks = device.plan.symmetric ? line_blocks(problem.columns) : 0;
  launch.squares = device.memory.squares;
  launch.square_count = device.plan.most_blocks;
  launch.tile_pairs = static_cast<double>(problem.rows) * static_cast<double>(device.plan.columns);
  if (problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL))
    launch.tile_pairs -= static_cast<double>(smaller(problem.rows, problem.columns));
  launch.write = device.plan.forward;
  launch.loss = device.results->loss;
  launch.regularizer = device.results->regularizer;
  launch.totals = device.memory.totals;
  BINCE_LAUNCH(find_totals, 1, kLineThreads, kSumsBytes, device.run->stream, device.lines, launch);
  return launch_status("find_totals");
}

// Statistics, or those of the caller; then losses and totals.
bince_status find_statistics(const DeviceRun& device) {
  const bool forward = device.plan.forward;
  const bool second = device.problem->denominator == BINCE_DENOMINATOR_EACH && !device.plan.own_key;
  const uint32_t lse = forward ? kFindLse : kReadLse;
  const uint32_t loss = forward ? kFindLoss | kWriteLoss : kFindLoss;
  if (forward) BINCE_RETURN_IF_ERROR(sweep(device, false));
  if (second) {
    BINCE_RETURN_IF_ERROR(launch_finish_lines(device, lse));
    BINCE_RETURN_IF_ERROR(sweep(device, true));
    BINCE_RETURN_IF_ERROR(launch_finish_lines(device, loss));
  } else {
    BINCE_RETURN_IF_ERROR(launch_finish_lines(device, lse | loss));
  }
  return launch_totals(device);
}

// --- gradients --------------------------------------------------------------------------------------------

// The block's products, added to dq and dk but for the first block of a row or a column.
bince_status multiply_block(const DeviceRun& device, int64_t row, int64_t column) {
  const ContrastiveProblem& problem = *device.problem;
  const DevicePlan& plan = device.plan;
  const int dim = static_cast<int>(problem.dim);
  float *const dq = device.results->dq, *const dk = device.results->dk;
  const GradientBlock g = {device.memory.gradients, plan.block_columns,
                           smaller(plan.block_rows, problem.rows - row),
                           smaller(plan.block_columns, problem.columns - column)};
  GradientBlock of_keys = g;
  of_keys.columns = smaller(g.columns, problem.keys - column);
  const ProductOutput to_q = {dq + row * problem.dim, problem.dim, column > problem.first_column};
  const ProductOutput to_k = {dk + column * problem.dim, problem.dim, row > 0};
  const bool keys = dk && of_keys.columns > 0;
  if (dq && keys && of_keys.columns == g.columns)
    return launch_products(device.run->stream, plan.kernels->product, g, device.q, row, device.k, column, dim,
                           1, to_q, to_k);
  if (dq)
    BINCE_RETURN_IF_ERROR(
        launch_row_product(device.run->stream, plan.kernels->product, g, device.k, column, dim, 1, to_q));
  if (!keys) return BINCE_OK;
  return launch_column_product(device.run->stream, plan.kernels->product, of_keys, device.q, row, dim, 1,
                               to_k);
}

// Whole paddings of the block are written, so that products read zeros beyond the matrix.
bince_status differentiate_block(const DeviceRun& device, int64_t row, int64_t column) {
  const DevicePlan& plan = device.plan;
  const int64_t rows = smaller(plan.block_rows, device.problem->rows - row);
  const int64_t columns = smaller(plan.block_columns, device.problem->columns - column);
  GradientLaunch launch = {device.terms,
                           device.q,
                           device.k,
                           static_cast<int32_t>(device.problem->dim),
                           {},
                           device.memory.gradients,
                           plan.block_columns,
                           device.memory.sums};
  launch.range.first_row = static_cast<int32_t>(row);
  launch.range.first_column = static_cast<int32_t>(column);
  launch.range.row_tiles =
      static_cast<int32_t>(parts_of(rows, kGradientPadding) * (kGradientPadding / plan.kernels->tile_rows));
  launch.range.column_tiles = static_cast<int32_t>(parts_of(columns, kGradientPadding) *
                                                   (kGradientPadding / plan.kernels->tile_columns));
  launch.range.split_tiles = 1;
  launch.range.splits = launch.range.column_tiles;
  BINCE_RETURN_IF_ERROR(plan.kernels->gradients(device.run->stream, device.plain, launch));
  return multiply_block(device, row, column);
}

bince_status differentiate_own_keys(const DeviceRun& device) {
  const ContrastiveProblem& problem = *device.problem;
  BINCE_LAUNCH(own_key_gradients, warp_blocks(problem.rows), kLineThreads, 0, device.run->stream,
               device.lines, device.memory.totals, device.results->dq);
  BINCE_RETURN_IF_ERROR(launch_status("own_key_gradients"));
  if (!device.results->dk) return BINCE_OK;
  BINCE_LAUNCH(own_key_columns, warp_blocks(problem.keys), kLineThreads, 0, device.run->stream, device.lines,
               device.results->dk);
  return launch_status("own_key_columns");
}

bince_status finish_gradients(const DeviceRun& device) {
  const ContrastiveResults& results = *device.results;
  if (device.lines.cosine && (results.dq || results.dk)) {
    const int64_t rows = (results.dq ? device.problem->rows : 0) + (results.dk ? device.problem->keys : 0);
    BINCE_LAUNCH(project_gradients, warp_blocks(rows), kLineThreads, 0, device.run->stream, device.lines,
                 results.dq, results.dk);
    BINCE_RETURN_IF_ERROR(launch_status("project_gradients"));
  }
  if (!results.dscale && !results.dbias) return BINCE_OK;
  BINCE_LAUNCH(finish_scalars, 1, kLineThreads, kSumsBytes, device.run->stream, device.lines,
               device.memory.sums, device.plan.gradient_blocks, results.dscale, results.dbias);
  return launch_status("finish_scalars");
}

bince_status differentiate(const DeviceRun& device) {
  const ContrastiveProblem& problem = *device.problem;
  const unsigned blocks =
      line_blocks(problem.rows) + (device.plan.symmetric ? line_blocks(problem.columns) : 0);
  BINCE_LAUNCH(fill_factors, blocks, kLineThreads, 0, device.run->stream, device.lines, device.memory.totals);
  BINCE_RETURN_IF_ERROR(launch_status("fill_factors"));
  for (int64_t column = problem.first_column; column < problem.columns; column += device.plan.block_columns)
    for (int64_t row = 0; row < problem.rows; row += device.plan.block_rows) {
      BINCE_RETURN_IF_CANCELLED(device);
      BINCE_RETURN_IF_ERROR(differentiate_block(device, row, column));
    }
  if (device.plan.own_key) BINCE_RETURN_IF_ERROR(differentiate_own_keys(device));
  return finish_gradients(device);
}

// --- the slots --------------------------------------------------------------------------------------------

bince_status run_cuda(const Run& run, const ContrastiveProblem& problem, const ContrastiveResults& results,
                      uint32_t call) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  if (cancelled(run)) return BINCE_CANCELLED;
  DeviceRun device = {};
  device.run = &run;
  device.problem = &problem;
  device.results = &results;
  device.plan = plan_device(problem, call);
  Workspace workspace = {run.workspace, 0};
  carve_device(&workspace, problem, device.plan, &device.memory);
  device.lines = line_problem(device);
  device.terms = score_terms(device);
  device.plain = is_plain(problem);
  BINCE_RETURN_IF_ERROR(prepare(&device));
  BINCE_RETURN_IF_ERROR(find_statistics(device));
  if (device.plan.backward && (results.dq || results.dk || results.dscale || results.dbias))
    BINCE_RETURN_IF_ERROR(differentiate(device));
  return BINCE_OK;
}

size_t workspace_cuda(const ContrastiveProblem& problem, uint32_t call) {
  Workspace workspace;
  DeviceMemory memory = {};
  carve_device(&workspace, problem, plan_device(problem, call), &memory);
  return workspace.used;
}

}  // namespace

const ContrastiveOps& contrastive_ops_cuda() {
  static const ContrastiveOps ops = {workspace_cuda, run_cuda, nullptr};
  return ops;
}

}  // namespace bince
