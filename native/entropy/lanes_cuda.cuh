// One float as the "vector" of lane_math.h, factorized_network.h and their likes: a CUDA thread is a lane.
#ifndef BINCE_ENTROPY_LANES_CUDA_CUH_
#define BINCE_ENTROPY_LANES_CUDA_CUH_

#include <string.h>

#include "native/cuda/approximate.cuh"
#include "native/entropy/lane_math.h"

namespace bince {

// Integers to and from the exponent by an addition: 1.5 * 2^23 + n has n in its lowest bits.  The conversion
// instructions run at a quarter of the rate, in the unit that the reciprocals need.
constexpr float kIntegerShift = 12582912.0f;
constexpr int kIntegerShiftBits = 0x4b400000;

struct LanesCuda {
  using V = float;

  BINCE_INLINE V set(float x) { return x; }
  BINCE_INLINE V add(V a, V b) { return a + b; }
  BINCE_INLINE V sub(V a, V b) { return a - b; }
  BINCE_INLINE V mul(V a, V b) { return a * b; }
  BINCE_INLINE V fma(V a, V b, V c) { return fmaf(a, b, c); }
  BINCE_INLINE V fnma(V a, V b, V c) { return fmaf(-a, b, c); }
  BINCE_INLINE V abs(V a) { return fabsf(a); }
  // The second operand where either is NaN, as lane_math.h asks.
  BINCE_INLINE V min(V a, V b) { return a < b ? a : b; }
  BINCE_INLINE V max(V a, V b) { return a > b ? a : b; }
  BINCE_INLINE V clamp_magnitude(V x, V m) { return fminf(fmaxf(x, -m), m); }
  BINCE_INLINE V round_even(V x) { return rintf(x); }
  BINCE_INLINE V reciprocal(V x) { return reciprocal_approximate(x); }
  BINCE_INLINE V scale(V x, V n) { return x * from_bits((to_bits(n + kIntegerShift) + 127u) << 23); }
  BINCE_INLINE void split(V x, V* m, V* e) {
    const uint32_t above = (to_bits(x) - to_bits(0.75f)) & 0xff800000u;  // the exponent, in its place
    *m = from_bits(to_bits(x) - above);
    *e = from_bits(static_cast<uint32_t>(kIntegerShiftBits + (static_cast<int32_t>(above) >> 23))) -
         kIntegerShift;
  }
  // Reciprocals of their own: that unit has time.
  BINCE_INLINE void tanh_pair(V x0, V x1, V* t0, V* t1) {
    *t0 = lane_tanh<LanesCuda>(x0);
    *t1 = lane_tanh<LanesCuda>(x1);
  }
  BINCE_INLINE V where_less(V x, V limit, V b, V a) { return x < limit ? b : a; }
  BINCE_INLINE V negate_where_positive(V x, V by) { return by > 0.0f ? -x : x; }
  BINCE_INLINE V sign(V x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }

 private:
  BINCE_INLINE uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  BINCE_INLINE float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
  }
};

BINCE_INLINE bool is_finite(float x) {
  return fabsf(x) <= 3.40282347e38f;  // false for NaN
}

}  // namespace bince

#endif  // BINCE_ENTROPY_LANES_CUDA_CUH_
