// Cases of the factorised model for the native tests: random inputs, a call of the C ABI on a context's
// memory, and the same model done plainly in float32.
#ifndef BINCE_TEST_NATIVE_ENTROPY_CASE_H_
#define BINCE_TEST_NATIVE_ENTROPY_CASE_H_

#include <algorithm>
#include <random>

#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/entropy/entropy_check.h"
#include "native/entropy/factorized_network.h"
#include "native/entropy/philox.h"
#include "test/native/device_case.h"

namespace bince_test {

struct Tensor {
  bince_tensor tensor = {};
  int64_t shape[3] = {};
  Tensor(void* data, bince_dtype dtype, std::initializer_list<int64_t> sizes) {
    std::copy(sizes.begin(), sizes.end(), shape);
    tensor = {data, {BINCE_CPU, 0}, static_cast<int32_t>(sizes.size()), dtype, shape, nullptr, 0};
  }
  Tensor(const Tensor&) = delete;
};

// The largest |actual - expected| over the largest |expected|.
inline double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double worst = 0, scale = 1e-30;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::fabs(static_cast<double>(actual[i]) - expected[i]);
    if (!(error <= worst)) worst = error;
    scale = std::fmax(scale, std::fabs(expected[i]));
  }
  return worst / scale;
}

struct Outputs {
  double bits = 0;
  std::vector<float> bits_per_row, likelihood, values, dx, dparams, dlog_gain, dshift;
};

struct Case {
  int64_t N, C, I;
  int32_t quantize;
  std::vector<int32_t> filters;
  uint64_t seed = 0x123456789abcull, first_row = 5;
  float dbits = 0.75f;
  bool bfloat16 = false;  // x is given as that; see cut_to_bfloat16
  std::vector<float> x, params, log_gain, shift, medians, dbits_per_row, dlikelihood;

  Case(int64_t rows, int64_t channels, int64_t inner, int32_t mode, std::vector<int32_t> widths,
       uint32_t random)
      : N(rows), C(channels), I(inner), quantize(mode), filters(std::move(widths)) {
    std::mt19937 generator(random);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>* to, int64_t size, float mean, float deviation) {
      to->resize(static_cast<size_t>(size));
      for (float& value : *to) value = mean + deviation * normal(generator);
    };
    const bince::Widths w = widths_of();
    fill(&x, N * C * I, 0, 3);
    fill(&params, w.parameters * C, 0, 0.4f);
    for (int k = 0; k < w.layers; ++k)
      for (int64_t p = w.matrix[k] * C; p < bias_index(w, k) * C; ++p)
        params[p] -= std::log(static_cast<float>(w.width[k + 1]));
    fill(&log_gain, C, 0, 0.3f);
    fill(&shift, C, 0, 0.5f);
    fill(&medians, C, 0, 0.5f);
    fill(&dbits_per_row, N, 0, 1);
    fill(&dlikelihood, N * C * I, 0, 1);
  }

  void cut_to_bfloat16();

  bince::Widths widths_of() const {
    return bince::make_widths(filters.data(), static_cast<int>(filters.size()));
  }

  bince_status run(bince_context* context, bool backward, Outputs* out,
                   const int32_t* cancel = nullptr) const;
  Outputs plainly() const;
};

inline uint16_t upper_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

// x's values cut to bfloat16, and given as that.
inline void Case::cut_to_bfloat16() {
  bfloat16 = true;
  for (float& value : x) {
    const uint32_t bits = static_cast<uint32_t>(upper_half(value)) << 16;
    std::memcpy(&value, &bits, sizeof value);
  }
}

inline bince_status Case::run(bince_context* context, bool backward, Outputs* out,
                              const int32_t* cancel) const {
  const int64_t P = widths_of().parameters;
  const size_t T = static_cast<size_t>(N * C * I), rows = static_cast<size_t>(N);
  const size_t channels = static_cast<size_t>(C);
  std::vector<uint16_t> halves;
  for (size_t i = 0; bfloat16 && i < T; ++i) halves.push_back(upper_half(x[i]));
  DeviceArray<uint16_t> ihalves(context, halves);
  DeviceArray<float> ix(context, x), iparams(context, params), igain(context, log_gain);
  DeviceArray<float> ishift(context, shift), imedians(context, medians), irow(context, dbits_per_row);
  DeviceArray<float> ilik(context, dlikelihood);
  DeviceArray<double> obits(context, size_t{1});
  DeviceArray<float> orow(context, rows), olik(context, T), ovalues(context, T), odx(context, T);
  DeviceArray<float> odparams(context, params.size()), ogain(context, channels), oshift(context, channels);
  const bince_factorized_options options = {sizeof options,
                                            quantize,
                                            seed,
                                            first_row,
                                            0,
                                            dbits,
                                            filters.data(),
                                            static_cast<int32_t>(filters.size())};
  const bince_factorized_inputs inputs = {
      sizeof inputs,          bfloat16 ? ihalves.tensor({N, C, I}) : ix.tensor({N, C, I}),
      iparams.tensor({P, C}), igain.tensor(),
      ishift.tensor(),        imedians.tensor(),
      irow.tensor(),          ilik.tensor({N, C, I})};
  const bince_factorized_outputs outputs = {sizeof outputs,
                                            obits.tensor(),
                                            orow.tensor(),
                                            olik.tensor({N, C, I}),
                                            ovalues.tensor({N, C, I}),
                                            odx.tensor({N, C, I}),
                                            odparams.tensor({P, C}),
                                            ogain.tensor(),
                                            oshift.tensor()};
  size_t bytes = 0;
  const auto sizes = backward ? bince_factorized_backward_workspace : bince_factorized_forward_workspace;
  BINCE_RETURN_IF_ERROR(sizes(context, &options, &inputs, &outputs, &bytes));
  DeviceLaunch launch(context, bytes);
  launch->cancel = cancel;
  const auto call = backward ? bince_factorized_backward : bince_factorized_forward;
  BINCE_RETURN_IF_ERROR(call(context, &options, &inputs, &outputs, launch));
  BINCE_RETURN_IF_ERROR(launch.finish());
  out->bits = obits.read()[0];
  out->bits_per_row = orow.read();
  out->likelihood = olik.read();
  out->values = ovalues.read();
  out->dx = odx.read();
  out->dparams = odparams.read();
  out->dlog_gain = ogain.read();
  out->dshift = oshift.read();
  return BINCE_OK;
}

