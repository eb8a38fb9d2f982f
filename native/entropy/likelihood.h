// From the logits at v - 1/2 and v + 1/2 to likelihood and bits, and back; over lanes, as lane_math.h, with
// negate_where_positive(x, by) and where_less(x, limit, b, a).  Shared by the SIMD backends and CUDA.
#ifndef BINCE_ENTROPY_LIKELIHOOD_H_
#define BINCE_ENTROPY_LIKELIHOOD_H_

#include "native/entropy/lane_math.h"

namespace bince {

template <class L>
struct Likelihood {
  typename L::V lower, upper;              // e^logit, on the side where both are small
  typename L::V above_lower, above_upper;  // 1 - sigmoid = 1 / (1 + e^logit)
  typename L::V raw, floored;
};

// On the side where both sigmoids are small their difference does not cancel; with a = e^lower, b = e^upper
// it is (b - a) / ((1 + a) (1 + b)), so that the reciprocal's error does not meet the subtraction.  The
// logits' sum is not positive there and either at most 40, beyond which a sigmoid is 1: the product stays far
// inside float32. NaN logits give NaN.
template <class L>
BINCE_INLINE Likelihood<L> likelihood_of(typename L::V lower_logit, typename L::V upper_logit,
                                         typename L::V floor) {
  using V = typename L::V;
  Likelihood<L> of;
  const V middle = L::add(lower_logit, upper_logit), one = L::set(1.0f);
  of.lower = lane_exp<L>(L::negate_where_positive(lower_logit, middle), 40.0f);
  of.upper = lane_exp<L>(L::negate_where_positive(upper_logit, middle), 40.0f);
  const V with_lower = L::add(of.lower, one), with_upper = L::add(of.upper, one);
  const V both = L::reciprocal(L::mul(with_lower, with_upper));
  of.above_lower = L::mul(both, with_upper);
  of.above_upper = L::mul(both, with_lower);
  of.raw = L::mul(L::abs(L::sub(of.upper, of.lower)), both);
  of.floored = L::max(floor, of.raw);  // max(a, NaN) is NaN: the second operand
  return of;
}

template <class L>
BINCE_INLINE typename L::V bits_of(const Likelihood<L>& of) {
  return L::sub(L::set(0.0f), lane_log2<L>(of.floored));
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
  const typename L::V lower = L::mul(of.lower, of.above_lower), upper = L::mul(of.upper, of.above_upper);
  *dlower_logit = L::mul(L::sub(L::set(0.0f), gradient), L::mul(lower, of.above_lower));
  *dupper_logit = L::mul(gradient, L::mul(upper, of.above_upper));
}

}  // namespace bince

#endif  // BINCE_ENTROPY_LIKELIHOOD_H_
