// Images at another size: nearest neighbour or bilinear, pixel centres at half-integers ("align_corners"
// off).
#include "native/tensor/upsample_taps.h"

namespace bince {
namespace {

void upsample(const UpsampleArgs& args, const Run&) {
  float* y = args.y;
  for (int64_t n = 0; n < args.N; ++n)
    for (int64_t oy = 0; oy < args.OH; ++oy)
      for (int64_t ox = 0; ox < args.OW; ++ox) {
        const Taps v = taps_of(args.kind, oy, args.H, args.OH), h = taps_of(args.kind, ox, args.W, args.OW);
        const float* x = args.x + n * args.H * args.W * args.C;
        for (int64_t c = 0; c < args.C; ++c) {
          const auto at = [&](int64_t iy, int64_t ix) -> double {
            return x[(iy * args.W + ix) * args.C + c];
          };
          const double above = (1.0 - h.weight) * at(v.first, h.first) + h.weight * at(v.first, h.second);
          const double below = (1.0 - h.weight) * at(v.second, h.first) + h.weight * at(v.second, h.second);
          *y++ = static_cast<float>((1.0 - v.weight) * above + v.weight * below);
        }
      }
}

void upsample_backward(const UpsampleArgs& args, const Run&) {
  const int64_t image = args.H * args.W * args.C;
  for (int64_t i = 0; i < args.N * image; ++i) args.y[i] = 0;
  const float* dy = args.x;
  for (int64_t n = 0; n < args.N; ++n)
    for (int64_t oy = 0; oy < args.OH; ++oy)
      for (int64_t ox = 0; ox < args.OW; ++ox) {
        const Taps v = taps_of(args.kind, oy, args.H, args.OH), h = taps_of(args.kind, ox, args.W, args.OW);
        float* dx = args.y + n * image;
        for (int64_t c = 0; c < args.C; ++c, ++dy) {
          const auto add = [&](int64_t iy, int64_t ix, double weight) {
            dx[(iy * args.W + ix) * args.C + c] += static_cast<float>(weight * *dy);
          };
          add(v.first, h.first, (1.0 - v.weight) * (1.0 - h.weight));
          add(v.first, h.second, (1.0 - v.weight) * h.weight);
          add(v.second, h.first, v.weight * (1.0 - h.weight));
          add(v.second, h.second, static_cast<double>(v.weight) * h.weight);
        }
      }
}

}  // namespace

void fill_upsample_ref(TensorOps* ops) {
  ops->upsample = upsample;
  ops->upsample_backward = upsample_backward;
}

}  // namespace bince
