// Kernels over the rows and columns of the score matrix: checks of values, numbers of positives, from merged
// statistics to LSE, loss and the factors of the gradients (in double), sums over all lines.
//
// Lines are numbered through: rows 0 .. N - 1, then columns; a block holds lines of one kind.
#ifndef BINCE_CONTRASTIVE_LINE_KERNELS_CUH_
#define BINCE_CONTRASTIVE_LINE_KERNELS_CUH_

#include <float.h>

#include "native/contrastive/contrastive_device.cuh"

namespace bince {

// Both kinds of lines and what is the same for them.
struct LineProblem {
  DeviceLines row, column;
  ContrastiveRows q, k;
  const int32_t* positive;  // [N]; null: groups or the diagonal
  const int32_t *row_group, *column_group;
  int64_t keys;
  uint32_t denominator;
  bool symmetric, cosine, exclude_diagonal, own_key, mean, checked;
  float scale, bias, clip, regularizer, negative_log_weight, grad_loss;
  float* own_similarity;  // OWN_KEY: [N], <q_i, own key>, normalised with COSINE
  DeviceReport* report;
};

struct LinePlace {
  bool is_column;
  int64_t line;
};

// Blocks of rows come before those of columns.
__device__ __forceinline__ LinePlace line_place(int64_t rows) {
  const int64_t row_blocks = (rows + kLineThreads - 1) / kLineThreads;
  const bool is_column = blockIdx.x >= row_blocks;
  return {is_column,
          (is_column ? blockIdx.x - row_blocks : blockIdx.x) * int64_t{kLineThreads} + threadIdx.x};
}

// The line of a warp.
__device__ __forceinline__ int64_t warp_line() {
  return int64_t{blockIdx.x} * kLineWarps + threadIdx.x / 32;
}

// --- before any score -------------------------------------------------------------------------------------

// An explicit positive that names a key, else -1.
__device__ __forceinline__ int32_t valid_positive(const LineProblem& problem, int64_t row) {
  const int32_t at = explicit_positive(problem.positive, problem.row_group != nullptr, row);
  if (at < 0 || at >= problem.keys) return -1;
  return problem.exclude_diagonal && at == row ? -1 : at;
}

__device__ __forceinline__ void check_weight(const LineProblem& problem, const DeviceLines& lines,
                                             int64_t line, Offence offence) {
  if (!lines.weight) return;
  const float weight = lines.weight[line];
  if (!(weight >= 0) || weight > FLT_MAX) note_offence(problem.report, offence, line);
}

// Explicit positives are checked and counted; `positives` has been cleared.
__device__ __forceinline__ void prepare_row(const LineProblem& problem, int64_t row) {
  if (problem.positive && (problem.positive[row] < -1 || problem.positive[row] >= problem.keys))
    note_offence(problem.report, Offence::kPositiveOutOfRange, row);
  check_weight(problem, problem.row, row, Offence::kRowWeight);
  if (problem.row_group) return;
  const int32_t at = valid_positive(problem, row);
  problem.row.positives[row] = at >= 0;
  if (at >= 0 && problem.symmetric) atomicAdd(&problem.column.positives[at], 1);
}

// Statistics of no score at all; the padding.  Grid line_blocks(row.padded) + line_blocks(column.padded).
__global__ void __launch_bounds__(kLineThreads) prepare_lines(const LineProblem problem) {
  const LinePlace at = line_place(problem.row.padded);
  const DeviceLines& lines = at.is_column ? problem.column : problem.row;
  if (at.line >= lines.padded) return;
  const bool inside = at.line < lines.count;
  if (!problem.cosine || !inside) lines.inverse_norm[at.line] = inside ? 1.0f : 0.0f;
  if (inside && !at.is_column) prepare_row(problem, at.line);
  if (inside && at.is_column) check_weight(problem, problem.column, at.line, Offence::kColumnWeight);
  if (at.is_column && !problem.symmetric) return;
  lines.maximum[at.line] = -INFINITY;
  lines.sum[at.line] = 0;
  lines.positive[at.line] = 0;
  if (inside) return;
  lines.rounded_lse[at.line] = 0;
  lines.reference[at.line] = 0;
  lines.factor[at.line] = 0;
  lines.pull[at.line] = 0;
}

// A norm that products of two rows stay in the range of float32 with.
constexpr double kSmallestNorm = 8.8817841970012523e-16;  // 2^-50
constexpr double kLargestNorm = 1125899906842624.0;       // 2^50

// Sum of squares of 16-byte pieces; *finite is cleared by a NaN or an infinity.
__device__ __forceinline__ double piece_squares(const uint4& piece, bool bfloat16, bool* finite) {
  const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
  double sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float high = __uint_as_float(bfloat16 ? words[i] & 0xffff0000u : words[i]);
    const float low = bfloat16 ? __uint_as_float(words[i] << 16) : 0.0f;
    if (!(fabsf(high) <= FLT_MAX) || !(fabsf(low) <= FLT_MAX)) *finite = false;
    sum += double{high} * high + double{low} * low;
  }
  return sum;
}

