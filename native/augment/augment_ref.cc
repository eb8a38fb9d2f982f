// The reference: plain loops, arithmetic in double, one rounding a result.
#include <cmath>

#include "native/augment/augment_ops.h"

namespace bince {
namespace {

double clamp(double x, double low, double high) {
  return x < low ? low : x > high ? high : x;
}

void unit_bytes(int64_t n, const uint8_t* bytes, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(bytes[i]) / 255.0f;
}

// The value at a place of a plane in its border.
double sample(const float* bordered, int32_t H, int32_t W, double x, double y, bool nearest) {
  const int64_t stride = W + 2;
  x = clamp(x, -1, W);
  y = clamp(y, -1, H);
  if (nearest) {
    x = std::floor(x + 0.5);
    y = std::floor(y + 0.5);
  }
  // At the far edge the last cell is taken with a fraction of one.
  const double x0 = std::fmin(std::floor(x), W - 1), y0 = std::fmin(std::floor(y), H - 1);
  const double fx = x - x0, fy = y - y0;
  const float* at = bordered + (static_cast<int64_t>(y0) + 1) * stride + static_cast<int64_t>(x0) + 1;
  const double upper = (1 - fx) * at[0] + fx * at[1];
  const double lower = (1 - fx) * at[stride] + fx * at[stride + 1];
  return (1 - fy) * upper + fy * lower;
}

void warp(const WarpArgs& args) {
  const double* m = args.m;
  for (int32_t y = 0; y < args.H; ++y)
    for (int32_t x = 0; x < args.W; ++x)
      args.out[static_cast<int64_t>(y) * args.W + x] =
          static_cast<float>(sample(args.bordered, args.H, args.W, m[0] * x + m[1] * y + m[2],
                                    m[3] * x + m[4] * y + m[5], args.nearest));
}

void displace(const DisplaceArgs& args) {
  const int64_t W = args.W;
  for (int32_t y = 0; y < args.H; ++y) {
    const NodeRow row = node_row(y, args.H, args.grid);
    const float* const upper = args.field + 2 * W * row.above;
    const float* const lower = upper + 2 * W;
    for (int64_t x = 0; x < W; ++x) {
      const double dx = (1 - row.share) * upper[x] + row.share * lower[x];
      const double dy = (1 - row.share) * upper[W + x] + row.share * lower[W + x];
      args.out[y * W + x] = static_cast<float>(
          sample(args.bordered, args.H, args.W, static_cast<double>(x) + dx, y + dy, false));
    }
  }
}

void resample_row(const ResampleArgs& args) {
  for (int32_t i = 0; i < args.size; ++i) {
    double sum = 0;
    for (int32_t k = 0; k < args.taps; ++k)
      sum += static_cast<double>(args.weights[static_cast<int64_t>(k) * args.size + i]) *
             args.in[args.first[i] + k];
    args.out[i] = static_cast<float>(sum);
  }
}

void mix_rows(int64_t n, int32_t taps, const float* const* rows, const float* weights, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int32_t k = 0; k < taps; ++k) sum += static_cast<double>(weights[k]) * rows[k][i];
    out[i] = static_cast<float>(sum);
  }
}

void blend(int64_t n, double factor, double base, float* x) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(clamp(factor * x[i] + (1 - factor) * base, 0, 1));
}

void saturate(int64_t n, double factor, float* red, float* green, float* blue) {
  float* const planes[3] = {red, green, blue};
  for (int64_t i = 0; i < n; ++i) {
    const double grey = kRedShare * red[i] + kGreenShare * green[i] + kBlueShare * blue[i];
    for (float* plane : planes)
      plane[i] = static_cast<float>(clamp(factor * plane[i] + (1 - factor) * grey, 0, 1));
  }
}

void turn_hue(int64_t n, double turn, float* red, float* green, float* blue) {
  float* const planes[3] = {red, green, blue};
  for (int64_t i = 0; i < n; ++i) {
    const double r = red[i], g = green[i], b = blue[i];
    const double value = std::fmax(r, std::fmax(g, b));
    const double chroma = value - std::fmin(r, std::fmin(g, b));
    if (chroma == 0) continue;
    // In sixths of the circle.
    double hue = value == r ? (g - b) / chroma : value == g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
    hue += 6 * turn;
    for (int c = 0; c < 3; ++c) {
      const double place = 5 - 2 * c + hue;  // of the channel against the hue
      const double k = place - 6 * std::floor(place / 6);
      planes[c][i] = static_cast<float>(value - chroma * clamp(std::fmin(k, 4 - k), 0, 1));
    }
  }
}

void normalise(int64_t n, double mean, double deviation, float* x) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>((x[i] - mean) / deviation);
}

}  // namespace

AugmentOps augment_ref() {
  return {unit_bytes, warp, displace, resample_row, mix_rows, blend, saturate, turn_hue, normalise};
}

}  // namespace bince
