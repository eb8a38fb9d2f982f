// The shape of a channel's network and where its parameters lie.
//
// Layers k = 0..layers-1 have width(k) inputs and width(k + 1) outputs; width(0) = width(layers) = 1.  The
// parameters of a channel, in this order a layer: matrix [out][in] row-major (before softplus), bias [out],
// factor [out] (before tanh; none in the last layer).  In memory they are [parameter][channel].
#ifndef BINCE_ENTROPY_WIDTHS_H_
#define BINCE_ENTROPY_WIDTHS_H_

#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

inline constexpr int kMaxHidden = 8;        // hidden layers
inline constexpr int kMaxHiddenWidth = 16;  // of each
inline constexpr int kMaxParameters =
    3 * kMaxHiddenWidth + (kMaxHidden - 1) * (kMaxHiddenWidth * kMaxHiddenWidth + 2 * kMaxHiddenWidth) +
    kMaxHiddenWidth + 1;

// Any widths; places of parameters are worked out once.
struct Widths {
  int layers;
  int width[kMaxHidden + 2];
  int matrix[kMaxHidden + 1];  // index of the layer's first matrix entry; bias and factor follow it
  int parameters;
};

BINCE_INLINE int bias_index(const Widths& w, int k) {
  return w.matrix[k] + w.width[k] * w.width[k + 1];
}
BINCE_INLINE int factor_index(const Widths& w, int k) {
  return bias_index(w, k) + w.width[k + 1];
}

// `hidden` widths as in CompressAI's `filters`.
BINCE_INLINE Widths make_widths(const int32_t* hidden, int count) {
  Widths w = {};
  w.layers = count + 1;
  w.width[0] = 1;
  for (int k = 0; k < count; ++k) w.width[k + 1] = hidden[k];
  w.width[w.layers] = 1;
  for (int k = 0; k < w.layers; ++k) {
    w.matrix[k] = w.parameters;
    w.parameters += w.width[k + 1] * (w.width[k] + (k + 1 < w.layers ? 2 : 1));
  }
  return w;
}

// 1-3-3-3-3-1: 58 parameters.
BINCE_INLINE bool is_default(const Widths& w) {
  return w.layers == 5 && w.width[1] == 3 && w.width[2] == 3 && w.width[3] == 3 && w.width[4] == 3;
}

}  // namespace bince

#endif  // BINCE_ENTROPY_WIDTHS_H_
