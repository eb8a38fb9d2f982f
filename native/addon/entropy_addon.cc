// The entropy family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <memory>

#include "native/addon/addon.h"
#include "native/addon/storage.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

// A typed array as a tensor of a given shape; absent arrays give a null pointer().
class Array {
 public:
  // False after throwing: another type, or another number of elements than the shape has.
  template <typename T>
  bool bind(Napi::Value value, const char* name, bince_dtype dtype, std::initializer_list<int64_t> shape) {
    View<T> view;
    if (!read_view(value, name, &view)) return false;
    if (value.IsUndefined() || value.IsNull()) return true;
    int64_t elements = 1, ndim = 0;
    for (const int64_t size : shape) {
      shape_[ndim++] = size;
      elements *= size;
    }
    if (view.size != static_cast<size_t>(elements)) {
      const std::string message = std::string(name) + ": expected " + std::to_string(elements) +
                                  " elements, received " + std::to_string(view.size);
      make_error(value.Env(), BINCE_INVALID_ARGUMENT, message).ThrowAsJavaScriptException();
      return false;
    }
    present_ = true;
    tensor_ = {view.data, {BINCE_CPU, 0}, static_cast<int32_t>(ndim), dtype, nullptr, nullptr, 0};
    return true;
  }
  template <typename T>
  bool bind_float(Napi::Value value, const char* name, std::initializer_list<int64_t> shape) {
    return bind<T>(value, name, {BINCE_FLOAT, 8 * sizeof(T), 1}, shape);
  }
  bool bind_int(Napi::Value value, const char* name, std::initializer_list<int64_t> shape) {
    return bind<int32_t>(value, name, {BINCE_INT, 32, 1}, shape);
  }
  bince_tensor* pointer() {
    tensor_.shape = shape_;
    return present_ ? &tensor_ : nullptr;
  }

 private:
  bool present_ = false;
  bince_tensor tensor_ = {};
  int64_t shape_[3] = {};
};

// A number argument; lib/kernels has checked that it is a whole number where it must be.
int64_t integer(Napi::Value value) {
  return value.As<Napi::Number>().Int64Value();
}
double number(Napi::Value value) {
  return value.As<Napi::Number>().DoubleValue();
}
uint64_t seed_of(Napi::Value low, Napi::Value high) {
  return low.As<Napi::Number>().Uint32Value() | uint64_t{high.As<Napi::Number>().Uint32Value()} << 32;
}

// bits: the tensor over a double of the call.
bince_tensor scalar(double* place) {
  static int64_t one[1] = {1};
  return {place, {BINCE_CPU, 0}, 1, {BINCE_FLOAT, 64, 1}, one, nullptr, 0};
}

bool read_filters(Napi::Value value, std::vector<int32_t>* filters, bince_factorized_options* options) {
  View<int32_t> view;
  if (!read_view(value, "filters", &view)) return false;
  *options = {};
  options->struct_size = sizeof *options;
  if (!view.data) return true;
  filters->assign(view.data, view.data + view.size);
  options->filters = filters->data();
  options->filter_count = static_cast<int32_t>(view.size);
  return true;
}

bince_status out_of_memory(size_t bytes) {
  return fail(BINCE_OUT_OF_MEMORY, "a workspace of %zu bytes could not be allocated", bytes);
}

// --- the factorised model: (backward, N, C, I, filters, quantize, seedLow, seedHigh, firstRow, floor, dbits,
// x, params, logGain, shift, medians, dbitsPerRow, dlikelihood, bitsPerRow, likelihood, values, dx, dparams,
// dlogGain, dshift) => bits
constexpr int kFactorizedArguments = 25;

struct FactorizedJob : Job {
  bool backward = false;
  std::vector<int32_t> filters;
  bince_factorized_options options = {};
  Array x, params, log_gain, shift, medians, dbits_per_row, dlikelihood;
  Array bits_per_row, likelihood, values, dx, dparams, dlog_gain, dshift;
  double bits = 0;

  bool read(const Napi::CallbackInfo& info, int64_t parameters);
  bince_status run(bince_context* context, const int32_t* cancel) override;
  Napi::Value result(Napi::Env env) override { return Napi::Number::New(env, bits); }
};