// float32 by the C library's functions, one lane.
struct PlainLanes {
  using V = float;
  static constexpr int kLanes = 1;
  static V set(float x) { return x; }
  static V add(V a, V b) { return a + b; }
  static V sub(V a, V b) { return a - b; }
  static V mul(V a, V b) { return a * b; }
  static V fma(V a, V b, V c) { return a * b + c; }
  static V fnma(V a, V b, V c) { return c - a * b; }
  static void tanh_pair(V x0, V x1, V* t0, V* t1) { *t0 = std::tanh(x0), *t1 = std::tanh(x1); }
};

inline float plain_sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// Forward and backward as a PyTorch module in float32 would: same values, sums in order.
inline Outputs Case::plainly() const {
  const bince::Widths w = widths_of();
  Outputs out;
  out.bits_per_row.assign(N, 0);
  out.dparams.assign(params.size(), 0);
  out.dlog_gain.assign(C, 0);
  out.dshift.assign(C, 0);
  for (std::vector<float>* each : {&out.likelihood, &out.values, &out.dx}) each->resize(x.size());
  for (int64_t c = 0; c < C; ++c) {
    std::vector<float> p(w.parameters), chain(w.parameters, 1), d(w.parameters, 0);
    for (int i = 0; i < w.parameters; ++i) p[i] = params[i * C + c];
    for (int k = 0; k < w.layers; ++k) {
      for (int i = w.matrix[k]; i < bias_index(w, k); ++i) {
        chain[i] = plain_sigmoid(p[i]);
        p[i] = p[i] > 20 ? p[i] : std::log1p(std::exp(p[i]));
      }
      for (int i = 0; k + 1 < w.layers && i < w.width[k + 1]; ++i) {
        float& factor = p[factor_index(w, k) + i];
        factor = std::tanh(factor);
        chain[factor_index(w, k) + i] = 1 - factor * factor;
      }
    }
    const float gain = std::exp(log_gain[c]);
    for (int64_t n = 0; n < N; ++n)
      for (int64_t i = 0; i < I; ++i) {
        const int64_t at = (n * C + c) * I + i;
        const float y = (x[at] - shift[c]) * gain;
        float v = y;
        if (quantize == BINCE_QUANTIZE_NOISE)
          v += bince::noise_at(seed, first_row + n, static_cast<uint32_t>(c * I + i));
        if (quantize == BINCE_QUANTIZE_ROUND) v = std::nearbyint(y - medians[c]) + medians[c];
        bince::NetworkTrace<PlainLanes, false, 2> trace;
        float value[1][2] = {{v - 0.5f, v + 0.5f}}, logit[1][2], dlogit[1][2], dvalue[1][2];
        bince::network_forward<PlainLanes, false, 2>(w, p.data(), value, &trace, logit);
        const float sign = logit[0][0] + logit[0][1] > 0 ? -1 : 1;
        const float lower = plain_sigmoid(sign * logit[0][0]), upper = plain_sigmoid(sign * logit[0][1]);
        const float likelihood = std::max(std::fabs(upper - lower), 1e-9f);
        float gradient = dlikelihood[at] - (dbits + dbits_per_row[n]) / (likelihood * 0.693147181f);
        if (std::fabs(upper - lower) < 1e-9f) gradient = std::min(gradient, 0.0f);
        dlogit[0][0] = -gradient * lower * (1 - lower);
        dlogit[0][1] = gradient * upper * (1 - upper);
        bince::network_backward<PlainLanes, false, 2>(w, p.data(), value, trace, dlogit, d.data(), dvalue);
        out.values[at] = v;
        out.likelihood[at] = likelihood;
        out.bits_per_row[n] -= std::log2(likelihood);
        out.bits -= std::log2(likelihood);
        out.dx[at] = (dvalue[0][0] + dvalue[0][1]) * gain;
        out.dlog_gain[c] += (dvalue[0][0] + dvalue[0][1]) * y;
        out.dshift[c] -= out.dx[at];
      }
    for (int i = 0; i < w.parameters; ++i) out.dparams[i * C + c] = d[i] * chain[i];
  }
  return out;
}

}  // namespace bince_test

#endif  // BINCE_TEST_NATIVE_ENTROPY_CASE_H_
