// Between values and symbols, in float32, each operation rounded by itself (docs/FORMAT.md).
#ifndef BINCE_CODING_QUANTIZE_H_
#define BINCE_CODING_QUANTIZE_H_

#include <math.h>

#include "native/core/inline.h"

namespace bince {

inline constexpr float kMaxSymbol = 1073741824.0f;  // |s| < 2^30 for symbols made of values

// round_half_even(((x - shift) * gain) - median); false for NaN and for |s| >= 2^30.
BINCE_INLINE bool quantize(float x, float median, float gain, float shift, int32_t* symbol) {
  const float scaled = (x - shift) * gain;
  const float rounded = rintf(scaled - median);
  if (!(fabsf(rounded) < kMaxSymbol)) return false;
  *symbol = static_cast<int32_t>(rounded);
  return true;
}

// ((s + median) * step) + shift
BINCE_INLINE float dequantize(int32_t symbol, float median, float step, float shift) {
  const float scaled = (static_cast<float>(symbol) + median) * step;
  return scaled + shift;
}

}  // namespace bince

#endif  // BINCE_CODING_QUANTIZE_H_
