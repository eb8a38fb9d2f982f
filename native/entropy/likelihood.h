// From the logits at v - 1/2 and v + 1/2 to likelihood and bits, and back; over lanes, as lane_math.h, with
// negate_where_positive(x, by) and where_less(x, limit, b, a).  Shared by the SIMD backends and CUDA.
#ifndef BINCE_ENTROPY_LIKELIHOOD_H_
#define BINCE_ENTROPY_LIKELIHOOD_H_

#include "native/entropy/lane_math.h"

namespace bince {

template <class L>
struct Likelihood {
  typename L::V lower, upper;  // the two sigmoids, on the side where both are small
  typename L::V raw, floored;
  typename L::V bits;  // of the floored
};

// On the side where both sigmoids are small their difference does not cancel.  NaN logits give NaN.
template <class L>
BINCE_INLINE Likelihood<L> likelihood_of(typename L::V lower_logit, typename L::V upper_logit,
                                         typename L::V floor) {
  Likelihood<L> of;
  const typename L::V middle = L::add(lower_logit, upper_logit);
  of.lower = lane_sigmoid<L>(L::negate_where_positive(lower_logit, middle));
  of.upper = lane_sigmoid<L>(L::negate_where_positive(upper_logit, middle));
  of.raw = L::abs(L::sub(of.upper, of.lower));
  of.floored = L::max(floor, of.raw);  // max(a, NaN) is NaN: the second operand
  of.bits = L::sub(L::set(0.0f), lane_log2<L>(of.floored));
  return of;
}

// The cotangent of the raw likelihood from those of the bits and of the floored likelihood: below the floor
// only a gradient that raises the likelihood passes.
template <class L>
BINCE_INLINE typename L::V likelihood_cotangent(typename L::V raw, typename L::V floored, typename L::V floor,
                                                typename L::V dbits, typename L::V dlikelihood) {
  using V = typename L::V;
  const V of_bits = L::mul(dbits, L::set(-1.44269504f));  // d(-log2 p) = -dp / (p ln 2)
  const V gradient = L::fma(of_bits, L::reciprocal(floored), dlikelihood);
  return L::where_less(raw, floor, L::min(gradient, L::set(0.0f)), gradient);
}

// The cotangents of the two logits.
template <class L>
BINCE_INLINE void likelihood_backward(const Likelihood<L>& of, typename L::V gradient,
                                      typename L::V* dlower_logit, typename L::V* dupper_logit) {
  const typename L::V one = L::set(1.0f);
  *dlower_logit = L::mul(L::sub(L::set(0.0f), gradient), L::mul(of.lower, L::sub(one, of.lower)));
  *dupper_logit = L::mul(gradient, L::mul(of.upper, L::sub(one, of.upper)));
}

}  // namespace bince

#endif  // BINCE_ENTROPY_LIKELIHOOD_H_
