// How a matrix [rows][columns] is cut for sums over its rows.
//
// Few columns are widened: `fold` rows side by side make one row of a width that vectors fill, and what is
// left over below fold rows is the remainder, added at the end by plain loops. Blocks of (wide) rows leave
// partial results in the workspace, which are added in block order. The cut depends on the shape alone.
#ifndef BINCE_TENSOR_COLUMN_BLOCKS_H_
#define BINCE_TENSOR_COLUMN_BLOCKS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

enum {
  kBlockElements = 32768,  // of a task: 128 KB
  kMaxRowBlocks = 256,
  kFoldedColumns = 64,  // narrower matrices are widened
  kSharedRows = 64,     // fewer long rows are cut, each for several threads
  kPartials = 2,        // doubles a column and block
  kColumnVectors = 8    // float vectors of a column's parameters, besides
};

struct RowBlocks {
  int64_t fold, width;        // rows side by side, columns of a wide row
  int64_t wide_rows;          // without the remainder
  int64_t count, block_rows;  // blocks of wide rows; the last may be shorter
};

BINCE_INLINE RowBlocks row_blocks(int64_t rows, int64_t columns) {
  RowBlocks blocks = {1, columns < 1 ? 1 : columns, rows, 0, 32};
  if (columns < kFoldedColumns)
    while (blocks.width % 16 != 0) blocks.width += columns, ++blocks.fold;
  blocks.wide_rows = rows / blocks.fold;
  int64_t size = kBlockElements / blocks.width;
  if (size * kMaxRowBlocks < blocks.wide_rows) size = (blocks.wide_rows + kMaxRowBlocks - 1) / kMaxRowBlocks;
  blocks.block_rows = (size + 31) / 32 * 32;
  if (blocks.block_rows < 32) blocks.block_rows = 32;
  blocks.count = (blocks.wide_rows + blocks.block_rows - 1) / blocks.block_rows;
  return blocks;
}

// The partials of all blocks, and a column's parameters beside them.
BINCE_INLINE size_t partials_bytes(const RowBlocks& blocks) {
  const size_t row = static_cast<size_t>((blocks.width + 15) / 16 * 16) * sizeof(double);
  return static_cast<size_t>(blocks.count + 1) * kPartials * row;
}
BINCE_INLINE size_t column_partials_bytes(int64_t rows, int64_t columns) {
  if (columns < 1) return 0;
  const RowBlocks blocks = row_blocks(rows, columns);
  const size_t row = static_cast<size_t>((blocks.width + 15) / 16 * 16) * sizeof(float);
  return partials_bytes(blocks) + kColumnVectors * row;
}

}  // namespace bince

#endif  // BINCE_TENSOR_COLUMN_BLOCKS_H_
