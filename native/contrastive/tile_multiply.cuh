// A tile's accumulators, and the products of one stage of shared memory, by warps.
#ifndef BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_
#define BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_

#include "native/contrastive/tile_operand.cuh"

namespace bince {

// The accumulators of a thread, the same for all precisions.  Lane l, g = l / 4, t = l % 4: rows
// g + 8 i of the warp's part, columns 2 t + 8 (j / 2) + j % 2.  So lanes that share a row differ in t
// (exclusive or with 1, 2), lanes that share a column differ in g (4, 8, 16).
template <class Shape>
struct TileValues {
  static constexpr int kRowsPerThread = Shape::kRows / Shape::kWarpRows / 8;
  static constexpr int kColumnsPerThread = Shape::kColumns / Shape::kWarpColumns / 4;

  float value[kRowsPerThread][kColumnsPerThread];

  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  static __device__ __forceinline__ int warp_row() {
    return static_cast<int>(threadIdx.x) / 32 / Shape::kWarpColumns;
  }
  static __device__ __forceinline__ int warp_column() {
    return static_cast<int>(threadIdx.x) / 32 % Shape::kWarpColumns;
  }
  // Row and column in the tile of value[i][j].
  static __device__ __forceinline__ int row_of(int i) {
    return warp_row() * (Shape::kRows / Shape::kWarpRows) + 8 * i + lane() / 4;
  }
  static __device__ __forceinline__ int column_of(int j) {
    return warp_column() * (Shape::kColumns / Shape::kWarpColumns) + 8 * (j / 2) + 2 * (lane() % 4) + j % 2;
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kRowsPerThread; ++i)
#pragma unroll
      for (int j = 0; j < kColumnsPerThread; ++j) value[i][j] = 0;
  }
};

// value += A B over the kDepth k's of a stage.
template <class Precision, class A, class B, int kDepth, class Values>
__device__ __forceinline__ void multiply_stage(Values& tile, const char* a, const char* b) {
  constexpr int kPiece = 16 / static_cast<int>(sizeof(typename Precision::Element));
#pragma unroll 1
  for (int k = 0; k < kDepth; ++k) {
#pragma unroll
    for (int i = 0; i < Values::kRowsPerThread; ++i)
#pragma unroll
      for (int j = 0; j < Values::kColumnsPerThread; ++j) {
        using E = typename Precision::Element;
        const E x = reinterpret_cast<const E*>(a + A::offset(Values::row_of(i), k / kPiece))[k % kPiece];
        const E y = reinterpret_cast<const E*>(b + B::offset(Values::column_of(j), k / kPiece))[k % kPiece];
        float fx, fy;
        if constexpr (sizeof(E) == 2) {
          fx = bfloat16_to_float(x), fy = bfloat16_to_float(y);
        } else {
          fx = x, fy = y;
        }
        tile.value[i][j] = fmaf(fx, fy, tile.value[i][j]);
      }
  }
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_
