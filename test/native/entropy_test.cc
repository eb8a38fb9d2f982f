// The factorised model: every backend against the reference, the reference against finite differences, and
// noise.
#include "test/native/entropy_case.h"

using bince_test::available_backends;
using bince_test::Case;
using bince_test::Context;
using bince_test::Outputs;
using bince_test::relative_error;

namespace {

// Errors by output, summed over cases: one case of few elements may be exact by luck, many are not.
struct Errors {
  double likelihood = 0, bits = 0, dx = 0, dparams = 0, dlog_gain = 0, dshift = 0;
  void note(const Outputs& actual, const Outputs& expected) {
    likelihood += relative_error(actual.likelihood, expected.likelihood);
    bits += relative_error(actual.bits_per_row, expected.bits_per_row);
    dx += relative_error(actual.dx, expected.dx);
    dparams += relative_error(actual.dparams, expected.dparams);
    dlog_gain += relative_error(actual.dlog_gain, expected.dlog_gain);
    dshift += relative_error(actual.dshift, expected.dshift);
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  uint32_t random = 100;
  const std::vector<int32_t> usual = {3, 3, 3, 3};
  for (const int64_t C : {1, 7, 8, 9, 15, 16, 17, 33})
    for (const int64_t N : {1, 2, 17, 67})
      all.emplace_back(N, C, 1, static_cast<int32_t>(random % 3), usual, random), ++random;
  for (const int64_t I : {2, 5, 17})
    for (const int64_t C : {1, 16, 19})
      all.emplace_back(7, C, I, static_cast<int32_t>(random % 3), usual, random), ++random;
  all.emplace_back(521, 17, 1, BINCE_QUANTIZE_NOISE, usual, random++);
  for (const std::vector<int32_t>& filters : std::vector<std::vector<int32_t>>{
           {1}, {16}, {2, 5}, {3, 3, 3}, {4, 4, 4, 4}, {2, 2, 2, 2, 2, 2, 2, 2}})
    all.emplace_back(19, 18, 1, BINCE_QUANTIZE_NOISE, filters, random++);
  all.emplace_back(3, 35, 3, BINCE_QUANTIZE_ROUND, std::vector<int32_t>{4, 2}, random++);
  for (const int64_t I : {1, 3}) {
    all.emplace_back(9, 35, I, BINCE_QUANTIZE_NOISE, usual, random++);
    all.back().cut_to_bfloat16();
  }
  return all;
}

}  // namespace

TEST(philox_gives_the_published_words) {
  const struct {
    uint32_t counter[4], key[2], words[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& each : known) {
    uint32_t counter[4];
    std::memcpy(counter, each.counter, sizeof counter);
    bince::philox4x32_10(counter, each.key[0], each.key[1]);
    for (int i = 0; i < 4; ++i) CHECK_EQ(counter[i], each.words[i]);
  }
}

TEST(noise_is_the_same_on_every_backend) {
  const uint64_t seed = 0xfedcba9876543210ull;
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    for (const uint64_t first : {uint64_t{0}, uint64_t{3}, (uint64_t{1} << 34) - 2})
      for (const int64_t J : {1, 8, 15, 16, 17, 33}) {
        const int64_t N = 7;
        bince_test::DeviceArray<float> noise(context, static_cast<size_t>(N * J));
        CHECK_OK(bince_uniform_noise(context, seed, first, noise.tensor({N, J})));
        const std::vector<float> values = noise.read();
        for (int64_t n = 0; n < N; ++n)
          for (int64_t j = 0; j < J; ++j) {
            CHECK(values[n * J + j] == bince::noise_at(seed, first + n, static_cast<uint32_t>(j)));
            CHECK(std::fabs(values[n * J + j]) < 0.5f);
          }
      }
  }
  CHECK_EQ(bince::centred_uniform(0x80000000u), -bince::centred_uniform(0x7fffffffu));
}

TEST(noise_is_uniform) {
  double sum = 0, squares = 0;
  const int count = 100000;
  for (int n = 0; n < count; ++n) {
    const double u = bince::noise_at(42, static_cast<uint64_t>(n / 100), static_cast<uint32_t>(n % 100));
    sum += u;
    squares += u * u;
  }
  CHECK_NEAR(sum / count, 0, 4 * std::sqrt(1.0 / 12 / count));
  CHECK_NEAR(squares / count, 1.0 / 12, 0.002);
}

TEST(backends_are_as_exact_as_plain_float32) {
  const Context ref("ref");
  const std::vector<Case> all = cases();
  std::vector<Outputs> expected(all.size());
  Errors plain;
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK_OK(all[i].run(ref, true, &expected[i]));
    plain.note(all[i].plainly(), expected[i]);
  }
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    Errors errors;
    for (size_t i = 0; i < all.size(); ++i) {
      Outputs actual, forward;
      CHECK_OK(all[i].run(context, true, &actual));
      CHECK_OK(all[i].run(context, false, &forward));
      CHECK(actual.values == expected[i].values);
      CHECK(forward.values == actual.values && forward.likelihood == actual.likelihood);
      CHECK(forward.bits == actual.bits && forward.bits_per_row == actual.bits_per_row);
      CHECK_NEAR(actual.bits, expected[i].bits, 1e-6 * std::fabs(expected[i].bits));
      errors.note(actual, expected[i]);
    }
    const double eps = static_cast<double>(all.size()) * std::ldexp(1.0, -24);
    CHECK_NEAR(errors.likelihood, 0, 2 * plain.likelihood + eps);
    CHECK_NEAR(errors.bits, 0, 2 * plain.bits + eps);
    CHECK_NEAR(errors.dx, 0, 2 * plain.dx + eps);
    CHECK_NEAR(errors.dparams, 0, 2 * plain.dparams + eps);
    CHECK_NEAR(errors.dlog_gain, 0, 2 * plain.dlog_gain + eps);
    CHECK_NEAR(errors.dshift, 0, 2 * plain.dshift + eps);
    if (std::getenv("BINCE_TEST_VERBOSE"))
      std::printf(
          "    %s: likelihood %.2g (plain %.2g) bits %.2g (%.2g) dx %.2g (%.2g) dparams %.2g (%.2g)\n",
          name.c_str(), errors.likelihood, plain.likelihood, errors.bits, plain.bits, errors.dx, plain.dx,
          errors.dparams, plain.dparams);
  }
}

