// Launches of the sums of bits.
#include "native/cuda/device_runtime.h"
#include "native/entropy/bits_kernels.cuh"
#include "native/entropy/entropy_cuda.h"

namespace bince {

bince_status sum_bits(const double* partial, int64_t count, double* total, const Run& run) {
  constexpr int kThreads = 512;
  if (!total) return BINCE_OK;
  BINCE_LAUNCH((sum_bits_kernel<kThreads>), 1, kThreads, kThreads * sizeof(double), run.stream, partial,
               count, total);
  return launch_status("sum_bits_kernel");
}

bince_status sum_rows(const float* partial, int64_t groups, int64_t N, float* rows, const Run& run) {
  constexpr int kWarps = 8;
  if (!rows || N == 0) return BINCE_OK;
  BINCE_LAUNCH((sum_rows_kernel<kWarps>), static_cast<unsigned>((N + kWarps - 1) / kWarps), 32 * kWarps, 0,
               run.stream, partial, groups, N, rows);
  return launch_status("sum_rows_kernel");
}

}  // namespace bince
