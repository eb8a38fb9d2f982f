// The corners of the entropy family: parameters of any size, layouts, the Gaussian's tails and bounds, and
// the CPU calls without a backend of their own (logits, quantiles, tables, indexes).
#include "test/native/entropy_case.h"

using bince_test::available_backends;
using bince_test::Case;
using bince_test::Context;
using bince_test::DeviceArray;
using bince_test::DeviceLaunch;
using bince_test::Outputs;
using bince_test::relative_error;
using bince_test::Tensor;

namespace {

const std::vector<int32_t> kUsual = {3, 3, 3, 3};

bool all_finite(const std::vector<float>& values) {
  for (const float value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

bince_factorized_options usual_options() {
  bince_factorized_options options = {};
  options.struct_size = sizeof options;
  return options;
}

struct Quantiles {
  std::vector<float> values;
  std::vector<int32_t> unsolved;
};

Quantiles solve(bince_context* context, const Case& c, double tail_mass) {
  DeviceArray<float> params(context, c.params), quantiles(context, static_cast<size_t>(3 * c.C));
  DeviceArray<int32_t> unsolved(context, static_cast<size_t>(c.C));
  bince_factorized_options options = usual_options();
  options.filters = c.filters.data();
  options.filter_count = static_cast<int32_t>(c.filters.size());
  const DeviceLaunch launch(context, bince_quantiles_workspace(context));
  CHECK_OK(bince_quantiles_solve(context, &options, params.tensor({c.widths_of().parameters, c.C}), tail_mass,
                                 quantiles.tensor({c.C, 3}), unsolved.tensor(), launch));
  CHECK_OK(launch.finish());
  return {quantiles.read(), unsolved.read()};
}

std::vector<float> logits_of(bince_context* context, const Case& c, const std::vector<float>& values) {
  const int64_t K = static_cast<int64_t>(values.size()) / c.C;
  std::vector<float> logits(values.size());
  Tensor params(const_cast<float*>(c.params.data()), bince::kFloat32, {c.widths_of().parameters, c.C});
  Tensor in(const_cast<float*>(values.data()), bince::kFloat32, {c.C, K});
  Tensor out(logits.data(), bince::kFloat32, {c.C, K});
  bince_factorized_options options = usual_options();
  options.filters = c.filters.data();
  options.filter_count = static_cast<int32_t>(c.filters.size());
  CHECK_OK(bince_factorized_logits(context, &options, &params.tensor, &in.tensor, &out.tensor));
  return logits;
}

struct Gaussian {
  std::vector<float> y, mean, scale, likelihood, dy, dscale;
  double bits = 0;
  double floor = 0, bound = 0;

  bince_status run(bince_context* context, const int32_t* cancel = nullptr) {
    const int64_t J = static_cast<int64_t>(y.size());
    DeviceArray<float> iy(context, y), imean(context, mean), iscale(context, scale);
    DeviceArray<float> olik(context, y.size()), ody(context, y.size()), odscale(context, y.size());
    DeviceArray<double> obits(context, size_t{1});
    const bince_gaussian_options options = {sizeof options, BINCE_QUANTIZE_NONE, 0, 0, floor, bound, 1};
    bince_gaussian_inputs inputs = {};
    inputs.struct_size = sizeof inputs;
    inputs.y = iy.tensor({1, J}), inputs.mean = imean.tensor({1, J}), inputs.scale = iscale.tensor({1, J});
    bince_gaussian_outputs outputs = {};
    outputs.struct_size = sizeof outputs;
    outputs.bits = obits.tensor(), outputs.likelihood = olik.tensor({1, J});
    outputs.dy = ody.tensor({1, J}), outputs.dscale = odscale.tensor({1, J});
    size_t bytes = 0;
    BINCE_RETURN_IF_ERROR(bince_gaussian_workspace(context, &options, &inputs, &outputs, &bytes));
    DeviceLaunch launch(context, bytes);
    launch->cancel = cancel;
    BINCE_RETURN_IF_ERROR(bince_gaussian_backward(context, &options, &inputs, &outputs, launch));
    BINCE_RETURN_IF_ERROR(launch.finish());
    bits = obits.read()[0];
    likelihood = olik.read(), dy = ody.read(), dscale = odscale.read();
    return BINCE_OK;
  }
};

}  // namespace

// Whatever the parameters: results without NaN, or a refusal that says so.
TEST(parameters_of_any_size_never_give_nan) {
  std::mt19937 random(77);
  int refused = 0, served = 0;
  for (int round = 0; round < 60; ++round) {
    Case c(5, 17, 1, round % 3, round % 4 == 3 ? std::vector<int32_t>{2, 5, 3} : kUsual, 500u + round);
    for (float& p : c.params)
      if (random() % 6 == 0) p *= static_cast<float>(std::pow(10.0, static_cast<double>(random() % 39)));
    for (const std::string& name : available_backends()) {
      const Context context(name.c_str());
      Outputs out;
      const bince_status status = c.run(context, true, &out);
      if (status == BINCE_INVALID_VALUE) {
        CHECK(std::strstr(bince_last_error(), "params: ") != nullptr);
        ++refused;
        continue;
      }
      CHECK_OK(status);
      ++served;
      CHECK(std::isfinite(out.bits));
      for (const std::vector<float>* each :
           {&out.bits_per_row, &out.likelihood, &out.dx, &out.dparams, &out.dlog_gain, &out.dshift})
        if (!all_finite(*each))
          bince_test::report(__FILE__, __LINE__, name + " round " + std::to_string(round) + ": NaN");
    }
  }
  // The reference computes in double, which none of these overflows.
  CHECK(refused > 0 || available_backends() == std::vector<std::string>{"ref"});
  CHECK(served > 0);
}

TEST(nan_parameters_are_named) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    Case c(3, 9, 1, BINCE_QUANTIZE_NONE, kUsual, 3);
    Outputs out;
    c.params[57 * 9 + 8] = NAN;
    CHECK_EQ(c.run(context, false, &out), BINCE_INVALID_VALUE);
    const bool cuda = name == "cuda";
    CHECK(std::strstr(bince_last_error(),
                      cuda ? "params: channel 8 holds" : "params: parameter 57, channel 8") != nullptr);
  }
}

