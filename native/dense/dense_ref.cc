// Matrix products and convolutions as plain loops, double accumulators: the yardstick.
#include "native/dense/dense_ops.h"

namespace bince {
namespace {

template <typename Problem>
size_t no_workspace(const Problem&, int) {
  return 0;
}

void matmul(const MatmulProblem& p, const Run&) {
  const int64_t a_row = p.trans_a ? 1 : p.K, a_depth = p.trans_a ? p.M : 1;
  const int64_t b_depth = p.trans_b ? 1 : p.N, b_column = p.trans_b ? p.K : 1;
  for (int64_t i = 0; i < p.batch; ++i)
    for (int64_t m = 0; m < p.M; ++m)
      for (int64_t n = 0; n < p.N; ++n) {
        const float* a = p.a + i * p.stride_a + m * a_row;
        const float* b = p.b + i * p.stride_b + n * b_column;
        float* c = p.c + (i * p.M + m) * p.N + n;
        double sum = (p.bias ? p.bias[n] : 0.0) + (p.accumulate ? *c : 0.0);
        for (int64_t k = 0; k < p.K; ++k) sum += double{a[k * a_depth]} * b[k * b_depth];
        *c = static_cast<float>(sum);
      }
}

// Pixel (y, x) of an image, or null outside it.
const float* pixel(const float* image, int64_t height, int64_t width, int64_t channels, int64_t y,
                   int64_t x) {
  return y < 0 || y >= height || x < 0 || x >= width ? nullptr : image + (y * width + x) * channels;
}

void conv2d(const ConvForward& p, const Run&) {
  const ConvGeometry& g = p.g;
  float* out = p.y;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t oy = 0; oy < g.OH; ++oy)
      for (int64_t ox = 0; ox < g.OW; ++ox)
        for (int64_t o = 0; o < g.O; ++o) {
          double sum = p.bias ? p.bias[o] : 0.0;
          for (int64_t ky = 0; ky < g.kh; ++ky)
            for (int64_t kx = 0; kx < g.kw; ++kx) {
              const float* x = pixel(p.x + n * g.H * g.W * g.C, g.H, g.W, g.C, oy * g.stride_y - g.pad_y + ky,
                                     ox * g.stride_x - g.pad_x + kx);
              const float* w = p.w + (ky * g.kw + kx) * g.C * g.O + o;
              for (int64_t c = 0; x && c < g.C; ++c) sum += double{x[c]} * w[c * g.O];
            }
          *out++ = static_cast<float>(sum);
        }
}

// <dy[n][oy][ox], w[ky][kx][c]>, where oy, ox see pixel (y, x) through (ky, kx).
double input_term(const ConvBackwardInput& p, int64_t n, int64_t y, int64_t x, int64_t ky, int64_t kx,
                  int64_t c) {
  const ConvGeometry& g = p.g;
  const int64_t from_y = y + g.pad_y - ky, from_x = x + g.pad_x - kx;
  if (from_y % g.stride_y != 0 || from_x % g.stride_x != 0) return 0;
  const float* dy =
      pixel(p.dy + n * g.OH * g.OW * g.O, g.OH, g.OW, g.O, from_y / g.stride_y, from_x / g.stride_x);
  const float* w = p.w + ((ky * g.kw + kx) * g.C + c) * g.O;
  double sum = 0;
  for (int64_t o = 0; dy && o < g.O; ++o) sum += double{dy[o]} * w[o];
  return sum;
}

void conv2d_backward_input(const ConvBackwardInput& p, const Run&) {
  const ConvGeometry& g = p.g;
  float* out = p.dx;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t y = 0; y < g.H; ++y)
      for (int64_t x = 0; x < g.W; ++x)
        for (int64_t c = 0; c < g.C; ++c) {
          double sum = p.bias ? p.bias[c] : 0.0;
          for (int64_t ky = 0; ky < g.kh; ++ky)
            for (int64_t kx = 0; kx < g.kw; ++kx) sum += input_term(p, n, y, x, ky, kx, c);
          *out++ = static_cast<float>(sum);
        }
}

double weight_gradient(const ConvBackwardWeight& p, int64_t ky, int64_t kx, int64_t c, int64_t o) {
  const ConvGeometry& g = p.g;
  double sum = 0;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t oy = 0; oy < g.OH; ++oy)
      for (int64_t ox = 0; ox < g.OW; ++ox) {
        const float* x = pixel(p.x + n * g.H * g.W * g.C, g.H, g.W, g.C, oy * g.stride_y - g.pad_y + ky,
                               ox * g.stride_x - g.pad_x + kx);
        if (x) sum += double{x[c]} * p.dy[((n * g.OH + oy) * g.OW + ox) * g.O + o];
      }
  return sum;
}

void conv2d_backward_weight(const ConvBackwardWeight& p, const Run&) {
  const ConvGeometry& g = p.g;
  float* out = p.dw;
  for (int64_t ky = 0; ky < g.kh; ++ky)
    for (int64_t kx = 0; kx < g.kw; ++kx)
      for (int64_t c = 0; c < g.C; ++c)
        for (int64_t o = 0; o < g.O; ++o) *out++ = static_cast<float>(weight_gradient(p, ky, kx, c, o));
  for (int64_t o = 0; p.dbias && o < g.O; ++o) {
    double sum = 0;
    for (int64_t pixel = 0; pixel < g.N * g.OH * g.OW; ++pixel) sum += p.dy[pixel * g.O + o];
    p.dbias[o] = static_cast<float>(sum);
  }
}

}  // namespace

DenseOps dense_ref() {
  DenseOps ops = {};
  ops.matmul_workspace = no_workspace<MatmulProblem>;
  ops.matmul = matmul;
  ops.conv2d_workspace = no_workspace<ConvForward>;
  ops.conv2d = conv2d;
  ops.conv2d_backward_input_workspace = no_workspace<ConvBackwardInput>;
  ops.conv2d_backward_input = conv2d_backward_input;
  ops.conv2d_backward_weight_workspace = no_workspace<ConvBackwardWeight>;
  ops.conv2d_backward_weight = conv2d_backward_weight;
  return ops;
}

}  // namespace bince
