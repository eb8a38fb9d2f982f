// Kernels with a planted bug each, and twins without it: cusim_bugs_test.cc.
#ifndef BINCE_TEST_CUSIM_CUSIM_BUGS_CUH_
#define BINCE_TEST_CUSIM_CUSIM_BUGS_CUH_

#include "native/cuda/async_copy.cuh"
#include "native/cuda/mma.cuh"

// Every kernel takes (const int* in, int* out), and writes out[i] = in[kThreads - 1 - i] for i < kThreads
// where nothing else is said.  kWrong leaves out, or adds, what its comment says.
namespace bugs {

using namespace bince;

constexpr int kThreads = 64;

__device__ inline int self() {
  return static_cast<int>(threadIdx.x);
}

// The barrier between writing and reading.
template <bool kWrong>
__global__ void barrier_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (!kWrong) __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// The barrier between reading and writing the next.
template <bool kWrong>
__global__ void second_barrier_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  for (int round = 0; round < 3; ++round) {
    tile[self()] = in[self()] + round;
    __syncthreads();
    if (round == 0) out[self()] = tile[kThreads - 1 - self()];
    if (!kWrong) __syncthreads();
  }
}

// __syncwarp between writing and reading within the warp: out[i] = in[i ^ 1].
template <bool kWrong>
__global__ void warp_barrier_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (!kWrong) __syncwarp();
  out[self()] = tile[self() ^ 1];
}

// A shuffle in place of __syncwarp, which orders no memory: out[i] = in[i ^ 1].
template <bool kWrong>
__global__ void shuffle_as_barrier(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  const int zero = __shfl_sync(kAllLanes, 0, 0);
  if (!kWrong) __syncwarp();
  out[self()] = tile[self() ^ 1] + zero;
}

