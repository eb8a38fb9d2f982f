// The golden cases of test/golden/factorized_model.json (float64 autograd) in every backend, and the integer
// tables of cdf_tables.json.
#include "test/native/entropy_case.h"
#include "test/native/golden_json.h"

using namespace bince_test;

namespace {

// Layers as lists of arrays [C, ...] to [parameter][channel]; `prefix` is "d" for gradients.
std::vector<float> packed(const Json& arrays, const std::string& prefix, const bince::Widths& w, int64_t C) {
  std::vector<float> params(static_cast<size_t>(w.parameters * C));
  const auto put = [&](const Json& array, int first, int count) {
    const std::vector<float> values = values_of(array);
    CHECK_EQ(values.size(), static_cast<size_t>(count * C));
    for (int64_t c = 0; c < C; ++c)
      for (int i = 0; i < count; ++i) params[(first + i) * C + c] = values[c * count + i];
  };
  for (int k = 0; k < w.layers; ++k) {
    const size_t layer = static_cast<size_t>(k);
    put(arrays[prefix + "matrices"].items[layer], w.matrix[k], w.width[k] * w.width[k + 1]);
    put(arrays[prefix + "biases"].items[layer], bias_index(w, k), w.width[k + 1]);
    if (k + 1 < w.layers) put(arrays[prefix + "factors"].items[layer], factor_index(w, k), w.width[k + 1]);
  }
  return params;
}

// The file's case, its noise already added; shift, scale and cotangents but that of the bits are neutral.
Case case_of(const Json& golden) {
  const Json& in = golden["inputs"];
  std::vector<int32_t> filters;
  for (const Json& width : in["filters"].items) filters.push_back(static_cast<int32_t>(width.number));
  const int64_t C = size_of(in["x"], 1);
  Case c(size_of(in["x"], 0), C, 1, BINCE_QUANTIZE_NONE, filters, 1);
  c.params = packed(in, "", c.widths_of(), C);
  c.x = values_of(in["x"]);
  const std::vector<float> noise = values_of(in["noise"]);
  for (size_t i = 0; i < c.x.size(); ++i) c.x[i] += noise[i];
  for (std::vector<float>* each : {&c.log_gain, &c.shift, &c.medians, &c.dbits_per_row, &c.dlikelihood})
    std::fill(each->begin(), each->end(), 0.0f);
  c.dbits = 1;
  return c;
}

// An array of either form.
template <typename T>
std::vector<T> numbers_of(const Json& array) {
  if (array.has("data")) return values_of<T>(array);
  std::vector<T> numbers;
  for (const Json& item : array.items) numbers.push_back(static_cast<T>(item.number));
  return numbers;
}

// CompressAI's update(): offsets and lengths exactly, counts up to the last bits of tanh and exp.
void check_rebuilt(const Json& in, const Json& expected) {
  const int64_t C = size_of(in["quantiles"], 0);
  const std::vector<int32_t> filters = {3, 3, 3, 3};
  bince_factorized_options options = {};
  options.struct_size = sizeof options;
  const bince::Widths w = bince::make_widths(filters.data(), 4);
  std::vector<float> params = packed(in, "", w, C), quantiles = values_of(in["quantiles"]);
  std::vector<int32_t> offset(static_cast<size_t>(C)), start(offset.size() + 1), cdf;
  Tensor given(params.data(), bince::kFloat32, {w.parameters, C});
  Tensor solved(quantiles.data(), bince::kFloat32, {C, 3});
  Tensor offsets(offset.data(), bince::kInt32, {C}), starts(start.data(), bince::kInt32, {C + 1});
  const Context context("ref");
  const DeviceLaunch launch(context, bince_tables_workspace());
  CHECK_OK(bince_factorized_tables(context, &options, &given.tensor, &solved.tensor, BINCE_TAIL_COMPRESSAI,
                                   &offsets.tensor, &starts.tensor, nullptr, launch));
  cdf.resize(static_cast<size_t>(start.back()));
  Tensor made(cdf.data(), bince::kInt32, {start.back()});
  CHECK_OK(bince_factorized_tables(context, &options, &given.tensor, &solved.tensor, BINCE_TAIL_COMPRESSAI,
                                   &offsets.tensor, &starts.tensor, &made.tensor, launch));
  CHECK(offset == numbers_of<int32_t>(expected["offset"]));
  const std::vector<int32_t> lengths = numbers_of<int32_t>(expected["cdf_length"]);
  const std::vector<int32_t> rows = numbers_of<int32_t>(expected["quantized_cdf"]);
  const size_t width = rows.size() / lengths.size();
  for (size_t c = 0; c < lengths.size(); ++c) {
    CHECK_EQ(start[c + 1] - start[c], lengths[c]);
    for (int32_t e = 0; e < lengths[c]; ++e)
      CHECK_NEAR(cdf[static_cast<size_t>(start[c] + e)], rows[c * width + static_cast<size_t>(e)], 2);
  }
}

}  // namespace

TEST(golden_values_in_every_backend) {
  const Json golden = read_golden("factorized_model");
  CHECK_EQ(golden["cases"].items.size(), size_t{3});
  for (const Json& item : golden["cases"].items) {
    const Case c = case_of(item);
    const Json& expected = item["expected"];
    for (const std::string& name : available_backends()) {
      const Context context(name.c_str());
      Outputs out;
      CHECK_OK(c.run(context, true, &out));
      // Twice what float32 by the C library's functions reaches, on the worst of the three.
      CHECK_NEAR(out.bits, expected["bits"].number, 1e-6 * expected["bits"].number);
      CHECK_NEAR(relative_error(out.likelihood, values_of(expected["likelihood"])), 0, 1e-5);
      CHECK_NEAR(relative_error(out.dx, values_of(expected["dx"])), 0, 4e-5);
      CHECK_NEAR(relative_error(out.dparams, packed(expected, "d", c.widths_of(), c.C)), 0, 4e-5);
    }
  }
}

TEST(golden_integers_of_tables) {
  const Json golden = read_golden("cdf_tables");
  int exact = 0, rebuilt = 0;
  for (const Json& item : golden["cases"].items) {
    const Json& in = item["inputs"];
    const Json& expected = item["expected"];
    if (in.has("pmf")) {
      std::vector<float> pmf = numbers_of<float>(in["pmf"]);
      std::vector<int32_t> cdf(pmf.size() + 1);
      Tensor given(pmf.data(), bince::kFloat32, {static_cast<int64_t>(pmf.size())});
      Tensor made(cdf.data(), bince::kInt32, {static_cast<int64_t>(cdf.size())});
      CHECK_OK(bince_pmf_to_cdf(&given.tensor, &made.tensor));
      CHECK(cdf == numbers_of<int32_t>(expected["cdf"]));
      ++exact;
    } else {
      check_rebuilt(in, expected);
      ++rebuilt;
    }
  }
  CHECK_EQ(exact, 5);
  CHECK_EQ(rebuilt, 3);
}
