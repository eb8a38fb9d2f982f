// Softmax and the cross-entropies over lanes, row by row.
#ifndef BINCE_TENSOR_SOFTMAX_LANES_H_
#define BINCE_TENSOR_SOFTMAX_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/special_functions.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

// The sum of e^(x - largest), which also goes to `out` unless that is null.
template <class L>
BINCE_INLINE double exponentials(const float* x, float largest, int64_t n, float* out) {
  const typename L::V top = L::set(largest);
  return sum_row<L>(
      n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        const typename L::V e = exp_of<L>(L::sub(lanes.load(x + i), top));
        if (out) lanes.store(out + i, e);
        return e;
      });
}

template <class L>
static void softmax_rows(const void* arguments, int64_t first, int64_t last) {
  const SoftmaxArgs& args = *static_cast<const SoftmaxArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float* x = args.x + r * args.n;
    float* y = args.y + r * args.n;
    const float largest = largest_of_row<L>(x, args.n);
    const double sum = exponentials<L>(x, largest, args.n, args.log ? nullptr : y);
    const typename L::V top = L::set(largest),
                        rest = L::set(static_cast<float>(args.log ? ::log(sum) : 1 / sum));
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          if (args.log)
            lanes.store(y + i, L::sub(L::sub(lanes.load(x + i), top), rest));
          else
            lanes.store(y + i, L::mul(lanes.load(y + i), rest));
        });
  }
}
template <class L>
static void softmax_lanes(const SoftmaxArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, softmax_rows<L>, &args);
}

template <class L>
static void softmax_backward_rows(const void* arguments, int64_t first, int64_t last) {
  const SoftmaxBackwardArgs& args = *static_cast<const SoftmaxBackwardArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float *y = args.y + r * args.n, *dy = args.dy + r * args.n;
    float* dx = args.dx + r * args.n;
    const typename L::V sum = L::set(static_cast<float>(sum_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          const typename L::V v = lanes.load(dy + i);
          return args.log ? v : L::mul(v, lanes.load(y + i));
        })));
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          const typename L::V v = lanes.load(y + i), d = lanes.load(dy + i);
          lanes.store(dx + i, args.log ? L::fnma(exp_of<L>(v), sum, d) : L::mul(v, L::sub(d, sum)));
        });
  }
}
template <class L>
static void softmax_backward_lanes(const SoftmaxBackwardArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, softmax_backward_rows<L>, &args);
}

// The gradient of one row: softmax less the target's distribution.
template <class L>
BINCE_INLINE void cross_entropy_gradient(const CrossEntropyArgs& args, int64_t r, double sum, float rest) {
  float* d = args.dlogits + r * args.classes;  // holds e^(x - largest)
  const typename L::V scale = L::set(static_cast<float>(1 / sum)), less = L::set(rest);
  const int32_t label = args.labels[r];
  const float own = d[label];
  over_row<L>(
      args.classes, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        lanes.store(d + i, L::sub(L::mul(lanes.load(d + i), scale), less));
      });
  const double share = static_cast<double>(args.smoothing);
  d[label] = static_cast<float>(own / sum - (static_cast<double>(rest) + (1 - share)));
}

template <class L>
static void cross_entropy_rows(const void* arguments, int64_t first, int64_t last) {
  const CrossEntropyArgs& args = *static_cast<const CrossEntropyArgs*>(arguments);
  const int64_t K = args.classes;
  const double smoothing = static_cast<double>(args.smoothing), rest = smoothing / static_cast<double>(K);
  for (int64_t r = first; r < last; ++r) {
    const float* x = args.logits + r * K;
    const float largest = largest_of_row<L>(x, K);
    const double sum = exponentials<L>(x, largest, K, args.dlogits ? args.dlogits + r * K : nullptr);
    const double total = largest + ::log(sum);
    double loss = (1 - smoothing) * (total - x[args.labels[r]]);
    if (smoothing > 0) {
      const typename L::V top = L::set(largest);
      loss += smoothing * ::log(sum) -
              rest * sum_row<L>(
                         K, [&](int64_t i, auto lanes)
                                __attribute__((always_inline)) { return L::sub(lanes.load(x + i), top); });
    }
    args.row_loss[r] = static_cast<float>(loss);
    if (args.dlogits) cross_entropy_gradient<L>(args, r, sum, static_cast<float>(rest));
  }
}
template <class L>
static void cross_entropy_lanes(const CrossEntropyArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.classes, cross_entropy_rows<L>, &args);
}

template <class L>
static void bce_rows(const void* arguments, int64_t first, int64_t last) {
  const BceArgs& args = *static_cast<const BceArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float *x = args.logits + r * args.n, *t = args.targets + r * args.n;
    float* d = args.dlogits ? args.dlogits + r * args.n : nullptr;
    const double loss = sum_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          using V = typename L::V;
          const V v = lanes.load(x + i), target = lanes.load(t + i), zero = L::set(0.0f);
          const V e = exp_of<L>(L::negate(L::abs(v)));
          if (d) {
            const V large = L::reciprocal(L::add(L::set(1.0f), e));
            const V sigmoid = L::select(L::greater(zero, v), L::mul(e, large), large);
            lanes.store(d + i, L::sub(sigmoid, target));
          }
          return L::add(L::fnma(v, target, L::max(zero, v)), log1p_small<L>(e));
        });
    args.row_loss[r] = static_cast<float>(loss);
  }
}
template <class L>
static void bce_lanes(const BceArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, bce_rows<L>, &args);
}

template <class L>
static void fill_softmax(TensorOps* ops) {
  ops->softmax = softmax_lanes<L>;
  ops->softmax_backward = softmax_backward_lanes<L>;
  ops->cross_entropy = cross_entropy_lanes<L>;
  ops->bce_with_logits = bce_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_SOFTMAX_LANES_H_
