// The entropy family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <functional>
#include <memory>

#include "native/addon/addon.h"
#include "native/addon/device.h"
#include "native/addon/storage.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

constexpr bince_dtype kFloat32 = {BINCE_FLOAT, 32, 1};
constexpr bince_dtype kFloat64 = {BINCE_FLOAT, 64, 1};
constexpr bince_dtype kInt32 = {BINCE_INT, 32, 1};

// A typed array or a tensor's memory, on the CPU or on a device, as a tensor of a given shape; absent arrays
// give a null pointer().
class Array {
 public:
  // False after throwing: another type, or another number of elements than the shape has.
  template <typename T>
  bool bind(Napi::Value value, const char* name, bince_dtype dtype, std::initializer_list<int64_t> shape) {
    if (value.IsUndefined() || value.IsNull()) return true;
    const Storage* storage = storage_or_null(value);
    if (storage && storage->released()) storage = nullptr;  // read_view says so
    if (storage && storage->device) {
      const bince_dtype received = dtype_of(storage->type);
      if (received.code != dtype.code || received.bits != dtype.bits)
        return fail(value.Env(), name, "another type, received", type_name(storage->type));
      return bind_storage(value.Env(), *storage, name, shape);
    }
    View<T> view;
    if (!read_view(value, name, &view)) return false;
    if (storage) memory_ = storage->memory;
    return put(value.Env(), name, view.data, view.size, dtype, {BINCE_CPU, 0}, shape);
  }
  template <typename T>
  bool bind_float(Napi::Value value, const char* name, std::initializer_list<int64_t> shape) {
    return bind<T>(value, name, {BINCE_FLOAT, 8 * sizeof(T), 1}, shape);
  }
  bool bind_int(Napi::Value value, const char* name, std::initializer_list<int64_t> shape) {
    return bind<int32_t>(value, name, kInt32, shape);
  }
  // float32, or a bfloat16 tensor.
  bool bind_values(Napi::Value value, const char* name, std::initializer_list<int64_t> shape) {
    const Storage* storage = storage_or_null(value);
    if (storage && !storage->released() && storage->type == StorageType::kBfloat16)
      return bind_storage(value.Env(), *storage, name, shape);
    return bind_float<float>(value, name, shape);
  }
  // Memory of the call itself.
  void bind_place(void* data, bince_dtype dtype) {
    shape_[0] = 1;
    present_ = true;
    tensor_ = {data, {BINCE_CPU, 0}, 1, dtype, nullptr, nullptr, 0};
  }

  bince_tensor* pointer() {
    tensor_.shape = shape_;
    return present_ ? &tensor_ : nullptr;
  }
  bool present() const { return present_; }
  const std::shared_ptr<DeviceMemory>& device() const { return device_; }
  size_t bytes() const {
    size_t elements = 1;
    for (int i = 0; i < tensor_.ndim; ++i) elements *= static_cast<size_t>(shape_[i]);
    return elements * (tensor_.dtype.bits / 8);
  }

 private:
  static bool fail(Napi::Env env, const char* name, const std::string& expected,
                   const std::string& received) {
    make_error(env, BINCE_INVALID_ARGUMENT, std::string(name) + ": expected " + expected + " " + received)
        .ThrowAsJavaScriptException();
    return false;
  }
  bool bind_storage(Napi::Env env, const Storage& storage, const char* name,
                    std::initializer_list<int64_t> shape) {
    memory_ = storage.memory;
    device_ = storage.device;
    const bince_device place = device_ ? device_->device() : bince_device{BINCE_CPU, 0};
    return put(env, name, device_ ? storage.device_data : storage.data, storage.elements,
               dtype_of(storage.type), place, shape);
  }
  bool put(Napi::Env env, const char* name, void* data, size_t size, bince_dtype dtype, bince_device place,
           std::initializer_list<int64_t> shape) {
    int64_t elements = 1, ndim = 0;
    for (const int64_t each : shape) {
      shape_[ndim++] = each;
      elements *= each;
    }
    if (size != static_cast<size_t>(elements))
      return fail(env, name, std::to_string(elements) + " elements, received", std::to_string(size));
    present_ = true;
    tensor_ = {data, place, static_cast<int32_t>(ndim), dtype, nullptr, nullptr, 0};
    return true;
  }

  bool present_ = false;
  bince_tensor tensor_ = {};
  int64_t shape_[3] = {};
  std::shared_ptr<void> memory_;          // a tensor may be disposed of while the call waits for its turn
  std::shared_ptr<DeviceMemory> device_;  // null: the CPU
};

using WorkspaceBytes = std::function<bince_status(bince_context*, size_t*)>;
using Start = std::function<bince_status(bince_context*, const bince_launch&)>;

bince_status out_of_memory(size_t bytes) {
  return fail(BINCE_OUT_OF_MEMORY, "a workspace of %zu bytes could not be allocated", bytes);
}

