// Integer tables of the coder: from a pmf, from the factorised model, from a Gaussian scale table.
//
// Tables are made once, on the CPU, in float32 by the C library's scalar functions, in CompressAI's order of
// operations, and stored: decoders never rebuild them from floats.
#include <cmath>

#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/core/workspace.h"
#include "native/entropy/entropy_check.h"

namespace bince {
namespace {

constexpr int64_t kTotal = 65536;       // 16-bit precision
constexpr int64_t kMaxEntries = 65536;  // every entry needs a frequency of at least 1

// Gives every zero frequency 1 from the donor: the lowest index among those with the smallest frequency above
// 1.  A donor stays the smallest until it is down to 1, so donors follow each other by (frequency, index) as
// they were at the start: one walk a distinct frequency, not one a zero.
void fill_zeros(int32_t* frequency, int64_t n) {
  int64_t zero = 0;
  int32_t level = 1;  // donors of this first frequency are being used up
  while (true) {
    int32_t next = INT32_MAX;
    for (int64_t i = 0; i < n; ++i)
      if (frequency[i] > level && frequency[i] < next) next = frequency[i];
    if (next == INT32_MAX) return;
    level = next;
    for (int64_t donor = 0; donor < n; ++donor) {
      if (frequency[donor] != level) continue;
      while (frequency[donor] > 1) {
        while (zero < n && frequency[zero] != 0) ++zero;
        if (zero == n) return;
        frequency[zero] = 1;
        --frequency[donor];
      }
    }
  }
}

bince_status pmf_to_cdf(const float* pmf, int64_t n, int32_t* cdf) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!(pmf[i] >= 0 && pmf[i] < 65536.0f))
      return fail(BINCE_INVALID_VALUE, "pmf: expected probabilities, received %g at entry %lld",
                  static_cast<double>(pmf[i]), static_cast<long long>(i));
    sum += static_cast<int64_t>(std::round(pmf[i] * static_cast<float>(kTotal)));
  }
  if (sum == 0) return fail(BINCE_INVALID_VALUE, "pmf: expected a positive sum, received 0 after rounding");
  int32_t* frequency = cdf + 1;
  int64_t given = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t rounded = static_cast<int64_t>(std::round(pmf[i] * static_cast<float>(kTotal)));
    frequency[i] = static_cast<int32_t>(kTotal * rounded / sum);
    given += frequency[i];
  }
  frequency[n - 1] += static_cast<int32_t>(kTotal - given);
  fill_zeros(frequency, n);
  cdf[0] = 0;
  for (int64_t i = 1; i <= n; ++i) cdf[i] += cdf[i - 1];
  return BINCE_OK;
}

float softplus(float x) {
  return x > 20.0f ? x : std::log1p(std::exp(x));
}
float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

// F in float32, its parameters already through softplus and tanh.
struct FloatNetwork {
  Widths widths;
  float effective[kMaxParameters];

  void load(const Widths& shape, const float* params, int64_t C, int64_t c) {
    widths = shape;
    for (int p = 0; p < widths.parameters; ++p) effective[p] = params[p * C + c];
    for (int k = 0; k < widths.layers; ++k) {
      for (int p = widths.matrix[k]; p < bias_index(widths, k); ++p) effective[p] = softplus(effective[p]);
      for (int i = 0; k + 1 < widths.layers && i < widths.width[k + 1]; ++i) {
        float& factor = effective[factor_index(widths, k) + i];
        factor = std::tanh(factor);
      }
    }
  }

  float logit(float value) const {
    float input[kMaxHiddenWidth] = {value};
    for (int k = 0;; ++k) {
      const int in = widths.width[k], out = widths.width[k + 1];
      float output[kMaxHiddenWidth];
      for (int i = 0; i < out; ++i) {
        float h = 0;
        for (int j = 0; j < in; ++j) h += effective[widths.matrix[k] + i * in + j] * input[j];
        h += effective[bias_index(widths, k) + i];
        if (k + 1 == widths.layers) return h;
        output[i] = h + effective[factor_index(widths, k) + i] * std::tanh(h);
      }
      for (int i = 0; i < out; ++i) input[i] = output[i];
    }
  }
};

// A channel's range: symbols -minima .. maxima about the median.
struct Range {
  float minima, maxima;
  int64_t length() const { return static_cast<int64_t>(maxima) + static_cast<int64_t>(minima) + 1; }
};