// The number of a channel's parameters follows from the length of params.
bool FactorizedJob::read(const Napi::CallbackInfo& info, int64_t parameters) {
  backward = info[0].ToBoolean();
  const int64_t N = integer(info[1]), C = integer(info[2]), I = integer(info[3]);
  if (!read_filters(info[4], &filters, &options)) return false;
  options.quantize = static_cast<int32_t>(integer(info[5]));
  options.seed = seed_of(info[6], info[7]);
  options.first_row = static_cast<uint64_t>(integer(info[8]));
  options.likelihood_floor = number(info[9]);
  options.dbits = number(info[10]);
  return x.bind_float<float>(info[11], "x", {N, C, I}) &&
         params.bind_float<float>(info[12], "parameters", {parameters, C}) &&
         log_gain.bind_float<float>(info[13], "logGain", {C}) &&
         shift.bind_float<float>(info[14], "shift", {C}) &&
         medians.bind_float<float>(info[15], "medians", {C}) &&
         dbits_per_row.bind_float<float>(info[16], "dbitsPerRow", {N}) &&
         dlikelihood.bind_float<float>(info[17], "dlikelihood", {N, C, I}) &&
         bits_per_row.bind_float<float>(info[18], "bitsPerRow", {N}) &&
         likelihood.bind_float<float>(info[19], "likelihood", {N, C, I}) &&
         values.bind_float<float>(info[20], "values", {N, C, I}) &&
         dx.bind_float<float>(info[21], "dx", {N, C, I}) &&
         dparams.bind_float<float>(info[22], "dparameters", {parameters, C}) &&
         dlog_gain.bind_float<float>(info[23], "dlogGain", {C}) &&
         dshift.bind_float<float>(info[24], "dshift", {C});
}

bince_status FactorizedJob::run(bince_context* context, const int32_t* cancel) {
  const bince_factorized_inputs inputs = {sizeof inputs,           x.pointer(),          params.pointer(),
                                          log_gain.pointer(),      shift.pointer(),      medians.pointer(),
                                          dbits_per_row.pointer(), dlikelihood.pointer()};
  bince_tensor total = scalar(&bits);
  const bince_factorized_outputs outputs = {
      sizeof outputs,   &total,       bits_per_row.pointer(), likelihood.pointer(),
      values.pointer(), dx.pointer(), dparams.pointer(),      dlog_gain.pointer(),
      dshift.pointer()};
  size_t bytes = 0;
  const auto workspace_of =
      backward ? bince_factorized_backward_workspace : bince_factorized_forward_workspace;
  BINCE_RETURN_IF_ERROR(workspace_of(context, &options, &inputs, &outputs, &bytes));
  const AlignedBuffer workspace(bytes);
  if (!workspace.data()) return out_of_memory(bytes);
  const bince_launch launch = {nullptr, workspace.data(), workspace.bytes(), cancel};
  const auto call = backward ? bince_factorized_backward : bince_factorized_forward;
  return call(context, &options, &inputs, &outputs, &launch);
}

// --- the Gaussian conditional: (backward, N, J, quantize, seedLow, seedHigh, firstRow, floor, scaleBound,
// dbits, y, mean, scale, dbitsPerRow, dlikelihood, bitsPerRow, likelihood, values, dy, dmean, dscale) => bits
constexpr int kGaussianArguments = 21;

struct GaussianJob : Job {
  bool backward = false;
  bince_gaussian_options options = {};
  Array y, mean, scale, dbits_per_row, dlikelihood;
  Array bits_per_row, likelihood, values, dy, dmean, dscale;
  double bits = 0;

  bool read(const Napi::CallbackInfo& info);
  bince_status run(bince_context* context, const int32_t* cancel) override;
  Napi::Value result(Napi::Env env) override { return Napi::Number::New(env, bits); }
};

