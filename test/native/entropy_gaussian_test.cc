// The Gaussian conditional: backends against the reference and against plain float32; the shared lane
// arithmetic.
#include "native/entropy/lane_math.h"
#include "test/native/entropy_case.h"

using bince_test::available_backends;
using bince_test::Context;
using bince_test::DeviceArray;
using bince_test::DeviceLaunch;
using bince_test::relative_error;

namespace {

struct GaussianOutputs {
  double bits = 0;
  std::vector<float> bits_per_row, likelihood, values, dy, dmean, dscale;
};

struct GaussianCase {
  int64_t N, J;
  int32_t quantize;
  uint64_t first_row;
  std::vector<float> y, mean, scale, dbits_per_row, dlikelihood;

  GaussianCase(int64_t rows, int64_t columns, int32_t mode, uint64_t first, uint32_t random)
      : N(rows), J(columns), quantize(mode), first_row(first) {
    std::mt19937 generator(random);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < N * J; ++i) {
      y.push_back(4 * normal(generator));
      mean.push_back(normal(generator));
      scale.push_back(std::exp(1.5f * normal(generator)));
      dlikelihood.push_back(normal(generator));
    }
    for (int64_t n = 0; n < N; ++n) dbits_per_row.push_back(normal(generator));
  }

  bince_status run(bince_context* context, GaussianOutputs* out) const;
  GaussianOutputs plainly() const;
};

bince_status GaussianCase::run(bince_context* context, GaussianOutputs* out) const {
  const size_t T = static_cast<size_t>(N * J);
  DeviceArray<float> iy(context, y), imean(context, mean), iscale(context, scale);
  DeviceArray<float> irow(context, dbits_per_row), ilik(context, dlikelihood);
  DeviceArray<double> obits(context, size_t{1});
  DeviceArray<float> orow(context, static_cast<size_t>(N)), olik(context, T), ovalues(context, T);
  DeviceArray<float> ody(context, T), odmean(context, T), odscale(context, T);
  const bince_gaussian_options options = {sizeof options, quantize, 99, first_row, 0, 0, 0.5};
  const bince_gaussian_inputs inputs = {sizeof inputs,         iy.tensor({N, J}), imean.tensor({N, J}),
                                        iscale.tensor({N, J}), irow.tensor(),     ilik.tensor({N, J})};
  const bince_gaussian_outputs outputs = {sizeof outputs,        obits.tensor(),         orow.tensor(),
                                          olik.tensor({N, J}),   ovalues.tensor({N, J}), ody.tensor({N, J}),
                                          odmean.tensor({N, J}), odscale.tensor({N, J})};
  size_t bytes = 0;
  BINCE_RETURN_IF_ERROR(bince_gaussian_workspace(context, &options, &inputs, &outputs, &bytes));
  const DeviceLaunch launch(context, bytes);
  BINCE_RETURN_IF_ERROR(bince_gaussian_backward(context, &options, &inputs, &outputs, launch));
  BINCE_RETURN_IF_ERROR(launch.finish());
  out->bits = obits.read()[0];
  out->bits_per_row = orow.read();
  out->likelihood = olik.read();
  out->values = ovalues.read();
  out->dy = ody.read();
  out->dmean = odmean.read();
  out->dscale = odscale.read();
  return BINCE_OK;
}

float plain_cdf(float x) {
  return 0.5f * std::erfc(-0.70710678f * x);
}