bince_status channel_range(const float* quantiles, int64_t c, Range* range) {
  const float* q = quantiles + c * 3;
  range->minima = std::fmax(std::ceil(q[1] - q[0]), 0.0f);
  range->maxima = std::fmax(std::ceil(q[2] - q[1]), 0.0f);
  const float symbols = range->minima + range->maxima + 1;
  if (!(symbols < static_cast<float>(kMaxEntries)))
    return fail(BINCE_INVALID_VALUE,
                "quantiles: channel %lld spans %g symbols (%g to %g), expected at most %lld",
                static_cast<long long>(c), static_cast<double>(symbols), static_cast<double>(q[0]),
                static_cast<double>(q[2]), static_cast<long long>(kMaxEntries - 1));
  return BINCE_OK;
}

// The place of the tables, null on the first of the two calls.
bince_status check_cdf(const bince_tensor* cdf, const int32_t* start, int64_t tables, int32_t** data) {
  BINCE_RETURN_IF_ERROR(check_optional(cdf, "cdf", {kInt32}, {start[tables]}));
  *data = tensor_data<int32_t>(cdf);
  return BINCE_OK;
}

bince_status set_start(int32_t* start, int64_t table, int64_t length) {
  const int64_t end = start[table] + length + 2;
  if (end > INT32_MAX)
    return fail(BINCE_INVALID_VALUE, "tables: more than 2^31 - 1 entries in all, at table %lld",
                static_cast<long long>(table));
  start[table + 1] = static_cast<int32_t>(end);
  return BINCE_OK;
}

bince_status channel_table(const FloatNetwork& network, const Range& range, float median, int64_t tail_length,
                           float* pmf, int32_t* cdf) {
  const int64_t length = range.length();
  const float first = median - range.minima;
  for (int64_t j = 0; j < length; ++j) {
    const float sample = static_cast<float>(j) + first;
    pmf[j] = sigmoid(network.logit(sample + 0.5f)) - sigmoid(network.logit(sample - 0.5f));
    pmf[j] = std::fmax(pmf[j], 0.0f);  // two equal logits may round to a difference below 0
  }
  const float last = static_cast<float>(tail_length - 1) + first;
  pmf[length] = sigmoid(network.logit(first - 0.5f)) + sigmoid(-network.logit(last + 0.5f));
  return pmf_to_cdf(pmf, length + 1, cdf);
}

double normal_tail_quantile(double tail) {
  double low = 0, high = 40;
  for (int step = 0; step < 200; ++step) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(middle * M_SQRT1_2) > tail ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

float standardized_cumulative(float x) {
  return 0.5f * std::erfc(static_cast<float>(-M_SQRT1_2) * x);
}

}  // namespace
}  // namespace bince

size_t bince_tables_workspace(void) {
  return bince::aligned_size((bince::kMaxEntries + 1) * sizeof(float));
}

bince_status bince_pmf_to_cdf(const bince_tensor* pmf, bince_tensor* cdf) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(check_tensor(pmf, "pmf", {kFloat32}, {-1}));
  const int64_t n = pmf->shape[0];
  if (n < 2 || n > kMaxEntries)
    return fail(BINCE_INVALID_ARGUMENT, "pmf: expected 2 to %lld entries, received %lld",
                static_cast<long long>(kMaxEntries), static_cast<long long>(n));
  BINCE_RETURN_IF_ERROR(check_tensor(cdf, "cdf", {kInt32}, {n + 1}));
  return pmf_to_cdf(tensor_data<float>(pmf), n, tensor_data<int32_t>(cdf));
}