bool GaussianJob::read(const Napi::CallbackInfo& info) {
  backward = info[0].ToBoolean();
  const int64_t N = integer(info[1]), J = integer(info[2]);
  options.struct_size = sizeof options;
  options.quantize = static_cast<int32_t>(integer(info[3]));
  options.seed = seed_of(info[4], info[5]);
  options.first_row = static_cast<uint64_t>(integer(info[6]));
  options.likelihood_floor = number(info[7]);
  options.scale_bound = number(info[8]);
  options.dbits = number(info[9]);
  return y.bind_float<float>(info[10], "y", {N, J}) && mean.bind_float<float>(info[11], "mean", {N, J}) &&
         scale.bind_float<float>(info[12], "scale", {N, J}) &&
         dbits_per_row.bind_float<float>(info[13], "dbitsPerRow", {N}) &&
         dlikelihood.bind_float<float>(info[14], "dlikelihood", {N, J}) &&
         bits_per_row.bind_float<float>(info[15], "bitsPerRow", {N}) &&
         likelihood.bind_float<float>(info[16], "likelihood", {N, J}) &&
         values.bind_float<float>(info[17], "values", {N, J}) &&
         dy.bind_float<float>(info[18], "dy", {N, J}) && dmean.bind_float<float>(info[19], "dmean", {N, J}) &&
         dscale.bind_float<float>(info[20], "dscale", {N, J});
}

bince_status GaussianJob::run(bince_context* context, const int32_t* cancel) {
  const bince_gaussian_inputs inputs = {sizeof inputs,           y.pointer(),
                                        mean.pointer(),          scale.pointer(),
                                        dbits_per_row.pointer(), dlikelihood.pointer()};
  bince_tensor total = scalar(&bits);
  const bince_gaussian_outputs outputs = {sizeof outputs,       &total,           bits_per_row.pointer(),
                                          likelihood.pointer(), values.pointer(), dy.pointer(),
                                          dmean.pointer(),      dscale.pointer()};
  size_t bytes = 0;
  BINCE_RETURN_IF_ERROR(bince_gaussian_workspace(context, &options, &inputs, &outputs, &bytes));
  const AlignedBuffer workspace(bytes);
  if (!workspace.data()) return out_of_memory(bytes);
  const bince_launch launch = {nullptr, workspace.data(), workspace.bytes(), cancel};
  const auto call = backward ? bince_gaussian_backward : bince_gaussian_forward;
  return call(context, &options, &inputs, &outputs, &launch);
}

// --- quantiles: (C, P, filters, params, tailMass, quantiles, unsolved)
struct SolveJob : Job {
  std::vector<int32_t> filters;
  bince_factorized_options options = {};
  double tail_mass = 0;
  Array params, quantiles, unsolved;

  bool read(const Napi::CallbackInfo& info) {
    const int64_t C = integer(info[0]), P = integer(info[1]);
    if (!read_filters(info[2], &filters, &options)) return false;
    tail_mass = number(info[4]);
    return params.bind_float<float>(info[3], "parameters", {P, C}) &&
           quantiles.bind_float<float>(info[5], "quantiles", {C, 3}) &&
           unsolved.bind_int(info[6], "unsolved", {C});
  }
  bince_status run(bince_context* context, const int32_t* cancel) override {
    const bince_launch launch = {nullptr, nullptr, 0, cancel};
    return bince_quantiles_solve(context, &options, params.pointer(), tail_mass, quantiles.pointer(),
                                 unsolved.pointer(), &launch);
  }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
};

// --- tables: (C, P, filters, params, quantiles, tail, offset, start) => cdf
struct TablesJob : Job {
  std::vector<int32_t> filters;
  bince_factorized_options options = {};
  int32_t tail = 0;
  int64_t tables = 0;
  Array params, quantiles, offset, start;
  std::vector<int32_t> cdf;

  bool read(const Napi::CallbackInfo& info) {
    const int64_t C = integer(info[0]), P = integer(info[1]);
    tables = C;
    if (!read_filters(info[2], &filters, &options)) return false;
    tail = static_cast<int32_t>(integer(info[5]));
    return params.bind_float<float>(info[3], "parameters", {P, C}) &&
           quantiles.bind_float<float>(info[4], "quantiles", {C, 3}) &&
           offset.bind_int(info[6], "offset", {C}) && start.bind_int(info[7], "start", {C + 1});
  }
  bince_status run(bince_context* context, const int32_t* cancel) override {
    const AlignedBuffer workspace(bince_tables_workspace());
    if (!workspace.data()) return out_of_memory(bince_tables_workspace());
    const bince_launch launch = {nullptr, workspace.data(), workspace.bytes(), cancel};
    BINCE_RETURN_IF_ERROR(bince_factorized_tables(context, &options, params.pointer(), quantiles.pointer(),
                                                  tail, offset.pointer(), start.pointer(), nullptr, &launch));
    int64_t entries = static_cast<const int32_t*>(start.pointer()->data)[tables];
    try {
      cdf.resize(static_cast<size_t>(entries));
    } catch (const std::bad_alloc&) {
      return out_of_memory(static_cast<size_t>(entries) * sizeof(int32_t));
    }
    bince_tensor out = {cdf.data(), {BINCE_CPU, 0}, 1, {BINCE_INT, 32, 1}, &entries, nullptr, 0};
    return bince_factorized_tables(context, &options, params.pointer(), quantiles.pointer(), tail,
                                   offset.pointer(), start.pointer(), &out, &launch);
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Int32Array array = Napi::Int32Array::New(env, cdf.size());
    std::copy(cdf.begin(), cdf.end(), array.Data());
    return array;
  }
};

