// Layer normalisation and rows of unit length over lanes; batch normalisation comes from its own header.
#ifndef BINCE_TENSOR_NORMALIZATION_LANES_H_
#define BINCE_TENSOR_NORMALIZATION_LANES_H_

#include "native/tensor/batch_norm_lanes.h"
#include "native/tensor/row_lanes.h"

namespace bince {

template <class L>
static void layer_norm_rows(const void* arguments, int64_t first, int64_t last) {
  const LayerNormArgs& args = *static_cast<const LayerNormArgs*>(arguments);
  const double n = static_cast<double>(args.n);
  for (int64_t r = first; r < last; ++r) {
    const float* x = args.x + r * args.n;
    float* y = args.y + r * args.n;
    const double mean =
        sum_row<L>(
            args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) { return lanes.load(x + i); }) /
        n;
    const typename L::V m = L::set(static_cast<float>(mean));
    const double squares = sum_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          const typename L::V v = L::sub(lanes.load(x + i), m);
          return L::mul(v, v);
        });
    const double lost = mean - static_cast<double>(static_cast<float>(mean));
    const double rstd = 1 / ::sqrt(squares / n - lost * lost + args.eps);
    args.mean[r] = static_cast<float>(mean);
    args.rstd[r] = static_cast<float>(rstd);
    const typename L::V scale = L::set(args.rstd[r]), shift = L::set(static_cast<float>(-lost * rstd));
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          typename L::V v = L::fma(L::sub(lanes.load(x + i), m), scale, shift);
          if (args.gamma) v = L::mul(v, lanes.load(args.gamma + i));
          if (args.beta) v = L::add(v, lanes.load(args.beta + i));
          lanes.store(y + i, v);
        });
  }
}
template <class L>
static void layer_norm_lanes(const LayerNormArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, layer_norm_rows<L>, &args);
}

template <class L>
static void layer_norm_backward_rows(const void* arguments, int64_t first, int64_t last) {
  const LayerNormBackwardArgs& args = *static_cast<const LayerNormBackwardArgs*>(arguments);
  const double n = static_cast<double>(args.n);
  for (int64_t r = first; r < last; ++r) {
    const float *x = args.x + r * args.n, *dy = args.dy + r * args.n;
    float* dx = args.dx + r * args.n;
    const typename L::V mean = L::set(args.mean[r]), rstd = L::set(args.rstd[r]);
    const auto scaled = [&](int64_t i, auto lanes) __attribute__((always_inline)) {
      const typename L::V v = lanes.load(dy + i);
      return args.gamma ? L::mul(v, lanes.load(args.gamma + i)) : v;
    };
    const double sum = sum_row<L>(args.n, scaled);
    const double product = sum_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          return L::mul(scaled(i, lanes), L::sub(lanes.load(x + i), mean));
        });
    const double s = args.rstd[r];
    const typename L::V shift = L::set(static_cast<float>(-s * sum / n));
    const typename L::V tilt = L::set(static_cast<float>(-s * s * s * product / n));
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          const typename L::V deviation = L::sub(lanes.load(x + i), mean);
          lanes.store(dx + i, L::fma(rstd, scaled(i, lanes), L::fma(deviation, tilt, shift)));
        });
  }
}

// Sums of dy and of dy (x - mean) rstd. Wide rows are made of several rows, each with its own mean.
template <class L>
struct LayerNormTerms {
  const LayerNormBackwardArgs* args;
  int64_t width;
  int64_t fold;
  struct Prepared {};
  Prepared prepare(int64_t, int64_t, typename L::Mask) const { return {}; }
  BINCE_INLINE_MEMBER void terms(int64_t row, int64_t j, typename L::Mask mask, const Prepared&,
                                 typename L::V* a, typename L::V* b) const {
    const int64_t at = row * width + j;
    const typename L::V dy = L::load(args->dy + at, mask);
    typename L::V mean, rstd;
    if (fold == 1) {
      mean = L::set(args->mean[row]);
      rstd = L::set(args->rstd[row]);
    } else {
      float means[L::kLanes], rstds[L::kLanes];
      for (int k = 0; k < L::kLanes; ++k) {
        const int64_t r = (at + k) / args->n < args->rows ? (at + k) / args->n : args->rows - 1;
        means[k] = args->mean[r];
        rstds[k] = args->rstd[r];
      }
      mean = L::load(means);
      rstd = L::load(rstds);
    }
    *a = L::add(*a, dy);
    *b = L::fma(L::mul(dy, rstd), L::sub(L::load(args->x + at, mask), mean), *b);
  }
  void finish(int64_t, int64_t, double*, double*) const {}
};