// x [N, C, I] and the same values as [N * I, C]: the same numbers, bit for bit, but for their places.  On a
// device the sums over rows are in another order, since lanes lie along I.
TEST(inner_elements_are_rows_of_another_layout) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    for (const int32_t quantize : {BINCE_QUANTIZE_NONE, BINCE_QUANTIZE_ROUND}) {
      Case image(6, 19, 7, quantize, kUsual, 21);
      std::fill(image.dbits_per_row.begin(), image.dbits_per_row.end(), 0.25f);
      Case rows(42, 19, 1, quantize, kUsual, 22);
      rows.params = image.params, rows.log_gain = image.log_gain;
      rows.shift = image.shift, rows.medians = image.medians;
      std::fill(rows.dbits_per_row.begin(), rows.dbits_per_row.end(), 0.25f);
      const auto place = [](int64_t n, int64_t c, int64_t i) { return (n * 19 + c) * 7 + i; };
      const auto each = [&](auto&& body) {
        for (int64_t n = 0; n < 6; ++n)
          for (int64_t c = 0; c < 19; ++c)
            for (int64_t i = 0; i < 7; ++i) body(place(n, c, i), (n * 7 + i) * 19 + c);
      };
      each([&](int64_t from, int64_t to) {
        rows.x[to] = image.x[from];
        rows.dlikelihood[to] = image.dlikelihood[from];
      });
      Outputs a, b;
      CHECK_OK(image.run(context, true, &a));
      CHECK_OK(rows.run(context, true, &b));
      each([&](int64_t from, int64_t to) {
        CHECK(a.likelihood[from] == b.likelihood[to]);
        CHECK(a.values[from] == b.values[to]);
        CHECK(a.dx[from] == b.dx[to]);
      });
      if (name == "cuda") {
        CHECK_NEAR(relative_error(a.dparams, b.dparams), 0, 1e-6);
        CHECK_NEAR(relative_error(a.dlog_gain, b.dlog_gain), 0, 1e-6);
        CHECK_NEAR(relative_error(a.dshift, b.dshift), 0, 1e-6);
        CHECK_NEAR(a.bits, b.bits, 1e-7 * a.bits);
        continue;
      }
      CHECK(a.dparams == b.dparams && a.dlog_gain == b.dlog_gain && a.dshift == b.dshift);
      CHECK_NEAR(a.bits, b.bits, 1e-9 * a.bits);
    }
  }
}

