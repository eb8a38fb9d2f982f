// Softmax, its logarithm, and the two cross-entropies.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

// log(sum of e^x).
double log_sum_exp(const float* x, int64_t n) {
  double largest = x[0], sum = 0;
  for (int64_t k = 1; k < n; ++k)
    if (!(x[k] <= largest)) largest = x[k];
  for (int64_t k = 0; k < n; ++k) sum += std::exp(x[k] - largest);
  return largest + std::log(sum);
}

void softmax(const SoftmaxArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.n;
    float* y = args.y + r * args.n;
    const double total = log_sum_exp(x, args.n);
    for (int64_t k = 0; k < args.n; ++k)
      y[k] = static_cast<float>(args.log ? x[k] - total : std::exp(x[k] - total));
  }
}

void softmax_backward(const SoftmaxBackwardArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float *y = args.y + r * args.n, *dy = args.dy + r * args.n;
    float* dx = args.dx + r * args.n;
    double sum = 0;
    for (int64_t k = 0; k < args.n; ++k) sum += args.log ? dy[k] : static_cast<double>(dy[k]) * y[k];
    for (int64_t k = 0; k < args.n; ++k)
      dx[k] = static_cast<float>(args.log ? dy[k] - std::exp(static_cast<double>(y[k])) * sum
                                          : y[k] * (dy[k] - sum));
  }
}

void cross_entropy(const CrossEntropyArgs& args, const Run&) {
  const int64_t K = args.classes;
  const double rest = static_cast<double>(args.smoothing) / static_cast<double>(K);
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.logits + r * K;
    const double total = log_sum_exp(x, K);
    double loss = 0;
    for (int64_t k = 0; k < K; ++k) {
      const double target = rest + (k == args.labels[r] ? 1 - static_cast<double>(args.smoothing) : 0);
      if (target != 0) loss += target * (total - x[k]);
      if (args.dlogits) args.dlogits[r * K + k] = static_cast<float>(std::exp(x[k] - total) - target);
    }
    args.row_loss[r] = static_cast<float>(loss);
  }
}

void bce_with_logits(const BceArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    double loss = 0;
    for (int64_t i = r * args.n; i < (r + 1) * args.n; ++i) {
      const double x = args.logits[i], target = args.targets[i];
      loss += (x <= 0 ? 0 : x) - x * target + std::log1p(std::exp(-std::fabs(x)));
      if (args.dlogits) args.dlogits[i] = static_cast<float>(1 / (1 + std::exp(-x)) - target);
    }
    args.row_loss[r] = static_cast<float>(loss);
  }
}

}  // namespace

void fill_softmax_ref(TensorOps* ops) {
  ops->softmax = softmax;
  ops->softmax_backward = softmax_backward;
  ops->cross_entropy = cross_entropy;
  ops->bce_with_logits = bce_with_logits;
}

}  // namespace bince
