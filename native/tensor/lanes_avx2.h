// Eight float32 lanes with what the tensor operations need besides native/entropy/lanes_avx2.h.
#ifndef BINCE_TENSOR_LANES_AVX2_H_
#define BINCE_TENSOR_LANES_AVX2_H_

#include "native/entropy/lanes_avx2.h"

namespace {

struct TensorAvx2 : LanesAvx2 {
  using B = __m256;  // of a comparison: all ones or all zeros a lane

  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static V load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  static void store(float* p, V v, Mask m) { _mm256_maskstore_ps(p, m, v); }
  // All that a memory of bytes or integers gives: lanes 0 .. 7 as floats.
  static V from_integers(const int32_t* p) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static V from_bytes(const uint8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }

  static V div(V a, V b) { return _mm256_div_ps(a, b); }
  static V sqrt(V a) { return _mm256_sqrt_ps(a); }
  static V floor(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static V negate(V a) { return _mm256_xor_ps(a, set(-0.0f)); }
  static V clamp_magnitude(V x, V m) { return min(m, max(negate(m), x)); }  // NaN stays NaN
  // x 2^n for whole n in [-160, 160], with gradual underflow.
  static V scale_far(V x, V n) {
    const V half = floor(mul(n, set(0.5f)));
    return scale(scale(x, half), sub(n, half));
  }
  // For positive x, subnormal ones too; infinity and zero give any m and e.
  static void split_far(V x, V* m, V* e) {
    const B tiny = greater(set(1.17549435e-38f), x);
    split(select(tiny, mul(x, set(16777216.0f)), x), m, e);
    *e = sub(*e, _mm256_and_ps(tiny, set(24.0f)));
  }

  static B greater(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
  static B greater_equal(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
  static B equal(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  static B unordered(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
  static B both(B a, B b) { return _mm256_and_ps(a, b); }
  static B either(B a, B b) { return _mm256_or_ps(a, b); }
  static B and_not(B a, B b) { return _mm256_andnot_ps(b, a); }  // a and not b
  static B none() { return _mm256_setzero_ps(); }
  static bool any(B m) { return _mm256_movemask_ps(m) != 0; }
  static V keep_or(V v, V other, Mask m) { return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(m)); }
  static V select(B m, V yes, V no) { return _mm256_blendv_ps(no, yes, m); }
  static V copy_sign(V size, V sign) {
    const V bit = set(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, size));
  }
  static float horizontal_max(V v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static float horizontal_min(V v) { return -horizontal_max(negate(v)); }
  static void sum_store(double* out, const Sum& sum) {
    _mm256_storeu_pd(out, sum.low);
    _mm256_storeu_pd(out + 4, sum.high);
  }

  static V upper_24(U words) { return _mm256_cvtepi32_ps(_mm256_srli_epi32(words, 8)); }
  // (c, s) turned by q quarters of a circle, q whole, |q| < 2^31.
  static void rotate_quarters(V q, V* c, V* s) {
    const U k = _mm256_cvtps_epi32(q);
    const V odd = _mm256_castsi256_ps(_mm256_slli_epi32(k, 31));  // blends by the sign bit
    const V sign = set(-0.0f);
    const V flip_sine = _mm256_castsi256_ps(_mm256_slli_epi32(k, 30));
    const V flip_cosine =
        _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(k, _mm256_set1_epi32(1)), 30));
    const V cosine = _mm256_blendv_ps(*c, *s, odd), sine = _mm256_blendv_ps(*s, *c, odd);
    *c = _mm256_xor_ps(cosine, _mm256_and_ps(flip_cosine, sign));
    *s = _mm256_xor_ps(sine, _mm256_and_ps(flip_sine, sign));
  }
};

}  // namespace

#endif  // BINCE_TENSOR_LANES_AVX2_H_