// Batches cut anyhow draw the noise of the whole, forward and backward.
TEST(noise_follows_the_row_numbers) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    const Case whole(11, 18, 3, BINCE_QUANTIZE_NOISE, kUsual, 31);
    Outputs all;
    CHECK_OK(whole.run(context, true, &all));
    for (const int64_t cut : {1, 5, 10}) {
      Case rest = whole;
      rest.N = 11 - cut;
      rest.first_row += static_cast<uint64_t>(cut);
      rest.x.erase(rest.x.begin(), rest.x.begin() + cut * 54);
      rest.dlikelihood.erase(rest.dlikelihood.begin(), rest.dlikelihood.begin() + cut * 54);
      rest.dbits_per_row.erase(rest.dbits_per_row.begin(), rest.dbits_per_row.begin() + cut);
      for (const bool backward : {false, true}) {
        Outputs out;
        CHECK_OK(rest.run(context, backward, &out));
        CHECK(std::equal(out.values.begin(), out.values.end(), all.values.begin() + cut * 54));
        CHECK(std::equal(out.likelihood.begin(), out.likelihood.end(), all.likelihood.begin() + cut * 54));
      }
    }
  }
}

TEST(quantiles_are_where_the_logits_say) {
  const Context cpu("ref");
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    for (const std::vector<int32_t>& filters : std::vector<std::vector<int32_t>>{kUsual, {2}, {4, 3}}) {
      const Case c(1, 23, 1, BINCE_QUANTIZE_NONE, filters, 41);
      for (const double tail_mass : {1e-9, 1e-3, 0.5}) {
        const Quantiles q = solve(context, c, tail_mass);
        const std::vector<float> logits = logits_of(cpu, c, q.values);
        const double target = std::log(2 / tail_mass - 1);
        for (int64_t at = 0; at < 3 * c.C; ++at) {
          CHECK_EQ(q.unsolved[at / 3], 0);
          // The quantile is rounded to float32, which F's slope (below 10 here) turns into logits.
          CHECK_NEAR(logits[at], (at % 3 - 1) * target, 1e-5 * (1 + std::fabs(q.values[at])));
        }
      }
    }
  }
}

TEST(quantiles_that_do_not_exist_are_counted) {
  const Context context("ref");
  Case c(1, 3, 1, BINCE_QUANTIZE_NONE, kUsual, 42);
  const bince::Widths w = c.widths_of();
  for (int p = w.matrix[4]; p < bias_index(w, 4); ++p) c.params[p * 3 + 1] = -90;  // channel 1: F is flat
  const Quantiles q = solve(context, c, 1e-9);
  CHECK_EQ(q.unsolved[0], 0);
  CHECK(q.unsolved[1] >= 2);
  CHECK_EQ(q.values[3], -16777216.0f);
  CHECK_EQ(q.values[5], 16777216.0f);
  CHECK_EQ(q.unsolved[2], 0);
  Case huge(1, 1, 1, BINCE_QUANTIZE_NONE, {2, 2, 2, 2, 2, 2, 2, 2}, 43);
  for (size_t i = 0; i < huge.params.size(); ++i) huge.params[i] = i % 3 ? 3e38f : -3e38f;
  const Quantiles overflowed = solve(context, huge, 1e-9);
  for (const float value : overflowed.values) CHECK(std::isfinite(value));
}

