// The augmentation family's slots of the operations table: what is done to one image's pixels.
//
// Inside, an image lies as C planes of [H][W] float32; the driver (augment_run.cc) turns batches of [H][W][C]
// into it and back, draws the parameters once for all backends, and cuts a batch into tasks of a few images.
#ifndef BINCE_AUGMENT_AUGMENT_OPS_H_
#define BINCE_AUGMENT_AUGMENT_OPS_H_

#include <stdint.h>

#include "native/core/inline.h"
#include "native/core/ops.h"

namespace bince {

// One plane through an inverse map, bilinear: out(x, y) = in(m0 x + m1 y + m2, m3 x + m4 y + m5).
struct WarpArgs {
  int32_t H, W;
  const float*
      bordered;  // [H + 2][W + 2]: the plane inside a border of one pixel, which stands for all outside
  double m[6];
  bool nearest;  // the nearest pixel instead
  float* out;    // [H][W]
};

// One plane displaced, bilinear: out(x, y) = in(x + dx, y + dy), both displacements interpolated linearly
// between the rows of nodes above and below.
struct DisplaceArgs {
  int32_t H, W;
  const float* bordered;  // [H + 2][W + 2], as for WarpArgs
  int32_t grid;           // rows of nodes, the first and the last on the first and the last row of pixels
  const float* field;     // [grid][2][W]: dx and dy in pixels
  float* out;             // [H][W]
};

// The row of nodes above a row of pixels, and how far below it the pixels lie.
struct NodeRow {
  int32_t above;
  double share;
};
BINCE_INLINE NodeRow node_row(int32_t i, int32_t size, int32_t grid) {
  const double at = size > 1 ? static_cast<double>(i) * (grid - 1) / (size - 1) : 0.0;
  const int32_t cell = static_cast<int32_t>(at);
  const int32_t above = cell < grid - 2 ? cell : grid - 2;
  return {above, at - above};
}

// One row: out[i] = sum over k < taps of weights[k][i] * in[first[i] + k].
struct ResampleArgs {
  int32_t size, taps;
  const float* in;
  const int32_t* first;  // [size]
  const float* weights;  // [taps][size]
  float* out;            // [size]
};

struct AugmentOps {
  // out[i] = bytes[i] / 255, correctly rounded: the same bits on every backend.
  void (*unit_bytes)(int64_t n, const uint8_t* bytes, float* out);
  void (*warp)(const WarpArgs& args);
  void (*displace)(const DisplaceArgs& args);
  void (*resample_row)(const ResampleArgs& args);
  // out[i] = sum over k < taps of weights[k] * rows[k][i]; out is none of the rows.
  void (*mix_rows)(int64_t n, int32_t taps, const float* const* rows, const float* weights, float* out);
  // x[i] = factor * x[i] + (1 - factor) * base, clamped to [0, 1].
  void (*blend)(int64_t n, double factor, double base, float* x);
  // Each pixel between its grey value (factor 0) and itself (factor 1), clamped to [0, 1].
  void (*saturate)(int64_t n, double factor, float* red, float* green, float* blue);
  // Each pixel's hue turned by `turn` of the circle at the same saturation and value (HSV).
  void (*turn_hue)(int64_t n, double turn, float* red, float* green, float* blue);
  // x[i] = (x[i] - mean) / deviation.
  void (*normalise)(int64_t n, double mean, double deviation, float* x);
};

// Luminance by ITU-R BT.601, as torchvision weighs it.
inline constexpr double kRedShare = 0.2989, kGreenShare = 0.587, kBlueShare = 0.114;

// Slots of the targets; a null slot takes the next slower backend's.
AugmentOps augment_ref();
#if defined(BINCE_X86)
AugmentOps augment_avx2();
AugmentOps augment_avx512();
#endif
#if defined(BINCE_ARM64)
AugmentOps augment_neon();
#endif

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_OPS_H_
