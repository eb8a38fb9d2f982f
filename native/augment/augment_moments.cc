#include "native/augment/augment_moments.h"

#include <cmath>

namespace bince {
namespace {

// Sums of v, v x and v x^2 over a row.
struct RowSums {
  double one, x, xx;
};

// Four partial sums each: additions in one chain would wait for each other.
RowSums sum_row(const float* row, int32_t W, double centre) {
  double one[4] = {}, first[4] = {}, second[4] = {};
  const auto add = [&](int32_t i, int lane) {
    const double v = row[i] > 0 ? static_cast<double>(row[i]) : 0.0, x = i - centre;
    one[lane] += v;
    first[lane] += v * x;
    second[lane] += v * x * x;
  };
  int32_t i = 0;
  for (; i + 4 <= W; i += 4)
    for (int lane = 0; lane < 4; ++lane) add(i + lane, lane);
  for (; i < W; ++i) add(i, 0);
  const auto total = [](const double* part) { return (part[0] + part[1]) + (part[2] + part[3]); };
  return {total(one), total(first), total(second)};
}

}  // namespace

Moments measure_moments(const float* planes, int32_t C, int32_t H, int32_t W) {
  const double centre_x = (W - 1) * 0.5, centre_y = (H - 1) * 0.5;
  Moments sum = {};
  for (int64_t row = 0; row < static_cast<int64_t>(C) * H; ++row) {
    const RowSums sums = sum_row(planes + row * W, W, centre_x);
    const double y = static_cast<double>(row % H) - centre_y;
    sum.mass += sums.one;
    sum.x += sums.x;
    sum.y += sums.one * y;
    sum.xx += sums.xx;
    sum.yy += sums.one * y * y;
    sum.xy += sums.x * y;
  }
  if (!(sum.mass > 0)) return {};
  const double x = sum.x / sum.mass, y = sum.y / sum.mass;
  return {sum.mass, x, y, sum.xx / sum.mass - x * x, sum.yy / sum.mass - y * y, sum.xy / sum.mass - x * y};
}

InverseMap moments_map(const Moments& moments, double radius, double anisotropy, int32_t H, int32_t W) {
  const double half = (H < W ? H : W) * 0.5, least = kLeastVariance * half * half;
  const double mean = (moments.xx + moments.yy) * 0.5 + least, difference = (moments.xx - moments.yy) * 0.5;
  // Not hypot: its version in glibc 2.35 would be the only reason to need more than 2.34.
  const double spread = std::sqrt(difference * difference + moments.xy * moments.xy);
  // Variances along the principal axes; rounding must not bring them below what was added.
  const double large = std::fmax(mean + spread, least), small = std::fmax(mean - spread, least);
  const double left = 1 - anisotropy;
  const double scale = std::sqrt((std::pow(large, left) + std::pow(small, left)) * 0.5) / (radius * half);
  const double along = scale * std::pow(large, anisotropy * 0.5);
  const double across = scale * std::pow(small, anisotropy * 0.5);
  // along P + across (1 - P), P the projection on the longer axis.
  const double common = (along + across) * 0.5, stretch = spread > 0 ? (along - across) * 0.5 / spread : 0.0;
  InverseMap map = {{common + stretch * difference, stretch * moments.xy, 0, stretch * moments.xy,
                     common - stretch * difference, 0}};
  const double centre_x = (W - 1) * 0.5, centre_y = (H - 1) * 0.5;
  map.m[2] = centre_x + moments.x - map.m[0] * centre_x - map.m[1] * centre_y;
  map.m[5] = centre_y + moments.y - map.m[3] * centre_x - map.m[4] * centre_y;
  return map;
}

}  // namespace bince