GaussianOutputs GaussianCase::plainly() const {
  GaussianOutputs out;
  out.bits_per_row.assign(N, 0);
  for (int64_t n = 0; n < N; ++n)
    for (int64_t j = 0; j < J; ++j) {
      const int64_t at = n * J + j;
      float v = y[at];
      if (quantize == BINCE_QUANTIZE_NOISE) v += bince::noise_at(99, first_row + n, static_cast<uint32_t>(j));
      if (quantize == BINCE_QUANTIZE_ROUND) v = std::nearbyint(v - mean[at]) + mean[at];
      const float distance = v - mean[at], s = std::max(scale[at], 0.11f);
      const float upper = (0.5f - std::fabs(distance)) / s, lower = (-0.5f - std::fabs(distance)) / s;
      const float raw = plain_cdf(upper) - plain_cdf(lower), likelihood = std::max(raw, 1e-9f);
      float gradient = dlikelihood[at] - (0.5f + dbits_per_row[n]) / (likelihood * 0.693147181f);
      if (raw < 1e-9f) gradient = std::min(gradient, 0.0f);
      const float density = 0.39894228f / s;
      const float upper_slope = density * std::exp(-0.5f * upper * upper);
      const float lower_slope = density * std::exp(-0.5f * lower * lower);
      const float ddistance = gradient * (lower_slope - upper_slope) * (distance < 0 ? -1.0f : 1.0f);
      float dscale = gradient * (lower_slope * lower - upper_slope * upper);
      if (scale[at] < 0.11f) dscale = std::min(dscale, 0.0f);
      out.likelihood.push_back(likelihood);
      out.bits_per_row[n] -= std::log2(likelihood);
      out.values.push_back(v);
      out.dy.push_back(ddistance);
      out.dmean.push_back(-ddistance);
      out.dscale.push_back(dscale);
    }
  return out;
}

// One lane of plain float, with the primitives that lane_math.h asks for: what CUDA will give it.
struct ScalarLanes : bince_test::PlainLanes {
  static V fma(V a, V b, V c) { return std::fma(a, b, c); }
  static V fnma(V a, V b, V c) { return std::fma(-a, b, c); }
  static V min(V a, V b) { return a < b ? a : b; }
  static V max(V a, V b) { return a > b ? a : b; }
  static V abs(V a) { return std::fabs(a); }
  static V clamp_magnitude(V x, V m) { return std::copysign(std::fabs(x) < m ? std::fabs(x) : m, x); }
  static V round_even(V x) { return std::nearbyint(x); }
  static V reciprocal(V x) { return 1 / x; }
  static V scale(V x, V n) { return std::ldexp(x, static_cast<int>(n)); }
  static void split(V x, V* m, V* e) {
    int exponent;
    *m = std::frexp(x, &exponent);  // in [1/2, 1)
    if (*m < 0.75f) *m *= 2, --exponent;
    *e = static_cast<float>(exponent);
  }
};

// Largest error in units of the last place of the exact value.
template <typename F, typename G>
double worst_ulp(F ours, G exact, double low, double high) {
  double worst = 0;
  for (int i = 0; i <= 20000; ++i) {
    const float x = static_cast<float>(low + (high - low) * i / 20000);
    const double want = exact(static_cast<double>(x));
    const double ulp = std::ldexp(1.0, std::ilogb(want == 0 ? 1e-30 : want) - 23);
    worst = std::fmax(worst, std::fabs(ours(x) - want) / ulp);
  }
  return worst;
}

}  // namespace

TEST(gaussian_backends_are_as_exact_as_plain_float32) {
  std::vector<GaussianCase> all;
  uint32_t random = 1;
  for (const int64_t J : {1, 7, 8, 9, 15, 16, 17, 33, 2049})
    for (const int64_t N : {1, 2, 5, 13})
      all.emplace_back(N, J, static_cast<int32_t>(random % 3), random % 5, random), ++random;
  const Context ref("ref");
  std::vector<GaussianOutputs> expected(all.size());
  double plain[5] = {};
  const auto add = [](double* sums, const GaussianOutputs& actual, const GaussianOutputs& want) {
    sums[0] += relative_error(actual.likelihood, want.likelihood);
    sums[1] += relative_error(actual.bits_per_row, want.bits_per_row);
    sums[2] += relative_error(actual.dy, want.dy);
    sums[3] += relative_error(actual.dmean, want.dmean);
    sums[4] += relative_error(actual.dscale, want.dscale);
  };
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK_OK(all[i].run(ref, &expected[i]));
    add(plain, all[i].plainly(), expected[i]);
  }
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    double errors[5] = {};
    for (size_t i = 0; i < all.size(); ++i) {
      GaussianOutputs actual;
      CHECK_OK(all[i].run(context, &actual));
      CHECK(actual.values == expected[i].values);
      CHECK_NEAR(actual.bits, expected[i].bits, 1e-6 * std::fabs(expected[i].bits));
      add(errors, actual, expected[i]);
    }
    const double eps = static_cast<double>(all.size()) * std::ldexp(1.0, -23);
    for (int k = 0; k < 5; ++k) CHECK_NEAR(errors[k], 0, 2 * plain[k] + eps);
    if (std::getenv("BINCE_TEST_VERBOSE"))
      for (int k = 0; k < 5; ++k)
        std::printf("    %s %d: %.2g (plain %.2g)\n", name.c_str(), k, errors[k], plain[k]);
  }
}

