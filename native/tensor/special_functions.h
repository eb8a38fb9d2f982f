// Elementary functions over lanes, for every float32: NaN stays NaN, infinities and subnormal numbers are
// kept. Errors are given in the folder's README. L is a struct of lanes_avx2.h or lanes_avx512.h.
#ifndef BINCE_TENSOR_SPECIAL_FUNCTIONS_H_
#define BINCE_TENSOR_SPECIAL_FUNCTIONS_H_

#include <math.h>

#include "native/core/inline.h"
#include "native/entropy/lane_math.h"

namespace bince {

// e^r - 1 for |r| <= ln 2 / 2; the polynomial is lane_exp's.
template <class L>
BINCE_INLINE typename L::V expm1_reduced(typename L::V r) {
  typename L::V p = L::set(0.0013950602151453495f);
  p = L::fma(p, r, L::set(0.008368953131139278f));
  p = L::fma(p, r, L::set(0.04166620597243309f));
  p = L::fma(p, r, L::set(0.166665181517601f));
  p = L::fma(p, r, L::set(0.5f));
  return L::fma(L::mul(r, r), p, r);
}

// x between lowest and highest = n ln 2 + r.
template <class L>
BINCE_INLINE typename L::V reduce_exponent(typename L::V x, float lowest, float highest, typename L::V* n) {
  x = L::min(L::set(highest), L::max(L::set(lowest), x));  // the second operand where either is NaN
  *n = L::round_even(L::mul(x, L::set(1.44269504f)));
  const typename L::V r = L::fnma(*n, L::set(0.693359375f), x);
  return L::fnma(*n, L::set(-2.12194440e-4f), r);
}

template <class L>
BINCE_INLINE typename L::V exp_of(typename L::V x) {
  typename L::V n;
  const typename L::V r = reduce_exponent<L>(x, -104.0f, 89.0f, &n);
  return L::scale_far(L::add(expm1_reduced<L>(r), L::set(1.0f)), n);
}

// 2^n q + (2^n - 1) at half its size, so that 2^128 does not overflow too early.
template <class L>
BINCE_INLINE typename L::V expm1_of(typename L::V x) {
  typename L::V n;
  const typename L::V r = reduce_exponent<L>(x, -17.5f, 89.0f, &n);
  const typename L::V half = L::scale(L::set(0.5f), L::min(n, L::set(127.0f)));
  const typename L::V q = expm1_reduced<L>(r);
  const typename L::V value = L::fma(half, q, L::sub(half, L::set(0.5f)));
  const typename L::V result = L::add(value, value);
  // n = 128: 2^128 (q + 1), a float only while q < 0.
  const typename L::V far = L::scale_far(L::add(q, L::set(1.0f)), n);
  return L::select(L::greater(n, L::set(127.0f)), far, result);
}

// t / (t + 2) with t = e^(2|x|) - 1, and the sign of x; 1 is not exceeded.
template <class L>
BINCE_INLINE typename L::V tanh_of(typename L::V x) {
  const typename L::V size = L::min(L::set(10.0f), L::abs(x));
  const typename L::V t = expm1_of<L>(L::add(size, size));
  return L::copy_sign(L::div(t, L::add(t, L::set(2.0f))), x);
}

template <class L>
BINCE_INLINE typename L::V log_of(typename L::V x) {
  using V = typename L::V;
  V m, e;
  L::split_far(x, &m, &e);
  const V r = L::sub(m, L::set(1.0f));
  V p = L::set(-0.06434430180139833f);
  p = L::fma(p, r, L::set(0.15066711604595184f));
  p = L::fma(p, r, L::set(-0.19027851521968842f));
  p = L::fma(p, r, L::set(0.20910099148750305f));
  p = L::fma(p, r, L::set(-0.24014820158481598f));
  p = L::fma(p, r, L::set(0.2883840501308441f));
  p = L::fma(p, r, L::set(-0.3606748580932617f));
  p = L::fma(p, r, L::set(0.48090076446533203f));
  p = L::fma(p, r, L::set(-0.7213475108146667f));
  p = L::fma(p, r, L::set(1.4426950216293335f));
  const V value = L::mul(L::fma(p, r, e), L::set(0.693147181f));
  const V zero = L::set(0.0f), infinity = L::set(INFINITY);
  const V edge = L::select(L::equal(x, zero), L::negate(infinity), L::set(NAN));
  return L::select(L::greater(x, zero), L::select(L::equal(x, infinity), x, value), edge);
}

// log(u) + (x - (u - 1)) / u with u = 1 + x rounded.
template <class L>
BINCE_INLINE typename L::V log1p_of(typename L::V x) {
  using V = typename L::V;
  const V one = L::set(1.0f), u = L::add(one, x);
  const V lost = L::div(L::sub(x, L::sub(u, one)), u);
  const auto plain = L::both(L::greater(u, L::set(0.0f)), L::greater(L::set(INFINITY), u));
  const V value = L::add(log_of<L>(u), L::select(plain, lost, L::set(0.0f)));
  return L::select(L::equal(x, L::set(0.0f)), x, value);
}

// log(1 + e) for e in [0, 1]: 2 atanh(w), w = e / (2 + e) <= 1/3.
template <class L>
BINCE_INLINE typename L::V log1p_small(typename L::V e) {
  using V = typename L::V;
  const V w = L::div(e, L::add(e, L::set(2.0f))), z = L::mul(w, w);
  V p = L::fma(L::set(0.23224329224f), z, L::set(0.217065758009f));
  p = L::fma(p, z, L::set(0.285923579943f));
  p = L::fma(p, z, L::set(0.399997063319f));
  p = L::fma(p, z, L::set(0.666666673205f));
  return L::fma(L::mul(p, z), w, L::add(w, w));
}

template <class L>
BINCE_INLINE typename L::V softplus_of(typename L::V x) {
  const typename L::V e = exp_of<L>(L::negate(L::abs(x)));
  return L::add(L::max(L::set(0.0f), x), log1p_small<L>(e));
}

// 1 / (1 + e^-x) and the same at -x, both with their small ends.
template <class L>
BINCE_INLINE typename L::V sigmoid_pair(typename L::V x, typename L::V* opposite) {
  using V = typename L::V;
  const V e = exp_of<L>(L::negate(L::abs(x)));
  const V large = L::reciprocal(L::add(L::set(1.0f), e)), small = L::mul(e, large);
  const auto negative = L::greater(L::set(0.0f), x);
  *opposite = L::select(negative, large, small);
  return L::select(negative, small, large);
}
template <class L>
BINCE_INLINE typename L::V sigmoid_of(typename L::V x) {
  typename L::V opposite;
  return sigmoid_pair<L>(x, &opposite);
}

// Phi(-|x|), the tail of the normal distribution, and e^(-x^2/2): Phi(-x) = e^(-x^2/2) R(x) with a rational R
// of positive coefficients, a fit to 5.5e-9 made for this file.
template <class L>
BINCE_INLINE typename L::V normal_tail(typename L::V x, typename L::V* density) {
  using V = typename L::V;
  const V size = L::min(L::set(15.0f), L::abs(x));
  const V square = L::mul(size, size), lost = L::fma(size, size, L::sub(L::set(0.0f), square));
  const V e = exp_of<L>(L::mul(square, L::set(-0.5f)));
  *density = L::fnma(L::mul(e, L::set(0.5f)), lost, e);
  V p = L::fma(L::set(0.004077559802681208f), size, L::set(0.040372226387262344f));
  p = L::fma(p, size, L::set(0.18246087431907654f));
  p = L::fma(p, size, L::set(0.43724966049194336f));
  p = L::fma(p, size, L::set(0.5f));
  V q = L::fma(L::set(0.010220798663794994f), size, L::set(0.10120497643947601f));
  q = L::fma(q, size, L::set(0.4674265682697296f));
  q = L::fma(q, size, L::set(1.1992868185043335f));
  q = L::fma(q, size, L::set(1.672384262084961f));
  q = L::fma(q, size, L::set(1.0f));
  return L::mul(*density, L::div(p, q));
}
template <class L>
BINCE_INLINE typename L::V normal_cdf(typename L::V x, typename L::V* density) {
  const typename L::V tail = normal_tail<L>(x, density);
  return L::select(L::greater(L::set(0.0f), x), tail, L::sub(L::set(1.0f), tail));
}

// Sine and cosine; beyond |x| = 1e5 the C library's, lane by lane.
template <class L>
static inline void sine_cosine(typename L::V x, typename L::V* s, typename L::V* c) {
  using V = typename L::V;
  const V q = L::round_even(L::mul(x, L::set(0.636619772f)));
  V t = L::fnma(q, L::set(1.57079637e+00f), x);  // pi / 2 in three parts
  t = L::fnma(q, L::set(-4.37113883e-08f), t);
  t = L::fnma(q, L::set(-1.71512489e-15f), t);
  const V t2 = L::mul(t, t);
  V p = L::set(2.7557319e-6f);
  p = L::fma(p, t2, L::set(-1.9841270e-4f));
  p = L::fma(p, t2, L::set(8.3333333e-3f));
  p = L::fma(p, t2, L::set(-0.166666667f));
  *s = L::fma(L::mul(p, t2), t, t);
  p = L::set(-2.7557319e-7f);
  p = L::fma(p, t2, L::set(2.4801587e-5f));
  p = L::fma(p, t2, L::set(-1.3888889e-3f));
  p = L::fma(p, t2, L::set(4.1666667e-2f));
  p = L::fma(p, t2, L::set(-0.5f));
  *c = L::fma(p, t2, L::set(1.0f));
  const V limit = L::set(1e5f), size = L::abs(x);
  L::rotate_quarters(L::select(L::greater(size, limit), L::set(0.0f), q), c, s);
  float values[L::kLanes], sines[L::kLanes], cosines[L::kLanes];
  L::store(values, L::select(L::greater(size, limit), size, L::set(0.0f)));
  float any = 0;
  for (int i = 0; i < L::kLanes; ++i) any += values[i];
  if (any == 0) return;
  L::store(values, x);
  for (int i = 0; i < L::kLanes; ++i) {
    sines[i] = static_cast<float>(sin(static_cast<double>(values[i])));
    cosines[i] = static_cast<float>(cos(static_cast<double>(values[i])));
  }
  *s = L::load(sines);
  *c = L::load(cosines);
}

}  // namespace bince

#endif  // BINCE_TENSOR_SPECIAL_FUNCTIONS_H_
