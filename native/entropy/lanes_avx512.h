// Sixteen float32 lanes; includes of this file stay inside AVX-512 sources.
#ifndef BINCE_ENTROPY_LANES_AVX512_H_
#define BINCE_ENTROPY_LANES_AVX512_H_

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
#include <stdint.h>

#include "native/entropy/lane_math.h"

namespace {

struct LanesAvx512 {
  using V = __m512;
  using U = __m512i;  // uint32
  using Mask = __mmask16;
  struct Sum {
    __m512d low, high;
  };
  static constexpr int kLanes = 16;
  static constexpr int kRows = 3;  // of the factorised model at once

  static V set(float x) { return _mm512_set1_ps(x); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V abs(V a) { return _mm512_abs_ps(a); }
  // The smaller magnitude with the sign of x.
  static V clamp_magnitude(V x, V m) { return _mm512_range_ps(x, m, 0x2); }
  static V round_even(V x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // 14 bits and one Newton step.
  static V reciprocal(V x) {
    const V r = _mm512_rcp14_ps(x);
    return fma(fnma(x, r, set(1.0f)), r, r);
  }
  static V scale(V x, V n) { return _mm512_scalef_ps(x, n); }
  static void split(V x, V* m, V* e) {
    *m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero);
    *e = sub(_mm512_getexp_ps(x), _mm512_getexp_ps(*m));
  }
  static void tanh_pair(V x0, V x1, V* t0, V* t1) { bince::lane_tanh_pair<LanesAvx512>(x0, x1, t0, t1); }

  static Mask mask(int64_t lanes) { return static_cast<Mask>((1u << lanes) - 1); }
  static V load(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  static void store(float* p, V v, Mask m) { _mm512_mask_storeu_ps(p, m, v); }
  static V load(const float* p) { return _mm512_load_ps(p); }
  static void store(float* p, V v) { _mm512_store_ps(p, v); }
  static V keep(V v, Mask m) { return _mm512_maskz_mov_ps(m, v); }
  // b where x < limit, else a.
  static V where_less(V x, V limit, V b, V a) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), a, b);
  }
  // x, its sign changed where by > 0.
  static V negate_where_positive(V x, V by) {
    return _mm512_mask_sub_ps(x, _mm512_cmp_ps_mask(by, set(0.0f), _CMP_GT_OQ), set(0.0f), x);
  }
  // 1, 0 or -1.
  static V sign(V x) {
    const V one = set(1.0f);
    const V positive = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, set(0.0f), _CMP_GT_OQ), one);
    return _mm512_mask_mov_ps(positive, _mm512_cmp_ps_mask(x, set(0.0f), _CMP_LT_OQ), set(-1.0f));
  }
  // Whether a lane is NaN or infinite.
  static bool any_not_finite(V x, Mask m) { return _mm512_mask_fpclass_ps_mask(m, x, 0x99) != 0; }

  static Sum sum_zero() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static void sum_add(Sum* sum, V v) {
    sum->low = _mm512_add_pd(sum->low, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    sum->high = _mm512_add_pd(sum->high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
  }
  static double sum_total(const Sum& sum) { return _mm512_reduce_add_pd(_mm512_add_pd(sum.low, sum.high)); }
  static float horizontal_sum(V v) { return _mm512_reduce_add_ps(v); }

  static U uset(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static U lane_index() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  static U uadd(U a, U b) { return _mm512_add_epi32(a, b); }
  static U umul(U a, U b) { return _mm512_mullo_epi32(a, b); }
  static U uxor(U a, U b) { return _mm512_xor_si512(a, b); }
  // The halves of the 64-bit products a * m.
  static void multiply_wide(U a, uint32_t m, U* high, U* low) {
    const U factor = uset(m);
    const U even = _mm512_mul_epu32(a, factor);
    const U odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
    *low = _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, static_cast<_MM_PERM_ENUM>(0xa0));
    *high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, static_cast<_MM_PERM_ENUM>(0xf5));
  }
  static V upper_23_signed(U words) { return _mm512_cvtepi32_ps(_mm512_srai_epi32(words, 9)); }
};

}  // namespace

#endif  // BINCE_ENTROPY_LANES_AVX512_H_