template <class L>
static void layer_norm_backward_lanes(const LayerNormBackwardArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, layer_norm_backward_rows<L>, &args);
  if (!args.dgamma && !args.dbeta) return;
  const RowBlocks blocks = row_blocks(args.rows, args.n);
  const LayerNormTerms<L> terms = {&args, blocks.width, blocks.fold};
  sum_blocks<L>(terms, blocks, run);
  const ColumnPartials partials = column_partials(blocks, run.workspace);
  add_blocks(blocks, args.n, partials);
  double *sums = partial(partials, blocks.count, 0), *products = partial(partials, blocks.count, 1);
  for (int64_t r = blocks.wide_rows * blocks.fold; r < args.rows; ++r)
    for (int64_t k = 0; k < args.n; ++k) {
      const double dy = args.dy[r * args.n + k];
      sums[k] += dy;
      products[k] += dy * (args.x[r * args.n + k] - static_cast<double>(args.mean[r])) * args.rstd[r];
    }
  for (int64_t k = 0; k < args.n; ++k) {
    if (args.dgamma) args.dgamma[k] = static_cast<float>(products[k]);
    if (args.dbeta) args.dbeta[k] = static_cast<float>(sums[k]);
  }
}

template <class L>
BINCE_INLINE double dot_row(const float* x, const float* y, int64_t n) {
  return sum_row<L>(
      n, [&](int64_t i, auto lanes)
             __attribute__((always_inline)) { return L::mul(lanes.load(x + i), lanes.load(y + i)); });
}

// Squares that leave float32's range, above or below, are added in double.
template <class L>
static double squares_of_row(const float* x, int64_t n) {
  const double squares = dot_row<L>(x, x, n);
  if (squares > 1e-24 && squares < 1e36) return squares;
  double exact = 0;
  for (int64_t k = 0; k < n; ++k) exact += static_cast<double>(x[k]) * x[k];
  return exact;
}

template <class L>
static void normalize_unit_rows(const void* arguments, int64_t first, int64_t last) {
  const NormalizeArgs& args = *static_cast<const NormalizeArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float* x = args.x + r * args.n;
    const double norm = ::sqrt(squares_of_row<L>(x, args.n)),
                 inverse = 1 / (norm < args.eps ? args.eps : norm);
    args.inverse_norm[r] = static_cast<float>(inverse);
    const typename L::V scale = L::set(static_cast<float>(inverse));
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          lanes.store(args.y + r * args.n + i, L::mul(lanes.load(x + i), scale));
        });
  }
}
template <class L>
static void normalize_lanes(const NormalizeArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, normalize_unit_rows<L>, &args);
}

// A row shorter than eps was divided by the constant eps: it is recognised by |y|^2 < 1 - 1e-4.
template <class L>
static void normalize_backward_rows(const void* arguments, int64_t first, int64_t last) {
  const NormalizeBackwardArgs& args = *static_cast<const NormalizeBackwardArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float *y = args.y + r * args.n, *dy = args.dy + r * args.n;
    const double product = dot_row<L>(y, y, args.n) < 1 - 1e-4 ? 0 : dot_row<L>(y, dy, args.n);
    const typename L::V along = L::set(static_cast<float>(product)), scale = L::set(args.inverse_norm[r]);
    over_row<L>(
        args.n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          const typename L::V across = L::fnma(lanes.load(y + i), along, lanes.load(dy + i));
          lanes.store(args.dx + r * args.n + i, L::mul(scale, across));
        });
  }
}
template <class L>
static void normalize_backward_lanes(const NormalizeBackwardArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, normalize_backward_rows<L>, &args);
}

template <class L>
static void fill_normalization(TensorOps* ops) {
  ops->batch_norm = batch_norm_lanes<L>;
  ops->batch_norm_backward = batch_norm_backward_lanes<L>;
  ops->layer_norm = layer_norm_lanes<L>;
  ops->layer_norm_backward = layer_norm_backward_lanes<L>;
  ops->normalize = normalize_lanes<L>;
  ops->normalize_backward = normalize_backward_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_NORMALIZATION_LANES_H_
