// How [rows][columns] is cut for sums over rows: blocks of rows whose partial results lie in the workspace
// and are added in block order. The cut depends on the shape alone.
#ifndef BINCE_TENSOR_COLUMN_BLOCKS_H_
#define BINCE_TENSOR_COLUMN_BLOCKS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

enum {
  kBlockElements = 32768,  // of a task: 128 KB, a few microseconds
  kMaxRowBlocks = 256,
  kPartials = 3  // doubles a column and block, at most: a pair of sums, a count
};

struct RowBlocks {
  int64_t count, rows;  // rows of a block; the last may be shorter
};

BINCE_INLINE RowBlocks row_blocks(int64_t rows, int64_t columns) {
  int64_t size = kBlockElements / (columns < 1 ? 1 : columns);
  if (size < 32) size = 32;
  if (size * kMaxRowBlocks < rows) size = (rows + kMaxRowBlocks - 1) / kMaxRowBlocks;
  size = (size + 31) / 32 * 32;
  const RowBlocks blocks = {rows < 1 ? 1 : (rows + size - 1) / size, size};
  return blocks;
}

BINCE_INLINE size_t column_partials_bytes(int64_t rows, int64_t columns) {
  const size_t bytes = static_cast<size_t>(columns) * sizeof(double);
  return static_cast<size_t>(row_blocks(rows, columns).count + 1) * kPartials * ((bytes + 63) & ~size_t{63});
}

}  // namespace bince

#endif  // BINCE_TENSOR_COLUMN_BLOCKS_H_
