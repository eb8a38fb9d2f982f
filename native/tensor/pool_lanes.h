// Pooling over lanes that are channels; a task is a row of the output, backward an image.
#ifndef BINCE_TENSOR_POOL_LANES_H_
#define BINCE_TENSOR_POOL_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

// The part of a window that lies in the image; the caller's checks say that it is never empty.
struct PoolWindow {
  int64_t top, bottom, left, right;
};
BINCE_INLINE PoolWindow pool_window(const PoolGeometry& g, int64_t oy, int64_t ox) {
  PoolWindow w = {oy * g.stride_y - g.pad_y, 0, ox * g.stride_x - g.pad_x, 0};
  w.bottom = w.top + g.kh < g.H ? w.top + g.kh : g.H;
  w.right = w.left + g.kw < g.W ? w.left + g.kw : g.W;
  if (w.top < 0) w.top = 0;
  if (w.left < 0) w.left = 0;
  return w;
}

template <class L>
static void pool_rows(const void* arguments, int64_t first, int64_t last) {
  const PoolArgs& args = *static_cast<const PoolArgs*>(arguments);
  const PoolGeometry& g = args.g;
  const typename L::V share = L::set(1.0f / static_cast<float>(g.kh * g.kw));
  for (int64_t row = first; row < last; ++row) {
    const float* image = args.x + row / g.OH * g.H * g.W * g.C;
    for (int64_t ox = 0; ox < g.OW; ++ox) {
      const PoolWindow w = pool_window(g, row % g.OH, ox);
      float* y = args.y + (row * g.OW + ox) * g.C;
      over_row<L>(
          g.C, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
            const bool largest = args.kind == kMaxPool;
            typename L::V value =
                largest ? lanes.load(image + (w.top * g.W + w.left) * g.C + c) : L::set(0.0f);
            for (int64_t iy = w.top; iy < w.bottom; ++iy)
              for (int64_t ix = w.left; ix < w.right; ++ix) {
                const typename L::V next = lanes.load(image + (iy * g.W + ix) * g.C + c);
                value = largest ? larger<L>(value, next) : L::add(value, next);
              }
            lanes.store(y + c, largest ? value : L::mul(value, share));
          });
    }
  }
}
template <class L>
static void pool_lanes(const PoolArgs& args, const Run& run) {
  const PoolGeometry& g = args.g;
  over_ranges(run, g.N * g.OH, g.OW * g.C * g.kh * g.kw, pool_rows<L>, &args);
}

template <class L>
static void pool_backward_images(const void* arguments, int64_t first, int64_t last) {
  const PoolBackwardArgs& args = *static_cast<const PoolBackwardArgs*>(arguments);
  const PoolGeometry& g = args.g;
  const int64_t size = g.H * g.W * g.C;
  const typename L::V share = L::set(1.0f / static_cast<float>(g.kh * g.kw));
  for (int64_t n = first; n < last; ++n) {
    float* dx = args.dx + n * size;
    for (int64_t i = 0; i < size; ++i) dx[i] = 0;
    for (int64_t place = 0; place < g.OH * g.OW; ++place) {
      const PoolWindow w = pool_window(g, place / g.OW, place % g.OW);
      const int64_t out = (n * g.OH * g.OW + place) * g.C;
      over_row<L>(
          g.C, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
            using V = typename L::V;
            const V dy = lanes.load(args.dy + out + c);
            const V y = args.kind == kMaxPool ? lanes.load(args.y + out + c) : dy;
            typename L::B taken = L::none();
            for (int64_t iy = w.top; iy < w.bottom; ++iy)
              for (int64_t ix = w.left; ix < w.right; ++ix) {
                const int64_t at = (iy * g.W + ix) * g.C + c;
                V part = L::mul(dy, share);
                if (args.kind == kMaxPool) {
                  const V x = lanes.load(args.x + n * size + at);
                  const auto equal =
                      L::either(L::equal(x, y), L::both(L::unordered(x, x), L::unordered(y, y)));
                  part = L::select(L::and_not(equal, taken), dy, L::set(0.0f));
                  taken = L::either(taken, equal);
                }
                lanes.store(dx + at, L::add(lanes.load(dx + at), part));
              }
          });
    }
  }
}
template <class L>
static void pool_backward_lanes(const PoolBackwardArgs& args, const Run& run) {
  const PoolGeometry& g = args.g;
  over_ranges(run, g.N, g.OH * g.OW * g.C * g.kh * g.kw, pool_backward_images<L>, &args);
}

template <class L>
static void fill_pool(TensorOps* ops) {
  ops->pool = pool_lanes<L>;
  ops->pool_backward = pool_backward_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_POOL_LANES_H_
