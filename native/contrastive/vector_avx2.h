// Eight float lanes: what the tile operations need of AVX2 and FMA.  For *_avx2.cc files only.
#ifndef BINCE_CONTRASTIVE_VECTOR_AVX2_H_
#define BINCE_CONTRASTIVE_VECTOR_AVX2_H_

#include <immintrin.h>
#include <stdint.h>

#include "native/core/inline.h"

namespace {

typedef __m256 Vec;
typedef __m256i IntVec;
typedef __m256 Mask;                 // all ones or all zeros a lane
enum { kLanes = 8, kTileRows = 6 };  // 6 x 2 accumulators of the 16 registers

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
  return _mm256_set1_ps(x);
}
BINCE_INLINE Vec v_zero() {
  return _mm256_setzero_ps();
}
BINCE_INLINE Vec v_load(const float* p) {
  return _mm256_loadu_ps(p);
}
BINCE_INLINE void v_store(float* p, Vec x) {
  _mm256_storeu_ps(p, x);
}
BINCE_INLINE Vec v_add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
BINCE_INLINE Vec v_sub(Vec a, Vec b) {
  return _mm256_sub_ps(a, b);
}
BINCE_INLINE Vec v_mul(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}
BINCE_INLINE Vec v_div(Vec a, Vec b) {
  return _mm256_div_ps(a, b);
}
BINCE_INLINE Vec v_max(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
BINCE_INLINE Vec v_min(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
BINCE_INLINE Vec v_fma(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}  // a b + c
BINCE_INLINE Vec v_fnma(Vec a, Vec b, Vec c) {
  return _mm256_fnmadd_ps(a, b, c);
}  // c - a b
BINCE_INLINE Vec v_abs(Vec x) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
BINCE_INLINE Vec v_copysign(Vec size, Vec sign) {
  const Vec bit = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, size));
}
BINCE_INLINE float v_sum(Vec x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
BINCE_INLINE float v_largest(Vec x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
// 2^k * x for k an integer in float, in [-126, 127].
BINCE_INLINE Vec v_scale(Vec x, Vec k) {
  const IntVec bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(x, _mm256_castsi256_ps(bits));
}
BINCE_INLINE Vec v_round(Vec x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

BINCE_INLINE IntVec i_set(int32_t x) {
  return _mm256_set1_epi32(x);
}
BINCE_INLINE IntVec i_count_from(int32_t x) {
  return _mm256_add_epi32(_mm256_set1_epi32(x), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

BINCE_INLINE Mask m_first(int n) {
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), i_count_from(0)));
}
BINCE_INLINE Mask m_and(Mask a, Mask b) {
  return _mm256_and_ps(a, b);
}
BINCE_INLINE Mask m_or(Mask a, Mask b) {
  return _mm256_or_ps(a, b);
}
BINCE_INLINE Mask m_and_not(Mask a, Mask b) {
  return _mm256_andnot_ps(b, a);
}  // a and not b
BINCE_INLINE Mask m_none() {
  return _mm256_setzero_ps();
}
BINCE_INLINE bool m_any(Mask a) {
  return _mm256_movemask_ps(a) != 0;
}
BINCE_INLINE Mask m_equal(IntVec a, IntVec b) {
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
}
BINCE_INLINE Mask m_greater(Vec a, Vec b) {
  return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
BINCE_INLINE Mask m_not_finite(Vec x) {
  const IntVec exponent = _mm256_set1_epi32(0x7f800000);
  return m_equal(_mm256_and_si256(_mm256_castps_si256(x), exponent), exponent);
}
BINCE_INLINE Vec v_select(Mask m, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, m);
}
BINCE_INLINE Vec v_where(Mask m, Vec x) {
  return _mm256_and_ps(m, x);
}  // x or 0
BINCE_INLINE Vec v_load_where(Mask m, const float* p) {
  return _mm256_maskload_ps(p, _mm256_castps_si256(m));
}
BINCE_INLINE void v_store_where(Mask m, float* p, Vec x) {
  _mm256_maskstore_ps(p, _mm256_castps_si256(m), x);
}
BINCE_INLINE IntVec i_load_where(Mask m, const int32_t* p) {
  return _mm256_maskload_epi32(p, _mm256_castps_si256(m));
}
// x[i][j] <-> x[j][i].
BINCE_INLINE void v_transpose(Vec x[kLanes]) {
  Vec a[kLanes], b[kLanes];
  for (int i = 0; i < 8; i += 2) {  // pairs of rows, element by element
    a[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)  // b[i + c]: column c of each half, of rows i .. i + 3
    for (int half = 0; half < 2; ++half) {
      b[i + 2 * half] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0x44);
      b[i + 2 * half + 1] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0xee);
    }
  for (int c = 0; c < 4; ++c) {
    x[c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
    x[4 + c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
  }
}
// Eight bfloat16 values as floats.
BINCE_INLINE Vec v_load_bfloat16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_VECTOR_AVX2_H_
