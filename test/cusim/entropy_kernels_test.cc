// The entropy kernels with small blocks and slices, launched directly on the simulator: tails of rows,
// channels and inner elements against the CPU's reference, garbage in the workspace, any order of threads.
#include "native/core/context.h"
#include "native/cuda/device_runtime.h"
#include "native/entropy/factorized_general.cuh"
#include "native/entropy/factorized_parameters.cuh"
#include "native/entropy/gaussian_kernel.cuh"
#include "native/entropy/noise_kernel.cuh"
#include "native/entropy/quantiles_kernel.cuh"
#include "test/native/entropy_case.h"

namespace bince {
namespace {

using bince_test::Case;
using bince_test::Context;
using bince_test::Outputs;
using bince_test::relative_error;

const std::vector<int32_t> kUsual = {3, 3, 3, 3};

unsigned blocks(int64_t count, int per_block) {
  return static_cast<unsigned>(divide_up(count, per_block));
}

FactorizedArgs arguments(const Case& c, Outputs* out) {
  const size_t T = c.x.size();
  out->bits_per_row.assign(static_cast<size_t>(c.N), NAN);
  for (std::vector<float>* each : {&out->likelihood, &out->values, &out->dx}) each->assign(T, NAN);
  out->dparams.assign(c.params.size(), NAN);
  for (std::vector<float>* each : {&out->dlog_gain, &out->dshift})
    each->assign(static_cast<size_t>(c.C), NAN);
  FactorizedArgs args = {};
  args.N = c.N, args.C = c.C, args.I = c.I;
  args.widths = c.widths_of();
  args.quantize = c.quantize;
  args.seed = c.seed, args.first_row = c.first_row;
  args.floor = 1e-9f, args.dbits = c.dbits;
  args.x = c.x.data(), args.params = c.params.data();
  args.log_gain = c.log_gain.data(), args.shift = c.shift.data(), args.medians = c.medians.data();
  args.dbits_per_row = c.dbits_per_row.data(), args.dlikelihood = c.dlikelihood.data();
  args.bits = &out->bits, args.bits_per_row = out->bits_per_row.data();
  args.likelihood = out->likelihood.data(), args.values = out->values.data(), args.dx = out->dx.data();
  args.dparams = out->dparams.data();
  args.dlog_gain = out->dlog_gain.data(), args.dshift = out->dshift.data();
  return args;
}

template <bool kBackward, int kWarps>
void launch_elements(const FactorizedArgs& args, const FactorizedLayout& layout, DeviceReport* report) {
  const int64_t warps = layout.slices * layout.groups;
  if (!is_default(args.widths))
    BINCE_LAUNCH((factorized_general_kernel<kBackward, kWarps>), blocks(warps, kWarps), 32 * kWarps,
                 32 * kWarps * trace_bytes(args.widths), nullptr, args, layout, report);
  else if (runs_along_inner(args))
    BINCE_LAUNCH((factorized_kernel<kBackward, true, kWarps>), blocks(warps, kWarps), 32 * kWarps, 0, nullptr,
                 args, layout, report);
  else
    BINCE_LAUNCH((factorized_kernel<kBackward, false, kWarps>), blocks(warps, kWarps), 32 * kWarps, 0,
                 nullptr, args, layout, report);
}

// Everything that factorized.cu queues, with blocks of kWarps warps.  The workspace begins as NaN.
template <int kWarps>
void run_kernels(const Case& c, bool backward, const FactorizedTuning& tuning, Outputs* out) {
  constexpr int kThreads = 32 * kWarps;
  const FactorizedArgs args = arguments(c, out);
  FactorizedLayout layout;
  const size_t bytes = lay_out_factorized(args, backward, tuning, nullptr, &layout);
  std::vector<char> room(bytes + 128, static_cast<char>(0xff));
  char* base = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) % 64;
  lay_out_factorized(args, backward, tuning, base, &layout);
  DeviceReport report = {kNoOffence, {}};
  const int64_t C = args.C, P = args.widths.parameters;
  BINCE_LAUNCH((prepare_parameters_kernel<kThreads>), blocks(P * C, kThreads), kThreads, 0, nullptr, args,
               layout, &report);
  if (runs_along_inner(args)) std::fill_n(layout.row_bits, static_cast<size_t>(args.N * layout.pieces), 0.0f);
  if (layout.slices > 0 && backward) launch_elements<true, kWarps>(args, layout, &report);
  if (layout.slices > 0 && !backward) launch_elements<false, kWarps>(args, layout, &report);
  if (backward)
    BINCE_LAUNCH((sum_gradients_kernel<kThreads>), blocks((P + 2) * C, kThreads), kThreads, 0, nullptr, args,
                 layout, &report);
  BINCE_LAUNCH((sum_bits_kernel<64>), 1, 64, 64 * sizeof(double), nullptr, layout.bits,
               layout.slices * layout.groups, args.bits);
  if (args.N > 0)
    BINCE_LAUNCH((sum_rows_kernel<kWarps>), blocks(args.N, kWarps), kThreads, 0, nullptr, layout.row_bits,
                 layout.pieces, args.N, args.bits_per_row);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK_EQ(report.first, kNoOffence);
  for (size_t i = bytes; i < bytes + 64; ++i) CHECK_EQ(base[i], static_cast<char>(0xff));
}

void compare(const Case& c, const Outputs& actual, const Outputs& expected, bool backward) {
  const auto near = [&](const char* what, const std::vector<float>& a, const std::vector<float>& b,
                        double allowed) {
    const double error = relative_error(a, b);
    if (!(error <= allowed))
      bince_test::report(__FILE__, __LINE__,
                         std::string(what) + " of " + std::to_string(c.N) + " x " + std::to_string(c.C) +
                             " x " + std::to_string(c.I) + ": error " + std::to_string(error));
  };
  CHECK(actual.values == expected.values);
  CHECK_NEAR(actual.bits, expected.bits, 1e-6 * std::fabs(expected.bits));
  near("bits_per_row", actual.bits_per_row, expected.bits_per_row, 1e-5);
  near("likelihood", actual.likelihood, expected.likelihood, 1e-5);
  if (!backward) return;
  near("dx", actual.dx, expected.dx, 2e-5);
  near("dparams", actual.dparams, expected.dparams, 2e-5);
  near("dlog_gain", actual.dlog_gain, expected.dlog_gain, 2e-5);
  near("dshift", actual.dshift, expected.dshift, 2e-5);
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

void check_case(Case c, uint64_t first_row) {
  c.first_row = first_row;
  const Context ref("ref");
  for (const bool backward : {false, true}) {
    Outputs expected, one, other;
    CHECK_OK(c.run(ref, backward, &expected));
    run_kernels<1>(c, backward, {2, 1, 32}, &one);
    compare(c, one, expected, backward);
    // The same slices from blocks of another size, with the threads in another order: the same bits.
    cusim::set_seed(c.seed + first_row);
    run_kernels<3>(c, backward, {2, 1, 32}, &other);
    cusim::set_seed(0);
    CHECK(one.bits == other.bits && same(one.bits_per_row, other.bits_per_row));
    CHECK(same(one.likelihood, other.likelihood));
    if (backward)
      CHECK(same(one.dx, other.dx) && same(one.dparams, other.dparams) && same(one.dshift, other.dshift));
  }
}

TEST(rows_of_channels_with_tails) {
  uint32_t random = 1;
  for (const int64_t N : {0, 1, 31, 32, 33})
    for (const int64_t C : {1, 31, 33}) {
      check_case(Case(N, C, 1, static_cast<int32_t>(random % 3), kUsual, random), random % 4);
      ++random;
    }
  check_case(Case(5, 129, 1, BINCE_QUANTIZE_NOISE, kUsual, random), 2);
}

TEST(inner_elements_with_tails) {
  uint32_t random = 50;
  for (const int64_t I : {2, 7, 16, 33, 64})
    for (const int64_t N : {1, 6}) {
      check_case(Case(N, 3, I, static_cast<int32_t>(random % 3), kUsual, random), random % 4);
      ++random;
    }
  check_case(Case(2, 33, 7, BINCE_QUANTIZE_NOISE, kUsual, random), 3);
}

TEST(networks_of_any_widths) {
  uint32_t random = 80;
  for (const std::vector<int32_t>& filters :
       std::vector<std::vector<int32_t>>{{1}, {16, 2}, {3, 3, 3}, {2, 2, 2, 2, 2, 2, 2, 2}})
    for (const int64_t I : {1, 3}) {
      check_case(Case(5, 33, I, static_cast<int32_t>(random % 3), filters, random), random % 4);
      ++random;
    }
}

TEST(noise_of_any_rows) {
  for (const uint64_t first : {uint64_t{0}, uint64_t{3}, (uint64_t{1} << 34) - 2})
    for (const int64_t rows : {1, 2, 7}) {
      std::vector<float> noise(static_cast<size_t>(rows * 33), NAN);
      const int64_t quads = divide_up(rows + static_cast<int64_t>(first % 4), 4);
      BINCE_LAUNCH((uniform_noise_kernel<32>), blocks(quads * 33, 32), 32, 0, nullptr, uint64_t{77}, first,
                   rows, int64_t{33}, noise.data());
      CHECK(cudaGetLastError() == cudaSuccess);
      for (int64_t n = 0; n < rows; ++n)
        for (int64_t j = 0; j < 33; ++j)
          CHECK(noise[n * 33 + j] == noise_at(77, first + n, static_cast<uint32_t>(j)));
    }
}

struct GaussianOutputs {
  double bits = 0;
  std::vector<float> bits_per_row, likelihood, values, dy, dmean, dscale;
};

// Inputs of the Gaussian conditional, N rows of J.
struct GaussianInputs {
  std::vector<float> y, mean, scale, dbits_per_row, dlikelihood;
  GaussianArgs args(int64_t N, int64_t J, int32_t quantize, uint64_t first_row, GaussianOutputs* out) const {
    out->bits_per_row.assign(static_cast<size_t>(N), NAN);
    for (std::vector<float>* each : {&out->likelihood, &out->values, &out->dy, &out->dmean, &out->dscale})
      each->assign(y.size(), NAN);
    return {N,
            J,
            quantize,
            77,
            first_row,
            1e-9f,
            0.11f,
            0.5,
            y.data(),
            mean.data(),
            scale.data(),
            dbits_per_row.data(),
            dlikelihood.data(),
            &out->bits,
            out->bits_per_row.data(),
            out->likelihood.data(),
            out->values.data(),
            out->dy.data(),
            out->dmean.data(),
            out->dscale.data()};
  }
};

TEST(gaussian_rows_and_columns_with_tails) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  const Context ref("ref");
  uint32_t random = 0;
  for (const int64_t N : {1, 6, 33})
    for (const int64_t J : {1, 31, 32, 33, 70}) {
      GaussianInputs in;
      for (int64_t i = 0; i < N * J; ++i) {
        in.y.push_back(4 * normal(generator)), in.mean.push_back(normal(generator));
        in.scale.push_back(std::exp(normal(generator))), in.dlikelihood.push_back(normal(generator));
      }
      for (int64_t n = 0; n < N; ++n) in.dbits_per_row.push_back(normal(generator));
      GaussianOutputs expected, actual;
      const int32_t quantize = static_cast<int32_t>(random % 3);
      const uint64_t first_row = random++ % 4;
      CHECK(entropy_ops(Backend::kRef)
                ->gaussian(in.args(N, J, quantize, first_row, &expected),
                           Run{ref.context->pool, nullptr, nullptr}) == Outcome::kDone);
      const GaussianArgs args = in.args(N, J, quantize, first_row, &actual);
      GaussianLayout layout = {};
      layout.floor = 1e-9f, layout.scale_bound = 0.11f, layout.dbits = 0.5f;
      layout.skip = static_cast<int>(first_row % 4);
      layout.quads = divide_up(N + layout.skip, 4), layout.groups = divide_up(J, 32);
      layout.slice = 2, layout.slices = divide_up(layout.quads, 2);
      std::vector<double> bits(static_cast<size_t>(layout.slices * layout.groups), NAN);
      std::vector<float> row_bits(static_cast<size_t>(N * layout.groups), NAN);
      layout.bits = bits.data(), layout.row_bits = row_bits.data();
      DeviceReport report = {kNoOffence, {}};
      cusim::set_seed(random);
      BINCE_LAUNCH((gaussian_kernel<true, 2>), blocks(layout.slices * layout.groups, 2), 64, 0, nullptr, args,
                   layout, &report);
      BINCE_LAUNCH((sum_bits_kernel<32>), 1, 32, 32 * sizeof(double), nullptr, layout.bits,
                   layout.slices * layout.groups, args.bits);
      BINCE_LAUNCH((sum_rows_kernel<1>), blocks(N, 1), 32, 0, nullptr, layout.row_bits, layout.groups, N,
                   args.bits_per_row);
      cusim::set_seed(0);
      CHECK(cudaGetLastError() == cudaSuccess);
      CHECK_EQ(report.first, kNoOffence);
      CHECK(actual.values == expected.values);
      CHECK_NEAR(actual.bits, expected.bits, 1e-6 * expected.bits);
      CHECK_NEAR(relative_error(actual.bits_per_row, expected.bits_per_row), 0, 1e-5);
      CHECK_NEAR(relative_error(actual.likelihood, expected.likelihood), 0, 1e-6);
      CHECK_NEAR(relative_error(actual.dy, expected.dy), 0, 1e-5);
      CHECK_NEAR(relative_error(actual.dmean, expected.dmean), 0, 1e-5);
      CHECK_NEAR(relative_error(actual.dscale, expected.dscale), 0, 1e-5);
    }
}

// Both solve in double, so that the float32 quantiles agree to the last bit but one.
TEST(quantiles_agree_with_the_reference) {
  for (const std::vector<int32_t>& filters : std::vector<std::vector<int32_t>>{kUsual, {2}, {4, 3}}) {
    const Case c(1, 5, 1, BINCE_QUANTIZE_NONE, filters, 41);
    const double target = std::log(2 / 1e-9 - 1);
    std::vector<float> solved(15, NAN), expected(15);
    std::vector<int32_t> unsolved(5, -1);
    const QuantilesArgs args = {5, c.widths_of(), target, c.params.data(), solved.data(), unsolved.data()};
    DeviceReport report = {kNoOffence, {}};
    BINCE_LAUNCH(quantiles_kernel, 5, 32, sizeof(double) * static_cast<size_t>(args.widths.parameters),
                 nullptr, args, &report);
    CHECK(cudaGetLastError() == cudaSuccess);
    QuantilesArgs plain = args;
    plain.quantiles = expected.data();
    const Context ref("ref");
    CHECK(entropy_ops(Backend::kRef)->quantiles(plain, Run{ref.context->pool, nullptr, nullptr}) ==
          Outcome::kDone);
    for (int i = 0; i < 15; ++i) CHECK_NEAR(solved[i], expected[i], 1.3e-7 * std::fabs(expected[i]));
    for (const int32_t count : unsolved) CHECK_EQ(count, 0);
  }
}

}  // namespace
}  // namespace bince
