// The augmentation family's slots for AVX-512: sixteen lanes.

// GCC 12 takes the undefined operands inside these intrinsics for mistakes of ours.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "native/augment/augment_lanes.h"

namespace {

struct PixelLanesAvx512 {
  using V = __m512;
  using I = __m512i;
  using Mask = __mmask16;
  static constexpr int kLanes = 16;

  static V set(float x) { return _mm512_set1_ps(x); }
  static V iota() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V floor(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static V where_equal(V a, V b, V equal, V other) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), other, equal);
  }

  static Mask all() { return 0xFFFF; }
  static Mask mask(int64_t lanes) { return static_cast<Mask>((1u << lanes) - 1); }
  static V load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  static void store(float* p, V v, Mask m) { _mm512_mask_storeu_ps(p, m, v); }
  static I load_int(const int32_t* p, Mask m) { return _mm512_maskz_loadu_epi32(m, p); }
  static V load_bytes(const uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static I to_int(V a) { return _mm512_cvttps_epi32(a); }
  static I mad(I a, int32_t factor, I b) {
    return _mm512_add_epi32(_mm512_mullo_epi32(a, _mm512_set1_epi32(factor)), b);
  }
  static V gather(const float* base, I index) { return _mm512_i32gather_ps(index, base, 4); }
};

}  // namespace

namespace bince {

AugmentOps augment_avx512() {
  return augment_lanes<PixelLanesAvx512>();
}

}  // namespace bince
