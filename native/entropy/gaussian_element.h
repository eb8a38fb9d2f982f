// One element of the Gaussian conditional over lanes, forward and backward; L as in lane_math.h and
// likelihood.h, with sign(x).  Shared by the SIMD backends and CUDA.
#ifndef BINCE_ENTROPY_GAUSSIAN_ELEMENT_H_
#define BINCE_ENTROPY_GAUSSIAN_ELEMENT_H_

#include "native/entropy/likelihood.h"

namespace bince {

// Phi(x), the normal distribution function, and e^(-x^2 / 2): Phi(-z) = e^(-z^2 / 2) R(z), R a rational
// minimax fit (relative error 4e-9) of the scaled complementary error function on [0, 12]; beyond, both tail
// and exponential are zero (Phi(-12) is 2e-33).
template <class L>
BINCE_INLINE typename L::V lane_normal_cdf(typename L::V x, typename L::V* exponential) {
  using V = typename L::V;
  const V z = L::min(L::abs(x), L::set(12.0f));
  V p = L::set(0.003902261145412922f);
  p = L::fma(p, z, L::set(0.03918036073446274f));
  p = L::fma(p, z, L::set(0.17890501022338867f));
  p = L::fma(p, z, L::set(0.43241316080093384f));
  p = L::fma(p, z, L::set(0.5f));
  V q = L::set(0.009781340137124062f);
  q = L::fma(q, z, L::set(0.09821928292512894f));
  q = L::fma(q, z, L::set(0.45804330706596375f));
  q = L::fma(q, z, L::set(1.1844581365585327f));
  q = L::fma(q, z, L::set(1.6627111434936523f));
  q = L::fma(q, z, L::set(1.0f));
  // z^2 in two parts, so that its rounding does not grow with it.
  const V square = L::mul(z, z), lost = L::fma(z, z, L::sub(L::set(0.0f), square));
  const V rounded = lane_exp<L>(L::mul(square, L::set(-0.5f)));
  const V near = L::fma(L::mul(rounded, lost), L::set(-0.5f), rounded);
  *exponential = L::where_less(L::set(12.0f), L::abs(x), L::set(0.0f), near);
  const V tail = L::mul(L::mul(p, L::reciprocal(q)), *exponential);
  return L::where_less(L::set(0.0f), x, L::sub(L::set(1.0f), tail), tail);
}

template <class L>
struct GaussianElement {
  typename L::V distance, given_scale, inverse;  // value - mean; the scale; 1 / max(scale, bound)
  typename L::V upper, lower;                    // ends of the interval, in deviations, on the left side
  typename L::V upper_exponential, lower_exponential;
  typename L::V raw, floored, bits;
};

template <class L>
BINCE_INLINE GaussianElement<L> gaussian_forward(typename L::V distance, typename L::V scale,
                                                 typename L::V bound, typename L::V floor) {
  using V = typename L::V;
  const V zero = L::set(0.0f), half = L::set(0.5f);
  GaussianElement<L> of;
  of.distance = distance;
  of.given_scale = scale;
  of.inverse = L::reciprocal(L::max(scale, bound));
  const V away = L::abs(distance);
  of.upper = L::mul(L::sub(half, away), of.inverse);
  of.lower = L::mul(L::sub(L::sub(zero, half), away), of.inverse);
  const V upper_cdf = lane_normal_cdf<L>(of.upper, &of.upper_exponential);
  const V lower_cdf = lane_normal_cdf<L>(of.lower, &of.lower_exponential);
  of.raw = L::sub(upper_cdf, lower_cdf);
  of.floored = L::max(of.raw, floor);
  of.bits = L::sub(zero, lane_log2<L>(of.floored));
  return of;
}

// The gradients by distance and by scale; `gradient` is the cotangent of the raw likelihood.
template <class L>
BINCE_INLINE void gaussian_backward(const GaussianElement<L>& of, typename L::V bound, typename L::V gradient,
                                    typename L::V* ddistance, typename L::V* dscale) {
  using V = typename L::V;
  const V density = L::mul(of.inverse, L::set(0.39894228f));  // 1 / sqrt(2 pi)
  const V upper_slope = L::mul(of.upper_exponential, density);
  const V lower_slope = L::mul(of.lower_exponential, density);
  const V outward = L::mul(gradient, L::sub(lower_slope, upper_slope));
  *ddistance = L::mul(outward, L::sign(of.distance));
  // Beyond 13 the slopes are zero, which an infinite distance must not turn into NaN.
  const V far = L::set(13.0f);
  const V moved = L::fnma(upper_slope, L::clamp_magnitude(of.upper, far),
                          L::mul(lower_slope, L::clamp_magnitude(of.lower, far)));
  const V all = L::mul(gradient, moved);
  // Below the bound only a gradient that raises the scale passes.
  *dscale = L::where_less(of.given_scale, bound, L::min(all, L::set(0.0f)), all);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_GAUSSIAN_ELEMENT_H_