TEST(results_do_not_depend_on_threads) {
  const Case large(1031, 37, 1, BINCE_QUANTIZE_NOISE, {3, 3, 3, 3}, 7);
  const Case image(5, 37, 211, BINCE_QUANTIZE_NOISE, {3, 3, 3, 3}, 8);
  for (const std::string& name : available_backends()) {
    if (name == "ref") continue;
    const Context one(name.c_str(), 1), three(name.c_str(), 3);
    for (const Case* each : {&large, &image}) {
      Outputs a, b;
      CHECK_OK(each->run(one, true, &a));
      CHECK_OK(each->run(three, true, &b));
      CHECK(a.bits == b.bits && a.bits_per_row == b.bits_per_row && a.dx == b.dx && a.dparams == b.dparams &&
            a.dlog_gain == b.dlog_gain && a.dshift == b.dshift);
    }
  }
}

TEST(reference_gradients_are_those_of_finite_differences) {
  for (const std::vector<int32_t>& filters : std::vector<std::vector<int32_t>>{{3, 3, 3, 3}, {2, 4}}) {
    Case base(6, 3, 2, BINCE_QUANTIZE_NOISE, filters, 31);
    const Context ref("ref");
    Outputs at;
    CHECK_OK(base.run(ref, true, &at));
    const auto loss = [&](const Case& moved) {
      Outputs out;
      CHECK_OK(moved.run(ref, false, &out));
      double sum = 0;
      for (int64_t n = 0; n < base.N; ++n)
        sum += (static_cast<double>(base.dbits) + base.dbits_per_row[n]) * out.bits_per_row[n];
      for (size_t i = 0; i < out.likelihood.size(); ++i)
        sum += static_cast<double>(base.dlikelihood[i]) * out.likelihood[i];
      return sum;
    };
    const auto check = [&](std::vector<float> Case::*input, const std::vector<float>& gradient) {
      for (size_t i = 0; i < gradient.size(); ++i) {
        Case up = base, down = base;
        (up.*input)[i] += 1.0f / 128;
        (down.*input)[i] -= 1.0f / 128;
        const double step = static_cast<double>((up.*input)[i]) - (down.*input)[i];
        CHECK_NEAR(gradient[i], (loss(up) - loss(down)) / step, 2e-3 * (1 + std::fabs(gradient[i])));
      }
    };
    check(&Case::x, at.dx);
    check(&Case::params, at.dparams);
    check(&Case::log_gain, at.dlog_gain);
    check(&Case::shift, at.dshift);
  }
}

