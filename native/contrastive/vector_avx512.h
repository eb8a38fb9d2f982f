// Sixteen float lanes: what the tile operations need of AVX-512.  For *_avx512.cc files only.
#ifndef BINCE_CONTRASTIVE_VECTOR_AVX512_H_
#define BINCE_CONTRASTIVE_VECTOR_AVX512_H_

// GCC 12 warns of its own intrinsics' undefined pass-through operands (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <stdint.h>

#include "native/core/inline.h"

namespace {

typedef __m512 Vec;
typedef __m512i IntVec;
typedef __mmask16 Mask;
enum { kLanes = 16, kTileRows = 12 };  // 12 x 2 accumulators of the 32 registers

// Denormals count as zero until restore_denormals() gets the state that this returns: they would cost a
// microcode assist an instruction.
BINCE_INLINE unsigned flush_denormals() {
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(saved | 0x8040);
  return saved;
}
BINCE_INLINE void restore_denormals(unsigned saved) {
  _mm_setcsr(saved);
}

BINCE_INLINE Vec v_set(float x) {
  return _mm512_set1_ps(x);
}
BINCE_INLINE Vec v_zero() {
  return _mm512_setzero_ps();
}
BINCE_INLINE Vec v_load(const float* p) {
  return _mm512_loadu_ps(p);
}
BINCE_INLINE void v_store(float* p, Vec x) {
  _mm512_storeu_ps(p, x);
}
BINCE_INLINE Vec v_add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
BINCE_INLINE Vec v_sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
BINCE_INLINE Vec v_mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
BINCE_INLINE Vec v_div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
BINCE_INLINE Vec v_max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
BINCE_INLINE Vec v_min(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
BINCE_INLINE Vec v_fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}  // a b + c
BINCE_INLINE Vec v_fnma(Vec a, Vec b, Vec c) {
  return _mm512_fnmadd_ps(a, b, c);
}  // c - a b
BINCE_INLINE Vec v_abs(Vec x) {
  return _mm512_abs_ps(x);
}
BINCE_INLINE Vec v_copysign(Vec size, Vec sign) {
  const IntVec bit = _mm512_set1_epi32(INT32_MIN);
  return _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(size), 0xca));
}
BINCE_INLINE float v_sum(Vec x) {
  return _mm512_reduce_add_ps(x);
}
BINCE_INLINE float v_largest(Vec x) {
  return _mm512_reduce_max_ps(x);
}
// x with 2^k, k an integer in float: 2^k * x.
BINCE_INLINE Vec v_scale(Vec x, Vec k) {
  return _mm512_scalef_ps(x, k);
}
BINCE_INLINE Vec v_round(Vec x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

BINCE_INLINE IntVec i_set(int32_t x) {
  return _mm512_set1_epi32(x);
}
BINCE_INLINE IntVec i_count_from(int32_t x) {
  return _mm512_add_epi32(_mm512_set1_epi32(x),
                          _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

BINCE_INLINE Mask m_first(int n) {
  return static_cast<Mask>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
}
BINCE_INLINE Mask m_and(Mask a, Mask b) {
  return static_cast<Mask>(a & b);
}
BINCE_INLINE Mask m_or(Mask a, Mask b) {
  return static_cast<Mask>(a | b);
}
BINCE_INLINE Mask m_and_not(Mask a, Mask b) {
  return static_cast<Mask>(a & ~b);
}  // a and not b
BINCE_INLINE Mask m_none() {
  return 0;
}
BINCE_INLINE bool m_any(Mask a) {
  return a != 0;
}
BINCE_INLINE Mask m_equal(IntVec a, IntVec b) {
  return _mm512_cmpeq_epi32_mask(a, b);
}
BINCE_INLINE Mask m_greater(Vec a, Vec b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
BINCE_INLINE Mask m_not_finite(Vec x) {
  return _mm512_fpclass_ps_mask(x, 0x01 | 0x08 | 0x10 | 0x80);
}
BINCE_INLINE Vec v_select(Mask m, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(m, no, yes);
}
BINCE_INLINE Vec v_where(Mask m, Vec x) {
  return _mm512_maskz_mov_ps(m, x);
}  // x or 0
BINCE_INLINE Vec v_load_where(Mask m, const float* p) {
  return _mm512_maskz_loadu_ps(m, p);
}
BINCE_INLINE void v_store_where(Mask m, float* p, Vec x) {
  _mm512_mask_storeu_ps(p, m, x);
}
BINCE_INLINE IntVec i_load_where(Mask m, const int32_t* p) {
  return _mm512_maskz_loadu_epi32(m, p);
}
// x[i][j] <-> x[j][i].
BINCE_INLINE void v_transpose(Vec x[kLanes]) {
  Vec a[kLanes], b[kLanes];
  for (int i = 0; i < 16; i += 2) {  // pairs of rows, element by element
    a[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)  // b[i + c]: column c of each quarter, of rows i .. i + 3
    for (int half = 0; half < 2; ++half) {
      const __m512d low = _mm512_castps_pd(a[i + half]), high = _mm512_castps_pd(a[i + 2 + half]);
      b[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      b[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  for (int c = 0; c < 4; ++c) {  // quarters: 0 and 2, then 1 and 3, of rows 0 .. 7 and 8 .. 15
    const Vec even_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88);
    const Vec odd_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd);
    const Vec even_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88);
    const Vec odd_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
    x[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    x[8 + c] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
    x[4 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    x[12 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
  }
}
// Sixteen bfloat16 values as floats.
BINCE_INLINE Vec v_load_bfloat16(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_VECTOR_AVX512_H_
