// Two sums over the rows of every column, in blocks of rows. Included by SIMD sources.
#ifndef BINCE_TENSOR_COLUMN_SUMS_H_
#define BINCE_TENSOR_COLUMN_SUMS_H_

#include "native/core/ops.h"
#include "native/core/thread_pool.h"
#include "native/tensor/column_blocks.h"

namespace bince {

// Partial sums of a block lie as first[width], second[width].
struct ColumnPartials {
  double* base;
  int64_t stride;  // doubles of one of the two, a multiple of 16
};
BINCE_INLINE ColumnPartials column_partials(const RowBlocks& blocks, char* workspace) {
  return {reinterpret_cast<double*>(workspace), (blocks.width + 15) / 16 * 16};
}
BINCE_INLINE double* partial(const ColumnPartials& partials, int64_t block, int which) {
  return partials.base + (block * kPartials + which) * partials.stride;
}
// Room for float parameters of the wide columns, behind the partials.
BINCE_INLINE float* column_vector(const RowBlocks& blocks, char* workspace, int which) {
  return reinterpret_cast<float*>(workspace + partials_bytes(blocks)) +
         which * ((blocks.width + 15) / 16 * 16);
}

// Sums of wide rows [first, last) into the two rows of doubles. F::prepare(j, mask) gives what a group of
// lanes needs; F::terms(row, j, mask, prepared, &a, &b) adds one element's terms. Thirty-two rows are added
// in float32, their sums in double.
template <class L, class F>
static void sum_columns(const F& f, int64_t first, int64_t last, int64_t width, double* sums0,
                        double* sums1) {
  constexpr int kGroup = 2, kChunk = 32;
  for (int64_t j = 0; j < width; j += kGroup * L::kLanes) {
    typename L::Sum total0[kGroup], total1[kGroup];
    typename F::Prepared prepared[kGroup];
    typename L::Mask mask[kGroup];
    for (int g = 0; g < kGroup; ++g) {
      const int64_t left = width - j - g * L::kLanes;
      mask[g] = L::mask(left < 0 ? 0 : left < L::kLanes ? left : L::kLanes);
      total0[g] = total1[g] = L::sum_zero();
      prepared[g] = f.prepare(first, j + g * L::kLanes, mask[g]);
    }
    for (int64_t r = first; r < last; r += kChunk) {
      const int64_t end = r + kChunk < last ? r + kChunk : last;
      typename L::V a[kGroup], b[kGroup];
      for (int g = 0; g < kGroup; ++g) a[g] = b[g] = L::set(0.0f);
      for (int64_t row = r; row < end; ++row)
        for (int g = 0; g < kGroup; ++g) f.terms(row, j + g * L::kLanes, mask[g], prepared[g], &a[g], &b[g]);
      for (int g = 0; g < kGroup; ++g) {
        L::sum_add(&total0[g], a[g]);
        L::sum_add(&total1[g], b[g]);
      }
    }
    for (int g = 0; g < kGroup; ++g) {
      if (j + g * L::kLanes >= width) break;  // the rows are rounded up to whole groups of lanes
      L::sum_store(sums0 + j + g * L::kLanes, total0[g]);
      L::sum_store(sums1 + j + g * L::kLanes, total1[g]);
    }
  }
}

template <class F>
struct ColumnTask {
  const F* f;
  RowBlocks blocks;
  ColumnPartials partials;
};
template <class L, class F>
static void column_task(void* argument, int64_t i, int) {
  const ColumnTask<F>& task = *static_cast<ColumnTask<F>*>(argument);
  const int64_t first = i * task.blocks.block_rows, end = first + task.blocks.block_rows;
  const int64_t last = end < task.blocks.wide_rows ? end : task.blocks.wide_rows;
  double *first_sums = partial(task.partials, i, 0), *second_sums = partial(task.partials, i, 1);
  sum_columns<L, F>(*task.f, first, last, task.blocks.width, first_sums, second_sums);
  task.f->finish(first, last, first_sums, second_sums);
}
// The partial sums of all blocks.
template <class L, class F>
static void sum_blocks(const F& f, const RowBlocks& blocks, const Run& run) {
  ColumnTask<F> task = {&f, blocks, column_partials(blocks, run.workspace)};
  parallel_for(run.pool, blocks.count, column_task<L, F>, &task);
}

// Adds the blocks into the partials behind the last one, then wide columns that share a column.
BINCE_INLINE void add_blocks(const RowBlocks& blocks, int64_t columns, const ColumnPartials& partials) {
  for (int which = 0; which < 2; ++which) {
    double* total = partial(partials, blocks.count, which);
    for (int64_t j = 0; j < blocks.width; ++j) total[j] = 0;
    for (int64_t i = 0; i < blocks.count; ++i) {
      const double* part = partial(partials, i, which);
      for (int64_t j = 0; j < blocks.width; ++j) total[j] += part[j];
    }
    for (int64_t j = columns; j < blocks.width; ++j) total[j % columns] += total[j];
  }
}

}  // namespace bince

#endif  // BINCE_TENSOR_COLUMN_SUMS_H_