bince_status bince_factorized_tables(bince_context* context, const bince_factorized_options* options,
                                     const bince_tensor* params, const bince_tensor* quantiles, int32_t tail,
                                     bince_tensor* offset, bince_tensor* start, bince_tensor* cdf,
                                     const bince_launch* launch) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(needs_cpu(context, "bince_factorized_tables"));
  if (tail != BINCE_TAIL_OWN && tail != BINCE_TAIL_COMPRESSAI)
    return fail(BINCE_INVALID_ARGUMENT, "tail: expected 0 or 1, received %d", tail);
  Widths widths;
  BINCE_RETURN_IF_ERROR(check_widths(options, &widths));
  const float* data;
  BINCE_RETURN_IF_ERROR(check_params(context, widths, params, -1, &data));
  const int64_t C = params->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(quantiles, "quantiles", {kFloat32}, {C, 3}));
  BINCE_RETURN_IF_ERROR(check_tensor(offset, "offset", {kInt32}, {C}));
  BINCE_RETURN_IF_ERROR(check_tensor(start, "start", {kInt32}, {C + 1}));
  const float* q = tensor_data<float>(quantiles);
  BINCE_RETURN_IF_ERROR(check_finite(q, C, 3, "quantiles", "channel", "quantile"));
  int32_t* offsets = tensor_data<int32_t>(offset);
  int32_t* starts = tensor_data<int32_t>(start);
  int64_t longest = 0;
  starts[0] = 0;
  for (int64_t c = 0; c < C; ++c) {
    Range range;
    BINCE_RETURN_IF_ERROR(channel_range(q, c, &range));
    offsets[c] = -static_cast<int32_t>(range.minima);
    if (range.length() > longest) longest = range.length();
    BINCE_RETURN_IF_ERROR(set_start(starts, c, range.length()));
  }
  int32_t* out;
  BINCE_RETURN_IF_ERROR(check_cdf(cdf, starts, C, &out));
  if (!out) return BINCE_OK;
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, bince_tables_workspace(), &run));
  FloatNetwork network;
  for (int64_t c = 0; c < C; ++c) {
    if (cancelled(run)) return fail(BINCE_CANCELLED, "building tables was cancelled");
    Range range;
    BINCE_RETURN_IF_ERROR(channel_range(q, c, &range));
    network.load(widths, data, C, c);
    const int64_t tail_length = tail == BINCE_TAIL_OWN ? range.length() : longest;
    const bince_status status = channel_table(network, range, q[c * 3 + 1], tail_length,
                                              reinterpret_cast<float*>(run.workspace), out + starts[c]);
    if (status != BINCE_OK)
      return fail(status, "params: channel %lld has no likelihood within its quantiles %g to %g",
                  static_cast<long long>(c), static_cast<double>(q[c * 3]),
                  static_cast<double>(q[c * 3 + 2]));
  }
  return BINCE_OK;
}

bince_status bince_gaussian_tables(const bince_tensor* scale_table, double tail_mass, bince_tensor* offset,
                                   bince_tensor* start, bince_tensor* cdf, const bince_launch* launch) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(check_tensor(scale_table, "scale_table", {kFloat32}, {-1}));
  const int64_t S = scale_table->shape[0];
  if (S < 1) return fail(BINCE_INVALID_ARGUMENT, "scale_table: expected at least one scale, received none");
  if (!(tail_mass > 0 && tail_mass < 1))
    return fail(BINCE_INVALID_ARGUMENT, "tail_mass: expected a number between 0 and 1, received %g",
                tail_mass);
  BINCE_RETURN_IF_ERROR(check_tensor(offset, "offset", {kInt32}, {S}));
  BINCE_RETURN_IF_ERROR(check_tensor(start, "start", {kInt32}, {S + 1}));
  const float* scales = tensor_data<float>(scale_table);
  const float multiplier = static_cast<float>(normal_tail_quantile(tail_mass / 2));
  int32_t* offsets = tensor_data<int32_t>(offset);
  int32_t* starts = tensor_data<int32_t>(start);
  starts[0] = 0;
  for (int64_t s = 0; s < S; ++s) {
    const float centre = std::ceil(scales[s] * multiplier);
    if (!(scales[s] > 0 && 2 * centre + 1 < static_cast<float>(kMaxEntries)))
      return fail(BINCE_INVALID_VALUE, "scale_table: entry %lld is %g, expected above 0 and below %g",
                  static_cast<long long>(s), static_cast<double>(scales[s]),
                  static_cast<double>(kMaxEntries / 2) / static_cast<double>(multiplier));
    offsets[s] = -static_cast<int32_t>(centre);
    BINCE_RETURN_IF_ERROR(set_start(starts, s, 2 * static_cast<int64_t>(centre) + 1));
  }
  int32_t* out;
  BINCE_RETURN_IF_ERROR(check_cdf(cdf, starts, S, &out));
  if (!out) return BINCE_OK;
  if (!launch || !launch->workspace || launch->workspace_bytes < bince_tables_workspace())
    return fail(BINCE_BUFFER_TOO_SMALL, "workspace: expected at least %zu bytes, received %zu",
                bince_tables_workspace(), launch && launch->workspace ? launch->workspace_bytes : size_t{0});
  float* pmf = static_cast<float*>(launch->workspace);
  for (int64_t s = 0; s < S; ++s) {
    const int64_t centre = -offsets[s], length = 2 * centre + 1;
    float lower = 0;
    for (int64_t j = 0; j < length; ++j) {
      const float sample = std::fabs(static_cast<float>(j - centre));
      const float upper = standardized_cumulative((0.5f - sample) / scales[s]);
      const float below = standardized_cumulative((-0.5f - sample) / scales[s]);
      pmf[j] = upper - below;
      if (j == 0) lower = below;
    }
    pmf[length] = 2 * lower;
    BINCE_RETURN_IF_ERROR(pmf_to_cdf(pmf, length + 1, out + starts[s]));
  }
  return BINCE_OK;
}
