// Kernels over rows and columns before any score is known: checks of values, norms, numbers of positives; and
// what all kernels over lines share.
#ifndef BINCE_CONTRASTIVE_LINE_PREPARE_CUH_
#define BINCE_CONTRASTIVE_LINE_PREPARE_CUH_

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

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_LINE_PREPARE_CUH_
