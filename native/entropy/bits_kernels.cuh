// Sums of bits on the device, in fixed order: within a warp, over the warps' partial sums, and a row.
#ifndef BINCE_ENTROPY_BITS_KERNELS_CUH_
#define BINCE_ENTROPY_BITS_KERNELS_CUH_

#include "native/cuda/language.cuh"

namespace bince {

// Over all lanes of a warp; every lane gets it.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

// Inclusive sums over neighbouring lanes of a warp that hold the same `segment`.
__device__ __forceinline__ float segment_sum(float value, int segment, int lane) {
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const float before = __shfl_up_sync(kAllLanes, value, step);
    const int of = __shfl_up_sync(kAllLanes, segment, step);
    if (lane >= step && of == segment) value += before;
  }
  return value;
}

// total[0] = the sum of partial [count].  Grid 1, block kThreads, shared kThreads doubles.
template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    sum_bits_kernel(const double* partial, int64_t count, double* total) {
  static_assert((kThreads & (kThreads - 1)) == 0, "sums are halved");
  BINCE_DYNAMIC_SHARED(double, sums);
  const int thread = static_cast<int>(threadIdx.x);
  double sum = 0;
  for (int64_t at = thread; at < count; at += kThreads) sum += partial[at];
  sums[thread] = sum;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // the sums of the last round are written
    if (thread < half) sums[thread] += sums[thread + half];
  }
  if (thread == 0) *total = sums[0];
}

// rows[n] = the sum over groups of partial [N][groups].  A warp a row, kWarps a block.
template <int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    sum_rows_kernel(const float* partial, int64_t groups, int64_t N, float* rows) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t n = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (n >= N) return;  // a whole warp
  double sum = 0;
  for (int64_t group = lane; group < groups; group += 32)
    sum += static_cast<double>(partial[n * groups + group]);
  sum = warp_sum(sum);
  if (lane == 0) rows[n] = static_cast<float>(sum);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_BITS_KERNELS_CUH_
