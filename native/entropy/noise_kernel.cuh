// The noise of BINCE_QUANTIZE_NOISE by itself: noise [rows][columns] of the rows from first_row on.
#ifndef BINCE_ENTROPY_NOISE_KERNEL_CUH_
#define BINCE_ENTROPY_NOISE_KERNEL_CUH_

#include "native/cuda/language.cuh"
#include "native/entropy/philox.h"

namespace bince {

// A thread makes the four rows that share a Philox block, at one column.
template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    uniform_noise_kernel(uint64_t seed, uint64_t first_row, int64_t rows, int64_t columns, float* noise) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t quad = at / columns, j = at - quad * columns;
  const int64_t first = 4 * quad - static_cast<int64_t>(first_row % 4);
  if (first >= rows) return;
  float of_rows[4];
  noise_of_four_rows(seed, first_row / 4 + static_cast<uint64_t>(quad), static_cast<uint32_t>(j), of_rows);
#pragma unroll
  for (int r = 0; r < 4; ++r)
    if (first + r >= 0 && first + r < rows) noise[(first + r) * columns + j] = of_rows[r];
}

}  // namespace bince

#endif  // BINCE_ENTROPY_NOISE_KERNEL_CUH_
