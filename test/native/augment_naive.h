// Each step written down once more, naively and in double, on images of [H][W][C].
#ifndef BINCE_TEST_NATIVE_AUGMENT_NAIVE_H_
#define BINCE_TEST_NATIVE_AUGMENT_NAIVE_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "native/augment/augment_draw.h"
#include "native/augment/augment_ops.h"

namespace bince_test {

struct Picture {
  int H, W, C;
  std::vector<double> x;
  Picture(int height, int width, int channels)
      : H(height), W(width), C(channels), x(static_cast<size_t>(height) * width * channels) {}
  double& at(int row, int column, int c) { return x[(static_cast<size_t>(row) * W + column) * C + c]; }
  double at(int row, int column, int c) const { return x[(static_cast<size_t>(row) * W + column) * C + c]; }
};

inline double naive_clamp(double x) {
  return std::min(1.0, std::max(0.0, x));
}

// The pixel that stands for one outside.
inline double outside(const Picture& in, int row, int column, int c, bince::Border border, double value) {
  const bool inside = row >= 0 && row < in.H && column >= 0 && column < in.W;
  if (!inside && border == bince::Border::kConstant) return value;
  const auto fold = [&](int i, int n) {
    if (border == bince::Border::kEdge) return std::min(n - 1, std::max(0, i));
    while (i < 0 || i >= n) i = n == 1 ? 0 : i < 0 ? -i : 2 * (n - 1) - i;
    return i;
  };
  return in.at(fold(row, in.H), fold(column, in.W), c);
}

inline double naive_bilinear(const Picture& in, double x, double y, int c, double value) {
  const int x0 = static_cast<int>(std::floor(x)), y0 = static_cast<int>(std::floor(y));
  double sum = 0;
  for (int dy = 0; dy < 2; ++dy)
    for (int dx = 0; dx < 2; ++dx)
      sum += (1 - std::fabs(x - (x0 + dx))) * (1 - std::fabs(y - (y0 + dy))) *
             outside(in, y0 + dy, x0 + dx, c, bince::Border::kConstant, value);
  return sum;
}

inline Picture naive_affine(const Picture& in, const bince::InverseMap& map, bool nearest, double value) {
  Picture out(in.H, in.W, in.C);
  for (int y = 0; y < in.H; ++y)
    for (int x = 0; x < in.W; ++x)
      for (int c = 0; c < in.C; ++c) {
        double sx = map.m[0] * x + map.m[1] * y + map.m[2], sy = map.m[3] * x + map.m[4] * y + map.m[5];
        if (nearest) {
          sx = std::floor(sx + 0.5);
          sy = std::floor(sy + 0.5);
        }
        out.at(y, x, c) = naive_bilinear(in, sx, sy, c, value);
      }
  return out;
}

inline Picture naive_shift(const Picture& in, int top, int left, int H, int W, bince::Border border,
                           double value) {
  Picture out(H, W, in.C);
  for (int y = 0; y < H; ++y)
    for (int x = 0; x < W; ++x)
      for (int c = 0; c < in.C; ++c) out.at(y, x, c) = outside(in, y - top, x - left, c, border, value);
  return out;
}

inline Picture naive_resample(const Picture& in, const bince::Box& box, int H, int W) {
  Picture out(H, W, in.C);
  const double step_y = static_cast<double>(box.height) / H, step_x = static_cast<double>(box.width) / W;
  const double reach_y = std::max(1.0, step_y), reach_x = std::max(1.0, step_x);
  for (int y = 0; y < H; ++y)
    for (int x = 0; x < W; ++x)
      for (int c = 0; c < in.C; ++c) {
        double sum = 0, weights = 0;
        for (int v = 0; v < box.height; ++v)
          for (int u = 0; u < box.width; ++u) {
            const double wy = std::max(0.0, 1 - std::fabs(v + 0.5 - (y + 0.5) * step_y) / reach_y);
            const double wx = std::max(0.0, 1 - std::fabs(u + 0.5 - (x + 0.5) * step_x) / reach_x);
            sum += wy * wx * in.at(box.top + v, box.left + u, c);
            weights += wy * wx;
          }
        out.at(y, x, c) = sum / weights;
      }
  return out;
}

inline Picture naive_blur(const Picture& in, double sigma, int radius) {
  Picture out(in.H, in.W, in.C);
  for (int y = 0; y < in.H; ++y)
    for (int x = 0; x < in.W; ++x)
      for (int c = 0; c < in.C; ++c) {
        double sum = 0, weights = 0;
        for (int v = -radius; v <= radius; ++v)
          for (int u = -radius; u <= radius; ++u) {
            const double weight = std::exp(-(u * u + v * v) / (2 * sigma * sigma));
            sum += weight * outside(in, y + v, x + u, c, bince::Border::kReflect, 0);
            weights += weight;
          }
        out.at(y, x, c) = sum / weights;
      }
  return out;
}

// Moments by definition in two passes, the axes by their angle.
inline Picture naive_moments(const Picture& in, double radius, double anisotropy) {
  const auto mass_at = [&](int y, int x) {
    double sum = 0;
    for (int c = 0; c < in.C; ++c) sum += std::max(0.0, in.at(y, x, c));
    return sum;
  };
  const auto mean_of = [&](auto value) {
    double sum = 0, mass = 0;
    for (int y = 0; y < in.H; ++y)
      for (int x = 0; x < in.W; ++x) {
        sum += mass_at(y, x) * value(x, y);
        mass += mass_at(y, x);
      }
    return mass > 0 ? sum / mass : -1.0;
  };
  const double x0 = mean_of([](int x, int) { return x; }), y0 = mean_of([](int, int y) { return y; });
  if (x0 < 0) return in;
  const double half = std::min(in.H, in.W) / 2.0, floor = 1e-3 * half * half;
  const double xx = mean_of([&](int x, int) { return (x - x0) * (x - x0); }) + floor;
  const double yy = mean_of([&](int, int y) { return (y - y0) * (y - y0); }) + floor;
  const double xy = mean_of([&](int x, int y) { return (x - x0) * (y - y0); });
  const double angle = 0.5 * std::atan2(2 * xy, xx - yy), c = std::cos(angle), s = std::sin(angle);
  const double deviation[2] = {std::sqrt(c * c * xx + 2 * c * s * xy + s * s * yy),
                               std::sqrt(s * s * xx - 2 * c * s * xy + c * c * yy)};
  const double middle = std::sqrt(deviation[0] * deviation[1]);
  double target[2], square = 0;
  for (int i = 0; i < 2; ++i) {
    target[i] = std::pow(deviation[i], 1 - anisotropy) * std::pow(middle, anisotropy);
    square += target[i] * target[i] / 2;
  }
  const double common = radius * half / std::sqrt(square);
  const double u = deviation[0] / (target[0] * common), v = deviation[1] / (target[1] * common);
  bince::InverseMap map = {
      {u * c * c + v * s * s, (u - v) * c * s, 0, (u - v) * c * s, u * s * s + v * c * c, 0}};
  map.m[2] = x0 - map.m[0] * (in.W - 1) / 2 - map.m[1] * (in.H - 1) / 2;
  map.m[5] = y0 - map.m[3] * (in.W - 1) / 2 - map.m[4] * (in.H - 1) / 2;
  return naive_affine(in, map, false, 0);
}

// Every pixel's displacement from its four nodes.
inline Picture naive_elastic(const Picture& in, const bince::DrawKey& key, int grid, double sigma) {
  Picture out(in.H, in.W, in.C);
  const double scale = sigma * std::min(in.H, in.W) / 2;
  const auto place = [&](int i, int size) { return size == 1 ? 0.0 : i * (grid - 1.0) / (size - 1); };
  for (int y = 0; y < in.H; ++y)
    for (int x = 0; x < in.W; ++x) {
      double dx = 0, dy = 0;
      for (int row = 0; row < grid; ++row)
        for (int column = 0; column < grid; ++column) {
          const double weight = std::max(0.0, 1 - std::fabs(place(y, in.H) - row)) *
                                std::max(0.0, 1 - std::fabs(place(x, in.W) - column));
          if (weight == 0) continue;
          const bince::Normals node = draw_normals(key, row * grid + column);
          dx += weight * scale * node.x;
          dy += weight * scale * node.y;
        }
      for (int c = 0; c < in.C; ++c) out.at(y, x, c) = naive_bilinear(in, x + dx, y + dy, c, 0);
    }
  return out;
}

inline double naive_grey(const Picture& in, int y, int x) {
  if (in.C == 1) return in.at(y, x, 0);
  return 0.2989 * in.at(y, x, 0) + 0.587 * in.at(y, x, 1) + 0.114 * in.at(y, x, 2);
}

// HSV by sextants, as textbooks write it.
inline void naive_hue(double* r, double* g, double* b, double turn) {
  const double value = std::max({*r, *g, *b}), least = std::min({*r, *g, *b}), chroma = value - least;
  if (chroma == 0) return;
  double hue = value == *r   ? (*g - *b) / chroma
               : value == *g ? 2 + (*b - *r) / chroma
                             : 4 + (*r - *g) / chroma;
  hue = hue / 6 + turn;
  hue -= std::floor(hue);
  const int sextant = static_cast<int>(std::floor(hue * 6)) % 6;
  const double f = hue * 6 - std::floor(hue * 6), s = chroma / value;
  const double p = value * (1 - s), q = value * (1 - s * f), t = value * (1 - s * (1 - f));
  const double table[6][3] = {{value, t, p}, {q, value, p}, {p, value, t},
                              {p, q, value}, {t, p, value}, {value, p, q}};
  *r = table[sextant][0];
  *g = table[sextant][1];
  *b = table[sextant][2];
}

inline void naive_jitter(Picture* in, const bince::Step& step, const bince::Jitter& jitter) {
  for (const int part : jitter.order) {
    if (step.jitter[part] == 0 || (in->C == 1 && part >= 2)) continue;
    const double amount = jitter.amount[part];
    double mean = 0;
    for (int y = 0; y < in->H; ++y)
      for (int x = 0; x < in->W; ++x) mean += naive_grey(*in, y, x) / (in->H * in->W);
    for (int y = 0; y < in->H; ++y)
      for (int x = 0; x < in->W; ++x) {
        if (part == 3) {
          naive_hue(&in->at(y, x, 0), &in->at(y, x, 1), &in->at(y, x, 2), amount);
          continue;
        }
        const double base = part == 0 ? 0 : part == 1 ? mean : naive_grey(*in, y, x);
        for (int c = 0; c < in->C; ++c)
          in->at(y, x, c) = naive_clamp(amount * in->at(y, x, c) + (1 - amount) * base);
      }
  }
}

inline Picture naive_step(Picture in, const bince::Step& step, const bince::DrawKey& key) {
  using bince::StepKind;
  const bool applies = draw_applies(step, key);
  const bince::Box whole = {0, 0, in.H, in.W};
  if (step.kind == StepKind::kCrop)
    return naive_resample(in, applies ? draw_crop(step, key, in.H, in.W) : whole, step.height, step.width);
  if (!applies) return in;
  bince::Box box;
  switch (step.kind) {
    case StepKind::kAffine:
      return naive_affine(in, draw_affine(step, key, in.H, in.W), step.nearest, step.value);
    case StepKind::kTranslate: {
      const bince::Shift shift = draw_shift(step, key);
      return naive_shift(in, shift.y, shift.x, in.H, in.W, step.border, step.value);
    }
    case StepKind::kFlip:
      for (int y = 0; y < in.H; ++y)
        for (int x = 0; x < in.W / 2; ++x)
          for (int c = 0; c < in.C; ++c) std::swap(in.at(y, x, c), in.at(y, in.W - 1 - x, c));
      return in;
    case StepKind::kJitter:
      naive_jitter(&in, step, draw_jitter(step, key));
      return in;
    case StepKind::kGrey:
      for (int y = 0; y < in.H; ++y)
        for (int x = 0; x < in.W; ++x) {
          const double grey = naive_grey(in, y, x);
          for (int c = 0; c < in.C; ++c) in.at(y, x, c) = grey;
        }
      return in;
    case StepKind::kBlur: {
      const double sigma = draw_sigma(step, key);
      return naive_blur(in, sigma, step.radius ? step.radius : static_cast<int>(std::ceil(3 * sigma)));
    }
    case StepKind::kErase:
      if (draw_erase(step, key, in.H, in.W, &box))
        for (int y = 0; y < box.height; ++y)
          for (int x = 0; x < box.width; ++x)
            for (int c = 0; c < in.C; ++c) in.at(box.top + y, box.left + x, c) = step.value;
      return in;
    case StepKind::kNormalise:
      for (size_t i = 0; i < in.x.size(); ++i)
        in.x[i] = (in.x[i] - step.mean[i % in.C]) / step.deviation[i % in.C];
      return in;
    case StepKind::kPad:
      return naive_shift(in, step.top, step.left, in.H + step.top + step.bottom,
                         in.W + step.left + step.right, step.border, step.value);
    case StepKind::kResize:
      return naive_resample(in, whole, step.height, step.width);
    case StepKind::kMoments:
      return naive_moments(in, step.reach, draw_anisotropy(step, key));
    case StepKind::kElastic:
      return naive_elastic(in, key, step.grid, step.sigma.low);
    case StepKind::kCrop:
      break;
  }
  return in;
}

}  // namespace bince_test

#endif  // BINCE_TEST_NATIVE_AUGMENT_NAIVE_H_
