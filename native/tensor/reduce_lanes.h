// Reductions over lanes: along rows, or over rows column by column.
#ifndef BINCE_TENSOR_REDUCE_LANES_H_
#define BINCE_TENSOR_REDUCE_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/column_sums.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

enum { kSegment = 32768 };  // elements of a long row that one task adds

template <class L>
BINCE_INLINE double plain_sum(const float* x, int64_t n) {
  return sum_row<L>(
      n, [&](int64_t i, auto lanes) __attribute__((always_inline)) { return lanes.load(x + i); });
}

template <class L>
static double reduce_segment(Reduction op, const float* x, int64_t n) {
  if (op == kLargest) return largest_of_row<L>(x, n);
  if (op == kSmallest) return smallest_of_row<L>(x, n);
  return plain_sum<L>(x, n);
}
BINCE_INLINE double combine(Reduction op, double a, double b) {
  if (op == kLargest) return a != a || a > b ? a : b;
  if (op == kSmallest) return a != a || a < b ? a : b;
  return a + b;
}
BINCE_INLINE float reduced(const ReduceArgs& args, double value) {
  return static_cast<float>(args.op == kMean ? value / static_cast<double>(args.n) : value);
}

template <class L>
static void reduce_rows(const void* arguments, int64_t first, int64_t last) {
  const ReduceArgs& args = *static_cast<const ReduceArgs*>(arguments);
  for (int64_t r = first; r < last; ++r)
    args.y[r] = reduced(args, reduce_segment<L>(args.op, args.x + r * args.n, args.n));
}

struct LongRows {
  const ReduceArgs* args;
  int64_t segments, length;
  double* partials;  // [outer][segments]
};
template <class L>
static void reduce_segments(void* argument, int64_t i, int) {
  const LongRows& rows = *static_cast<const LongRows*>(argument);
  const int64_t r = i / rows.segments, first = i % rows.segments * rows.length;
  const int64_t left = rows.args->n - first, length = left < rows.length ? left : rows.length;
  rows.partials[i] = reduce_segment<L>(rows.args->op, rows.args->x + r * rows.args->n + first, length);
}
// Rows so long that several threads share one.
template <class L>
static void reduce_long_rows(const ReduceArgs& args, const Run& run) {
  int64_t length = kSegment;
  if (length * kMaxRowBlocks < args.n) length = (args.n + kMaxRowBlocks - 1) / kMaxRowBlocks;
  LongRows rows = {&args, (args.n + length - 1) / length, length, reinterpret_cast<double*>(run.workspace)};
  parallel_for(run.pool, args.outer * rows.segments, reduce_segments<L>, &rows);
  for (int64_t r = 0; r < args.outer; ++r) {
    const double* part = rows.partials + r * rows.segments;
    double value = part[0];
    for (int64_t k = 1; k < rows.segments; ++k) value = combine(args.op, value, part[k]);
    args.y[r] = reduced(args, value);
  }
}

template <class L>
struct PlainTerms {
  const float* x;
  int64_t width;
  struct Prepared {};
  Prepared prepare(int64_t, int64_t, typename L::Mask) const { return {}; }
  BINCE_INLINE_MEMBER void terms(int64_t row, int64_t j, typename L::Mask mask, const Prepared&,
                                 typename L::V* a, typename L::V*) const {
    *a = L::add(*a, L::load(x + row * width + j, mask));
  }
  void finish(int64_t, int64_t, double*, double*) const {}
};

// One [n][inner] slice with its blocks spread over the threads.
template <class L>
static void sum_slice(const ReduceArgs& args, int64_t o, const Run& run) {
  const float* x = args.x + o * args.n * args.inner;
  const RowBlocks blocks = row_blocks(args.n, args.inner);
  const PlainTerms<L> terms = {x, blocks.width};
  sum_blocks<L>(terms, blocks, run);
  const ColumnPartials partials = column_partials(blocks, run.workspace);
  add_blocks(blocks, args.inner, partials);
  double* sums = partial(partials, blocks.count, 0);
  for (int64_t r = blocks.wide_rows * blocks.fold; r < args.n; ++r)
    for (int64_t c = 0; c < args.inner; ++c) sums[c] += static_cast<double>(x[r * args.inner + c]);
  for (int64_t c = 0; c < args.inner; ++c) args.y[o * args.inner + c] = reduced(args, sums[c]);
}

