// The kernel behind gradient_product.h:  dq (+)= factor G K  and  dk (+)= factor G^T Q  of one block of
// gradients, each out tile by one block of threads, its depth from first to last: no atomics, and the same
// bits for every shape of tile, since every element adds the same steps of k in the same order.
#ifndef BINCE_CONTRASTIVE_GRADIENT_PRODUCT_CUH_
#define BINCE_CONTRASTIVE_GRADIENT_PRODUCT_CUH_

#include "native/contrastive/tile_multiply.cuh"
#include "native/contrastive/tile_operand.cuh"

namespace bince {

// out[lines][dim] (+)= factor G B with `by_rows`, else factor G^T B.
struct ProductSide {
  TileRows operand;  // B: rows first.., as many as the depth; its count ends with them
  int64_t first;
  float* out;  // [lines][out_stride]
  int64_t out_stride, lines;
  int64_t tiles;                      // blocks of threads that this side takes
  bool by_rows, accumulate, aligned;  // aligned: out in 16-byte pieces
};

struct ProductArguments {
  TileRows g;         // rows of the block
  int64_t g_columns;  // of the block
  int64_t dim;
  float factor;
  ProductSide side[2];
};

template <class Precision, class Shape>
struct GradientProduct {
  using Element = typename Precision::Element;
  static constexpr int kDepth = Shape::kDepthBytes / static_cast<int>(sizeof(Element));
  using RowGradients = AlongOperand<Element, Shape::kRows, Shape::kDepthBytes, Shape::kThreads>;
  using ColumnGradients = AcrossOperand<Element, Shape::kRows, kDepth, Shape::kThreads>;
  using Factor = AcrossOperand<Element, Shape::kColumns, kDepth, Shape::kThreads>;
  using RowPipeline = TilePipeline<Precision, Shape, RowGradients, Factor>;
  using ColumnPipeline = TilePipeline<Precision, Shape, ColumnGradients, Factor>;
  static constexpr size_t kSharedBytes = RowPipeline::kSharedBytes > ColumnPipeline::kSharedBytes
                                             ? RowPipeline::kSharedBytes
                                             : ColumnPipeline::kSharedBytes;
};

__device__ __forceinline__ void store_sum(float* at, float sum, float factor, bool accumulate) {
  *at = accumulate ? fmaf(factor, sum, *at) : factor * sum;
}

// Two rows i and i + 1 of a thread hold pairs of columns; lanes t and t + 1, t even, exchange one pair each,
// so that both have four columns of one row: 16 bytes at a time.
template <class Shape>
__device__ __forceinline__ void store_tile(const TileValues<Shape>& tile, const ProductSide& side,
                                           int64_t line, int64_t column, int64_t dim, float factor) {
  using Values = TileValues<Shape>;
  const bool odd = Values::lane() % 2 != 0;
#pragma unroll
  for (int i = 0; i < Values::kRowsPerThread; i += 2)
#pragma unroll
    for (int j = 0; j < Values::kColumnsPerThread; j += 2) {
      const float give[2] = {odd ? tile.value[i][j] : tile.value[i + 1][j],
                             odd ? tile.value[i][j + 1] : tile.value[i + 1][j + 1]};
      const float keep[2] = {odd ? tile.value[i + 1][j] : tile.value[i][j],
                             odd ? tile.value[i + 1][j + 1] : tile.value[i][j + 1]};
      const float take[2] = {__shfl_xor_sync(kAllLanes, give[0], 1), __shfl_xor_sync(kAllLanes, give[1], 1)};
      const float sum[4] = {odd ? take[0] : keep[0], odd ? take[1] : keep[1], odd ? keep[0] : take[0],
                            odd ? keep[1] : take[1]};
      const int64_t at_line = line + Values::row_of(i) + (odd ? 8 : 0);
      const int64_t at_column = column + Values::column_of(j) - (odd ? 2 : 0);
      if (at_line >= side.lines || at_column >= dim) continue;
      float* const at = side.out + at_line * side.out_stride + at_column;
      if (side.aligned && at_column + 4 <= dim) {
        FloatQuad* const quad = reinterpret_cast<FloatQuad*>(at);
        FloatQuad old = {0, 0, 0, 0};
        if (side.accumulate) old = *quad;
        *quad = side.accumulate
                    ? FloatQuad{fmaf(factor, sum[0], old.x), fmaf(factor, sum[1], old.y),
                                fmaf(factor, sum[2], old.z), fmaf(factor, sum[3], old.w)}
                    : FloatQuad{factor * sum[0], factor * sum[1], factor * sum[2], factor * sum[3]};
      } else {
#pragma unroll
        for (int c = 0; c < 4; ++c)
          if (at_column + c < dim) store_sum(at + c, sum[c], factor, side.accumulate);
      }
    }
}

// grid (most tiles of a side, sides), block Shape::kThreads, shared GradientProduct::kSharedBytes.
template <class Precision, class Shape>
__global__ void __launch_bounds__(Shape::kThreads) gradient_product_kernel(ProductArguments arguments) {
  using Product = GradientProduct<Precision, Shape>;
  BINCE_DYNAMIC_SHARED(char, shared);
  const ProductSide side = arguments.side[blockIdx.y];
  if (blockIdx.x < side.tiles) {  // the same for all threads of the block
    const int64_t column_tiles = (arguments.dim + Shape::kColumns - 1) / Shape::kColumns;
    const int64_t line = blockIdx.x / column_tiles * Shape::kRows;
    const int64_t column = blockIdx.x % column_tiles * Shape::kColumns;
    const typename Product::Factor::Source factor = {side.operand, side.first, column, arguments.dim};
    TileValues<Shape> tile;
    if (side.by_rows) {
      const typename Product::RowPipeline pipeline = {
          {arguments.g, line, arguments.g_columns}, factor, arguments.g_columns, shared};
      pipeline.start();
      pipeline.finish(tile);
    } else {
      const typename Product::ColumnPipeline pipeline = {
          {arguments.g, 0, line, arguments.g_columns}, factor, arguments.g.count, shared};
      pipeline.start();
      pipeline.finish(tile);
    }
    store_tile(tile, side, line, column, arguments.dim, arguments.factor);
  }
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_GRADIENT_PRODUCT_CUH_