// Rows of q, then of k and the queue: finite?  With COSINE also 1 / |row|.  A warp a row.
// Grid ceil((N + C) / kLineWarps).
__global__ void __launch_bounds__(kLineThreads) scan_rows(const LineProblem problem, bool in_pieces) {
  const int64_t warp = warp_line();
  const bool is_column = warp >= problem.row.count;
  const int64_t row = is_column ? warp - problem.row.count : warp;
  const ContrastiveRows& rows = is_column ? problem.k : problem.q;
  if (row >= rows.count) return;
  const void* const start = row_start(rows, row);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  double squares = 0;
  bool finite = true;
  if (in_pieces) {
    const int64_t pieces = rows.dim * (rows.bfloat16 ? 2 : 4) / 16;
    for (int64_t d = lane; d < pieces; d += 32)
      squares += piece_squares(static_cast<const uint4*>(start)[d], rows.bfloat16, &finite);
  } else {
    for (int64_t d = lane; d < rows.dim; d += 32) {
      const float x = row_element(start, d, rows.bfloat16);
      if (!(fabsf(x) <= FLT_MAX)) finite = false;
      squares += double{x} * x;
    }
  }
  squares = sum_over_lanes(squares, 31);
  const bool all_finite = __ballot_sync(kAllLanes, !finite) == 0;
  if (lane != 0) return;
  const bool queued = is_column && row >= rows.first_count;
  const int64_t index = queued ? row - rows.first_count : row;
  const double norm = sqrt(squares);
  if (problem.checked && !all_finite)
    note_offence(problem.report,
                 queued      ? Offence::kQueueNotFinite
                 : is_column ? Offence::kKeyNotFinite
                             : Offence::kQueryNotFinite,
                 index);
  else if (problem.checked && problem.cosine && norm > 0 && !(norm >= kSmallestNorm && norm <= kLargestNorm))
    note_offence(problem.report,
                 queued      ? Offence::kQueueNorm
                 : is_column ? Offence::kKeyNorm
                             : Offence::kQueryNorm,
                 index);
  if (problem.cosine)
    (is_column ? problem.column : problem.row).inverse_norm[row] =
        norm > 0 ? static_cast<float>(1 / norm) : 0.0f;
}

constexpr int kGroupTile = 4 * kLineThreads;  // others that a block compares at a time

// Adds to counts[line] how many of the block's share of others are of the line's group.
// Grid (line_blocks(count), shares), shared kGroupTile * 4.
__global__ void __launch_bounds__(kLineThreads)
    count_groups(const int32_t* lines, int64_t count, const int32_t* others, int64_t other_count,
                 int64_t share, bool exclude_diagonal, int32_t* counts) {
  BINCE_DYNAMIC_SHARED(int32_t, tile);
  const int64_t line = int64_t{blockIdx.x} * kLineThreads + threadIdx.x;
  const int32_t group = line < count ? lines[line] : -1;
  const int64_t begin = int64_t{blockIdx.y} * share;
  const int64_t end = begin + share < other_count ? begin + share : other_count;
  int32_t found = 0;
  for (int64_t at = begin; at < end; at += kGroupTile) {
    __syncthreads();  // all have compared with the tile before
    for (int i = static_cast<int>(threadIdx.x); i < kGroupTile; i += kLineThreads)
      tile[i] = at + i < end ? others[at + i] : -1;
    __syncthreads();  // the tile is there
    const int4* const quads = reinterpret_cast<const int4*>(tile);
    for (int i = 0; i < kGroupTile / 4; ++i) {
      const int4 quad = quads[i];
      found += (quad.x == group) + (quad.y == group) + (quad.z == group) + (quad.w == group);
    }
  }
  if (group < 0) return;
  if (exclude_diagonal && line >= begin && line < end && others[line] == group) --found;
  if (found > 0) atomicAdd(&counts[line], found);
}

// --- statistics -------------------------------------------------------------------------------------------

// Lines first .. first + count of a launch, and its parts.
struct MergeRange {
  int64_t first, count;
  LineParts parts;
  int32_t part_count;
};