template <typename J, typename... Extra>
Napi::Value call_sync(const Napi::CallbackInfo& info, Extra... extra) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  J job;
  if (!context || !job.read(info, extra...)) return env.Undefined();
  const bince_status status = job.run(context, nullptr);
  if (status == BINCE_OK) return job.result(env);
  throw_status(env, status);
  return env.Undefined();
}

// The cancel flag is argument number `arguments`.
template <typename J, typename... Extra>
Napi::Value call_async(const Napi::CallbackInfo& info, int arguments, Extra... extra) {
  auto job = std::make_unique<J>();
  if (!job->read(info, extra...)) return info.Env().Undefined();
  for (int i = 0; i < arguments; ++i) job->keep(info[i]);
  return submit(info.Env(), std::move(job), info[arguments]);
}

// Rows of params: its length over the number of channels.  Other lengths are refused by bind().
int64_t parameter_rows(Napi::Value params, int64_t C) {
  if (C < 1) return 0;
  if (const Storage* storage = storage_or_null(params)) return static_cast<int64_t>(storage->elements) / C;
  if (!params.IsTypedArray()) return 0;
  return static_cast<int64_t>(params.As<Napi::TypedArray>().ElementLength()) / C;
}

Napi::Value factorized_sync(const Napi::CallbackInfo& info) {
  return call_sync<FactorizedJob>(info, parameter_rows(info[12], integer(info[2])));
}
Napi::Value factorized_async(const Napi::CallbackInfo& info) {
  return call_async<FactorizedJob>(info, kFactorizedArguments, parameter_rows(info[12], integer(info[2])));
}
Napi::Value gaussian_sync(const Napi::CallbackInfo& info) {
  return call_sync<GaussianJob>(info);
}
Napi::Value gaussian_async(const Napi::CallbackInfo& info) {
  return call_async<GaussianJob>(info, kGaussianArguments);
}
Napi::Value solve_sync(const Napi::CallbackInfo& info) {
  return call_sync<SolveJob>(info);
}
Napi::Value solve_async(const Napi::CallbackInfo& info) {
  return call_async<SolveJob>(info, 7);
}
Napi::Value tables_sync(const Napi::CallbackInfo& info) {
  return call_sync<TablesJob>(info);
}
Napi::Value tables_async(const Napi::CallbackInfo& info) {
  return call_async<TablesJob>(info, 8);
}

// (C, P, filters, params, tailMass, quantiles, dquantiles) => loss
Napi::Value quantiles_loss(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  const int64_t C = integer(info[0]), P = integer(info[1]);
  std::vector<int32_t> filters;
  bince_factorized_options options;
  Array params, quantiles, dquantiles;
  if (!context || !read_filters(info[2], &filters, &options) ||
      !params.bind_float<float>(info[3], "parameters", {P, C}) ||
      !quantiles.bind_float<float>(info[5], "quantiles", {C, 3}) ||
      !dquantiles.bind_float<float>(info[6], "dquantiles", {C, 3}))
    return env.Undefined();
  double loss = 0;
  bince_tensor out = scalar(&loss);
  const bince_status status = bince_quantiles_loss(context, &options, params.pointer(), quantiles.pointer(),
                                                   number(info[4]), &out, dquantiles.pointer());
  if (status != BINCE_OK) throw_status(env, status);
  return Napi::Number::New(env, loss);
}

