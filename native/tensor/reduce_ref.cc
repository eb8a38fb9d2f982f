// Sums, means and extremes over the middle axis; argmax; sums of squares; the search for NaN.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

void reduce(const ReduceArgs& args, const Run&) {
  for (int64_t o = 0; o < args.outer; ++o)
    for (int64_t i = 0; i < args.inner; ++i) {
      const float* x = args.x + o * args.n * args.inner + i;
      double sum = 0;
      float best = x[0];
      for (int64_t k = 0; k < args.n; ++k) {
        const float value = x[k * args.inner];
        sum += value;
        const bool better = args.op == kLargest ? value > best : value < best;
        if (best == best && (better || value != value)) best = value;
      }
      if (args.op == kMean) sum /= static_cast<double>(args.n);
      args.y[o * args.inner + i] = args.op >= kLargest ? best : static_cast<float>(sum);
    }
}

void argmax(const ArgmaxArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.n;
    int64_t best = 0;
    for (int64_t k = 1; k < args.n && x[best] == x[best]; ++k)
      if (!(x[k] <= x[best])) best = k;
    args.out[r] = static_cast<int32_t>(best);
  }
}

double sum_squares(const float* x, int64_t n, const Run&) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

int64_t first_non_finite(const float* x, int64_t n, const Run&) {
  for (int64_t i = 0; i < n; ++i)
    if (!std::isfinite(x[i])) return i;
  return -1;
}

}  // namespace

void fill_reduce_ref(TensorOps* ops) {
  ops->reduce = reduce;
  ops->argmax = argmax;
  ops->sum_squares = sum_squares;
  ops->first_non_finite = first_non_finite;
}

}  // namespace bince