// Small slices, several a task: columns j .. of one slice in registers.
template <class L>
static void reduce_slices(const void* arguments, int64_t first, int64_t last) {
  const ReduceArgs& args = *static_cast<const ReduceArgs*>(arguments);
  for (int64_t o = first; o < last; ++o) {
    const float* x = args.x + o * args.n * args.inner;
    over_row<L>(
        args.inner, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
          using V = typename L::V;
          V value = lanes.load(x + j);
          float* y = args.y + o * args.inner + j;
          if (args.op == kLargest || args.op == kSmallest) {
            for (int64_t r = 1; r < args.n; ++r) {
              const V next = lanes.load(x + r * args.inner + j);
              value = args.op == kLargest ? larger<L>(value, next) : smaller<L>(value, next);
            }
            lanes.store(y, value);
            return;
          }
          typename L::Sum total = L::sum_zero();
          for (int64_t r = 0; r < args.n;) {
            V chunk = L::set(0.0f);
            for (const int64_t end = r + 32 < args.n ? r + 32 : args.n; r < end; ++r)
              chunk = L::add(chunk, lanes.load(x + r * args.inner + j));
            L::sum_add(&total, chunk);
          }
          double sums[L::kLanes];
          L::sum_store(sums, total);
          for (int k = 0; k < L::kLanes && j + k < args.inner; ++k) y[k] = reduced(args, sums[k]);
        });
  }
}

template <class L>
static void reduce_lanes(const ReduceArgs& args, const Run& run) {
  if (args.inner == 1) {
    if (args.n >= 2 * kSegment && args.outer < kSharedRows) return reduce_long_rows<L>(args, run);
    return over_ranges(run, args.outer, args.n, reduce_rows<L>, &args);
  }
  const bool sums = args.op == kSum || args.op == kMean;
  const int64_t slice = args.n * args.inner;
  // Large slices are cut over their rows; narrow ones of some length profit from widening.
  if (sums && (slice >= 2 * kBlockElements || (slice >= 1024 && args.inner < L::kLanes))) {
    for (int64_t o = 0; o < args.outer; ++o) sum_slice<L>(args, o, run);
    return;
  }
  over_ranges(run, args.outer, slice, reduce_slices<L>, &args);
}

template <class L>
static void argmax_rows(const void* arguments, int64_t first, int64_t last) {
  const ArgmaxArgs& args = *static_cast<const ArgmaxArgs*>(arguments);
  for (int64_t r = first; r < last; ++r) {
    const float *x = args.x + r * args.n, largest = largest_of_row<L>(x, args.n);
    int64_t k = 0;
    if (largest == largest)
      while (x[k] != largest) ++k;
    else
      while (x[k] == x[k]) ++k;
    args.out[r] = static_cast<int32_t>(k);
  }
}
template <class L>
static void argmax_lanes(const ArgmaxArgs& args, const Run& run) {
  over_ranges(run, args.rows, args.n, argmax_rows<L>, &args);
}

struct SquareSegments {
  const float* x;
  int64_t n, length;
  double* partials;
};
template <class L>
static void square_segment(void* argument, int64_t i, int) {
  const SquareSegments& task = *static_cast<const SquareSegments*>(argument);
  const float* x = task.x + i * task.length;
  const int64_t left = task.n - i * task.length, length = left < task.length ? left : task.length;
  double sum = sum_row<L>(
      length, [&](int64_t k, auto lanes) __attribute__((always_inline)) {
        const typename L::V v = lanes.load(x + k);
        return L::mul(v, v);
      });
  if (!(sum > 1e-24 && sum < 1e36)) {  // squares beyond float32's range
    sum = 0;
    for (int64_t k = 0; k < length; ++k) sum += static_cast<double>(x[k]) * x[k];
  }
  task.partials[i] = sum;
}
template <class L>
static double sum_squares_lanes(const float* x, int64_t n, const Run& run) {
  SquareSegments task = {x, n, kSegment, reinterpret_cast<double*>(run.workspace)};
  if (task.length * kMaxRowBlocks < n) task.length = (n + kMaxRowBlocks - 1) / kMaxRowBlocks;
  const int64_t segments = (n + task.length - 1) / task.length;
  parallel_for(run.pool, segments, square_segment<L>, &task);
  double sum = 0;
  for (int64_t i = 0; i < segments; ++i) sum += task.partials[i];
  return sum;
}

template <class L>
static int64_t first_non_finite_lanes(const float* x, int64_t n, const Run&) {
  int64_t i = 0;
  for (; i + L::kLanes <= n; i += L::kLanes)
    if (L::any_not_finite(L::load(x + i), L::mask(L::kLanes))) break;
  for (; i < n; ++i)
    if (!__builtin_isfinite(x[i])) return i;
  return -1;
}

template <class L>
static void fill_reduce(TensorOps* ops) {
  ops->reduce = reduce_lanes<L>;
  ops->argmax = argmax_lanes<L>;
  ops->sum_squares = sum_squares_lanes<L>;
  ops->first_non_finite = first_non_finite_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_REDUCE_LANES_H_
