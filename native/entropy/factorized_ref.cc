// The factorised model by plain loops: values in float32 (as every backend makes them, so that all see the
// same numbers), everything after in double.
#include <cmath>

#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/philox.h"
#include "native/entropy/reference_network.h"

namespace bince {
namespace {

struct ChannelGradients {
  double effective[kMaxParameters] = {};
  double log_gain = 0, shift = 0;
};

size_t workspace_bytes(const FactorizedArgs& args, bool) {
  return aligned_size(static_cast<size_t>(args.N) * sizeof(double));
}

// The value v of element (n, c, i); *scaled is y, before noise or rounding.
float value_of(const FactorizedArgs& args, float gain, int64_t n, int64_t c, int64_t i, float* scaled) {
  const float x = x_at(args, (n * args.C + c) * args.I + i);
  const float y = (x - (args.shift ? args.shift[c] : 0.0f)) * gain;
  *scaled = y;
  if (args.quantize == BINCE_QUANTIZE_NOISE)
    return y + noise_at(args.seed, args.first_row + n, static_cast<uint32_t>(c * args.I + i));
  if (args.quantize == BINCE_QUANTIZE_NONE) return y;
  const float median = args.medians ? args.medians[c] : 0.0f;
  return std::nearbyintf(y - median) + median;
}

struct Element {
  double bits, likelihood;  // floored
  double dvalue;
};

// dbits and dlikelihood are the element's cotangents; `gradients` null asks for the forward alone.
Element evaluate(const FactorizedArgs& args, const ReferenceNetwork& network, float value, double dbits,
                 double dlikelihood, ChannelGradients* gradients) {
  ReferenceNetwork::Trace upper_trace, lower_trace;
  const double v = std::fmin(std::fmax(value, -kLargestValue), kLargestValue);
  const double upper = network.logit(v + 0.5, &upper_trace), lower = network.logit(v - 0.5, &lower_trace);
  // On the side where both sigmoids are small their difference does not cancel.
  const double sign = upper + lower > 0 ? -1 : 1;
  const double likelihood = std::fabs(reference_sigmoid(sign * upper) - reference_sigmoid(sign * lower));
  const double floored = std::fmax(likelihood, args.floor);
  Element element = {-std::log2(floored), floored, 0};
  if (std::isnan(likelihood)) element.bits = likelihood;
  if (!gradients) return element;
  double gradient = dlikelihood - dbits / (floored * M_LN2);
  if (likelihood < args.floor && gradient >= 0) gradient = 0;
  const double slope_upper = reference_sigmoid(upper) * reference_sigmoid(-upper);
  const double slope_lower = reference_sigmoid(lower) * reference_sigmoid(-lower);
  element.dvalue = network.backward(v + 0.5, upper_trace, gradient * slope_upper, gradients->effective) +
                   network.backward(v - 0.5, lower_trace, -gradient * slope_lower, gradients->effective);
  return element;
}

// One channel; adds to the row sums and the total.  False: a value or a result is not finite.
bool run_channel(const FactorizedArgs& args, int64_t c, double* rows, double* total,
                 ChannelGradients* gradients) {
  ReferenceNetwork network;
  network.load(args.widths, args.params, args.C, c);
  const float gain = args.log_gain ? gain_of(args.log_gain[c]) : 1.0f;
  for (int64_t n = 0; n < args.N; ++n) {
    const double dbits = args.dbits + (args.dbits_per_row ? args.dbits_per_row[n] : 0.0f);
    for (int64_t i = 0; i < args.I; ++i) {
      const int64_t at = (n * args.C + c) * args.I + i;
      float scaled;
      const float value = value_of(args, gain, n, c, i, &scaled);
      const double dlikelihood = args.dlikelihood ? args.dlikelihood[at] : 0.0f;
      const Element element = evaluate(args, network, value, dbits, dlikelihood, gradients);
      if (!std::isfinite(value) || std::isnan(element.bits) || !std::isfinite(element.dvalue)) return false;
      rows[n] += element.bits;
      *total += element.bits;
      if (args.likelihood) args.likelihood[at] = static_cast<float>(element.likelihood);
      if (args.values) args.values[at] = value;
      if (!gradients) continue;
      if (args.dx) args.dx[at] = static_cast<float>(element.dvalue * gain);
      gradients->log_gain += element.dvalue * scaled;
      gradients->shift -= element.dvalue * gain;
    }
  }
  if (!gradients) return true;
  for (int p = 0; p < args.widths.parameters; ++p) {
    const float gradient = static_cast<float>(gradients->effective[p] * network.chain[p]);
    if (!std::isfinite(gradient)) return false;
    if (args.dparams) args.dparams[p * args.C + c] = gradient;
  }
  if (args.dlog_gain) args.dlog_gain[c] = static_cast<float>(gradients->log_gain);
  if (args.dshift) args.dshift[c] = static_cast<float>(gradients->shift);
  return true;
}

Outcome run_all(const FactorizedArgs& args, const Run& run, bool backward) {
  double* rows = reinterpret_cast<double*>(run.workspace);
  for (int64_t n = 0; n < args.N; ++n) rows[n] = 0;
  double total = 0;
  for (int64_t c = 0; c < args.C; ++c) {
    if (cancelled(run)) return Outcome::kCancelled;
    ChannelGradients gradients;
    if (!run_channel(args, c, rows, &total, backward ? &gradients : nullptr)) return Outcome::kNotFinite;
  }
  if (args.bits) *args.bits = total;
  for (int64_t n = 0; args.bits_per_row && n < args.N; ++n)
    args.bits_per_row[n] = static_cast<float>(rows[n]);
  return Outcome::kDone;
}

Outcome forward(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, false);
}
Outcome backward(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, true);
}

Outcome uniform_noise(uint64_t seed, uint64_t first_row, int64_t rows, int64_t columns, float* noise,
                      const Run&) {
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t j = 0; j < columns; ++j)
      noise[n * columns + j] = noise_at(seed, first_row + n, static_cast<uint32_t>(j));
  return Outcome::kDone;
}

}  // namespace

size_t gaussian_workspace_ref(const GaussianArgs& args);
Outcome gaussian_ref(const GaussianArgs& args, const Run& run);
Outcome quantiles_ref(const QuantilesArgs& args, const Run& run);

EntropyOps entropy_ref() {
  EntropyOps ops = {};
  ops.factorized_workspace = workspace_bytes;
  ops.factorized_forward = forward;
  ops.factorized_backward = backward;
  ops.gaussian_workspace = gaussian_workspace_ref;
  ops.gaussian = gaussian_ref;
  ops.uniform_noise = uniform_noise;
  ops.quantiles = quantiles_ref;
  return ops;
}

}  // namespace bince
