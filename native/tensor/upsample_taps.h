// Which two input rows (or columns) an output row is made of.
#ifndef BINCE_TENSOR_UPSAMPLE_TAPS_H_
#define BINCE_TENSOR_UPSAMPLE_TAPS_H_

#include "native/core/inline.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

struct Taps {
  int64_t first, second;
  float weight;  // of the second
};

// Output position `at` of `to`, from an axis of `from`.
BINCE_INLINE Taps taps_of(UpsampleKind kind, int64_t at, int64_t from, int64_t to) {
  Taps taps = {at * from / to, at * from / to, 0.0f};
  if (kind == kNearest) return taps;
  // (at + 1/2) from / to - 1/2, below 0 the first
  const int64_t numerator = (2 * at + 1) * from - to, denominator = 2 * to;
  taps.first = taps.second = 0;
  if (numerator <= 0) return taps;
  taps.first = numerator / denominator;
  taps.second = taps.first + 1 < from ? taps.first + 1 : taps.first;
  taps.weight = static_cast<float>(static_cast<double>(numerator - taps.first * denominator) /
                                   static_cast<double>(denominator));
  return taps;
}

}  // namespace bince

#endif  // BINCE_TENSOR_UPSAMPLE_TAPS_H_
