// Optimiser steps: Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019), SGD with momentum, moving
// averages.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

void adam(const AdamArgs& args, const Run&) {
  const double correct1 = 1 - std::pow(args.beta1, static_cast<double>(args.step));
  const double correct2 = 1 - std::pow(args.beta2, static_cast<double>(args.step));
  for (int64_t i = 0; i < args.n; ++i) {
    double p = args.p[i], g = args.g[i] * args.grad_scale;
    if (args.decoupled)
      p *= 1 - args.lr * args.weight_decay;
    else
      g += args.weight_decay * p;
    const double m = args.beta1 * args.m[i] + (1 - args.beta1) * g;
    const double v = args.beta2 * args.v[i] + (1 - args.beta2) * g * g;
    args.m[i] = static_cast<float>(m);
    args.v[i] = static_cast<float>(v);
    args.p[i] = static_cast<float>(p - args.lr * (m / correct1) / (std::sqrt(v / correct2) + args.eps));
  }
}

void sgd(const SgdArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i) {
    double step = args.g[i] * args.grad_scale + args.weight_decay * args.p[i];
    if (args.momentum_buffer) {
      const double kept =
          args.first ? step : args.momentum * args.momentum_buffer[i] + (1 - args.dampening) * step;
      args.momentum_buffer[i] = static_cast<float>(kept);
      step = args.nesterov ? step + args.momentum * kept : kept;
    }
    args.p[i] = static_cast<float>(args.p[i] - args.lr * step);
  }
}

void ema(const EmaArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i)
    args.target[i] = static_cast<float>(args.decay * args.target[i] + (1 - args.decay) * args.source[i]);
}

}  // namespace

void fill_optimizer_ref(TensorOps* ops) {
  ops->adam = adam;
  ops->sgd = sgd;
  ops->ema = ema;
}

}  // namespace bince
