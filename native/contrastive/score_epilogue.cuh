// What happens to a tile of scores in registers: statistics of its rows and columns, and the gradient in its
// place.
//
// Two forms.  `plain`: explicit positives, the denominator ALL, nothing excluded but a diagonal, nothing that
// clips, weighs or regularises; unrolled over registers.  `general`: every mode; the tile goes through shared
// memory, every thread keeping its own elements in a column of its own, so that loops stay loops and no
// register array is indexed.
//
// Row statistics are kept in shared memory by the four lanes that share a row; column statistics leave for
// the workspace after every tile, a part for every row of warps.
#ifndef BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_
#define BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_

#include "native/contrastive/contrastive_device.cuh"
#include "native/contrastive/score_tile.cuh"
#include "native/cuda/bfloat16.cuh"

namespace bince {

constexpr int kSameRow = 3;      // lanes that share a row differ in these bits,
constexpr int kSameColumn = 28;  // those that share a column in these
constexpr int kWholeWarp = 31;
// A line whose sum is below this, relative to its warp's largest exponential, is summed again with its own
// maximum: e^-40 times the smallest sum that matters is still a normal float.
constexpr float kLowSum = 4e-18f;

// Where a tile lies, and how much of it lies in the matrix.
struct TilePlace {
  int32_t row, column;
  int32_t rows, columns;
};

// Running statistics of this warp's rows, [Tile::kRows] each; touched by the lanes with lane % 4 == 0 alone.
struct RowState {
  float *maximum, *sum, *positive;
};

// Where this warp's column statistics go, from the tile's first column on; null unless symmetric.
struct ColumnOutput {
  float *maximum, *sum, *positive;
};

// (maximum, sum) and another pair, joined.
__device__ __forceinline__ void join_sums(float* maximum, float* sum, float other_maximum, float other_sum) {
  const float joined = fmaxf(*maximum, other_maximum);
  const float reference = joined > -INFINITY ? joined : 0.0f;
  *sum = fmaf(*sum, exp_above(*maximum, reference), other_sum * exp_above(other_maximum, reference));
  *maximum = joined;
}

// Joins one row's sum, known to its four lanes.
__device__ __forceinline__ void add_to_row(const RowState& state, int row, float maximum, float sum) {
  if (threadIdx.x % 4 == 0) join_sums(&state.maximum[row], &state.sum[row], maximum, sum);
}

// Sums of a thread over its pairs.
struct GradientSums {
  float gd, g;
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_EPILOGUE_CUH_