// Joins the parts of one line of the range to it, in the order of the parts.
__device__ __forceinline__ void merge_line(const DeviceLines& lines, const MergeRange& range, int64_t at) {
  if (at >= range.count) return;
  const int64_t line = range.first + at, stride = range.parts.stride;
  const float before = lines.maximum[line];
  float maximum = before;
  for (int32_t part = 0; part < range.part_count; ++part)
    maximum = fmaxf(maximum, range.parts.maximum[part * stride + at]);
  const float reference = maximum > -INFINITY ? maximum : 0.0f;
  double sum = lines.sum[line] * double{expf(before - reference)};
  double positive = lines.positive[line];
  for (int32_t part = 0; part < range.part_count; ++part) {
    const int64_t from = part * stride + at;
    sum += double{range.parts.sum[from]} * expf(range.parts.maximum[from] - reference);
    positive += range.parts.positive[from];
  }
  lines.maximum[line] = maximum;
  lines.sum[line] = sum;
  lines.positive[line] = positive;
}

// After every launch.  Grid line_blocks(rows.count) + line_blocks(columns.count).
__global__ void __launch_bounds__(kLineThreads) merge_lines(const DeviceLines row, const DeviceLines column,
                                                            const MergeRange rows, const MergeRange columns) {
  const LinePlace at = line_place(rows.count);
  if (at.is_column)
    merge_line(column, columns, at.line);
  else
    merge_line(row, rows, at.line);
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

// --- gradients --------------------------------------------------------------------------------------------

// A line's factor in the total, 0 where it contributes nothing.
__device__ __forceinline__ double total_factor(const LineProblem& problem, const ContrastiveTotals& totals,
                                               bool is_column, int64_t line) {
  const DeviceLines& lines = is_column ? problem.column : problem.row;
  const bool sigmoid = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  if (!sigmoid && (lines.positives[line] == 0 || lines.lse[line] == -INFINITY)) return 0;
  const double weight = lines.weight ? lines.weight[line] : 1.0f;
  return double{problem.grad_loss} * weight * (is_column ? totals.column_multiplier : totals.row_multiplier);
}

// reference, factor and pull.  Grid line_blocks(N) [+ line_blocks(C) if symmetric].
__global__ void __launch_bounds__(kLineThreads)
    fill_factors(const LineProblem problem, const ContrastiveTotals* totals) {
  const LinePlace at = line_place(problem.row.count);
  const DeviceLines& lines = at.is_column ? problem.column : problem.row;
  if (at.line >= lines.count) return;
  const double total = total_factor(problem, *totals, at.is_column, at.line);
  if (problem.denominator == BINCE_DENOMINATOR_SIGMOID) {
    lines.reference[at.line] = 0;
    lines.rounded_lse[at.line] = 0;
    lines.factor[at.line] = static_cast<float>(total * exp(double{problem.negative_log_weight}));
    lines.pull[at.line] = static_cast<float>(total);
    return;
  }
  const double lse = lines.lse[at.line] != -INFINITY ? lines.lse[at.line] : 0;
  const bool common = problem.symmetric && !totals->wide;
  const float reference = common ? totals->centre : static_cast<float>(lse);
  const double slack = problem.denominator == BINCE_DENOMINATOR_EACH ? lines.slack[at.line] : 1.0f;
  lines.reference[at.line] = reference;
  lines.factor[at.line] =
      total == 0 ? 0.0f : static_cast<float>(total * slack * exp(double{reference} - lse));
  lines.pull[at.line] = total == 0 ? 0.0f : static_cast<float>(total / lines.positives[at.line]);
}

// MoCo: d total / d raw of a row's own key, its sums in row.sum and row.positive, and, times the scale and
// inverse norms, in row.factor, since the queue's gradients are done; adds the key's part to dq.  A warp a
// row.  Grid ceil(N / kLineWarps).
__global__ void __launch_bounds__(kLineThreads)
    own_key_gradients(const LineProblem problem, const ContrastiveTotals* totals, float* dq) {
  const int64_t row = warp_line();
  if (row >= problem.row.count) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int32_t key = valid_positive(problem, row);
  const float similarity = problem.own_similarity[row];
  double g = 0;
  if (key >= 0) {
    const float raw = fmaf(problem.scale, similarity, problem.bias);
    const float s = clipped_score(raw, problem.clip);
    const double total = total_factor(problem, *totals, false, row);
    if (total != 0) g = -total * (problem.denominator == BINCE_DENOMINATOR_EACH ? problem.row.slack[row] : 1);
    if (total != 0 && problem.denominator == BINCE_DENOMINATOR_ALL)
      g += total * exp(s - problem.row.lse[row]);
    const double ratio = problem.clip > 0 ? double{s} / problem.clip : 0.0;
    g = g * (1 - ratio * ratio) + double{totals->squares_factor} * raw;
  }
  float factor = 0;
  if (key >= 0)
    factor = static_cast<float>(g * problem.scale * problem.row.inverse_norm[row] *
                                problem.column.inverse_norm[key]);
  if (lane == 0) {
    problem.row.sum[row] = g * similarity;
    problem.row.positive[row] = g;
    problem.row.factor[row] = factor;
  }
  if (!dq || key < 0) return;
  const void* const k = row_start(problem.k, key);
  for (int64_t d = lane; d < problem.q.dim; d += 32) {
    float* const to = dq + row * problem.q.dim + d;
    *to = fmaf(factor, row_element(k, d, problem.q.bfloat16), *to);
  }
}

// MoCo: dk of every key, from the rows whose own it is, in their order.  A warp a key.
// Grid ceil(M / kLineWarps).
__global__ void __launch_bounds__(kLineThreads) own_key_columns(const LineProblem problem, float* dk) {
  const int64_t key = warp_line();
  if (key >= problem.keys) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t dim = problem.q.dim;
  float* const out = dk + key * dim;
  for (int64_t d = lane; d < dim; d += 32) out[d] = 0;
  const int64_t rows = problem.row.count, first = problem.positive ? 0 : key / 32 * 32;
  const int64_t end = problem.positive ? rows : first + 32;
  for (int64_t base = first; base < end; base += 32) {
    const bool mine = base + lane < rows && valid_positive(problem, base + lane) == key;
    for (unsigned found = __ballot_sync(kAllLanes, mine); found != 0; found &= found - 1) {
      const int64_t row = base + __ffs(static_cast<int>(found)) - 1;
      const void* const q = row_start(problem.q, row);
      const float factor = problem.row.factor[row];
      for (int64_t d = lane; d < dim; d += 32)
        out[d] = fmaf(factor, row_element(q, d, problem.q.bfloat16), out[d]);
    }
  }
}

// COSINE: gradients h / |x| of unit rows become those of the rows, h - x <h, x> / |x|^2.  A warp a row of dq,
// then of dk.  Grid ceil((rows of dq + rows of dk) / kLineWarps).
__global__ void __launch_bounds__(kLineThreads)
    project_gradients(const LineProblem problem, float* dq, float* dk) {
  const int64_t warp = warp_line(), q_rows = dq ? problem.row.count : 0;
  const bool is_key = warp >= q_rows;
  const int64_t row = is_key ? warp - q_rows : warp;
  if (is_key && (!dk || row >= problem.keys)) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t dim = problem.q.dim;
  const void* const x = row_start(is_key ? problem.k : problem.q, row);
  float* const h = (is_key ? dk : dq) + row * dim;
  const double inverse = (is_key ? problem.column : problem.row).inverse_norm[row];
  double along = 0;
  for (int64_t d = lane; d < dim; d += 32) along += double{h[d]} * row_element(x, d, problem.q.bfloat16);
  along = sum_over_lanes(along, 31) * inverse * inverse;
  for (int64_t d = lane; d < dim; d += 32)
    h[d] = static_cast<float>(h[d] - along * row_element(x, d, problem.q.bfloat16));
}

// dscale and dbias: the sums of g d and g over blocks of tiles and, with OWN_KEY, over rows.  Grid 1, shared
// kLineThreads * sizeof(LineSums).
__global__ void __launch_bounds__(kLineThreads) finish_scalars(const LineProblem problem, const double* sums,
                                                               int64_t count, float* dscale, float* dbias) {
  BINCE_DYNAMIC_SHARED(LineSums, shared);
  LineSums mine = {0, 0, 0, 0, 0, 0};
  for (int64_t i = threadIdx.x; i < count; i += kLineThreads) {
    mine.weight += sums[2 * i];
    mine.loss += sums[2 * i + 1];
  }
  for (int64_t row = threadIdx.x; problem.own_key && row < problem.row.count; row += kLineThreads) {
    mine.weight += problem.row.sum[row];
    mine.loss += problem.row.positive[row];
  }
  const LineSums total = sum_block(mine, shared);
  if (threadIdx.x != 0) return;
  if (dscale) *dscale = static_cast<float>(total.weight);
  if (dbias) *dbias = static_cast<float>(total.loss);
  if (!problem.checked) return;
  if (dscale && !(fabs(total.weight) <= FLT_MAX)) note_offence(problem.report, Offence::kScaleGradient, 0);
  if (dbias && !(fabs(total.loss) <= FLT_MAX)) note_offence(problem.report, Offence::kBiasGradient, 0);
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_LINE_KERNELS_CUH_
