// 2^x as one instruction.
#ifndef BINCE_CUDA_EXPONENTIAL_CUH_
#define BINCE_CUDA_EXPONENTIAL_CUH_

#include "native/cuda/language.cuh"

namespace bince {

// Within 2 ulp (PTX ISA, ex2.approx); results below 2^-126 are 0.
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

#endif  // BINCE_CUDA_EXPONENTIAL_CUH_
