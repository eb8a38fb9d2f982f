// Instructions of the special-function unit that have no name in the language.
#ifndef BINCE_CUDA_APPROXIMATE_CUH_
#define BINCE_CUDA_APPROXIMATE_CUH_

#include "native/core/inline.h"
#include "native/cuda/language.cuh"

namespace bince {

// 1 / x within 1 ulp; subnormal operands and results count as zeros.  On the host, where shared arithmetic
// is compiled too, and in the simulator it is a division.
BINCE_INLINE float reciprocal_approximate(float x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return 1.0f / x;
#endif
}

}  // namespace bince

#endif  // BINCE_CUDA_APPROXIMATE_CUH_
