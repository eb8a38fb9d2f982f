// Products of a block of gradients G with the rows or columns that made its scores, on a CUDA device.
#ifndef BINCE_CONTRASTIVE_GRADIENT_PRODUCT_H_
#define BINCE_CONTRASTIVE_GRADIENT_PRODUCT_H_

#include <stdint.h>

#include "bince.h"
#include "native/contrastive/tile_operand.cuh"

namespace bince {

enum class ProductPrecision { kBfloat16, kTf32, kFloat32 };

// A block of gradients in device memory: [rows][stride] of bfloat16 for kBfloat16, else float32.  16-byte
// aligned, `stride` a multiple of 16 bytes; the elements of a row between `columns` and the next multiple of
// 16 bytes hold zeros, and what lies behind is not read.
struct GradientBlock {
  const void* data;
  int64_t stride, rows, columns;
};
// Blocks of whole tiles keep every copy whole: the sides of blocks, but for the last, are multiples of this.
inline constexpr int kGradientPadding = 128;

// float32 results [count][stride]; columns beyond dim and rows beyond count stay untouched.
struct ProductOutput {
  float* data;
  int64_t stride;
  bool accumulate;  // out += ..., else out = ...
};

// dq[rows][dim] (+)= factor G B[b_first ..], the sums over the block's columns in their order.
bince_status launch_row_product(void* stream, ProductPrecision precision, const GradientBlock& g,
                                const TileRows& b, int64_t b_first, int dim, float factor,
                                const ProductOutput& out);

// dk[columns][dim] (+)= factor G^T A[a_first ..].
bince_status launch_column_product(void* stream, ProductPrecision precision, const GradientBlock& g,
                                   const TileRows& a, int64_t a_first, int dim, float factor,
                                   const ProductOutput& out);

// Both of one block in one grid.
bince_status launch_products(void* stream, ProductPrecision precision, const GradientBlock& g,
                             const TileRows& a, int64_t a_first, const TileRows& b, int64_t b_first, int dim,
                             float factor, const ProductOutput& row_out, const ProductOutput& column_out);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_GRADIENT_PRODUCT_H_
