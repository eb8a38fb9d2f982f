// The C ABI of the factorised model and the noise: argument checks, then the backend's slot.
#include <cmath>

#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/entropy/entropy_check.h"

namespace bince {

const EntropyOps* entropy_ops(Backend backend) {
  struct Tables {
    EntropyOps ops[kBackends];
    Tables() {
      for (EntropyOps& each : ops) each = entropy_ref();
#if defined(BINCE_X86)
      take(1, entropy_avx2());
      ops[2] = ops[1];
      take(2, entropy_avx512());
#endif
#if defined(BINCE_ARM64)
      take(static_cast<int>(Backend::kNeon), entropy_neon());
#endif
    }
    [[maybe_unused]] void take(int backend, const EntropyOps& given) {
      EntropyOps& mine = ops[backend];
      if (given.factorized_workspace) mine.factorized_workspace = given.factorized_workspace;
      if (given.factorized_forward) mine.factorized_forward = given.factorized_forward;
      if (given.factorized_backward) mine.factorized_backward = given.factorized_backward;
      if (given.gaussian_workspace) mine.gaussian_workspace = given.gaussian_workspace;
      if (given.gaussian) mine.gaussian = given.gaussian;
      if (given.uniform_noise) mine.uniform_noise = given.uniform_noise;
      if (given.quantiles) mine.quantiles = given.quantiles;
    }
  };
  static const Tables tables;
  return &tables.ops[static_cast<int>(backend)];
}

bince_status check_quantize(int32_t quantize) {
  if (quantize < BINCE_QUANTIZE_NONE || quantize > BINCE_QUANTIZE_ROUND)
    return fail(BINCE_INVALID_ARGUMENT, "quantize: expected 0 to 2, received %d", quantize);
  return BINCE_OK;
}

bince_status check_floor(double given, double usual, const char* name, double* floor) {
  // As the float32 that it is compared with, so that a value at the bound is on the same side everywhere.
  *floor = static_cast<float>(given == 0 ? usual : given);
  // Far inside float32: the reciprocal and the logarithm of a bound are taken.
  if (!(*floor >= 9.9e-31 && *floor <= 1))
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected a number from 1e-30 to 1, received %g", name, given);
  return BINCE_OK;
}

bince_status check_finite(const float* data, int64_t rows, int64_t columns, const char* name,
                          const char* row_name, const char* column_name) {
  for (int64_t r = 0; data && r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      if (!std::isfinite(data[r * columns + c]))
        return fail(BINCE_INVALID_VALUE, "%s: %s %lld, %s %lld is %g", name, row_name,
                    static_cast<long long>(r), column_name, static_cast<long long>(c),
                    static_cast<double>(data[r * columns + c]));
  return BINCE_OK;
}

bince_status check_widths(const bince_factorized_options* options, Widths* widths) {
  if (!options) return fail(BINCE_INVALID_ARGUMENT, "options: expected options, received NULL");
  if (options->struct_size < sizeof(bince_factorized_options))
    return fail(BINCE_INVALID_ARGUMENT, "options.struct_size: expected %zu, received %u",
                sizeof(bince_factorized_options), options->struct_size);
  static const int32_t kDefault[4] = {3, 3, 3, 3};
  const int32_t* filters = options->filters ? options->filters : kDefault;
  const int32_t count = options->filters ? options->filter_count : 4;
  if (count < 1 || count > kMaxHidden)
    return fail(BINCE_INVALID_ARGUMENT, "filters: expected 1 to %d hidden layers, received %d", kMaxHidden,
                count);
  for (int k = 0; k < count; ++k)
    if (filters[k] < 1 || filters[k] > kMaxHiddenWidth)
      return fail(BINCE_INVALID_ARGUMENT, "filters: expected widths from 1 to %d, received %d",
                  kMaxHiddenWidth, filters[k]);
  *widths = make_widths(filters, count);
  return BINCE_OK;
}

bince_status check_params(const bince_context* context, const Widths& widths, const bince_tensor* params,
                          int64_t C, const float** data) {
  BINCE_RETURN_IF_ERROR(check_tensor(params, "params", {kFloat32}, {widths.parameters, C}));
  if (params->shape[1] < 1)
    return fail(BINCE_INVALID_ARGUMENT, "params: expected at least one channel, received 0");
  *data = tensor_data<float>(params);
  if (context->cuda) return BINCE_OK;
  return check_finite(*data, widths.parameters, params->shape[1], "params", "parameter", "channel");
}

namespace {

bince_status check_like(const bince_tensor* tensor, const char* name, const bince_tensor* x) {
  if (x->ndim == 2) return check_optional(tensor, name, {kFloat32}, {x->shape[0], x->shape[1]});
  return check_optional(tensor, name, {kFloat32}, {x->shape[0], x->shape[1], x->shape[2]});
}

// x, float32 or bfloat16.
bince_status check_x(const bince_tensor* x, FactorizedArgs* args) {
  if (x && x->ndim == 3)
    BINCE_RETURN_IF_ERROR(check_tensor(x, "x", {kFloat32, kBfloat16}, {-1, -1, -1}));
  else
    BINCE_RETURN_IF_ERROR(check_tensor(x, "x", {kFloat32, kBfloat16}, {-1, -1}));
  args->N = x->shape[0];
  args->C = x->shape[1];
  args->I = x->ndim == 3 ? x->shape[2] : 1;
  if (args->C < 1 || args->I < 1)
    return fail(BINCE_INVALID_ARGUMENT,
                "x: expected at least one channel and one inner element, received %lld and %lld",
                static_cast<long long>(args->C), static_cast<long long>(args->I));
  if (args->C > INT32_MAX / args->I)
    return fail(BINCE_INVALID_ARGUMENT, "x: expected rows of at most 2^31 - 1 elements, received %lld x %lld",
                static_cast<long long>(args->C), static_cast<long long>(args->I));
  if (same_dtype(x->dtype, kBfloat16))
    args->x_bfloat16 = tensor_data<uint16_t>(x);
  else
    args->x = tensor_data<float>(x);
  return BINCE_OK;
}

bince_status check_inputs(const bince_context* context, const bince_factorized_inputs* in, bool backward,
                          FactorizedArgs* args) {
  if (!in || in->struct_size < sizeof(bince_factorized_inputs))
    return fail(BINCE_INVALID_ARGUMENT, "inputs.struct_size: expected %zu, received %u",
                sizeof(bince_factorized_inputs), in ? in->struct_size : 0u);
  BINCE_RETURN_IF_ERROR(check_x(in->x, args));
  BINCE_RETURN_IF_ERROR(check_params(context, args->widths, in->params, args->C, &args->params));
  const struct {
    const bince_tensor* tensor;
    const char* name;
    const float** data;
  } channels[] = {{in->log_gain, "log_gain", &args->log_gain},
                  {in->shift, "shift", &args->shift},
                  {in->medians, "medians", &args->medians}};
  for (const auto& each : channels) {
    BINCE_RETURN_IF_ERROR(check_optional(each.tensor, each.name, {kFloat32}, {args->C}));
    *each.data = tensor_data<float>(each.tensor);
    if (context->cuda) continue;
    BINCE_RETURN_IF_ERROR(check_finite(*each.data, 1, args->C, each.name, "row", "channel"));
  }
  if (!backward) return BINCE_OK;
  BINCE_RETURN_IF_ERROR(check_optional(in->dbits_per_row, "dbits_per_row", {kFloat32}, {args->N}));
  args->dbits_per_row = tensor_data<float>(in->dbits_per_row);
  if (!context->cuda)
    BINCE_RETURN_IF_ERROR(check_finite(args->dbits_per_row, 1, args->N, "dbits_per_row", "vector", "row"));
  BINCE_RETURN_IF_ERROR(check_like(in->dlikelihood, "dlikelihood", in->x));
  args->dlikelihood = tensor_data<float>(in->dlikelihood);
  return BINCE_OK;
}

bince_status check_outputs(const bince_factorized_outputs* out, const bince_tensor* x, bool backward,
                           FactorizedArgs* args) {
  if (!out || out->struct_size < sizeof(bince_factorized_outputs))
    return fail(BINCE_INVALID_ARGUMENT, "outputs.struct_size: expected %zu, received %u",
                sizeof(bince_factorized_outputs), out ? out->struct_size : 0u);
  BINCE_RETURN_IF_ERROR(check_optional(out->bits, "bits", {kFloat64}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(out->bits_per_row, "bits_per_row", {kFloat32}, {args->N}));
  BINCE_RETURN_IF_ERROR(check_like(out->likelihood, "likelihood", x));
  BINCE_RETURN_IF_ERROR(check_like(out->values, "values", x));
  args->bits = tensor_data<double>(out->bits);
  args->bits_per_row = tensor_data<float>(out->bits_per_row);
  args->likelihood = tensor_data<float>(out->likelihood);
  args->values = tensor_data<float>(out->values);
  if (!backward) return BINCE_OK;
  BINCE_RETURN_IF_ERROR(check_like(out->dx, "dx", x));
  BINCE_RETURN_IF_ERROR(
      check_optional(out->dparams, "dparams", {kFloat32}, {args->widths.parameters, args->C}));
  BINCE_RETURN_IF_ERROR(check_optional(out->dlog_gain, "dlog_gain", {kFloat32}, {args->C}));
  BINCE_RETURN_IF_ERROR(check_optional(out->dshift, "dshift", {kFloat32}, {args->C}));
  args->dx = tensor_data<float>(out->dx);
  args->dparams = tensor_data<float>(out->dparams);
  args->dlog_gain = tensor_data<float>(out->dlog_gain);
  args->dshift = tensor_data<float>(out->dshift);
  return BINCE_OK;
}

bince_status check_all(const bince_context* context, const bince_factorized_options* options,
                       const bince_factorized_inputs* inputs, const bince_factorized_outputs* outputs,
                       bool backward, FactorizedArgs* args) {
  *args = {};
  BINCE_RETURN_IF_ERROR(check_widths(options, &args->widths));
  BINCE_RETURN_IF_ERROR(check_quantize(options->quantize));
  BINCE_RETURN_IF_ERROR(check_floor(options->likelihood_floor, 1e-9, "likelihood_floor", &args->floor));
  if (backward && !std::isfinite(options->dbits))
    return fail(BINCE_INVALID_ARGUMENT, "dbits: expected a finite number, received %g", options->dbits);
  args->quantize = options->quantize;
  args->seed = options->seed;
  args->first_row = options->first_row;
  args->dbits = backward ? options->dbits : 0;
  BINCE_RETURN_IF_ERROR(check_inputs(context, inputs, backward, args));
  return check_outputs(outputs, inputs->x, backward, args);
}

// A slot met a value that is not finite: says where.
bince_status explain(const FactorizedArgs& args) {
  BINCE_RETURN_IF_ERROR(check_finite(args.x, args.N, args.C * args.I, "x", "row", "element"));
  for (int64_t n = 0; args.x_bfloat16 && n < args.N; ++n)
    for (int64_t j = 0; j < args.C * args.I; ++j)
      if (!std::isfinite(x_at(args, n * args.C * args.I + j)))
        return fail(BINCE_INVALID_VALUE, "x: row %lld, element %lld is not finite", static_cast<long long>(n),
                    static_cast<long long>(j));
  BINCE_RETURN_IF_ERROR(
      check_finite(args.dlikelihood, args.N, args.C * args.I, "dlikelihood", "row", "element"));
  for (int64_t n = 0; n < args.N; ++n)
    for (int64_t c = 0; c < args.C; ++c)
      for (int64_t i = 0; i < args.I; ++i) {
        const float x = x_at(args, (n * args.C + c) * args.I + i);
        const float gain = args.log_gain ? gain_of(args.log_gain[c]) : 1.0f;
        if (!std::isfinite((x - (args.shift ? args.shift[c] : 0.0f)) * gain))
          return fail(BINCE_INVALID_VALUE, "x: row %lld, channel %lld overflows after scale and shift",
                      static_cast<long long>(n), static_cast<long long>(c));
      }
  return fail(BINCE_INVALID_VALUE,
              "params: a channel's network or its gradient overflows at the values given");
}

bince_status run_factorized(bince_context* context, const bince_factorized_options* options,
                            const bince_factorized_inputs* inputs, const bince_factorized_outputs* outputs,
                            const bince_launch* launch, bool backward) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall call(context);
  FactorizedArgs args;
  BINCE_RETURN_IF_ERROR(check_all(context, options, inputs, outputs, backward, &args));
  const EntropyOps& ops = *context->ops->entropy;
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, ops.factorized_workspace(args, backward), &run));
  const Outcome outcome = backward ? ops.factorized_backward(args, run) : ops.factorized_forward(args, run);
  if (outcome == Outcome::kFailed) return BINCE_INTERNAL;
  if (outcome == Outcome::kCancelled) return fail(BINCE_CANCELLED, "the factorised model was cancelled");
  return outcome == Outcome::kDone ? BINCE_OK : explain(args);
}

bince_status size_factorized(bince_context* context, const bince_factorized_options* options,
                             const bince_factorized_inputs* inputs, const bince_factorized_outputs* outputs,
                             bool backward, size_t* bytes) {
  if (!context || !bytes)
    return fail(BINCE_INVALID_ARGUMENT, "context and bytes: expected pointers, received NULL");
  const DeviceCall call(context);
  FactorizedArgs args;
  BINCE_RETURN_IF_ERROR(check_all(context, options, inputs, outputs, backward, &args));
  *bytes = workspace_bytes(context, context->ops->entropy->factorized_workspace(args, backward));
  return BINCE_OK;
}

}  // namespace
}  // namespace bince

