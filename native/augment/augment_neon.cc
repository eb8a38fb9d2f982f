// The augmentation family's slots for NEON: four lanes.
#include <arm_neon.h>

#include "native/augment/augment_lanes.h"

namespace {

struct PixelLanesNeon {
  using V = float32x4_t;
  using I = int32x4_t;
  struct Mask {
    int64_t lanes;  // the first ones
  };
  static constexpr int kLanes = 4;

  static V set(float x) { return vdupq_n_f32(x); }
  static V iota() { return V{0, 1, 2, 3}; }
  static V add(V a, V b) { return vaddq_f32(a, b); }
  static V sub(V a, V b) { return vsubq_f32(a, b); }
  static V mul(V a, V b) { return vmulq_f32(a, b); }
  static V div(V a, V b) { return vdivq_f32(a, b); }
  static V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
  // The second operand where either is NaN.
  static V min(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static V max(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static V floor(V a) { return vrndmq_f32(a); }
  static V where_equal(V a, V b, V equal, V other) { return vbslq_f32(vceqq_f32(a, b), equal, other); }

  static Mask all() { return {kLanes}; }
  static Mask mask(int64_t lanes) { return {lanes}; }
  static V load(const float* p, Mask m) {
    if (__builtin_expect(m.lanes >= kLanes, 1)) return vld1q_f32(p);
    float part[kLanes] = {};
    for (int64_t l = 0; l < m.lanes; ++l) part[l] = p[l];
    return vld1q_f32(part);
  }
  static void store(float* p, V v, Mask m) {
    if (__builtin_expect(m.lanes >= kLanes, 1)) return vst1q_f32(p, v);
    float part[kLanes];
    vst1q_f32(part, v);
    for (int64_t l = 0; l < m.lanes; ++l) p[l] = part[l];
  }
  static I load_int(const int32_t* p, Mask m) {
    if (__builtin_expect(m.lanes >= kLanes, 1)) return vld1q_s32(p);
    int32_t part[kLanes] = {};
    for (int64_t l = 0; l < m.lanes; ++l) part[l] = p[l];
    return vld1q_s32(part);
  }
  static V load_bytes(const uint8_t* p) {
    uint32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
  }
  static I to_int(V a) { return vcvtq_s32_f32(a); }
  static I mad(I a, int32_t factor, I b) { return vmlaq_n_s32(b, a, factor); }
  static V gather(const float* base, I index) {
    V v = vld1q_dup_f32(base + vgetq_lane_s32(index, 0));
    v = vld1q_lane_f32(base + vgetq_lane_s32(index, 1), v, 1);
    v = vld1q_lane_f32(base + vgetq_lane_s32(index, 2), v, 2);
    return vld1q_lane_f32(base + vgetq_lane_s32(index, 3), v, 3);
  }
};

}  // namespace

namespace bince {

AugmentOps augment_neon() {
  return augment_lanes<PixelLanesNeon>();
}

}  // namespace bince
