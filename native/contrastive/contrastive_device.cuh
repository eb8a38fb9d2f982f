// What the kernels of the contrastive family share: the lines (rows and columns) of the score matrix with
// their arrays in the workspace, and the problem as the epilogues of the tiles need it.
//
// N rows, C columns, D dimensions.  Arrays of lines are padded beyond the last tile, so that epilogues read
// factors without looking at the edge; what stands in the padding makes a pair contribute nothing.
#ifndef BINCE_CONTRASTIVE_CONTRASTIVE_DEVICE_CUH_
#define BINCE_CONTRASTIVE_CONTRASTIVE_DEVICE_CUH_

#include "native/contrastive/contrastive_ops.h"
#include "native/contrastive/tile_operand.cuh"
#include "native/cuda/approximate.cuh"
#include "native/cuda/language.cuh"
#include "native/cuda/report.cuh"

namespace bince {

constexpr int kLineThreads = 256;  // of the kernels whose threads or warps are lines
constexpr int kLineWarps = kLineThreads / 32;

inline unsigned line_blocks(int64_t count) {  // of kLineThreads lines
  return static_cast<unsigned>((count + kLineThreads - 1) / kLineThreads);
}

inline unsigned warp_blocks(int64_t count) {  // of kLineWarps lines
  return static_cast<unsigned>((count + kLineWarps - 1) / kLineWarps);
}

// Partial statistics of the lines of one launch, [parts][stride] each: the maximum, sum of exp(t - maximum)
// and the sum of s over positives.  SIGMOID keeps maximum 0 and a plain sum; EACH's second sweep too, with
// the sum of 1 - p in `positive`.
struct LineParts {
  float *maximum, *sum, *positive;
  int64_t stride;
};

// The rows, or the columns, of the score matrix.  All arrays [padded].
struct DeviceLines {
  int64_t count, padded;
  const float* weight;  // [count] or null
  float* inverse_norm;  // 1 without COSINE; 0 for a row of zeros and in the padding
  // From here on null for the columns, unless SYMMETRIC.
  int32_t* positives;  // their number
  float* maximum;      // running statistics
  double *sum, *positive;
  double* lse;
  float* rounded_lse;
  float* slack;  // EACH: mean over positives of 1 - p
  // g_ij = exp(t - reference) factor - pull at positives, see plain_epilogue.cuh; zeros in the padding.
  float *reference, *factor, *pull;
};

// What sums over all lines.
struct ContrastiveTotals {
  double row_multiplier, column_multiplier;  // of w_i l_i in the loss
  float squares_factor;                      // d regulariser / d raw = squares_factor * raw
  float centre;                              // the common reference of rows and columns, unless wide
  int32_t wide;                              // LSEs too far apart for one reference
};

// A block's share of these sums, over rows or over columns.
struct LineSums {
  double weight, loss, positives, squares, low, high;
};

// The problem as the epilogues need it.
struct ScoreTerms {
  uint32_t denominator;
  bool symmetric, cosine, exclude_diagonal, clipped, regularized;
  float scale, bias, clip, negative_log_weight, threshold;
  int32_t rows, columns;
  const int32_t* positive;  // [N]; null: groups, or the diagonal where there are none either
  const int32_t *row_group, *column_group, *row_id, *column_id;
  const float *row_inverse, *column_inverse;
  const float *row_lse, *column_lse;
  const float *row_reference, *row_factor, *row_pull;
  const float *column_reference, *column_factor, *column_pull;
  const ContrastiveTotals* totals;
};

// A rectangle of tiles of the score matrix.
struct TileRange {
  int32_t first_row, first_column;  // of the matrix
  int32_t row_tiles, column_tiles;
  int32_t split_tiles, splits;  // a block's column tiles; blocks a row tile
};

struct StatisticsLaunch {
  ScoreTerms terms;
  TileRows q, k;
  int32_t dim;
  TileRange range;
  bool positives_alone;  // the second sweep of EACH
  LineParts rows;        // [splits][row_tiles * kRows]
  LineParts columns;     // [row_tiles * kWarpRows][column_tiles * kColumns]
  double* squares;       // [blocks], added to
};

struct GradientLaunch {
  ScoreTerms terms;
  TileRows q, k;
  int32_t dim;
  TileRange range;  // splits = column_tiles
  void* gradients;  // [row_tiles * kRows][stride] of the product's element
  int64_t stride;
  double* sums;  // [blocks][2], of g d and of g, added to
};

// The column of row i's explicit positive, -1 where there is none.
__device__ __forceinline__ int32_t explicit_positive(const int32_t* positive, bool grouped, int64_t row) {
  if (grouped) return -1;
  return positive ? positive[row] : static_cast<int32_t>(row);
}

__device__ __forceinline__ float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// The clip's tanh(raw / clip) * clip, or raw.
__device__ __forceinline__ float clipped_score(float raw, float clip) {
  return clip > 0 ? clip * tanhf(raw / clip) : raw;
}

// Sums over the lanes of a warp that differ in the bits of `lanes`; the same bits in all of them.
template <typename T>
__device__ __forceinline__ T sum_over_lanes(T value, int lanes) {
  for (int bit = 1; bit < 32; bit <<= 1)
    if (lanes & bit) value += __shfl_xor_sync(kAllLanes, value, bit);
  return value;
}

__device__ __forceinline__ float max_over_lanes(float value, int lanes) {
  for (int bit = 1; bit < 32; bit <<= 1)
    if (lanes & bit) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, bit));
  return value;
}

// Element d of a row of float32 or bfloat16.
__device__ __forceinline__ float row_element(const void* row, int64_t d, bool bfloat16) {
  if (!bfloat16) return static_cast<const float*>(row)[d];
  return __uint_as_float(static_cast<uint32_t>(static_cast<const uint16_t*>(row)[d]) << 16);
}

__device__ __forceinline__ const void* row_start(const ContrastiveRows& rows, int64_t row) {
  const bool queued = row >= rows.first_count;
  const char* base = static_cast<const char*>(queued ? rows.second : rows.first);
  return base + (queued ? row - rows.first_count : row) * rows.dim * (rows.bfloat16 ? 2 : 4);
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_CONTRASTIVE_DEVICE_CUH_
