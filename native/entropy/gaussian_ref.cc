// The Gaussian conditional by plain loops, in double after the values.
#include <cmath>

#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/philox.h"

namespace bince {

size_t gaussian_workspace_ref(const GaussianArgs& args);
Outcome gaussian_ref(const GaussianArgs& args, const Run& run);

namespace {

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x * M_SQRT1_2);
}
double normal_density(double x) {
  return std::exp(-0.5 * x * x) * (M_2_SQRTPI * M_SQRT1_2 / 2);
}

float value_of(const GaussianArgs& args, int64_t n, int64_t j) {
  const float y = args.y[n * args.J + j];
  if (args.quantize == BINCE_QUANTIZE_NONE) return y;
  if (args.quantize == BINCE_QUANTIZE_NOISE)
    return y + noise_at(args.seed, args.first_row + n, static_cast<uint32_t>(j));
  const float mean = args.mean ? args.mean[n * args.J + j] : 0.0f;
  return std::nearbyintf(y - mean) + mean;
}

// One element: its bits, NaN when an input is not finite.
double run_element(const GaussianArgs& args, int64_t n, int64_t at) {
  const float value = value_of(args, n, at - n * args.J);
  const double distance = static_cast<double>(value) - (args.mean ? args.mean[at] : 0.0f);
  const double scale = std::fmax(args.scale[at], args.scale_bound);
  if (!std::isfinite(distance) || !std::isfinite(args.scale[at])) return NAN;
  const double upper = (0.5 - std::fabs(distance)) / scale, lower = (-0.5 - std::fabs(distance)) / scale;
  const double likelihood = normal_cdf(upper) - normal_cdf(lower);
  const double floored = std::fmax(likelihood, args.floor);
  if (args.likelihood) args.likelihood[at] = static_cast<float>(floored);
  if (args.values) args.values[at] = value;
  if (!args.dy && !args.dmean && !args.dscale) return -std::log2(floored);

  double gradient = args.dlikelihood ? args.dlikelihood[at] : 0.0f;
  gradient -= (args.dbits + (args.dbits_per_row ? args.dbits_per_row[n] : 0.0f)) / (floored * M_LN2);
  if (!std::isfinite(gradient)) return NAN;
  if (likelihood < args.floor && gradient >= 0) gradient = 0;
  const double slope_upper = normal_density(upper) / scale, slope_lower = normal_density(lower) / scale;
  const double ddistance = gradient * (slope_lower - slope_upper) * (distance < 0 ? -1 : distance > 0);
  double dscale = gradient * (slope_lower * lower - slope_upper * upper);
  if (args.scale[at] < args.scale_bound && dscale >= 0) dscale = 0;
  if (args.dy) args.dy[at] = static_cast<float>(ddistance);
  if (args.dmean) args.dmean[at] = static_cast<float>(-ddistance);
  if (args.dscale) args.dscale[at] = static_cast<float>(dscale);
  return -std::log2(floored);
}

}  // namespace

size_t gaussian_workspace_ref(const GaussianArgs&) {
  return 0;
}

Outcome gaussian_ref(const GaussianArgs& args, const Run& run) {
  double total = 0;
  for (int64_t n = 0; n < args.N; ++n) {
    if (cancelled(run)) return Outcome::kCancelled;
    double row = 0;
    for (int64_t j = 0; j < args.J; ++j) row += run_element(args, n, n * args.J + j);
    if (std::isnan(row)) return Outcome::kNotFinite;
    if (args.bits_per_row) args.bits_per_row[n] = static_cast<float>(row);
    total += row;
  }
  if (args.bits) *args.bits = total;
  return Outcome::kDone;
}

}  // namespace bince