TEST(the_loss_of_quantiles_and_its_gradient) {
  const Context context("ref");
  const Case c(1, 5, 1, BINCE_QUANTIZE_NONE, kUsual, 44);
  const bince_factorized_options options = usual_options();
  Tensor params(const_cast<float*>(c.params.data()), bince::kFloat32, {58, 5});
  const auto loss_at = [&](std::vector<float> q, std::vector<float>* gradient) {
    double loss = 0;
    Tensor tq(q.data(), bince::kFloat32, {5, 3}), tl(&loss, bince::kFloat64, {1});
    gradient->resize(15);
    Tensor tg(gradient->data(), bince::kFloat32, {5, 3});
    CHECK_OK(
        bince_quantiles_loss(context, &options, &params.tensor, &tq.tensor, 1e-9, &tl.tensor, &tg.tensor));
    return loss;
  };
  std::vector<float> q(15), gradient, unused;
  for (int i = 0; i < 15; ++i) q[i] = static_cast<float>(i % 3 - 1) * 3 + 0.37f;
  loss_at(q, &gradient);
  for (int i = 0; i < 15; ++i) {
    std::vector<float> up = q, down = q;
    up[i] += 1.0f / 256, down[i] -= 1.0f / 256;
    CHECK_NEAR(gradient[i], (loss_at(up, &unused) - loss_at(down, &unused)) * 128, 1e-3);
  }
  CHECK_NEAR(loss_at(solve(context, c, 1e-9).values, &gradient), 0, 1e-3);
}

TEST(gaussian_tails_bounds_and_zero_scales) {
  const Context reference("ref");
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    Gaussian g;
    for (const float y : {0.0f, 0.4f, 3.0f, 11.0f, 13.0f, 40.0f, 1e5f, 1e30f, -1e30f, -7.0f})
      for (const float scale : {1.0f, 0.11f, 0.0f, -5.0f, 1e-30f, 3.0f, 250.0f}) {
        g.y.push_back(y), g.mean.push_back(0.25f), g.scale.push_back(scale);
      }
    for (const double bound : {0.0, 1e-30, 1e-3}) {
      g.bound = bound;
      Gaussian expected = g;
      CHECK_OK(expected.run(reference));
      CHECK_OK(g.run(context));
      CHECK_NEAR(g.bits, expected.bits, 1e-5 * expected.bits);
      for (size_t i = 0; i < g.y.size(); ++i) {
        const auto near = [&](float actual, float wanted) {
          // Likelihoods of 1e-9 are differences of numbers near 1, with gradients a billion times larger.
          if (!(std::fabs(actual - wanted) <= 1e-3 * std::fabs(wanted) + 1e-3))
            bince_test::report(__FILE__, __LINE__,
                               name + ": y " + std::to_string(g.y[i]) + " scale " +
                                   std::to_string(g.scale[i]) + " bound " + std::to_string(bound) + ": " +
                                   std::to_string(actual) + ", expected " + std::to_string(wanted));
        };
        near(g.likelihood[i], expected.likelihood[i]);
        near(g.dy[i], expected.dy[i]);
        near(g.dscale[i], expected.dscale[i]);
      }
    }
  }
}

TEST(bounds_outside_float32_are_refused) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    Gaussian g;
    g.y = g.mean = g.scale = {1};
    for (const double bad : {1e-40, -1.0, 1.5, static_cast<double>(NAN)}) {
      g.floor = bad, g.bound = 0;
      CHECK_EQ(g.run(context), BINCE_INVALID_ARGUMENT);
      CHECK(std::strstr(bince_last_error(), "likelihood_floor: expected a number from 1e-30 to 1") !=
            nullptr);
      g.floor = 0, g.bound = bad;
      CHECK_EQ(g.run(context), BINCE_INVALID_ARGUMENT);
      CHECK(std::strstr(bince_last_error(), "scale_bound") != nullptr);
    }
    g.floor = 1e-30, g.bound = 0, g.y = {9};
    CHECK_OK(g.run(context));
    CHECK_NEAR(g.likelihood[0] / 3.19e-14, 1, 0.01);  // Phi(-7.5): the floor no longer hides it
  }
}

