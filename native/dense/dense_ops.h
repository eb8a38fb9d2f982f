// The dense family's slots of the operations table: matrix products and convolutions, float32.
//
// Images lie as [N][H][W][C], convolution weights as [kh][kw][C][O], so that pixels x channels is a matrix.
#ifndef BINCE_DENSE_DENSE_OPS_H_
#define BINCE_DENSE_DENSE_OPS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/core/ops.h"

namespace bince {

// c[i] = op(a[i]) op(b[i]) (+ bias) (+ c[i]) for i in [0, batch).  All sizes are at least 1; c overlaps no
// input.
struct MatmulProblem {
  int64_t batch, M, N, K;
  const float* a;  // op(a) is [M][K], stored so or, transposed, [K][M]
  bool trans_a;
  int64_t stride_a;  // elements from one matrix of the batch to the next; 0: one matrix for all
  const float* b;    // op(b) is [K][N], stored so or, transposed, [N][K]
  bool trans_b;
  int64_t stride_b;
  const float* bias;  // [N] or null, added to every row
  float* c;           // [batch][M][N]
  bool accumulate;
};

// y[n][oy][ox] = sum over ky, kx of x[n][oy stride_y - pad_y + ky][ox stride_x - pad_x + kx] w[ky][kx], zeros
// outside.  OH = floor((H + 2 pad_y - kh) / stride_y) + 1 >= 1, OW alike.
struct ConvGeometry {
  int64_t N, H, W, C, kh, kw, stride_y, stride_x, pad_y, pad_x, O, OH, OW;
};

struct ConvForward {
  ConvGeometry g;
  const float* x;     // [N][H][W][C]
  const float* w;     // [kh][kw][C][O]
  const float* bias;  // [O] or null
  float* y;           // [N][OH][OW][O]
};

// With a bias, dx is the forward of the transposed convolution from dy.
struct ConvBackwardInput {
  ConvGeometry g;
  const float* dy;    // [N][OH][OW][O]
  const float* w;     // [kh][kw][C][O]
  const float* bias;  // [C] or null
  float* dx;          // [N][H][W][C]
};

struct ConvBackwardWeight {
  ConvGeometry g;
  const float* x;   // [N][H][W][C]
  const float* dy;  // [N][OH][OW][O]
  float* dw;        // [kh][kw][C][O]
  float* dbias;     // [O] or null: sum of dy over pixels
};

// Each operation has a slot that says how much workspace it needs with so many threads.
struct DenseOps {
  size_t (*matmul_workspace)(const MatmulProblem& problem, int threads);
  void (*matmul)(const MatmulProblem& problem, const Run& run);
  size_t (*conv2d_workspace)(const ConvForward& problem, int threads);
  void (*conv2d)(const ConvForward& problem, const Run& run);
  size_t (*conv2d_backward_input_workspace)(const ConvBackwardInput& problem, int threads);
  void (*conv2d_backward_input)(const ConvBackwardInput& problem, const Run& run);
  size_t (*conv2d_backward_weight_workspace)(const ConvBackwardWeight& problem, int threads);
  void (*conv2d_backward_weight)(const ConvBackwardWeight& problem, const Run& run);
};

// Slots of the targets; a null slot takes the next slower backend's.
DenseOps dense_ref();
#if defined(BINCE_X86)
DenseOps dense_avx2();
DenseOps dense_avx512();
#endif
#if defined(BINCE_ARM64)
DenseOps dense_neon();
#endif

#if defined(BINCE_BLAS)
// The table of a SIMD backend with a BLAS for large products (matmul_blas.cc).
DenseOps with_blas(Backend backend, DenseOps ops);
#else
static inline DenseOps with_blas(Backend, DenseOps ops) {
  return ops;
}
#endif

}  // namespace bince

#endif  // BINCE_DENSE_DENSE_OPS_H_