bince_status bince_factorized_forward(bince_context* context, const bince_factorized_options* options,
                                      const bince_factorized_inputs* inputs,
                                      const bince_factorized_outputs* outputs, const bince_launch* launch) {
  return bince::run_factorized(context, options, inputs, outputs, launch, false);
}

bince_status bince_factorized_backward(bince_context* context, const bince_factorized_options* options,
                                       const bince_factorized_inputs* inputs,
                                       const bince_factorized_outputs* outputs, const bince_launch* launch) {
  return bince::run_factorized(context, options, inputs, outputs, launch, true);
}

bince_status bince_factorized_forward_workspace(bince_context* context,
                                                const bince_factorized_options* options,
                                                const bince_factorized_inputs* inputs,
                                                const bince_factorized_outputs* outputs, size_t* bytes) {
  return bince::size_factorized(context, options, inputs, outputs, false, bytes);
}

bince_status bince_factorized_backward_workspace(bince_context* context,
                                                 const bince_factorized_options* options,
                                                 const bince_factorized_inputs* inputs,
                                                 const bince_factorized_outputs* outputs, size_t* bytes) {
  return bince::size_factorized(context, options, inputs, outputs, true, bytes);
}

bince_status bince_uniform_noise(bince_context* context, uint64_t seed, uint64_t first_row,
                                 bince_tensor* noise) {
  using namespace bince;
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall call(context);
  BINCE_RETURN_IF_ERROR(check_tensor(noise, "noise", {kFloat32}, {-1, -1}));
  if (noise->shape[1] > INT32_MAX)
    return fail(BINCE_INVALID_ARGUMENT, "noise: expected rows of at most 2^31 - 1 elements, received %lld",
                static_cast<long long>(noise->shape[1]));
  Run run = {};
  run.stream = context->stream;
  run.device = context->device;
  const Outcome outcome = context->ops->entropy->uniform_noise(
      seed, first_row, noise->shape[0], noise->shape[1], tensor_data<float>(noise), run);
  return outcome == Outcome::kDone ? BINCE_OK : BINCE_INTERNAL;
}
