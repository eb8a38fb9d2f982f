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

// 2^x within 2 ulp (PTX ISA, ex2.approx); results below 2^-126 are 0.
__device__ __forceinline__ float exp2_approximate(float x) {
#if defined(BINCE_CUSIM)
  const float y = exp2f(x);
  return y < 1.17549435e-38f ? 0.0f : y;
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// e^(x - reference): exactly 1 where both are equal.  The rounding of the product grows with the distance,
// as fast as the result falls.
__device__ __forceinline__ float exp_above(float x, float reference) {
  return exp2_approximate((x - reference) * 1.44269504f);
}

}  // namespace bince

#endif  // BINCE_CUDA_APPROXIMATE_CUH_
