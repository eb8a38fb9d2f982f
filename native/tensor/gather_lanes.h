// Rows by index over lanes. The derivative is cut by rows of dx: each task reads the whole index and adds
// what falls into its rows, in the order of the index.
#ifndef BINCE_TENSOR_GATHER_LANES_H_
#define BINCE_TENSOR_GATHER_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

template <class L>
static void gather_range(const void* arguments, int64_t first, int64_t last) {
  const GatherArgs& args = *static_cast<const GatherArgs*>(arguments);
  for (int64_t i = first; i < last; ++i) {
    const float* x = args.x + args.index[i] * args.width;
    float* y = args.y + i * args.width;
    over_row<L>(
        args.width, [&](int64_t k, auto lanes)
                        __attribute__((always_inline)) { lanes.store(y + k, lanes.load(x + k)); });
  }
}
template <class L>
static void gather_rows_lanes(const GatherArgs& args, const Run& run) {
  over_ranges(run, args.count, args.width, gather_range<L>, &args);
}

template <class L>
static void scatter_rows(const GatherArgs& args, int64_t first, int64_t last) {
  for (int64_t i = first * args.width; i < last * args.width; ++i) args.y[i] = 0;
  for (int64_t i = 0; i < args.count; ++i) {
    if (args.index[i] < first || args.index[i] >= last) continue;
    const float* dy = args.x + i * args.width;
    float* dx = args.y + args.index[i] * args.width;
    over_row<L>(
        args.width, [&](int64_t k, auto lanes) __attribute__((always_inline)) {
          lanes.store(dx + k, L::add(lanes.load(dx + k), lanes.load(dy + k)));
        });
  }
}

enum { kScatterTasks = 16 };
template <class L>
static void scatter_task(void* argument, int64_t i, int) {
  const GatherArgs& args = *static_cast<const GatherArgs*>(argument);
  const int64_t share = (args.rows + kScatterTasks - 1) / kScatterTasks, first = i * share;
  const int64_t last = first + share < args.rows ? first + share : args.rows;
  if (first < last) scatter_rows<L>(args, first, last);
}
template <class L>
static void scatter_add_rows_lanes(const GatherArgs& given, const Run& run) {
  GatherArgs args = given;
  if ((args.rows + args.count) * args.width < kThreadedElements) return scatter_rows<L>(args, 0, args.rows);
  parallel_for(run.pool, kScatterTasks, scatter_task<L>, &args);
}

template <class L>
static void fill_gather(TensorOps* ops) {
  ops->gather_rows = gather_rows_lanes<L>;
  ops->scatter_add_rows = scatter_add_rows_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_GATHER_LANES_H_
