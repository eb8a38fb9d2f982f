// Four float lanes: what the tile operations need of NEON.  For *_neon.cc files only.
#ifndef BINCE_CONTRASTIVE_VECTOR_NEON_H_
#define BINCE_CONTRASTIVE_VECTOR_NEON_H_

#include <arm_neon.h>
#include <stdint.h>

#include "native/core/inline.h"

namespace {

typedef float32x4_t Vec;
typedef int32x4_t IntVec;
typedef uint32x4_t Mask;              // all ones or all zeros a lane
enum { kLanes = 4, kTileRows = 12 };  // 12 x 2 accumulators of the 32 registers

// Denormals count as zero until restore_denormals() gets the state that this returns.
BINCE_INLINE uint64_t flush_denormals() {
  uint64_t saved;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  __asm__ volatile("msr fpcr, %0" : : "r"(saved | uint64_t{1} << 24) : "memory");
  return saved;
}
BINCE_INLINE void restore_denormals(uint64_t saved) {
  __asm__ volatile("msr fpcr, %0" : : "r"(saved) : "memory");
}

BINCE_INLINE Vec v_set(float x) {
  return vdupq_n_f32(x);
}
BINCE_INLINE Vec v_zero() {
  return vdupq_n_f32(0);
}
BINCE_INLINE Vec v_load(const float* p) {
  return vld1q_f32(p);
}
BINCE_INLINE void v_store(float* p, Vec x) {
  vst1q_f32(p, x);
}
BINCE_INLINE Vec v_add(Vec a, Vec b) {
  return vaddq_f32(a, b);
}
BINCE_INLINE Vec v_sub(Vec a, Vec b) {
  return vsubq_f32(a, b);
}
BINCE_INLINE Vec v_mul(Vec a, Vec b) {
  return vmulq_f32(a, b);
}
BINCE_INLINE Vec v_div(Vec a, Vec b) {
  return vdivq_f32(a, b);
}
// The second operand where either is NaN.
BINCE_INLINE Vec v_max(Vec a, Vec b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
BINCE_INLINE Vec v_min(Vec a, Vec b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
BINCE_INLINE Vec v_fma(Vec a, Vec b, Vec c) {
  return vfmaq_f32(c, a, b);
}  // a b + c
BINCE_INLINE Vec v_fnma(Vec a, Vec b, Vec c) {
  return vfmsq_f32(c, a, b);
}  // c - a b
BINCE_INLINE Vec v_abs(Vec x) {
  return vabsq_f32(x);
}
BINCE_INLINE Vec v_copysign(Vec size, Vec sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), sign, size);
}
BINCE_INLINE float v_sum(Vec x) {
  return vaddvq_f32(x);
}
BINCE_INLINE float v_largest(Vec x) {
  return vmaxvq_f32(x);
}
// 2^k * x for k an integer in float, in [-126, 127].
BINCE_INLINE Vec v_scale(Vec x, Vec k) {
  const IntVec bits = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(k), vdupq_n_s32(127)), 23);
  return vmulq_f32(x, vreinterpretq_f32_s32(bits));
}
BINCE_INLINE Vec v_round(Vec x) {
  return vrndnq_f32(x);
}

BINCE_INLINE IntVec i_set(int32_t x) {
  return vdupq_n_s32(x);
}
BINCE_INLINE IntVec i_count_from(int32_t x) {
  return vaddq_s32(vdupq_n_s32(x), IntVec{0, 1, 2, 3});
}

BINCE_INLINE Mask m_first(int n) {
  return vcgtq_s32(vdupq_n_s32(n), i_count_from(0));
}
BINCE_INLINE Mask m_and(Mask a, Mask b) {
  return vandq_u32(a, b);
}
BINCE_INLINE Mask m_or(Mask a, Mask b) {
  return vorrq_u32(a, b);
}
BINCE_INLINE Mask m_and_not(Mask a, Mask b) {
  return vbicq_u32(a, b);
}  // a and not b
BINCE_INLINE Mask m_none() {
  return vdupq_n_u32(0);
}
BINCE_INLINE bool m_any(Mask a) {
  return vmaxvq_u32(a) != 0;
}
BINCE_INLINE bool m_all(Mask a) {
  return vminvq_u32(a) != 0;
}
BINCE_INLINE Mask m_equal(IntVec a, IntVec b) {
  return vceqq_s32(a, b);
}
BINCE_INLINE Mask m_greater(Vec a, Vec b) {
  return vcgtq_f32(a, b);
}
BINCE_INLINE Mask m_not_finite(Vec x) {
  const IntVec exponent = vdupq_n_s32(0x7f800000);
  return m_equal(vandq_s32(vreinterpretq_s32_f32(x), exponent), exponent);
}
BINCE_INLINE Vec v_select(Mask m, Vec yes, Vec no) {
  return vbslq_f32(m, yes, no);
}
BINCE_INLINE Vec v_where(Mask m, Vec x) {
  return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(x)));
}  // x or 0
BINCE_INLINE Vec v_load_where(Mask m, const float* p) {
  if (__builtin_expect(m_all(m), 1)) return vld1q_f32(p);
  Vec x = v_zero();
  if (vgetq_lane_u32(m, 0)) x = vld1q_lane_f32(p, x, 0);
  if (vgetq_lane_u32(m, 1)) x = vld1q_lane_f32(p + 1, x, 1);
  if (vgetq_lane_u32(m, 2)) x = vld1q_lane_f32(p + 2, x, 2);
  if (vgetq_lane_u32(m, 3)) x = vld1q_lane_f32(p + 3, x, 3);
  return x;
}
BINCE_INLINE void v_store_where(Mask m, float* p, Vec x) {
  if (__builtin_expect(m_all(m), 1)) return vst1q_f32(p, x);
  if (vgetq_lane_u32(m, 0)) vst1q_lane_f32(p, x, 0);
  if (vgetq_lane_u32(m, 1)) vst1q_lane_f32(p + 1, x, 1);
  if (vgetq_lane_u32(m, 2)) vst1q_lane_f32(p + 2, x, 2);
  if (vgetq_lane_u32(m, 3)) vst1q_lane_f32(p + 3, x, 3);
}
BINCE_INLINE IntVec i_load_where(Mask m, const int32_t* p) {
  return vreinterpretq_s32_f32(v_load_where(m, reinterpret_cast<const float*>(p)));
}
// x[i][j] <-> x[j][i].
BINCE_INLINE void v_transpose(Vec x[kLanes]) {
  const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(x[0], x[1]));  // columns 0 and 2 of rows 0, 1
  const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(x[0], x[1]));
  const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(x[2], x[3]));
  const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(x[2], x[3]));
  x[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  x[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  x[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  x[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}
// Four bfloat16 values as floats.
BINCE_INLINE Vec v_load_bfloat16(const uint16_t* p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_VECTOR_NEON_H_