TEST(values_far_out_stand_at_the_floor_with_finite_gradients) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    Case far(6, 17, 1, BINCE_QUANTIZE_NOISE, {3, 3, 3, 3}, 9);
    const float values[6] = {1e30f, -1e30f, 1e8f, -1e8f, 3e37f, 5000.0f};
    for (int64_t n = 0; n < 6; ++n) std::fill_n(far.x.begin() + n * 17, 17, values[n]);
    Outputs out;
    CHECK_OK(far.run(context, true, &out));
    for (const float likelihood : out.likelihood) CHECK_NEAR(likelihood, 1e-9, 1e-15);
    CHECK_NEAR(out.bits, 6 * 17 * -std::log2(1e-9), 1e-3);
    for (const float d : out.dx) CHECK_NEAR(d, 0, 1e-3);
    for (const float d : out.dparams) CHECK(std::isfinite(d));
  }
}

TEST(below_the_floor_only_what_raises_the_likelihood_passes) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    Case out_there(1, 1, 1, BINCE_QUANTIZE_NONE, {3, 3, 3, 3}, 10);
    out_there.dbits = 0;
    out_there.dbits_per_row = {0};
    // Walk out until the floor holds but the slope of the likelihood is still seen in float32.
    Outputs out;
    out_there.x[0] = 0;
    for (int step = 0; step < 4000; ++step) {
      out_there.x[0] += 0.25f;
      CHECK_OK(out_there.run(context, false, &out));
      if (out.likelihood[0] <= 1.0001e-9f) break;
    }
    out_there.dlikelihood = {-1e9f};  // the loss falls when the likelihood rises
    CHECK_OK(out_there.run(context, true, &out));
    CHECK(out.dx[0] != 0);
    out_there.dlikelihood = {1e9f};
    CHECK_OK(out_there.run(context, true, &out));
    CHECK_EQ(out.dx[0], 0.0f);
  }
}

TEST(extreme_parameters_stay_finite) {
  const Context ref("ref");
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    for (const float value : {200.0f, -200.0f, 30.0f, -30.0f}) {
      Case extreme(5, 9, 1, BINCE_QUANTIZE_NONE, {3, 3, 3, 3}, 11);
      for (int64_t p = 0; p < 3 * extreme.C; ++p) extreme.params[p] = value;              // first matrix
      for (int64_t p = 6 * extreme.C; p < 9 * extreme.C; ++p) extreme.params[p] = value;  // first factors
      Outputs out, expected;
      CHECK_OK(extreme.run(context, true, &out));
      CHECK_OK(extreme.run(ref, true, &expected));
      CHECK_NEAR(out.bits, expected.bits, 1e-3 * std::fabs(expected.bits));
      for (const float d : out.dparams) CHECK(std::isfinite(d));
      for (const float d : out.dx) CHECK(std::isfinite(d));
    }
  }
}

TEST(no_rows_give_no_bits_and_no_gradients) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str());
    const Case empty(0, 5, 1, BINCE_QUANTIZE_NOISE, {3, 3, 3, 3}, 12);
    Outputs out;
    out.bits = 7;
    CHECK_OK(empty.run(context, true, &out));
    CHECK_EQ(out.bits, 0.0);
    for (const float d : out.dparams) CHECK_EQ(d, 0.0f);
    for (const float d : out.dlog_gain) CHECK_EQ(d, 0.0f);
  }
}

