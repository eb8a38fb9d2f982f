// How a contrastive call on a CUDA device is cut into launches, and its workspace.
//
// Every size follows from the shape and the options, not from the device, so that the same call gives the
// same bits on any of them.
#ifndef BINCE_CONTRASTIVE_DEVICE_PLAN_H_
#define BINCE_CONTRASTIVE_DEVICE_PLAN_H_

#include "native/contrastive/score_launch.h"
#include "native/core/workspace.h"

namespace bince {

inline int64_t parts_of(int64_t count, int64_t part) {
  return (count + part - 1) / part;
}

inline int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

struct DevicePlan {
  const ScoreKernels* kernels;
  bool forward, backward, symmetric, own_key;
  int64_t columns;  // that go through tiles: all, or the queue
  // Statistics: launches of row_tiles x span columns.
  int64_t row_tiles, launch_row_tiles, span;
  int64_t most_blocks;   // of a launch
  int64_t row_parts;     // floats of one array of the rows' parts
  int64_t column_parts;  // of the columns'
  // Gradients: blocks of pairs, multiples of kGradientPadding.
  int64_t block_rows, block_columns;
  int64_t gradient_blocks;  // thread blocks of a launch
};

struct DeviceMemory {
  DeviceLines row, column;
  char* cleared;  // what begins as zeros: positives, squares, sums
  size_t cleared_bytes;
  double* squares;  // [most_blocks]
  double* sums;     // [gradient_blocks][2]
  LineSums* line_sums;
  ContrastiveTotals* totals;
  float* own_similarity;
  LineParts row_parts, column_parts;
  void* gradients;         // [block_rows][block_columns]; where column_parts lay
  void *q, *keys, *queue;  // padded copies; null where the rows can be read as they are
};

// Column tiles that one block of a launch of statistics goes through.
int64_t tiles_of_block(int64_t row_tiles, int64_t column_tiles);

DevicePlan plan_device(const ContrastiveProblem& problem, uint32_t call);

// Carves the workspace; with a null base it only counts.
void carve_device(Workspace* workspace, const ContrastiveProblem& problem, const DevicePlan& plan,
                  DeviceMemory* memory);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_DEVICE_PLAN_H_
