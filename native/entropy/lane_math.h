// exp, sigmoid, tanh, log2 and softplus in float32 over "lanes": one template for AVX2, AVX-512 and, with
// float as the vector, scalar or CUDA code.
//
// L gives: V; set, add, sub, mul, fma(a, b, c) = a*b + c, fnma(a, b, c) = c - a*b, abs; min and max,
// which return their second operand where either is NaN;
// clamp_magnitude(x, m); round_even; reciprocal (to about 1 ulp); scale(x, n) = x * 2^n for integral n in
// [-126, 127]; split(x, &m, &e): x = m * 2^e with m in [3/4, 3/2), for normal x.
//
// Coefficients are minimax fits made for this file (Lawson's weighted least squares in float64, then
// rounded); errors of the fits, before rounding of the evaluation: exp 4e-9, tanh 2.1e-8, log2 4.2e-9, all
// relative.
#ifndef BINCE_ENTROPY_LANE_MATH_H_
#define BINCE_ENTROPY_LANE_MATH_H_

#include "native/core/inline.h"

namespace bince {

// e^x for x clamped to [-87, high], high <= 88; NaN for NaN, since min and max return their second operand
// then.
template <class L>
BINCE_INLINE typename L::V lane_exp(typename L::V x, float high = 88.0f) {
  using V = typename L::V;
  x = L::min(L::set(high), L::max(L::set(-87.0f), x));
  const V n = L::round_even(L::mul(x, L::set(1.44269504f)));
  V r = L::fnma(n, L::set(0.693359375f), x);  // ln 2 in two parts, the first exact in products with n
  r = L::fnma(n, L::set(-2.12194440e-4f), r);
  V p = L::set(0.0013950602151453495f);
  p = L::fma(p, r, L::set(0.008368953131139278f));
  p = L::fma(p, r, L::set(0.04166620597243309f));
  p = L::fma(p, r, L::set(0.166665181517601f));
  p = L::fma(p, r, L::set(0.5f));
  p = L::fma(L::mul(r, r), p, r);
  return L::scale(L::add(p, L::set(1.0f)), n);
}

template <class L>
BINCE_INLINE typename L::V lane_sigmoid(typename L::V x) {
  const typename L::V e = lane_exp<L>(L::sub(L::set(0.0f), x));
  return L::reciprocal(L::add(L::set(1.0f), e));
}

// tanh(x) = numerator / denominator: x P(x^2) / Q(x^2), for |x| clamped to 9.02, beyond which tanh is 1 in
// float32.
template <class L>
BINCE_INLINE typename L::V lane_tanh_fraction(typename L::V x, typename L::V* denominator) {
  using V = typename L::V;
  x = L::clamp_magnitude(x, L::set(9.02f));
  const V y = L::mul(x, x);
  V p = L::set(1.331897081513489e-08f);
  p = L::fma(p, y, L::set(2.058340578514617e-05f));
  p = L::fma(p, y, L::set(0.003494029864668846f));
  p = L::fma(p, y, L::set(0.13379713892936707f));
  p = L::fma(p, y, L::set(1.0f));
  V q = L::set(7.761977371956164e-07f);
  q = L::fma(q, y, L::set(0.00032830852433107793f));
  q = L::fma(q, y, L::set(0.02587105520069599f));
  q = L::fma(q, y, L::set(0.46713030338287354f));
  *denominator = L::fma(q, y, L::set(1.0f));
  return L::mul(p, x);
}

template <class L>
BINCE_INLINE typename L::V lane_tanh(typename L::V x) {
  typename L::V denominator;
  const typename L::V numerator = lane_tanh_fraction<L>(x, &denominator);
  return L::mul(numerator, L::reciprocal(denominator));
}

// Two at once with one reciprocal, that of the product of the denominators (at most 422 each).
template <class L>
BINCE_INLINE void lane_tanh_pair(typename L::V x0, typename L::V x1, typename L::V* t0, typename L::V* t1) {
  using V = typename L::V;
  V d0, d1;
  const V n0 = lane_tanh_fraction<L>(x0, &d0), n1 = lane_tanh_fraction<L>(x1, &d1);
  const V both = L::reciprocal(L::mul(d0, d1));
  *t0 = L::mul(n0, L::mul(d1, both));
  *t1 = L::mul(n1, L::mul(d0, both));
}

// For normal positive x.
template <class L>
BINCE_INLINE typename L::V lane_log2(typename L::V x) {
  using V = typename L::V;
  V m, e;
  L::split(x, &m, &e);
  const V r = L::sub(m, L::set(1.0f));
  V p = L::set(-0.06434430181980133f);
  p = L::fma(p, r, L::set(0.15066711604595184f));
  p = L::fma(p, r, L::set(-0.19027851521968842f));
  p = L::fma(p, r, L::set(0.20910099148750305f));
  p = L::fma(p, r, L::set(-0.24014820158481598f));
  p = L::fma(p, r, L::set(0.2883840501308441f));
  p = L::fma(p, r, L::set(-0.3606748580932617f));
  p = L::fma(p, r, L::set(0.48090076446533203f));
  p = L::fma(p, r, L::set(-0.7213475108146667f));
  p = L::fma(p, r, L::set(1.4426950216293335f));
  return L::fma(p, r, e);
}

// ln(1 + e^x) = max(x, 0) + log1p(e^-|x|); log1p(z) is log(u) + (z - (u - 1)) / u with u = 1 + z rounded.
template <class L>
BINCE_INLINE typename L::V lane_softplus(typename L::V x) {
  using V = typename L::V;
  const V one = L::set(1.0f);
  const V z = lane_exp<L>(L::sub(L::set(0.0f), L::abs(x)));
  const V u = L::add(one, z);
  const V lost = L::mul(L::sub(z, L::sub(u, one)), L::reciprocal(u));
  const V log1p = L::fma(lane_log2<L>(u), L::set(0.693147181f), lost);
  return L::add(L::max(x, L::set(0.0f)), log1p);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_LANE_MATH_H_
