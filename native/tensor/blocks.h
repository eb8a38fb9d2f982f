// Cuts elements or rows into tasks, by size alone. Included by SIMD sources.
#ifndef BINCE_TENSOR_BLOCKS_H_
#define BINCE_TENSOR_BLOCKS_H_

#include "native/core/inline.h"
#include "native/core/ops.h"
#include "native/core/thread_pool.h"

namespace bince {

static constexpr int64_t kTaskElements = 16384;      // 64 KB of each array
static constexpr int64_t kThreadedElements = 32768;  // below, waking threads costs more than they save

// What a task is given: units [first, last) of the call's own arguments.
typedef void (*RangeTask)(const void* args, int64_t first, int64_t last);

struct Ranges {
  RangeTask task;
  const void* args;
  int64_t units, per_task;
};

BINCE_INLINE void run_range(void* argument, int64_t i, int) {
  const Ranges& ranges = *static_cast<const Ranges*>(argument);
  const int64_t first = i * ranges.per_task, left = ranges.units - first;
  ranges.task(ranges.args, first, first + (left < ranges.per_task ? left : ranges.per_task));
}

// Units of `cost` elements each; every unit's result depends on nothing but the unit.
BINCE_INLINE void over_ranges(const Run& run, int64_t units, int64_t cost, RangeTask task, const void* args) {
  if (units <= 0) return;
  if (cost < 1) cost = 1;
  if (units == 1 || units * cost < kThreadedElements) {
    task(args, 0, units);
    return;
  }
  const int64_t per_task = cost >= kTaskElements ? 1 : kTaskElements / cost;
  Ranges ranges = {task, args, units, per_task};
  parallel_for(run.pool, (units + per_task - 1) / per_task, run_range, &ranges);
}

}  // namespace bince

#endif  // BINCE_TENSOR_BLOCKS_H_
