// The x with F(x) = target, by bisection from a bracket that doubles; on the CPU and on CUDA.
#ifndef BINCE_ENTROPY_BISECTION_H_
#define BINCE_ENTROPY_BISECTION_H_

#include "native/core/inline.h"

namespace bince {

// network.logit(x) is F.  Beyond +-2^24 (kLargestValue) the bracket does not grow: that bound is the result,
// and 0 where F overflows; *solved is then false.
template <class Network>
BINCE_INLINE double bisect(const Network& network, double target, bool* solved) {
  constexpr double kBound = 16777216.0;
  double low = -1, high = 1;
  while (network.logit(low) > target) {
    if (low <= -kBound) return *solved = false, -kBound;
    low *= 2;
  }
  while (network.logit(high) < target) {
    if (high >= kBound) return *solved = false, kBound;
    high *= 2;
  }
  const double at_low = network.logit(low), at_high = network.logit(high);
  if (at_low != at_low || at_high != at_high) return *solved = false, 0;
  for (int step = 0; step < 100; ++step) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    if (network.logit(middle) < target)
      low = middle;
    else
      high = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_BISECTION_H_
