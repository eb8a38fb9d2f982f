// Kernels over the rows and columns of the score matrix: from the parts of tiles to statistics, LSE and loss
// (in double), and sums over all lines.
#ifndef BINCE_CONTRASTIVE_LINE_KERNELS_CUH_
#define BINCE_CONTRASTIVE_LINE_KERNELS_CUH_

#include "native/contrastive/line_prepare.cuh"

namespace bince {

// --- statistics -------------------------------------------------------------------------------------------

// Lines first .. first + count of a launch, and its parts.
struct MergeRange {
  int64_t first, count;
  LineParts parts;
  int32_t part_count;
};

constexpr int kMergeLines = 32;                          // of a block of merge_lines
constexpr int kMergeLanes = kLineThreads / kMergeLines;  // threads a line

// A line's statistics over some parts.
struct MergedLine {
  double sum, positive;
  float maximum;
};

// Parts lane, lane + kMergeLanes, ... of one line.
__device__ __forceinline__ MergedLine merge_parts(const MergeRange& range, int64_t at, int lane) {
  MergedLine merged = {0, 0, -INFINITY};
  for (int32_t part = lane; part < range.part_count; part += kMergeLanes)
    merged.maximum = fmaxf(merged.maximum, range.parts.maximum[part * range.parts.stride + at]);
  const float reference = merged.maximum > -INFINITY ? merged.maximum : 0.0f;
  for (int32_t part = lane; part < range.part_count; part += kMergeLanes) {
    const int64_t from = part * range.parts.stride + at;
    merged.sum += double{range.parts.sum[from]} * expf(range.parts.maximum[from] - reference);
    merged.positive += range.parts.positive[from];
  }
  return merged;
}

// Joins kMergeLanes sums of a line to it, in their order.
__device__ __forceinline__ void merge_lanes(const DeviceLines& lines, int64_t line,
                                            const MergedLine* merged) {
  const float before = lines.maximum[line];
  float maximum = before;
  for (int lane = 0; lane < kMergeLanes; ++lane) maximum = fmaxf(maximum, merged[lane * kMergeLines].maximum);
  const float reference = maximum > -INFINITY ? maximum : 0.0f;
  double sum = lines.sum[line] * expf(before - reference), positive = lines.positive[line];
  for (int lane = 0; lane < kMergeLanes; ++lane) {
    const MergedLine& part = merged[lane * kMergeLines];
    sum += part.sum * expf(part.maximum - reference);
    positive += part.positive;
  }
  lines.maximum[line] = maximum;
  lines.sum[line] = sum;
  lines.positive[line] = positive;
}

inline unsigned merge_blocks(int64_t count) {
  return static_cast<unsigned>((count + kMergeLines - 1) / kMergeLines);
}

// Joins the parts of a launch to its lines; a fixed order of the parts.
// Grid merge_blocks(rows.count) + merge_blocks(columns.count), shared kLineThreads * sizeof(MergedLine).
__global__ void __launch_bounds__(kLineThreads) merge_lines(const DeviceLines row, const DeviceLines column,
                                                            const MergeRange rows, const MergeRange columns) {
  BINCE_DYNAMIC_SHARED(MergedLine, shared);
  const int64_t row_blocks = (rows.count + kMergeLines - 1) / kMergeLines;
  const bool is_column = blockIdx.x >= row_blocks;
  const int64_t at =
      (is_column ? blockIdx.x - row_blocks : blockIdx.x) * int64_t{kMergeLines} + threadIdx.x % kMergeLines;
  const int lane = static_cast<int>(threadIdx.x) / kMergeLines;
  if (is_column && at < columns.count) shared[threadIdx.x] = merge_parts(columns, at, lane);
  if (!is_column && at < rows.count) shared[threadIdx.x] = merge_parts(rows, at, lane);
  __syncthreads();  // the sums of all lanes are there
  if (lane != 0) return;
  if (is_column && at < columns.count) merge_lanes(column, columns.first + at, shared + threadIdx.x);
  if (!is_column && at < rows.count) merge_lanes(row, rows.first + at, shared + threadIdx.x);
}

// MoCo: <q_i, own key>, and the statistics that the key alone makes.  A warp a row.
// Grid ceil(N / kLineWarps).
__global__ void __launch_bounds__(kLineThreads) own_key_scores(const LineProblem problem) {
  const int64_t row = warp_line();
  if (row >= problem.row.count) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int32_t key = valid_positive(problem, row);
  double dot = 0;
  if (key >= 0) {
    const void *q = row_start(problem.q, row), *k = row_start(problem.k, key);
    for (int64_t d = lane; d < problem.q.dim; d += 32)
      dot += double{row_element(q, d, problem.q.bfloat16)} * row_element(k, d, problem.q.bfloat16);
    dot = sum_over_lanes(dot, 31) * problem.row.inverse_norm[row] * problem.column.inverse_norm[key];
  }
  if (lane != 0) return;
  const float similarity = static_cast<float>(dot);
  problem.own_similarity[row] = similarity;
  if (key < 0) return;
  const float s = clipped_score(fmaf(problem.scale, similarity, problem.bias), problem.clip);
  if (problem.denominator == BINCE_DENOMINATOR_ALL) {
    problem.row.maximum[row] = s;
    problem.row.sum[row] = 1;
  }
  problem.row.positive[row] = s;
}

// --- LSE and loss -----------------------------------------------------------------------------------------

// Where a call's results by line go, or its LSEs come from.  Null: not wanted.
struct LineResults {
  float *row_loss, *row_lse, *column_loss, *column_lse;
};

enum : uint32_t {
  kFindLse = 1,  // from the statistics, and written to the results
  kReadLse = 2,  // from the results
  kFindLoss = 4,
  kWriteLoss = 8
};

__device__ __forceinline__ void find_lse(const LineProblem& problem, const DeviceLines& lines, int64_t line,
                                         uint32_t steps, float* result) {
  double lse = 0;
  if (steps & kReadLse) {
    lse = result ? result[line] : 0.0f;
  } else {
    const double sum = lines.sum[line];
    lse = sum == 0 ? -static_cast<double>(INFINITY) : lines.maximum[line] + log(sum);
    if (result) result[line] = static_cast<float>(lse);
  }
  lines.lse[line] = lse;
  lines.rounded_lse[line] = static_cast<float>(lse);
  if (problem.denominator != BINCE_DENOMINATOR_EACH) return;
  lines.maximum[line] = -INFINITY;  // for the second sweep
  lines.sum[line] = 0;
  lines.positive[line] = 0;
}

// The loss of a line and, in EACH, its slack.
__device__ __forceinline__ double find_loss(const LineProblem& problem, const DeviceLines& lines,
                                            int64_t line) {
  if (problem.denominator == BINCE_DENOMINATOR_SIGMOID) return lines.sum[line];
  const int32_t positives = lines.positives[line];
  const double lse = lines.lse[line];
  if (problem.denominator != BINCE_DENOMINATOR_EACH)
    return positives > 0 && lse != -INFINITY ? lse - lines.positive[line] / positives : 0;
  double loss = 0, slack = 0;
  if (positives > 0 && problem.own_key) {
    const float similarity = problem.own_similarity[line];
    const double x = lse - clipped_score(fmaf(problem.scale, similarity, problem.bias), problem.clip);
    loss = fmax(x, 0.0) + log1p(exp(-fabs(x)));
    slack = 1 / (1 + exp(-x));
  } else if (positives > 0) {
    loss = lines.sum[line] / positives;
    slack = lines.positive[line] / positives;
  }
  lines.slack[line] = static_cast<float>(slack);
  return loss;
}

__device__ __forceinline__ LineSums sum_line(const LineProblem& problem, const LinePlace& at, uint32_t steps,
                                             const LineResults& results) {
  LineSums sums = {0, 0, 0, 0, static_cast<double>(INFINITY), -static_cast<double>(INFINITY)};
  const DeviceLines& lines = at.is_column ? problem.column : problem.row;
  const bool sigmoid = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  if (!sigmoid && (steps & (kFindLse | kReadLse)))
    find_lse(problem, lines, at.line, steps, at.is_column ? results.column_lse : results.row_lse);
  if (!(steps & kFindLoss)) return sums;
  const double loss = find_loss(problem, lines, at.line);
  const bool counts = sigmoid || lines.positives[at.line] > 0;
  if (counts) sums.weight = lines.weight ? lines.weight[at.line] : 1.0f;
  sums.loss = sums.weight * loss;
  sums.positives = at.is_column || !problem.own_key ? 0 : lines.positives[at.line];
  if (sums.positives > 0) {
    const double raw = fmaf(problem.scale, problem.own_similarity[at.line], problem.bias);
    sums.squares = raw * raw;
  }
  if (!sigmoid && lines.lse[at.line] != -INFINITY) sums.low = sums.high = lines.lse[at.line];
  if (!(steps & kWriteLoss)) return sums;
  float* const result = at.is_column ? results.column_loss : results.row_loss;
  if (result) result[at.line] = static_cast<float>(loss);
  if (problem.checked && !(fabs(loss) <= FLT_MAX))
    note_offence(problem.report, at.is_column ? Offence::kColumnLoss : Offence::kRowLoss, at.line);
  return sums;
}

__device__ __forceinline__ LineSums add_sums(const LineSums& a, const LineSums& b) {
  return {a.weight + b.weight,   a.loss + b.loss,    a.positives + b.positives,
          a.squares + b.squares, fmin(a.low, b.low), fmax(a.high, b.high)};
}

// The sum of all threads' sums, for thread 0.  `shared`: [kLineThreads].
__device__ __forceinline__ LineSums sum_block(const LineSums& mine, LineSums* shared) {
  shared[threadIdx.x] = mine;
  for (unsigned half = kLineThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // the sums of the step before are there
    if (threadIdx.x < half) shared[threadIdx.x] = add_sums(shared[threadIdx.x], shared[threadIdx.x + half]);
  }
  return threadIdx.x == 0 ? shared[0] : mine;
}

// LSE, loss and what sums over lines.  Grid line_blocks(N) [+ line_blocks(C) if symmetric], shared
// kLineThreads * sizeof(LineSums); sums [blocks].
__global__ void __launch_bounds__(kLineThreads)
    finish_lines(const LineProblem problem, const LineResults results, uint32_t steps, LineSums* sums) {
  BINCE_DYNAMIC_SHARED(LineSums, shared);
  const LinePlace at = line_place(problem.row.count);
  LineSums mine = {0, 0, 0, 0, static_cast<double>(INFINITY), -static_cast<double>(INFINITY)};
  if (at.line < (at.is_column ? problem.column : problem.row).count)
    mine = sum_line(problem, at, steps, results);
  if (!(steps & kFindLoss)) return;
  const LineSums total = sum_block(mine, shared);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// Symmetric: one exponential serves rows and columns while all LSEs lie this close together, since then
// exp(t - centre) and exp(centre - lse) both stay far inside the range of floats.
constexpr double kNarrow = 60;

// Sums in shared memory, tree by tree; every thread calls.
__device__ __forceinline__ LineSums sum_array(const LineSums* sums, unsigned count, LineSums* shared) {
  LineSums mine = {0, 0, 0, 0, static_cast<double>(INFINITY), -static_cast<double>(INFINITY)};
  for (unsigned i = threadIdx.x; i < count; i += kLineThreads) mine = add_sums(mine, sums[i]);
  const LineSums total = sum_block(mine, shared);
  __syncthreads();  // thread 0 has read the total
  return total;
}

struct TotalsLaunch {
  const LineSums* sums;  // [row_blocks + column_blocks]
  unsigned row_blocks, column_blocks;
  const double* squares;  // [square_count] of the tiles
  int64_t square_count;
  double tile_pairs;  // scored pairs in tiles
  bool write;         // the loss
  float *loss, *regularizer;
  ContrastiveTotals* totals;
};

// Everything that sums over lines; writes the loss.  Grid 1, shared kLineThreads * sizeof(LineSums).
__global__ void __launch_bounds__(kLineThreads)
    find_totals(const LineProblem problem, const TotalsLaunch launch) {
  BINCE_DYNAMIC_SHARED(LineSums, shared);
  const LineSums rows = sum_array(launch.sums, launch.row_blocks, shared);
  const LineSums columns = sum_array(launch.sums + launch.row_blocks, launch.column_blocks, shared);
  LineSums squares = {0, 0, 0, 0, 0, 0};
  for (int64_t i = threadIdx.x; i < launch.square_count; i += kLineThreads)
    squares.squares += launch.squares[i];
  squares = sum_block(squares, shared);
  if (threadIdx.x != 0) return;
  const double half = problem.symmetric ? 0.5 : 1.0;
  ContrastiveTotals totals = {0, 0, 0, 0, 0};
  if (rows.weight > 0) totals.row_multiplier = half / (problem.mean ? rows.weight : 1.0);
  if (columns.weight > 0) totals.column_multiplier = half / (problem.mean ? columns.weight : 1.0);
  const double pairs = launch.tile_pairs + rows.positives;
  if (pairs > 0)
    totals.squares_factor = static_cast<float>(2.0 * problem.grad_loss * problem.regularizer / pairs);
  const double low = fmin(rows.low, columns.low), high = fmax(rows.high, columns.high);
  totals.wide = high - low > kNarrow;
  if (low <= high) totals.centre = static_cast<float>(0.5 * (low + high));
  *launch.totals = totals;
  if (!launch.write) return;
  const double regularizer = pairs > 0 ? problem.regularizer * (squares.squares + rows.squares) / pairs : 0.0;
  const double loss =
      totals.row_multiplier * rows.loss + totals.column_multiplier * columns.loss + regularizer;
  if (launch.loss) *launch.loss = static_cast<float>(loss);
  if (launch.regularizer) *launch.regularizer = static_cast<float>(regularizer);
  if (problem.checked && !(fabs(loss) <= FLT_MAX)) note_offence(problem.report, Offence::kLoss, 0);
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_LINE_KERNELS_CUH_
