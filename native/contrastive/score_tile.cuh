// A tile of scores S = A B^T in registers, fed by a pipeline of asynchronous copies.
//
//   using Tile = ScoreTile<Bfloat16Product, TileShape<128, 128, 2, 2, 128, 3>>;
//   BINCE_DYNAMIC_SHARED(char, shared);     // Tile::kSharedBytes
//   Tile tile;                              // in registers: index `value` with constants, after unrolling
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
  using Pipeline = TilePipeline<Precision, Shape, A, B>;
  static constexpr size_t kSharedBytes = Pipeline::kSharedBytes;

  // value = scores of rows a_row.. of `a` and b_row.. of `b`, zero where either does not exist.  All threads;
  // `shared`: kSharedBytes, 128-byte aligned.  Ends with a barrier, so that `shared` is free on return; who
  // has used it since puts a barrier before the next call.
  __device__ __forceinline__ void multiply(const TileRows& a, int64_t a_row, const TileRows& b, int64_t b_row,
                                           int dim, void* shared) {
    start(a, a_row, b, b_row, dim, shared);
    finish(a, a_row, b, b_row, dim, shared);
  }

  // The same in two calls with the same arguments: `start` queues the first copies, so that they run beside
  // the work on another tile's values.  `shared` is in use from `start` on, and no other copies may be
  // queued before `finish`.
  static __device__ __forceinline__ void start(const TileRows& a, int64_t a_row, const TileRows& b,
                                               int64_t b_row, int dim, void* shared) {
    Pipeline{{a, a_row, dim}, {b, b_row, dim}, dim, static_cast<char*>(shared)}.start();
  }
  __device__ __forceinline__ void finish(const TileRows& a, int64_t a_row, const TileRows& b, int64_t b_row,
                                         int dim, void* shared) {
    Pipeline{{a, a_row, dim}, {b, b_row, dim}, dim, static_cast<char*>(shared)}.finish(*this);
  }
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_TILE_CUH_
