// Four float32 lanes; includes of this file stay inside NEON sources.
#ifndef BINCE_ENTROPY_LANES_NEON_H_
#define BINCE_ENTROPY_LANES_NEON_H_

#include <arm_neon.h>
#include <stdint.h>

#include "native/entropy/lane_math.h"

namespace {

struct LanesNeon {
  using V = float32x4_t;
  using U = uint32x4_t;
  // The first `count` lanes: NEON has no masked loads and stores.
  struct Mask {
    U lanes;
    int64_t count;
  };
  struct Sum {
    float64x2_t low, high;
  };
  static constexpr int kLanes = 4;
  static constexpr int kRows = 2;  // of the factorised model at once

  static V set(float x) { return vdupq_n_f32(x); }
  static V add(V a, V b) { return vaddq_f32(a, b); }
  static V sub(V a, V b) { return vsubq_f32(a, b); }
  static V mul(V a, V b) { return vmulq_f32(a, b); }
  static V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
  static V fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }
  // The second operand where either is NaN, which NEON's own minimum and maximum do not give.
  static V min(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static V max(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static V abs(V a) { return vabsq_f32(a); }
  static V clamp_magnitude(V x, V m) { return max(min(x, m), vnegq_f32(m)); }
  static V round_even(V x) { return vrndnq_f32(x); }
  // 8 bits and two Newton steps, whose factor is 2 for infinity times zero.
  static V reciprocal(V x) {
    V r = vrecpeq_f32(x);
    r = mul(r, vrecpsq_f32(x, r));
    return mul(r, vrecpsq_f32(x, r));
  }
  static V scale(V x, V n) {
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return mul(x, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  }
  static void split(V x, V* m, V* e) {
    const int32x4_t bits = vreinterpretq_s32_f32(x), three_quarters = vdupq_n_s32(0x3f400000);
    const int32x4_t exponent = vshrq_n_s32(vsubq_s32(bits, three_quarters), 23);
    *e = vcvtq_f32_s32(exponent);
    *m = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(exponent, 23)));
  }
  static void tanh_pair(V x0, V x1, V* t0, V* t1) { bince::lane_tanh_pair<LanesNeon>(x0, x1, t0, t1); }

  static Mask mask(int64_t lanes) {
    return {vcltq_u32(lane_index(), uset(static_cast<uint32_t>(lanes))), lanes};
  }
  static V load(const float* p, Mask m) {
    if (__builtin_expect(m.count >= kLanes, 1)) return vld1q_f32(p);
    V v = set(0.0f);
    if (m.count > 0) v = vld1q_lane_f32(p, v, 0);
    if (m.count > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (m.count > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
  }
  static void store(float* p, V v, Mask m) {
    if (__builtin_expect(m.count >= kLanes, 1)) return vst1q_f32(p, v);
    if (m.count > 0) vst1q_lane_f32(p, v, 0);
    if (m.count > 1) vst1q_lane_f32(p + 1, v, 1);
    if (m.count > 2) vst1q_lane_f32(p + 2, v, 2);
  }
  static V load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, V v) { vst1q_f32(p, v); }
  static V keep(V v, Mask m) { return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), m.lanes)); }
  // b where x < limit, else a.
  static V where_less(V x, V limit, V b, V a) { return vbslq_f32(vcltq_f32(x, limit), b, a); }
  // x, its sign changed where by > 0.
  static V negate_where_positive(V x, V by) {
    const U sign = vandq_u32(vcgtzq_f32(by), uset(0x80000000u));
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign));
  }
  // 1, 0 or -1.
  static V sign(V x) {
    const V minus_one = vreinterpretq_f32_u32(vandq_u32(vcltzq_f32(x), uset(0xbf800000u)));
    return vbslq_f32(vcgtzq_f32(x), set(1.0f), minus_one);
  }
  // Whether a lane is NaN or infinite.
  static bool any_not_finite(V x, Mask m) {
    const U finite = vcleq_f32(vabsq_f32(x), set(3.4028235e38f));
    return vmaxvq_u32(vbicq_u32(m.lanes, finite)) != 0;
  }

  static Sum sum_zero() { return {vdupq_n_f64(0), vdupq_n_f64(0)}; }
  static void sum_add(Sum* sum, V v) {
    sum->low = vaddq_f64(sum->low, vcvt_f64_f32(vget_low_f32(v)));
    sum->high = vaddq_f64(sum->high, vcvt_high_f64_f32(v));
  }
  static double sum_total(const Sum& sum) { return vaddvq_f64(vaddq_f64(sum.low, sum.high)); }
  static float horizontal_sum(V v) { return vaddvq_f32(v); }

  static U uset(uint32_t x) { return vdupq_n_u32(x); }
  static U lane_index() { return U{0, 1, 2, 3}; }
  static U uadd(U a, U b) { return vaddq_u32(a, b); }
  static U umul(U a, U b) { return vmulq_u32(a, b); }
  static U uxor(U a, U b) { return veorq_u32(a, b); }
  // The halves of the 64-bit products a * m.
  static void multiply_wide(U a, uint32_t m, U* high, U* low) {
    const U first = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), m));
    const U second = vreinterpretq_u32_u64(vmull_high_n_u32(a, m));
    *low = vuzp1q_u32(first, second);
    *high = vuzp2q_u32(first, second);
  }
  static V upper_23_signed(U words) { return vcvtq_f32_s32(vshrq_n_s32(vreinterpretq_s32_u32(words), 9)); }
};

}  // namespace

#endif  // BINCE_ENTROPY_LANES_NEON_H_
