// Sixteen float32 lanes with what the tensor operations need besides native/entropy/lanes_avx512.h.
#ifndef BINCE_TENSOR_LANES_AVX512_H_
#define BINCE_TENSOR_LANES_AVX512_H_

#include "native/entropy/lanes_avx512.h"

namespace {

struct TensorAvx512 : LanesAvx512 {
  using B = __mmask16;  // of a comparison

  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static V load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  static void store(float* p, V v, Mask m) { _mm512_mask_storeu_ps(p, m, v); }
  // All that a memory of bytes or integers gives: lanes 0 .. 15 as floats.
  static V from_integers(const int32_t* p) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(p)); }
  static V from_bytes(const uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }

  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V sqrt(V a) { return _mm512_sqrt_ps(a); }
  static V reciprocal(V a) { return _mm512_div_ps(set(1.0f), a); }
  static V floor(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static V negate(V a) { return _mm512_xor_ps(a, set(-0.0f)); }
  // NaN stays NaN, unlike in the range instruction.
  static V clamp_magnitude(V x, V m) { return min(m, max(negate(m), x)); }
  // x 2^n for whole n in [-160, 160], with gradual underflow.
  static V scale_far(V x, V n) { return _mm512_scalef_ps(x, n); }
  // For positive x, subnormal ones too; infinity and zero give any m and e.
  static void split_far(V x, V* m, V* e) { split(x, m, e); }

  static B greater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static B greater_equal(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static B equal(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static B unordered(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
  static B both(B a, B b) { return static_cast<B>(a & b); }
  static B either(B a, B b) { return static_cast<B>(a | b); }
  static B and_not(B a, B b) { return static_cast<B>(a & ~b); }  // a and not b
  static B none() { return 0; }
  static bool any(B m) { return m != 0; }
  static V keep_or(V v, V other, Mask m) { return _mm512_mask_mov_ps(other, m, v); }
  static V select(B m, V yes, V no) { return _mm512_mask_blend_ps(m, no, yes); }
  static V copy_sign(V size, V sign) {
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(sign), _mm512_castps_si512(size), 0xca));
  }
  static float horizontal_max(V v) { return _mm512_reduce_max_ps(v); }
  static float horizontal_min(V v) { return _mm512_reduce_min_ps(v); }
  static void sum_store(double* out, const Sum& sum) {
    _mm512_storeu_pd(out, sum.low);
    _mm512_storeu_pd(out + 8, sum.high);
  }

  static V upper_24(U words) { return _mm512_cvtepi32_ps(_mm512_srli_epi32(words, 8)); }
  // (c, s) turned by q quarters of a circle, q whole, |q| < 2^31.
  static void rotate_quarters(V q, V* c, V* s) {
    const U k = _mm512_cvtps_epi32(q);
    const B odd = _mm512_test_epi32_mask(k, _mm512_set1_epi32(1));
    const U two = _mm512_set1_epi32(2);
    const B flip_sine = _mm512_test_epi32_mask(k, two);
    const B flip_cosine = _mm512_test_epi32_mask(_mm512_add_epi32(k, _mm512_set1_epi32(1)), two);
    const V cosine = select(odd, *s, *c), sine = select(odd, *c, *s);
    *c = select(flip_cosine, negate(cosine), cosine);
    *s = select(flip_sine, negate(sine), sine);
  }
};

}  // namespace

#endif  // BINCE_TENSOR_LANES_AVX512_H_
