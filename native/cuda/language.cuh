// What kernels may use of CUDA, in one place: nvcc compiles it as it stands, and with BINCE_CUSIM a host
// compiler does, against the simulator (test/cusim), which runs the same kernels on the CPU.
//
// Rules for kernels, so that the simulator can run and check them:
// - a launch only through BINCE_LAUNCH, shared memory only through BINCE_DYNAMIC_SHARED;
// - inline PTX only in native/cuda, in wrappers that have a simulated twin;
// - warp operations in their _sync forms with the mask of the lanes that take part; no implicit warp
// synchrony;
// - no return before a barrier, no cooperative groups, no CUB;
// - tile sizes are template parameters, so that tests can shrink them;
// - products and sums stay as written (nvcc -fmad=false); what shall be fused says fmaf.
#ifndef BINCE_CUDA_LANGUAGE_CUH_
#define BINCE_CUDA_LANGUAGE_CUH_

#include <stddef.h>
#include <stdint.h>

#if defined(BINCE_CUSIM)
#include "test/cusim/cusim.h"
#else
#include <cuda_runtime.h>

// BINCE_LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...).  A kernel with template arguments
// stands in parentheses.  Errors are found by launch_status() (device_runtime.h).
#define BINCE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  kernel<<<(grid), (block), (shared_bytes), static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)

// The block's shared memory, 128-byte aligned, as `T* name`; its size is the launch's shared_bytes.
#define BINCE_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char bince_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(bince_dynamic_shared)
#endif

namespace bince {

constexpr unsigned kAllLanes = 0xffffffffu;

}  // namespace bince

#endif  // BINCE_CUDA_LANGUAGE_CUH_