TEST(cancelled_calls_say_so) {
  const int32_t cancel = 1;
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    Gaussian g;
    g.y = g.mean = g.scale = {1, 2};
    CHECK_EQ(g.run(context, &cancel), BINCE_CANCELLED);
    const Case c(3, 5, 2, BINCE_QUANTIZE_NOISE, kUsual, 51);
    Outputs out;
    for (const bool backward : {false, true})
      CHECK_EQ(c.run(context, backward, &out, &cancel), BINCE_CANCELLED);
    DeviceArray<float> params(context, c.params), quantiles(context, size_t{15});
    const bince_factorized_options options = usual_options();
    DeviceLaunch launch(context, bince_quantiles_workspace(context));
    launch->cancel = &cancel;
    CHECK_EQ(bince_quantiles_solve(context, &options, params.tensor({58, 5}), 1e-9, quantiles.tensor({5, 3}),
                                   nullptr, launch),
             BINCE_CANCELLED);
  }
}

TEST(indexes_are_of_the_smallest_scale_that_holds) {
  float table[4] = {0.11f, 1, 2, 64};
  float scale[8] = {0, 0.11f, 0.12f, 1, 1.5f, 64, 65, -3};
  const int32_t expected[8] = {0, 0, 1, 1, 2, 3, 3, 0};
  int32_t indexes[8] = {};
  Tensor ttable(table, bince::kFloat32, {4}), tscale(scale, bince::kFloat32, {2, 4});
  Tensor out(indexes, bince::kInt32, {2, 4});
  CHECK_OK(bince_gaussian_indexes(&tscale.tensor, &ttable.tensor, &out.tensor));
  for (int i = 0; i < 8; ++i) CHECK_EQ(indexes[i], expected[i]);
  scale[6] = NAN;
  CHECK_EQ(bince_gaussian_indexes(&tscale.tensor, &ttable.tensor, &out.tensor), BINCE_INVALID_VALUE);
  CHECK(std::strstr(bince_last_error(), "scale: row 1, element 2") != nullptr);
  table[2] = 1;
  CHECK_EQ(bince_gaussian_indexes(&tscale.tensor, &ttable.tensor, &out.tensor), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "rising") != nullptr);
}

TEST(tables_rise_from_0_to_65536) {
  const Context context("ref");
  std::mt19937 random(5);
  const bince_factorized_options options = usual_options();
  for (uint32_t round = 0; round < 8; ++round) {
    Case c(1, 13, 1, BINCE_QUANTIZE_NONE, kUsual, 600 + round);
    Quantiles q = solve(context, c, 1e-9);
    if (round % 2)  // quantiles of another model: most of the mass outside, or nearly none anywhere
      for (float& value : q.values) value += static_cast<float>(random() % 9) - 4;
    std::vector<int32_t> offset(13), start(14), cdf;
    Tensor params(c.params.data(), bince::kFloat32, {58, 13}), tq(q.values.data(), bince::kFloat32, {13, 3});
    Tensor toffset(offset.data(), bince::kInt32, {13}), tstart(start.data(), bince::kInt32, {14});
    std::vector<char> room(bince_tables_workspace() + 64);
    char* aligned = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) % 64;
    const bince_launch launch = {nullptr, aligned, bince_tables_workspace(), nullptr};
    for (const int32_t tail : {BINCE_TAIL_OWN, BINCE_TAIL_COMPRESSAI}) {
      CHECK_OK(bince_factorized_tables(context, &options, &params.tensor, &tq.tensor, tail, &toffset.tensor,
                                       &tstart.tensor, nullptr, &launch));
      cdf.assign(static_cast<size_t>(start[13]) + 1, -7);
      Tensor tcdf(cdf.data(), bince::kInt32, {start[13]});
      CHECK_OK(bince_factorized_tables(context, &options, &params.tensor, &tq.tensor, tail, &toffset.tensor,
                                       &tstart.tensor, &tcdf.tensor, &launch));
      CHECK_EQ(cdf.back(), -7);
      for (int c0 = 0; c0 < 13; ++c0) {
        CHECK_EQ(cdf[start[c0]], 0);
        CHECK_EQ(cdf[start[c0 + 1] - 1], 65536);
        for (int i = start[c0] + 1; i < start[c0 + 1]; ++i) CHECK(cdf[i] > cdf[i - 1]);
      }
    }
  }
}
