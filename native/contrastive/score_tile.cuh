// A tile of scores S = A B^T on tensor cores or multiply-adds, fed by a pipeline of asynchronous copies.
//
//   using Tile = ScoreTile<Bfloat16Product, TileShape<128, 128, 2, 2, 128, 3>>;
//   BINCE_DYNAMIC_SHARED(char, shared);     // Tile::kSharedBytes
//   Tile tile;                              // in registers: index `value` with constants after unrolling
//   tile.multiply(q, row, k, column, dim, shared);
//   tile.value[i][j]                        // score of row + Tile::row_of(i) and column + Tile::column_of(j)
#ifndef BINCE_CONTRASTIVE_SCORE_TILE_CUH_
#define BINCE_CONTRASTIVE_SCORE_TILE_CUH_

#include "native/contrastive/tile_multiply.cuh"
#include "native/contrastive/tile_operand.cuh"

namespace bince {

template <class Precision, class Shape>
struct ScoreTile : TileValues<Shape> {
  using Element = typename Precision::Element;
  using A = AlongOperand<Element, Shape::kRows, Shape::kDepthBytes, Shape::kThreads>;
  using B = AlongOperand<Element, Shape::kColumns, Shape::kDepthBytes, Shape::kThreads>;
  static constexpr int kThreads = Shape::kThreads;
  static constexpr int kDepth = A::kElements;
  static constexpr size_t kStageBytes = A::kSharedBytes + B::kSharedBytes;
  static constexpr size_t kSharedBytes = Shape::kStages * kStageBytes;

  // value = scores of rows a_row.. of `a` and b_row.. of `b`, zero where either does not exist.  All threads;
  // `shared`: kSharedBytes, 128-byte aligned.  Ends with a barrier, so that `shared` is free on return; who
  // has used it puts a barrier before the next call.
  __device__ __forceinline__ void multiply(const TileRows& a, int64_t a_row, const TileRows& b, int64_t b_row,
                                           int dim, void* shared) {
    char* const stages = static_cast<char*>(shared);
    this->clear();
    const int steps = (dim + kDepth - 1) / kDepth;
#pragma unroll
    for (int s = 0; s < Shape::kStages - 1; ++s) {
      if (s < steps) copy_stage(stages + s * kStageBytes, a, a_row, b, b_row, s * kDepth, dim);
      commit_copies();
    }
    int slot = 0, free_slot = Shape::kStages - 1;
    for (int step = 0; step < steps; ++step) {
      wait_for_copies<Shape::kStages - 2>();
      __syncthreads();  // step's stage is there for all; all have read the stage before it, which is filled
                        // now
      const int next = step + Shape::kStages - 1;
      if (next < steps) copy_stage(stages + free_slot * kStageBytes, a, a_row, b, b_row, next * kDepth, dim);
      commit_copies();
      const char* const stage = stages + slot * kStageBytes;
      multiply_stage<Precision, A, B, kDepth>(*this, stage, stage + A::kSharedBytes);
      slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
      free_slot = free_slot + 1 == Shape::kStages ? 0 : free_slot + 1;
    }
    wait_for_copies<0>();
    __syncthreads();  // all have read the last stage
  }

 private:
  static __device__ __forceinline__ void copy_stage(char* stage, const TileRows& a, int64_t a_row,
                                                    const TileRows& b, int64_t b_row, int depth, int dim) {
    A::copy(stage, a, a_row, depth, dim);
    B::copy(stage + A::kSharedBytes, b, b_row, depth, dim);
  }
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_TILE_CUH_
