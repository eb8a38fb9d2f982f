// Optimiser steps over lanes, each one pass over its arrays.
#ifndef BINCE_TENSOR_OPTIMIZER_LANES_H_
#define BINCE_TENSOR_OPTIMIZER_LANES_H_

#include <math.h>

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

struct AdamPass {
  const AdamArgs* args;
  // p keep - rate m / (sqrt(v) root + eps)
  float keep, decay, beta1, rest1, beta2, rest2, rate, root, eps, grad_scale;
};

template <class L>
static void adam_range(const void* arguments, int64_t first, int64_t last) {
  using V = typename L::V;
  const AdamPass& pass = *static_cast<const AdamPass*>(arguments);
  const AdamArgs& args = *pass.args;
  const V keep = L::set(pass.keep), decay = L::set(pass.decay), beta1 = L::set(pass.beta1);
  const V rest1 = L::set(pass.rest1), beta2 = L::set(pass.beta2), rest2 = L::set(pass.rest2);
  const V rate = L::set(pass.rate), root = L::set(pass.root), eps = L::set(pass.eps);
  const V grad_scale = L::set(pass.grad_scale);
  over_row<L>(
      last - first, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        const int64_t at = first + i;
        const V p = lanes.load(args.p + at),
                g = L::fma(decay, p, L::mul(grad_scale, lanes.load(args.g + at)));
        const V m = L::fma(rest1, g, L::mul(beta1, lanes.load(args.m + at)));
        const V v = L::fma(L::mul(rest2, g), g, L::mul(beta2, lanes.load(args.v + at)));
        lanes.store(args.m + at, m);
        lanes.store(args.v + at, v);
        const V step = L::div(m, L::fma(L::sqrt(v), root, eps));
        lanes.store(args.p + at, L::fnma(rate, step, L::mul(p, keep)));
      });
}
template <class L>
static void adam_lanes(const AdamArgs& args, const Run& run) {
  const double correct1 = 1 - ::pow(args.beta1, static_cast<double>(args.step));
  const double correct2 = 1 - ::pow(args.beta2, static_cast<double>(args.step));
  const auto rounded = [](double value) { return static_cast<float>(value); };
  const AdamPass pass = {&args,
                         args.decoupled ? rounded(1 - args.lr * args.weight_decay) : 1.0f,
                         args.decoupled ? 0.0f : rounded(args.weight_decay),
                         rounded(args.beta1),
                         rounded(1 - args.beta1),
                         rounded(args.beta2),
                         rounded(1 - args.beta2),
                         rounded(args.lr / correct1),
                         rounded(1 / ::sqrt(correct2)),
                         rounded(args.eps),
                         rounded(args.grad_scale)};
  over_ranges(run, args.n, 1, adam_range<L>, &pass);
}

template <class L>
static void sgd_range(const void* arguments, int64_t first, int64_t last) {
  using V = typename L::V;
  const SgdArgs& args = *static_cast<const SgdArgs*>(arguments);
  const V lr = L::set(static_cast<float>(args.lr)), momentum = L::set(static_cast<float>(args.momentum));
  const V rest = L::set(static_cast<float>(1 - args.dampening));
  const V decay = L::set(static_cast<float>(args.weight_decay));
  const V grad_scale = L::set(static_cast<float>(args.grad_scale));
  over_row<L>(
      last - first, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        const int64_t at = first + i;
        const V p = lanes.load(args.p + at);
        V step = L::fma(decay, p, L::mul(grad_scale, lanes.load(args.g + at)));
        if (args.momentum_buffer) {
          float* buffer = args.momentum_buffer + at;
          const V kept = args.first ? step : L::fma(momentum, lanes.load(buffer), L::mul(rest, step));
          lanes.store(buffer, kept);
          step = args.nesterov ? L::fma(momentum, kept, step) : kept;
        }
        lanes.store(args.p + at, L::fnma(lr, step, p));
      });
}
template <class L>
static void sgd_lanes(const SgdArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, sgd_range<L>, &args);
}

template <class L>
static void ema_range(const void* arguments, int64_t first, int64_t last) {
  const EmaArgs& args = *static_cast<const EmaArgs*>(arguments);
  const typename L::V keep = L::set(static_cast<float>(args.decay));
  const typename L::V take = L::set(static_cast<float>(1 - args.decay));
  over_row<L>(
      last - first, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        float* target = args.target + first + i;
        lanes.store(target,
                    L::fma(take, lanes.load(args.source + first + i), L::mul(keep, lanes.load(target))));
      });
}
template <class L>
static void ema_lanes(const EmaArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, ema_range<L>, &args);
}

template <class L>
static void fill_optimizer(TensorOps* ops) {
  ops->adam = adam_lanes<L>;
  ops->sgd = sgd_lanes<L>;
  ops->ema = ema_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_OPTIMIZER_LANES_H_