TEST(broken_numbers_are_named) {
  for (const std::string& name : available_backends()) {
    const Context context(name.c_str(), 2);
    const Case good(300, 19, 2, BINCE_QUANTIZE_NOISE, {3, 3, 3, 3}, 13);
    Outputs out;
    for (const float value : {NAN, INFINITY, -INFINITY}) {
      Case bad = good;
      bad.x[(271 * 19 + 18) * 2 + 1] = value;
      CHECK_EQ(bad.run(context, true, &out), BINCE_INVALID_VALUE);
      CHECK(std::strstr(bince_last_error(), "x: row 271") != nullptr);
      CHECK_EQ(bad.run(context, false, &out), BINCE_INVALID_VALUE);
    }
    // On a device the channel's three numbers share one sentence, and the row is named that overflows.
    const bool cuda = name == "cuda";
    Case bad = good;
    bad.shift[3] = NAN;
    CHECK_EQ(bad.run(context, true, &out), BINCE_INVALID_VALUE);
    CHECK(std::strstr(bince_last_error(), cuda ? "medians: channel 3" : "shift: row 0, channel 3") !=
          nullptr);
    bad = good;
    bad.log_gain[4] = 100;
    CHECK_EQ(bad.run(context, true, &out), BINCE_INVALID_VALUE);
    CHECK(std::strstr(bince_last_error(), cuda ? "x: row 0" : "channel 4 overflows") != nullptr);
    bad = good;
    bad.dlikelihood[5 * 38] = NAN;
    CHECK_EQ(bad.run(context, true, &out), BINCE_INVALID_VALUE);
    CHECK(std::strstr(bince_last_error(), "dlikelihood: row 5") != nullptr);
    bad = good;
    bad.dbits_per_row[7] = NAN;
    CHECK_EQ(bad.run(context, true, &out), BINCE_INVALID_VALUE);
    CHECK(std::strstr(bince_last_error(), "dbits_per_row: ") != nullptr);
    CHECK(std::strstr(bince_last_error(), "row 7") != nullptr);
  }
}

TEST(wrong_calls_are_refused) {
  const Context context("ref");
  Case wrong(2, 3, 1, 3, {3, 3, 3, 3}, 14);
  Outputs out;
  CHECK_EQ(wrong.run(context, true, &out), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "quantize") != nullptr);
  wrong = Case(2, 3, 1, 0, {3, 3, 3, 3}, 14);
  wrong.filters = {3, 3, 17};
  CHECK_EQ(wrong.run(context, true, &out), BINCE_INVALID_ARGUMENT);
  int32_t cancel = 1;
  for (const std::string& name : available_backends()) {
    const Context other(name.c_str());
    CHECK_EQ(Case(2, 3, 1, 0, {3, 3, 3, 3}, 14).run(other, true, &out, &cancel), BINCE_CANCELLED);
  }
  float data[6] = {}, params[58 * 3] = {};
  bince_test::Tensor x(data, bince::kFloat32, {2, 3}), p(params, bince::kFloat32, {58, 3});
  bince_test::Tensor none(data, bince::kFloat32, {2, 0});
  bince_factorized_options options = {sizeof options, 0, 0, 0, 0, 1, nullptr, 0};
  bince_factorized_inputs inputs = {};
  inputs.struct_size = sizeof inputs;
  inputs.x = &x.tensor;
  inputs.params = &p.tensor;
  bince_factorized_outputs outputs = {};
  outputs.struct_size = sizeof outputs;
  const bince_launch launch = {nullptr, nullptr, 0, nullptr};
  CHECK_EQ(bince_factorized_forward(context, &options, &inputs, &outputs, &launch), BINCE_BUFFER_TOO_SMALL);
  CHECK_EQ(bince_factorized_forward(nullptr, &options, &inputs, &outputs, &launch), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_factorized_forward(context, nullptr, &inputs, &outputs, &launch), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_factorized_forward(context, &options, nullptr, &outputs, &launch), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_factorized_forward(context, &options, &inputs, nullptr, &launch), BINCE_INVALID_ARGUMENT);
  inputs.x = &none.tensor;
  CHECK_EQ(bince_factorized_forward(context, &options, &inputs, &outputs, &launch), BINCE_INVALID_ARGUMENT);
  options.struct_size = 8;
  CHECK_EQ(bince_factorized_forward(context, &options, &inputs, &outputs, &launch), BINCE_INVALID_ARGUMENT);
}
