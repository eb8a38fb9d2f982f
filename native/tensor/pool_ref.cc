// Largest and mean of windows.
#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

// The part of a window that lies in the image; the caller's checks say that it is never empty.
struct Window {
  int64_t top, bottom, left, right;
};

Window window_of(const PoolGeometry& g, int64_t oy, int64_t ox) {
  Window w = {oy * g.stride_y - g.pad_y, 0, ox * g.stride_x - g.pad_x, 0};
  w.bottom = w.top + g.kh < g.H ? w.top + g.kh : g.H;
  w.right = w.left + g.kw < g.W ? w.left + g.kw : g.W;
  if (w.top < 0) w.top = 0;
  if (w.left < 0) w.left = 0;
  return w;
}

float pooled(const PoolGeometry& g, PoolKind kind, const Window& w, const float* x, int64_t c) {
  double sum = 0;
  float best = x[(w.top * g.W + w.left) * g.C + c];
  for (int64_t iy = w.top; iy < w.bottom; ++iy)
    for (int64_t ix = w.left; ix < w.right; ++ix) {
      const float value = x[(iy * g.W + ix) * g.C + c];
      sum += value;
      if (value > best || value != value) best = value;
    }
  return kind == kMaxPool ? best : static_cast<float>(sum / static_cast<double>(g.kh * g.kw));
}

void pool(const PoolArgs& args, const Run&) {
  const PoolGeometry& g = args.g;
  float* y = args.y;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t oy = 0; oy < g.OH; ++oy)
      for (int64_t ox = 0; ox < g.OW; ++ox)
        for (int64_t c = 0; c < g.C; ++c)
          *y++ = pooled(g, args.kind, window_of(g, oy, ox), args.x + n * g.H * g.W * g.C, c);
}

// The first element equal to the maximum takes all of dy; each element of a mean takes its share.
void spread(const PoolGeometry& g, PoolKind kind, const Window& w, const float* x, float y, float dy,
            float* dx) {
  for (int64_t iy = w.top; iy < w.bottom; ++iy)
    for (int64_t ix = w.left; ix < w.right; ++ix) {
      const int64_t at = (iy * g.W + ix) * g.C;
      if (kind == kAveragePool) {
        dx[at] += dy / static_cast<float>(g.kh * g.kw);
      } else if (x[at] == y || (x[at] != x[at] && y != y)) {
        dx[at] += dy;
        return;
      }
    }
}

void pool_backward(const PoolBackwardArgs& args, const Run&) {
  const PoolGeometry& g = args.g;
  const int64_t image = g.H * g.W * g.C;
  for (int64_t i = 0; i < g.N * image; ++i) args.dx[i] = 0;
  int64_t out = 0;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t oy = 0; oy < g.OH; ++oy)
      for (int64_t ox = 0; ox < g.OW; ++ox)
        for (int64_t c = 0; c < g.C; ++c, ++out) {
          const float* x = args.kind == kMaxPool ? args.x + n * image + c : nullptr;
          spread(g, args.kind, window_of(g, oy, ox), x, args.kind == kMaxPool ? args.y[out] : 0, args.dy[out],
                 args.dx + n * image + c);
        }
}

}  // namespace

void fill_pool_ref(TensorOps* ops) {
  ops->pool = pool;
  ops->pool_backward = pool_backward;
}

}  // namespace bince
