// The language: launches, barriers, warp operations, atomic operations, numbers.
#include <numeric>
#include <thread>
#include <vector>

#include "native/cuda/language.cuh"
#include "test/native/harness.h"

namespace bince {
namespace {

void check_launched() {
  if (cudaGetLastError() != cudaSuccess) bince_test::report(__FILE__, __LINE__, cusim::last_message());
}

// Runs `body` under the schedule in order and under some others.
template <class Body>
void for_seeds(Body body) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    cusim::set_seed(seed);
    body();
  }
  cusim::set_seed(0);
}

struct Shape {
  int rows, columns;
};

template <int kScale>
__global__ void index_kernel(int* out, Shape shape) {
  const int block = static_cast<int>((blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x);
  const int thread = static_cast<int>((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
  out[block * shape.columns + thread] += kScale * (block * shape.rows + thread);
}

TEST(launches_cover_the_grid_once) {
  for_seeds([] {
    std::vector<int> out(24 * 30);
    BINCE_LAUNCH((index_kernel<2>), dim3(2, 3, 4), dim3(5, 3, 2), 0, nullptr, out.data(), Shape{100, 30});
    check_launched();
    for (int b = 0; b < 24; ++b)
      for (int t = 0; t < 30; ++t) CHECK_EQ(out[static_cast<size_t>(b * 30 + t)], 2 * (b * 100 + t));
  });
}

__global__ void no_argument_kernel() {}

TEST(launches_without_arguments) {
  BINCE_LAUNCH(no_argument_kernel, 1, 1024, 0, nullptr);
  check_launched();
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
  for_seeds([&] {
    int out = 0;
    BINCE_LAUNCH(sum_kernel, 1, 256, 8 * sizeof(int), nullptr, in.data(), &out, 1000);
    check_launched();
    CHECK_EQ(out, 500500);
  });
}

TEST(equal_seeds_give_equal_schedules) {
  std::vector<int> in(1000);
  int out = 0;
  const auto count = [&](uint64_t seed) {
    cusim::set_seed(seed);
    const uint64_t before = cusim::switches();
    BINCE_LAUNCH(sum_kernel, 1, 256, 8 * sizeof(int), nullptr, in.data(), &out, 1000);
    cusim::set_seed(0);
    return cusim::switches() - before;
  };
  CHECK_EQ(count(0), count(0));
  CHECK_EQ(count(5), count(5));
  CHECK(count(5) != count(6) || count(5) != count(7));
}

// From several threads of the host at once.
TEST(launches_from_threads) {
  std::vector<int> in(1000, 1);
  std::vector<int> out(4);
  std::vector<std::thread> threads;
  for (int& one : out)
    threads.emplace_back([&in, &one] {
      for (int i = 0; i < 5; ++i)
        BINCE_LAUNCH(sum_kernel, 1, 128, 4 * sizeof(int), nullptr, in.data(), &one, 1000);
    });
  for (std::thread& thread : threads) thread.join();
  for (int one : out) CHECK_EQ(one, 1000);
}

template <class T>
struct Shuffled {
  T index, exclusive, down, up;
};

template <class T>
__global__ void shuffle_kernel(Shuffled<T>* out, int width) {
  const T mine = static_cast<T>(threadIdx.x) + T(0x100000);
  out[threadIdx.x] = {__shfl_sync(kAllLanes, mine, 3, width), __shfl_xor_sync(kAllLanes, mine, 5, width),
                      __shfl_down_sync(kAllLanes, mine, 2, width), __shfl_up_sync(kAllLanes, mine, 2, width)};
}

template <class T>
void check_shuffles() {
  for (int width = 4; width <= 32; width *= 2) {
    std::vector<Shuffled<T>> out(64);
    BINCE_LAUNCH(shuffle_kernel<T>, 1, 64, 0, nullptr, out.data(), width);
    check_launched();
    for (int i = 0; i < 64; ++i) {
      const int first = i / width * width, last = first + width - 1;
      const Shuffled<T>& got = out[static_cast<size_t>(i)];
      const auto value = [](int lane) { return static_cast<T>(lane) + T(0x100000); };
      CHECK(got.index == value(first + 3 % width));
      CHECK(got.exclusive == value((i ^ 5) <= last ? i ^ 5 : i));
      CHECK(got.down == value(i + 2 <= last ? i + 2 : i));
      CHECK(got.up == value(i - 2 >= first ? i - 2 : i));
    }
  }
}

TEST(shuffles) {
  for_seeds([] {
    check_shuffles<int>();
    check_shuffles<float>();
    check_shuffles<double>();
    check_shuffles<uint64_t>();
  });
}

__global__ void vote_kernel(unsigned* out) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;  // halves vote apart, at one place
  unsigned* const own = out + 6 * threadIdx.x;
  own[0] = __ballot_sync(kAllLanes, lane % 3 == 0);
  own[1] = static_cast<unsigned>(__any_sync(half, lane == 20));
  own[2] = static_cast<unsigned>(__all_sync(half, lane < 17));
  own[3] = __match_any_sync(kAllLanes, lane / 5);
  if (lane < 7) own[4] = __ballot_sync(0x7fu, lane != 2);  // and some alone
  own[5] = static_cast<unsigned>(__syncthreads_count(threadIdx.x % 2 == 0)) |
           static_cast<unsigned>(__syncthreads_and(threadIdx.x < 63)) << 8 |
           static_cast<unsigned>(__syncthreads_or(threadIdx.x == 63)) << 9;
}

TEST(votes) {
  for_seeds([] {
    std::vector<unsigned> out(64 * 6);
    BINCE_LAUNCH(vote_kernel, 1, 64, 0, nullptr, out.data());
    check_launched();
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned lane = i % 32, *own = &out[6 * i];
      CHECK_EQ(own[0], 0x49249249u);
      CHECK_EQ(own[1], lane >= 16 ? 1u : 0u);
      CHECK_EQ(own[2], lane < 16 ? 1u : 0u);
      CHECK_EQ(own[3], lane / 5 == 6 ? 3u << 30 : 31u << 5 * (lane / 5));
      CHECK_EQ(own[4], lane < 7 ? 0x7bu : 0u);
      CHECK_EQ(own[5], 32u | 1u << 9);
    }
  });
}

// A warp that is not full: its lanes alone can be named.
__global__ void short_warp_kernel(unsigned* out, unsigned mask) {
  if (threadIdx.x >= 32) out[threadIdx.x - 32] = __ballot_sync(mask, 1);
}

TEST(a_warp_that_is_not_full) {
  unsigned out[3] = {};
  BINCE_LAUNCH(short_warp_kernel, 1, 35, 0, nullptr, out, 7u);
  check_launched();
  for (unsigned votes : out) CHECK_EQ(votes, 7u);
  BINCE_LAUNCH(short_warp_kernel, 1, 35, 0, nullptr, out, 15u);
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
  CHECK(cusim::last_message().find("the mask names lane 3, which has exited or is not in the block") !=
        std::string::npos);
}

__global__ void atomic_kernel(int* counts, unsigned long long* wide) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(&counts[0], 1);
  atomicMax(&counts[1], i);
  atomicMin(&counts[2], -i);
  atomicOr(&counts[3], 1 << i % 5);
  atomicAnd(&counts[4], ~(1 << i % 5));
  if (atomicExch(&counts[5], 1) == 0) counts[6] = 7;
  if (atomicCAS(&counts[7], 0, i + 1) == 0) counts[8] = 9;
  atomicAdd(wide, uint64_t{1} << 33);
}

