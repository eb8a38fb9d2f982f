// Large matrix products by a BLAS, in builds configured with BINCE_BLAS; empty in all others.
//
// Off by default: a library found on one machine is missing on the next, OpenBLAS 0.3.21 takes slow kernels
// on processors newer than itself, and a BLAS's results may depend on its number of threads.
#include "native/dense/dense_ops.h"

#if defined(BINCE_BLAS)

#include <cblas.h>

#include <climits>

namespace bince {
namespace {

constexpr double kLargeProduct = 1 << 24;  // multiplications from which a BLAS is asked

DenseOps own[kBackends];  // what serves everything else

template <Backend backend>
void matmul(const MatmulProblem& p, const Run& run) {
  const double work = static_cast<double>(p.M) * static_cast<double>(p.N) * static_cast<double>(p.K);
  if (work < kLargeProduct || p.M > INT_MAX || p.N > INT_MAX || p.K > INT_MAX)
    return own[static_cast<int>(backend)].matmul(p, run);
  const int M = static_cast<int>(p.M), N = static_cast<int>(p.N), K = static_cast<int>(p.K);
  for (int64_t i = 0; i < p.batch; ++i) {
    float* c = p.c + i * p.M * p.N;
    // The bias goes in first, so that the product is added to it.
    if (p.bias)
      for (int64_t m = 0; m < p.M; ++m)
        for (int64_t n = 0; n < p.N; ++n)
          c[m * p.N + n] = p.accumulate ? c[m * p.N + n] + p.bias[n] : p.bias[n];
    cblas_sgemm(CblasRowMajor, p.trans_a ? CblasTrans : CblasNoTrans, p.trans_b ? CblasTrans : CblasNoTrans,
                M, N, K, 1.0f, p.a + i * p.stride_a, p.trans_a ? M : K, p.b + i * p.stride_b,
                p.trans_b ? K : N, p.bias || p.accumulate ? 1.0f : 0.0f, c, N);
  }
}

}  // namespace

DenseOps with_blas(Backend backend, DenseOps ops) {
  own[static_cast<int>(backend)] = ops;
  if (backend == Backend::kAvx512)
    ops.matmul = matmul<Backend::kAvx512>;
  else if (backend == Backend::kAvx2)
    ops.matmul = matmul<Backend::kAvx2>;
  else if (backend == Backend::kNeon)
    ops.matmul = matmul<Backend::kNeon>;
  return ops;
}

}  // namespace bince

#endif