// A barrier that half of the threads skip.
template <bool kWrong>
__global__ void barrier_after_exit(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (kWrong && self() >= kThreads / 2) return;
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// Different barriers for the two halves.
template <bool kWrong>
__global__ void divergent_barrier(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (kWrong && self() >= kThreads / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[self()] = tile[kThreads - 1 - self()];
}

// out[i] = in[i ^ 1], by shuffles in two branches with the mask of all.
template <bool kWrong>
__global__ void divergent_shuffle(const int* in, int* out) {
  if (kWrong && self() % 32 < 16) {
    out[self()] = __shfl_xor_sync(kAllLanes, in[self()], 1);
  } else {
    out[self()] = __shfl_xor_sync(kAllLanes, in[self()], 1);
  }
}

// out[i] = in[i ^ 1] for the lower lanes, which name upper ones that have gone.
template <bool kWrong>
__global__ void exited_lane(const int* in, int* out) {
  out[self()] = in[self() ^ 1];
  if (self() % 32 >= 16) return;
  out[self()] = __shfl_xor_sync(kWrong ? kAllLanes : 0xffffu, in[self()], 1);
}

// out[i] = in[i ^ 1], with a mask that does not name the upper lanes.
template <bool kWrong>
__global__ void caller_not_named(const int* in, int* out) {
  out[self()] = __shfl_xor_sync(kWrong ? 0xffffu : kAllLanes, in[self()], 1);
}

// out[i] = in[i ^ 1]; lower lanes ask a lane that their mask leaves out.
template <bool kWrong>
__global__ void shuffle_from_outside(const int* in, int* out) {
  out[self()] = in[self() ^ 1];
  if (self() % 32 < 16) out[self()] = __shfl_sync(0xffffu, in[self()], kWrong ? 16 : self() ^ 1);
}

// One element too many in shared memory.
template <bool kWrong>
__global__ void shared_overrun(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (kWrong && self() == 5) tile[kThreads] = 1;
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}
template <bool kWrong>
__global__ void shared_underrun(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  tile[self()] = in[self()];
  if (kWrong && self() == 5) tile[self() - 6] = 1;
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// A shared element that nobody wrote.
template <bool kWrong>
__global__ void unwritten_shared(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  if (!kWrong || self() != 3) tile[self()] = in[self()];
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// The output's last element twice: out has kThreads elements.
template <bool kWrong>
__global__ void global_overrun(const int* in, int* out) {
  out[self() + (kWrong && self() == kThreads - 1)] = in[kThreads - 1 - self()];
}

// A tail that every thread works on: the loop's step is 1 in place of the block's size.  In place:
// out[i] = 2 out[i] + in[i] for the last three.
template <bool kWrong>
__global__ void tail_race(const int* in, int* out) {
  out[self()] = in[self()];
  __syncthreads();
  const int step = kWrong ? 1 : static_cast<int>(blockDim.x);
  for (int i = kThreads - 3 + self(); i < kThreads; i += step) out[i] = 2 * out[i] + in[i];
}

// Two blocks write one element: out[0] = the smallest of the blocks' numbers.
template <bool kWrong>
__global__ void blocks_race(const int*, int* out) {
  const int mine = static_cast<int>(blockIdx.x);
  if (self() != 0) return;
  if (kWrong) {
    out[0] = mine;
  } else {
    atomicMin(out, mine);
  }
}

// The block that comes last adds what the others have left: out[0] = sum of the blocks' numbers + 1, and
// out[1 + b] what block b leaves.  No fence before the count.
template <bool kWrong>
__global__ void fence_missing(const int*, int* out) {
  if (self() != 0) return;
  const int blocks = static_cast<int>(gridDim.x), mine = static_cast<int>(blockIdx.x);
  out[2 + mine] = mine + 1;
  if (!kWrong) __threadfence();
  if (atomicAdd(&out[0], 1) != blocks - 1) return;
  if (!kWrong) __threadfence();
  int sum = 0;
  for (int b = 0; b < blocks; ++b) sum += out[2 + b];
  out[1] = sum;
}

// Shared memory through asynchronous copies of 16 bytes by the first kThreads / 4 threads.
__device__ inline void copy_in(int* tile, const int* in) {
  if (self() < kThreads / 4) copy_async_16(tile + 4 * self(), in + 4 * self(), true);
}

// No wait at all.
template <bool kWrong>
__global__ void wait_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  copy_in(tile, in);
  commit_copies();
  if (!kWrong) wait_for_copies<0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// A wait that leaves the group needed under way.
template <bool kWrong>
__global__ void wait_too_short(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  copy_in(tile, in);
  commit_copies();
  wait_for_copies<kWrong ? 1 : 0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
  wait_for_copies<0>();
}

// Copies that belong to no group.
template <bool kWrong>
__global__ void commit_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  copy_in(tile, in);
  if (!kWrong) commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// A wait and no barrier: a thread's own copies have arrived, those of others perhaps not.
template <bool kWrong>
__global__ void barrier_after_wait_missing(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  copy_in(tile, in);
  commit_copies();
  wait_for_copies<0>();
  if (!kWrong) __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// The next copy into memory that others still read.
template <bool kWrong>
__global__ void copy_into_use(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  for (int round = 0; round < 3; ++round) {
    copy_in(tile, in);
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
    if (round == 0) out[self()] = tile[kThreads - 1 - self()];
    if (!kWrong) __syncthreads();
  }
}

// Addresses that are not aligned, or not in shared memory: in its first element.
template <bool kWrong>
__global__ void copy_misaligned(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  if (self() < kThreads / 4 - 1) copy_async_16(tile + 4 * self() + kWrong, in + 4 * self(), true);
  if (self() == kThreads / 4 - 1) copy_async_16(tile + 4 * self(), in + 4 * self(), true);
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}
template <bool kWrong>
__global__ void copy_from_misaligned(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  if (self() < kThreads / 4) {
    const bool shift = kWrong && self() == 3;
    copy_async_16(tile + 4 * self(), in + 4 * self() - shift, true);
  }
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}
template <bool kWrong>
__global__ void copy_beyond_shared(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(int, tile);
  if (self() < kThreads / 4 + kWrong)
    copy_async_16(tile + 4 * self(), in + 4 * self(), self() < kThreads / 4);
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  out[self()] = tile[kThreads - 1 - self()];
}

// A row address for ldmatrix that is not aligned: out[i] = in[i ^ 1] besides.
template <bool kWrong>
__global__ void matrix_row_misaligned(const int* in, int* out) {
  BINCE_DYNAMIC_SHARED(unsigned char, rows);
  for (int i = self(); i < 32 * 16; i += kThreads) rows[i] = 0;
  __syncthreads();
  uint32_t r[4];
  load_matrices(r, rows + 16 * (self() % 32) + (kWrong && self() == 9 ? 8 : 0));
  out[self()] = in[self() ^ 1] + static_cast<int>(r[0]);
}

// The lower half of a warp waits in a shuffle, the others at a barrier: out[i] = in[i ^ 1].
template <bool kWrong>
__global__ void deadlock(const int* in, int* out) {
  if (kWrong && self() % 32 >= 16) __syncthreads();
  out[self()] = __shfl_xor_sync(kAllLanes, in[self()], 1);
  if (!kWrong || self() % 32 < 16) __syncthreads();
}

}  // namespace bugs

#endif  // BINCE_TEST_CUSIM_CUSIM_BUGS_CUH_