TEST(atomic_operations) {
  for_seeds([] {
    int counts[9] = {0, 0, 0, 0, 255, 0, 0, 0, 0};
    unsigned long long wide = 5;
    BINCE_LAUNCH(atomic_kernel, 3, 40, 0, nullptr, counts, &wide);
    check_launched();
    CHECK_EQ(counts[0], 120);
    CHECK_EQ(counts[1], 119);
    CHECK_EQ(counts[2], -119);
    CHECK_EQ(counts[3], 31);
    CHECK_EQ(counts[4], 224);
    CHECK_EQ(counts[6], 7);
    CHECK(counts[7] >= 1 && counts[7] <= 120);
    CHECK_EQ(counts[8], 9);
    CHECK_EQ(wide, 5 + (120ull << 33));
  });
}

// Shared memory begins at a multiple of 128 bytes, filled with bytes that no kernel takes for its own.
__global__ void shared_kernel(uint64_t* address, unsigned* fill, int bytes) {
  BINCE_DYNAMIC_SHARED(unsigned char, memory);
  *address = reinterpret_cast<uintptr_t>(memory);
  *fill = memory[0];
  for (int i = 0; i < bytes; ++i)
    if (memory[i] != *fill) *fill = 0;
}

TEST(shared_memory_is_aligned_and_poisoned) {
  for (int bytes : {1, 7, 128, 1000, 4096}) {
    for_seeds([&] {
      uint64_t address = 1;
      unsigned fill = 0;
      BINCE_LAUNCH(shared_kernel, 3, 1, static_cast<size_t>(bytes), nullptr, &address, &fill, bytes);
      check_launched();
      CHECK_EQ(address % 128, 0u);
      CHECK(fill == 0xff || fill == 0x7f || fill == 0xa5);
    });
  }
}

TEST(numbers) {
  CHECK_EQ(__float_as_uint(1.0f), 0x3f800000u);
  CHECK_EQ(__popc(0xf0f0u), 8);
  CHECK_EQ(__clz(1), 31);
  CHECK_EQ(__clz(0), 32);
  CHECK_EQ(__ffs(8), 4);
  CHECK_EQ(__ffs(0), 0);
  CHECK_EQ(__brev(1u), 0x80000000u);
  CHECK_EQ(__umulhi(0x80000000u, 6u), 3u);
  CHECK_EQ(__umul64hi(1ull << 63, 6ull), 3ull);
  CHECK_EQ(__funnelshift_l(0x80000001u, 0x00000003u, 4), 0x38u);
  CHECK_EQ(__funnelshift_r(0x80000001u, 0x00000003u, 4), 0x38000000u);
  CHECK_EQ(__byte_perm(0x33221100u, 0x77665544u, 0x7250u), 0x77225500u);
  CHECK_EQ(__float2int_rn(2.5f), 2);
  CHECK_EQ(__float2int_rn(3e9f), 2147483647);
  CHECK_EQ(__float2int_rn(NAN), 0);
  CHECK_EQ(__float2uint_rn(-1.0f), 0u);
  CHECK_EQ(__float2int_rz(-2.7f), -2);
  CHECK_EQ(__fdividef(1.0f, 0x1p127f), 0.0f);
  CHECK_NEAR(__expf(1.0f), std::exp(1.0), 1e-6);
  CHECK_NEAR(__logf(10.0f), std::log(10.0), 1e-6);
  CHECK_NEAR(rsqrtf(2.0f), std::sqrt(0.5), 1e-7);
  CHECK_EQ(min(3, 4u), 3u);
  CHECK_EQ(max(2.0f, NAN), 2.0f);
  CHECK_EQ(max(NAN, 2.0f), 2.0f);
  CHECK_EQ(min(int64_t{5}, 7), 5);
}

}  // namespace
}  // namespace bince
