// Copies from global to shared memory that run beside arithmetic (cp.async).
//
// A thread queues copies, closes a group with commit_copies(), and later waits until at most N of its own
// groups are still under way.  wait_for_copies makes the thread's own copies visible to itself; a barrier
// after it makes everybody's visible to all.
#ifndef BINCE_CUDA_ASYNC_COPY_CUH_
#define BINCE_CUDA_ASYNC_COPY_CUH_

#include "native/cuda/language.cuh"

#if defined(BINCE_CUSIM)
// The same functions: a copy is queued, its destination poisoned, and performed at the wait.
#include "test/cusim/cusim_async_copy.h"
#else

namespace bince {

// Copies 16 bytes, both addresses 16-byte aligned.  Where `valid` is false nothing is read and zeros are
// written; `global` must still be a valid pointer.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, bool valid) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int kStillRunning>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kStillRunning) : "memory");
}

}  // namespace bince
#endif

#endif  // BINCE_CUDA_ASYNC_COPY_CUH_