// (C, K, P, filters, params, values, logits)
Napi::Value factorized_logits(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  const int64_t C = integer(info[0]), K = integer(info[1]), P = integer(info[2]);
  std::vector<int32_t> filters;
  bince_factorized_options options;
  Array params, values, logits;
  if (!context || !read_filters(info[3], &filters, &options) ||
      !params.bind_float<float>(info[4], "parameters", {P, C}) ||
      !values.bind_float<float>(info[5], "values", {C, K}) ||
      !logits.bind_float<float>(info[6], "logits", {C, K}))
    return env.Undefined();
  const bince_status status =
      bince_factorized_logits(context, &options, params.pointer(), values.pointer(), logits.pointer());
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// (pmf, cdf)
Napi::Value pmf_to_cdf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  View<float> view;
  Array pmf, cdf;
  if (!read_view(info[0], "pmf", &view)) return env.Undefined();
  const int64_t n = static_cast<int64_t>(view.size);
  if (!pmf.bind_float<float>(info[0], "pmf", {n}) || !cdf.bind_int(info[1], "cdf", {n + 1}))
    return env.Undefined();
  const bince_status status = bince_pmf_to_cdf(pmf.pointer(), cdf.pointer());
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// (N, J, S, scale, scaleTable, indexes)
Napi::Value gaussian_indexes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int64_t N = integer(info[0]), J = integer(info[1]), S = integer(info[2]);
  Array scale, table, indexes;
  if (!scale.bind_float<float>(info[3], "scale", {N, J}) ||
      !table.bind_float<float>(info[4], "scaleTable", {S}) || !indexes.bind_int(info[5], "indexes", {N, J}))
    return env.Undefined();
  const bince_status status = bince_gaussian_indexes(scale.pointer(), table.pointer(), indexes.pointer());
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// (S, scaleTable, tailMass, offset, start) => cdf
Napi::Value gaussian_tables(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int64_t S = integer(info[0]);
  Array table, offset, start;
  if (!table.bind_float<float>(info[1], "scaleTable", {S}) || !offset.bind_int(info[3], "offset", {S}) ||
      !start.bind_int(info[4], "start", {S + 1}))
    return env.Undefined();
  const AlignedBuffer workspace(bince_tables_workspace());
  const bince_launch launch = {nullptr, workspace.data(), workspace.bytes(), nullptr};
  bince_status status = workspace.data() ? BINCE_OK : out_of_memory(bince_tables_workspace());
  if (status == BINCE_OK)
    status = bince_gaussian_tables(table.pointer(), number(info[2]), offset.pointer(), start.pointer(),
                                   nullptr, &launch);
  if (status == BINCE_OK) {
    int64_t entries = static_cast<const int32_t*>(start.pointer()->data)[S];
    Napi::Int32Array cdf = Napi::Int32Array::New(env, static_cast<size_t>(entries));
    bince_tensor out = {cdf.Data(), {BINCE_CPU, 0}, 1, {BINCE_INT, 32, 1}, &entries, nullptr, 0};
    status = bince_gaussian_tables(table.pointer(), number(info[2]), offset.pointer(), start.pointer(), &out,
                                   &launch);
    if (status == BINCE_OK) return cdf;
  }
  throw_status(env, status);
  return env.Undefined();
}

// (N, J, seedLow, seedHigh, firstRow, noise)
Napi::Value uniform_noise(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  Array noise;
  if (!context || !noise.bind_float<float>(info[5], "noise", {integer(info[0]), integer(info[1])}))
    return env.Undefined();
  const bince_status status = bince_uniform_noise(context, seed_of(info[2], info[3]),
                                                  static_cast<uint64_t>(integer(info[4])), noise.pointer());
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

}  // namespace

void register_entropy(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {
      {"factorizedSync", factorized_sync},
      {"factorizedAsync", factorized_async},
      {"gaussianSync", gaussian_sync},
      {"gaussianAsync", gaussian_async},
      {"quantilesSolveSync", solve_sync},
      {"quantilesSolveAsync", solve_async},
      {"factorizedTablesSync", tables_sync},
      {"factorizedTablesAsync", tables_async},
      {"quantilesLossSync", quantiles_loss},
      {"factorizedLogitsSync", factorized_logits},
      {"pmfToCdfSync", pmf_to_cdf},
      {"gaussianIndexesSync", gaussian_indexes},
      {"gaussianTablesSync", gaussian_tables},
      {"uniformNoiseSync", uniform_noise},
  };
  for (const auto& each : calls) exports.Set(each.name, Napi::Function::New(env, each.call, each.name));
}

}  // namespace bince::addon
