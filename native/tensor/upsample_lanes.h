// Up-sampling over lanes that are channels; a task is a row of the output, backward an image.
#ifndef BINCE_TENSOR_UPSAMPLE_LANES_H_
#define BINCE_TENSOR_UPSAMPLE_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/upsample_taps.h"

namespace bince {

template <class L>
static void upsample_rows(const void* arguments, int64_t first, int64_t last) {
  const UpsampleArgs& args = *static_cast<const UpsampleArgs*>(arguments);
  const int64_t C = args.C;
  for (int64_t row = first; row < last; ++row) {
    const Taps v = taps_of(args.kind, row % args.OH, args.H, args.OH);
    const float* image = args.x + row / args.OH * args.H * args.W * C;
    const float *above = image + v.first * args.W * C, *below = image + v.second * args.W * C;
    for (int64_t ox = 0; ox < args.OW; ++ox) {
      const Taps h = taps_of(args.kind, ox, args.W, args.OW);
      float* y = args.y + (row * args.OW + ox) * C;
      over_row<L>(
          C, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
            using V = typename L::V;
            const V top = lanes.load(above + h.first * C + c);
            if (args.kind == kNearest) return lanes.store(y + c, top);
            const V side = L::set(h.weight), down = L::set(v.weight),
                    bottom = lanes.load(below + h.first * C + c);
            const V upper = L::fma(side, L::sub(lanes.load(above + h.second * C + c), top), top);
            const V lower = L::fma(side, L::sub(lanes.load(below + h.second * C + c), bottom), bottom);
            lanes.store(y + c, L::fma(down, L::sub(lower, upper), upper));
          });
    }
  }
}
template <class L>
static void upsample_lanes(const UpsampleArgs& args, const Run& run) {
  over_ranges(run, args.N * args.OH, args.OW * args.C, upsample_rows<L>, &args);
}

template <class L>
static void upsample_backward_images(const void* arguments, int64_t first, int64_t last) {
  const UpsampleArgs& args = *static_cast<const UpsampleArgs*>(arguments);
  const int64_t C = args.C, size = args.H * args.W * C;
  for (int64_t n = first; n < last; ++n) {
    float* image = args.y + n * size;
    for (int64_t i = 0; i < size; ++i) image[i] = 0;
    for (int64_t place = 0; place < args.OH * args.OW; ++place) {
      const Taps v = taps_of(args.kind, place / args.OW, args.H, args.OH);
      const Taps h = taps_of(args.kind, place % args.OW, args.W, args.OW);
      const float* dy = args.x + (n * args.OH * args.OW + place) * C;
      const int64_t rows[2] = {v.first, v.second}, columns[2] = {h.first, h.second};
      const float row_weights[2] = {1 - v.weight, v.weight}, column_weights[2] = {1 - h.weight, h.weight};
      const int taps = args.kind == kNearest ? 1 : 2;
      for (int a = 0; a < taps; ++a)
        for (int b = 0; b < taps; ++b) {
          float* dx = image + (rows[a] * args.W + columns[b]) * C;
          const typename L::V weight = L::set(row_weights[a] * column_weights[b]);
          over_row<L>(
              C, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
                lanes.store(dx + c, L::fma(weight, lanes.load(dy + c), lanes.load(dx + c)));
              });
        }
    }
  }
}
template <class L>
static void upsample_backward_lanes(const UpsampleArgs& args, const Run& run) {
  over_ranges(run, args.N, args.OH * args.OW * args.C, upsample_backward_images<L>, &args);
}

template <class L>
static void fill_upsample(TensorOps* ops) {
  ops->upsample = upsample_lanes<L>;
  ops->upsample_backward = upsample_backward_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_UPSAMPLE_LANES_H_