// A call on a device: arguments in host memory are copied there, results in host memory back; it is over when
// this returns.
bince_status run_on_device(DeviceMemory& device, std::initializer_list<Array*> inputs,
                           std::initializer_list<Array*> outputs, const WorkspaceBytes& workspace_bytes,
                           const Start& start, const int32_t* cancel) {
  struct Copy {
    Array* array;
    void* host;
    std::shared_ptr<void> block;
  };
  std::vector<Copy> copies;
  const auto place = [&](Array* array, bool input) {
    if (!array->present() || array->device()) return BINCE_OK;
    bince_tensor* tensor = array->pointer();
    copies.push_back({array, tensor->data, device.block(array->bytes())});
    if (!copies.back().block) return BINCE_OUT_OF_MEMORY;
    tensor->data = copies.back().block.get();
    tensor->device = device.device();
    return input ? device.copy_to_device(tensor->data, copies.back().host, array->bytes()) : BINCE_OK;
  };
  for (Array* each : inputs) BINCE_RETURN_IF_ERROR(place(each, true));
  const size_t given = copies.size();
  for (Array* each : outputs) BINCE_RETURN_IF_ERROR(place(each, false));
  size_t bytes = 0;
  BINCE_RETURN_IF_ERROR(workspace_bytes(device.context(), &bytes));
  const std::shared_ptr<void> workspace = device.block(bytes);
  if (!workspace) return BINCE_OUT_OF_MEMORY;
  const bince_launch launch = {device.stream(), workspace.get(), bytes, cancel};
  BINCE_RETURN_IF_ERROR(start(device.context(), launch));
  BINCE_RETURN_IF_ERROR(bince_finish(device.context(), &launch));
  for (size_t i = given; i < copies.size(); ++i)
    BINCE_RETURN_IF_ERROR(
        device.copy_to_host(copies[i].host, copies[i].block.get(), copies[i].array->bytes()));
  return BINCE_OK;
}

bince_status run_on_cpu(bince_context* context, const WorkspaceBytes& workspace_bytes, const Start& start,
                        const int32_t* cancel) {
  size_t bytes = 0;
  BINCE_RETURN_IF_ERROR(workspace_bytes(context, &bytes));
  const AlignedBuffer workspace(bytes);
  if (!workspace.data()) return out_of_memory(bytes);
  return start(context, {nullptr, workspace.data(), workspace.bytes(), cancel});
}

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
  return x.bind_values(info[11], "x", {N, C, I}) &&
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
  Array total;
  total.bind_place(&bits, kFloat64);
  bince_factorized_inputs inputs;
  bince_factorized_outputs outputs;
  const WorkspaceBytes workspace_bytes = [&](bince_context* where, size_t* bytes) {
    inputs = {sizeof inputs,   x.pointer(),       params.pointer(),        log_gain.pointer(),
              shift.pointer(), medians.pointer(), dbits_per_row.pointer(), dlikelihood.pointer()};
    outputs = {sizeof outputs,       total.pointer(),     bits_per_row.pointer(),
               likelihood.pointer(), values.pointer(),    dx.pointer(),
               dparams.pointer(),    dlog_gain.pointer(), dshift.pointer()};
    const auto call = backward ? bince_factorized_backward_workspace : bince_factorized_forward_workspace;
    return call(where, &options, &inputs, &outputs, bytes);
  };
  const Start start = [&](bince_context* where, const bince_launch& launch) {
    const auto call = backward ? bince_factorized_backward : bince_factorized_forward;
    return call(where, &options, &inputs, &outputs, &launch);
  };
  if (!x.device()) return run_on_cpu(context, workspace_bytes, start, cancel);
  return run_on_device(*x.device(), {&x, &params, &log_gain, &shift, &medians, &dbits_per_row, &dlikelihood},
                       {&total, &bits_per_row, &likelihood, &values, &dx, &dparams, &dlog_gain, &dshift},
                       workspace_bytes, start, cancel);
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
  Array total;
  total.bind_place(&bits, kFloat64);
  bince_gaussian_inputs inputs;
  bince_gaussian_outputs outputs;
  const WorkspaceBytes workspace_bytes = [&](bince_context* where, size_t* bytes) {
    inputs = {sizeof inputs,           y.pointer(),          mean.pointer(), scale.pointer(),
              dbits_per_row.pointer(), dlikelihood.pointer()};
    outputs = {sizeof outputs,   total.pointer(), bits_per_row.pointer(), likelihood.pointer(),
               values.pointer(), dy.pointer(),    dmean.pointer(),        dscale.pointer()};
    return bince_gaussian_workspace(where, &options, &inputs, &outputs, bytes);
  };
  const Start start = [&](bince_context* where, const bince_launch& launch) {
    const auto call = backward ? bince_gaussian_backward : bince_gaussian_forward;
    return call(where, &options, &inputs, &outputs, &launch);
  };
  if (!y.device()) return run_on_cpu(context, workspace_bytes, start, cancel);
  return run_on_device(*y.device(), {&y, &mean, &scale, &dbits_per_row, &dlikelihood},
                       {&total, &bits_per_row, &likelihood, &values, &dy, &dmean, &dscale}, workspace_bytes,
                       start, cancel);
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
    const WorkspaceBytes workspace_bytes = [](bince_context* where, size_t* bytes) {
      *bytes = bince_quantiles_workspace(where);
      return BINCE_OK;
    };
    const Start start = [&](bince_context* where, const bince_launch& launch) {
      return bince_quantiles_solve(where, &options, params.pointer(), tail_mass, quantiles.pointer(),
                                   unsolved.pointer(), &launch);
    };
    if (!params.device()) return start(context, {nullptr, nullptr, 0, cancel});
    return run_on_device(*params.device(), {&params}, {&quantiles, &unsolved}, workspace_bytes, start,
                         cancel);
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
  Array out;
  out.bind_place(&loss, kFloat64);
  const bince_status status = bince_quantiles_loss(context, &options, params.pointer(), quantiles.pointer(),
                                                   number(info[4]), out.pointer(), dquantiles.pointer());
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