TEST(gaussian_results_do_not_depend_on_threads) {
  const GaussianCase large(301, 2100, BINCE_QUANTIZE_NOISE, 3, 5);
  for (const std::string& name : available_backends()) {
    if (name == "ref") continue;
    const Context one(name.c_str(), 1), three(name.c_str(), 3);
    GaussianOutputs a, b;
    CHECK_OK(large.run(one, &a));
    CHECK_OK(large.run(three, &b));
    CHECK(a.bits == b.bits && a.bits_per_row == b.bits_per_row && a.dy == b.dy && a.dscale == b.dscale);
  }
}

TEST(gaussian_broken_numbers_are_named) {
  const GaussianCase good(9, 21, BINCE_QUANTIZE_ROUND, 0, 6);
  const struct {
    std::vector<float> GaussianCase::*input;
    const char* name;
  } inputs[] = {{&GaussianCase::y, "y: row 4"},
                {&GaussianCase::mean, "mean: row 4"},
                {&GaussianCase::scale, "scale: row 4"},
                {&GaussianCase::dlikelihood, "dlikelihood: row 4"}};
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    GaussianOutputs out;
    for (const auto& each : inputs)
      for (const float value : {NAN, INFINITY}) {
        GaussianCase bad = good;
        (bad.*each.input)[4 * 21 + 20] = value;
        CHECK_EQ(bad.run(context, &out), BINCE_INVALID_VALUE);
        CHECK(std::strstr(bince_last_error(), each.name) == bince_last_error());
      }
    CHECK_OK(GaussianCase(0, 3, BINCE_QUANTIZE_NOISE, 1, 7).run(context, &out));
    CHECK_EQ(out.bits, 0.0);
  }
}

TEST(lane_functions_are_exact_to_a_few_units_of_the_last_place) {
  using L = ScalarLanes;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(worst_ulp([](float x) { return bince::lane_exp<L>(x); }, [](double x) { return std::exp(x); }, -80,
                  80) < 2);
  CHECK(worst_ulp([](float x) { return bince::lane_sigmoid<L>(x); }, sigmoid, -80, 80) < 3);
  CHECK(worst_ulp([](float x) { return bince::lane_tanh<L>(x); }, [](double x) { return std::tanh(x); }, -12,
                  12) < 6);
  CHECK(worst_ulp([](float x) { return bince::lane_tanh<L>(x); }, [](double x) { return std::tanh(x); },
                  -0.01, 0.01) < 4);
  CHECK(worst_ulp([](float x) { return bince::lane_log2<L>(x); }, [](double x) { return std::log2(x); }, 1e-9,
                  0.7) < 3);
  CHECK(worst_ulp([](float x) { return bince::lane_log2<L>(x); }, [](double x) { return std::log2(x); }, 0.7,
                  1.4) < 3);
  CHECK(worst_ulp([](float x) { return bince::lane_softplus<L>(x); },
                  [](double x) { return std::log1p(std::exp(x)); }, -60, 60) < 4);
}
