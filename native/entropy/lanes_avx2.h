// Eight float32 lanes; includes of this file stay inside AVX2 sources.
#ifndef BINCE_ENTROPY_LANES_AVX2_H_
#define BINCE_ENTROPY_LANES_AVX2_H_

#include <immintrin.h>
#include <stdint.h>

#include "native/entropy/lane_math.h"

namespace {

struct LanesAvx2 {
  using V = __m256;
  using U = __m256i;  // uint32
  using Mask = __m256i;
  struct Sum {
    __m256d low, high;
  };
  static constexpr int kLanes = 8;
  static constexpr int kRows = 2;  // of the factorised model at once

  static V set(float x) { return _mm256_set1_ps(x); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
  static V min(V a, V b) { return _mm256_min_ps(a, b); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V abs(V a) { return _mm256_andnot_ps(set(-0.0f), a); }
  static V clamp_magnitude(V x, V m) { return max(min(x, m), _mm256_xor_ps(m, set(-0.0f))); }
  static V round_even(V x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static V reciprocal(V x) { return _mm256_div_ps(set(1.0f), x); }
  static V scale(V x, V n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return mul(x, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  static void split(V x, V* m, V* e) {
    const __m256i bits = _mm256_castps_si256(x), three_quarters = _mm256_set1_epi32(0x3f400000);
    const __m256i exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, three_quarters), 23);
    *e = _mm256_cvtepi32_ps(exponent);
    *m = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
  }
  // A division each: it is one instruction, and the product form of AVX-512 takes more of the others.
  static V tanh_of(V x) {
    V denominator;
    const V numerator = bince::lane_tanh_fraction<LanesAvx2>(x, &denominator);
    return _mm256_div_ps(numerator, denominator);
  }
  static void tanh_pair(V x0, V x1, V* t0, V* t1) { *t0 = tanh_of(x0), *t1 = tanh_of(x1); }

  static Mask mask(int64_t lanes) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(lanes)), lane_index());
  }
  static V load(const float* p, Mask m) { return _mm256_maskload_ps(p, m); }
  static void store(float* p, V v, Mask m) { _mm256_maskstore_ps(p, m, v); }
  static V load(const float* p) { return _mm256_load_ps(p); }
  static void store(float* p, V v) { _mm256_store_ps(p, v); }
  static V keep(V v, Mask m) { return _mm256_and_ps(v, _mm256_castsi256_ps(m)); }
  // b where x < limit, else a.
  static V where_less(V x, V limit, V b, V a) {
    return _mm256_blendv_ps(a, b, _mm256_cmp_ps(x, limit, _CMP_LT_OQ));
  }
  // x, its sign changed where by > 0.
  static V negate_where_positive(V x, V by) {
    const V positive = _mm256_cmp_ps(by, set(0.0f), _CMP_GT_OQ);
    return _mm256_xor_ps(x, _mm256_and_ps(positive, set(-0.0f)));
  }
  // 1, 0 or -1.
  static V sign(V x) {
    const V positive = _mm256_and_ps(_mm256_cmp_ps(x, set(0.0f), _CMP_GT_OQ), set(1.0f));
    return _mm256_or_ps(positive, _mm256_and_ps(_mm256_cmp_ps(x, set(0.0f), _CMP_LT_OQ), set(-1.0f)));
  }
  // Whether a lane is NaN or infinite.
  static bool any_not_finite(V x, Mask m) {
    const V finite = _mm256_cmp_ps(abs(x), set(3.4028235e38f), _CMP_LE_OQ);
    return _mm256_movemask_ps(_mm256_andnot_ps(finite, _mm256_castsi256_ps(m))) != 0;
  }

  static Sum sum_zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static void sum_add(Sum* sum, V v) {
    sum->low = _mm256_add_pd(sum->low, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    sum->high = _mm256_add_pd(sum->high, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
  }
  static double sum_total(const Sum& sum) {
    const __m256d four = _mm256_add_pd(sum.low, sum.high);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }
  static float horizontal_sum(V v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }

  static U uset(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static U lane_index() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static U uadd(U a, U b) { return _mm256_add_epi32(a, b); }
  static U umul(U a, U b) { return _mm256_mullo_epi32(a, b); }
  static U uxor(U a, U b) { return _mm256_xor_si256(a, b); }
  // The halves of the 64-bit products a * m.
  static void multiply_wide(U a, uint32_t m, U* high, U* low) {
    const U factor = uset(m);
    const U even = _mm256_mul_epu32(a, factor);
    const U odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  }
  static V upper_23_signed(U words) { return _mm256_cvtepi32_ps(_mm256_srai_epi32(words, 9)); }
};

}  // namespace

#endif  // BINCE_ENTROPY_LANES_AVX2_H_
