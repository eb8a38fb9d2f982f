// bfloat16 as bits: the upper half of a float32.
#ifndef BINCE_CUDA_BFLOAT16_CUH_
#define BINCE_CUDA_BFLOAT16_CUH_

#include "native/cuda/language.cuh"

namespace bince {

__device__ __forceinline__ float bfloat16_to_float(uint16_t bits) {
  return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

// To nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// Two of them in one register, `low` in the lower half.
__device__ __forceinline__ uint32_t pack_bfloat16(float low, float high) {
#if defined(BINCE_CUSIM)
  return static_cast<uint32_t>(float_to_bfloat16(low)) | static_cast<uint32_t>(float_to_bfloat16(high)) << 16;
#else
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#endif
}

}  // namespace bince

#endif  // BINCE_CUDA_BFLOAT16_CUH_
