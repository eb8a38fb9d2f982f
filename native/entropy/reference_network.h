// One channel's network in double precision by plain loops: the yardstick, and what the quantiles and the
// logits use.
#ifndef BINCE_ENTROPY_REFERENCE_NETWORK_H_
#define BINCE_ENTROPY_REFERENCE_NETWORK_H_

#include "native/entropy/widths.h"

namespace bince {

struct ReferenceNetwork {
  Widths widths;
  double effective[kMaxParameters];  // softplus(H), b, tanh(a)
  double chain[kMaxParameters];      // their derivatives with respect to H, b, a

  // What backward needs of a forward pass: each hidden layer's h and tanh(h).
  struct Trace {
    double h[kMaxHidden][kMaxHiddenWidth];
    double t[kMaxHidden][kMaxHiddenWidth];
  };

  // Channel c of params [P][C].
  void load(const Widths& shape, const float* params, int64_t C, int64_t c);
  double logit(double value, Trace* trace) const;
  // Adds dlogit * dF/d(effective) to deffective and returns dlogit * dF/dvalue.
  double backward(double value, const Trace& trace, double dlogit, double* deffective) const;
};

double reference_sigmoid(double x);

}  // namespace bince

#endif  // BINCE_ENTROPY_REFERENCE_NETWORK_H_
