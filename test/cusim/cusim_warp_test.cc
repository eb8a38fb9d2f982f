// The language: launches, barriers, warp operations, atomic operations, matrices.
#include <numeric>
#include <vector>

#include "native/cuda/async_copy.cuh"
#include "native/cuda/bfloat16.cuh"
#include "native/cuda/mma.cuh"
#include "test/native/harness.h"

namespace bince {
namespace {

struct Shape {
  int rows, columns;
};

template <int kScale>
__global__ void index_kernel(int* out, Shape shape) {
  const int block = static_cast<int>((blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x);
  const int thread = static_cast<int>((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
  out[block * shape.columns + thread] = kScale * (block * shape.rows + thread);
}

TEST(launches_cover_the_grid) {
  std::vector<int> out(24 * 30);
  BINCE_LAUNCH((index_kernel<2>), dim3(2, 3, 4), dim3(5, 3, 2), 0, nullptr, out.data(), Shape{100, 30});
  CHECK(cudaGetLastError() == cudaSuccess);
  for (int b = 0; b < 24; ++b)
    for (int t = 0; t < 30; ++t) CHECK_EQ(out[static_cast<size_t>(b * 30 + t)], 2 * (b * 100 + t));
}

__global__ void sum_kernel(const int* in, int* out, int count) {
  BINCE_DYNAMIC_SHARED(int, sums);
  int sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) sum += in[i];
  for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(kAllLanes, sum, by);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    int all = 0;
    for (unsigned w = 0; w < blockDim.x / 32; ++w) all += sums[w];
    *out = all;
  }
}

TEST(a_block_sums) {
  std::vector<int> in(1000);
  std::iota(in.begin(), in.end(), 1);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    cusim::set_seed(seed);
    int out = 0;
    BINCE_LAUNCH(sum_kernel, 1, 256, 8 * sizeof(int), nullptr, in.data(), &out, 1000);
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK_EQ(out, 500500);
  }
  cusim::set_seed(0);
}

__global__ void spin_kernel(float* out, int count) {
  float value = static_cast<float>(threadIdx.x);
  for (int i = 0; i < count; ++i) value += __shfl_xor_sync(kAllLanes, value, 1) * 1e-9f;
  out[threadIdx.x] = value;
}
TEST(spin) {
  std::vector<float> out(256);
  BINCE_LAUNCH(spin_kernel, 1, 256, 0, nullptr, out.data(), 1000);
  CHECK(cudaGetLastError() == cudaSuccess);
}

}  // namespace
}  // namespace bince
