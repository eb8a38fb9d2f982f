// The augmentation family's slots for AVX2 with FMA: eight lanes.
#include <immintrin.h>

#include "native/augment/augment_lanes.h"

namespace {

struct PixelLanesAvx2 {
  using V = __m256;
  using I = __m256i;
  using Mask = __m256i;
  static constexpr int kLanes = 8;

  static V set(float x) { return _mm256_set1_ps(x); }
  static V iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V div(V a, V b) { return _mm256_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V min(V a, V b) { return _mm256_min_ps(a, b); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V floor(V a) { return _mm256_floor_ps(a); }
  static V where_equal(V a, V b, V equal, V other) {
    return _mm256_blendv_ps(other, equal, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
  }

  static Mask all() { return _mm256_set1_epi32(-1); }
  static Mask mask(int64_t lanes) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(lanes)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  static void store(float* p, V v, Mask m) { _mm256_maskstore_ps(p, m, v); }
  static I load_int(const int32_t* p, Mask m) { return _mm256_maskload_epi32(p, m); }
  static V load_bytes(const uint8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static I to_int(V a) { return _mm256_cvttps_epi32(a); }
  static I mad(I a, int32_t factor, I b) {
    return _mm256_add_epi32(_mm256_mullo_epi32(a, _mm256_set1_epi32(factor)), b);
  }
  static V gather(const float* base, I index) { return _mm256_i32gather_ps(base, index, 4); }
};

}  // namespace

namespace bince {

AugmentOps augment_avx2() {
  return augment_lanes<PixelLanesAvx2>();
}

}  // namespace bince
