// Rows of any width and alignment into the form that tiles read (TileRows), on a CUDA device.
#ifndef BINCE_CONTRASTIVE_PAD_ROWS_H_
#define BINCE_CONTRASTIVE_PAD_ROWS_H_

#include <stdint.h>

#include "bince.h"

namespace bince {

// The stride that padded rows of `dim` elements have: dim rounded up to 16 bytes.
inline int64_t padded_stride(int64_t dim, bool bfloat16) {
  const int64_t unit = bfloat16 ? 8 : 4;
  return (dim + unit - 1) / unit * unit;
}

// Whether rows [count][dim] can be read where they are.
inline bool rows_are_padded(const void* rows, int64_t dim, bool bfloat16) {
  return reinterpret_cast<uintptr_t>(rows) % 16 == 0 && padded_stride(dim, bfloat16) == dim;
}

// to[count][padded_stride(dim)] = from[count][dim], zeros behind; `to` is 16-byte aligned, `from` aligned to
// its elements.
bince_status launch_pad_rows(void* stream, const void* from, int64_t count, int64_t dim, bool bfloat16,
                             void* to);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_PAD_ROWS_H_
