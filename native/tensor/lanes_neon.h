// Four float32 lanes with what the tensor operations need besides native/entropy/lanes_neon.h.
#ifndef BINCE_TENSOR_LANES_NEON_H_
#define BINCE_TENSOR_LANES_NEON_H_

#include "native/entropy/lanes_neon.h"

namespace {

struct TensorNeon : LanesNeon {
  using B = uint32x4_t;  // of a comparison: all ones or all zeros a lane

  // All that a memory of bytes or integers gives: lanes 0 .. 3 as floats.
  static V from_integers(const int32_t* p) { return vcvtq_f32_s32(vld1q_s32(p)); }
  static V from_bytes(const uint8_t* p) {
    uint32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
  }

  static V div(V a, V b) { return vdivq_f32(a, b); }
  static V reciprocal(V x) { return vdivq_f32(set(1.0f), x); }  // of any x
  static V sqrt(V a) { return vsqrtq_f32(a); }
  static V floor(V a) { return vrndmq_f32(a); }
  static V negate(V a) { return vnegq_f32(a); }
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
    *e = sub(*e, select(tiny, set(24.0f), set(0.0f)));
  }

  static B greater(V a, V b) { return vcgtq_f32(a, b); }
  static B greater_equal(V a, V b) { return vcgeq_f32(a, b); }
  static B equal(V a, V b) { return vceqq_f32(a, b); }
  static B unordered(V a, V b) { return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
  static B both(B a, B b) { return vandq_u32(a, b); }
  static B either(B a, B b) { return vorrq_u32(a, b); }
  static B and_not(B a, B b) { return vbicq_u32(a, b); }  // a and not b
  static B none() { return vdupq_n_u32(0); }
  static bool any(B m) { return vmaxvq_u32(m) != 0; }
  static V keep_or(V v, V other, Mask m) { return vbslq_f32(m.lanes, v, other); }
  static V select(B m, V yes, V no) { return vbslq_f32(m, yes, no); }
  static V copy_sign(V size, V sign) { return vbslq_f32(uset(0x80000000u), sign, size); }
  static float horizontal_max(V v) { return vmaxvq_f32(v); }
  static float horizontal_min(V v) { return vminvq_f32(v); }
  static void sum_store(double* out, const Sum& sum) {
    vst1q_f64(out, sum.low);
    vst1q_f64(out + 2, sum.high);
  }

  static V upper_24(U words) { return vcvtq_f32_u32(vshrq_n_u32(words, 8)); }
  // (c, s) turned by q quarters of a circle, q whole, |q| < 2^31.
  static void rotate_quarters(V q, V* c, V* s) {
    const int32x4_t k = vcvtnq_s32_f32(q);
    const B odd = vtstq_s32(k, vdupq_n_s32(1)), sign = uset(0x80000000u);
    const B flip_sine = vandq_u32(vreinterpretq_u32_s32(vshlq_n_s32(k, 30)), sign);
    const B flip_cosine =
        vandq_u32(vreinterpretq_u32_s32(vshlq_n_s32(vaddq_s32(k, vdupq_n_s32(1)), 30)), sign);
    const V cosine = select(odd, *s, *c), sine = select(odd, *c, *s);
    *c = vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(cosine), flip_cosine));
    *s = vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(sine), flip_sine));
  }
};

}  // namespace

#endif  // BINCE_TENSOR_LANES_NEON_H_
