// The C ABI of the Gaussian conditional: argument checks, then the backend's slot.
#include <cmath>

#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/entropy/entropy_check.h"

namespace bince {
namespace {

bince_status check_inputs(const bince_gaussian_inputs* in, bool backward, GaussianArgs* args) {
  if (!in || in->struct_size < sizeof(bince_gaussian_inputs))
    return fail(BINCE_INVALID_ARGUMENT, "inputs.struct_size: expected %zu, received %u",
                sizeof(bince_gaussian_inputs), in ? in->struct_size : 0u);
  BINCE_RETURN_IF_ERROR(check_tensor(in->y, "y", {kFloat32}, {-1, -1}));
  args->N = in->y->shape[0];
  args->J = in->y->shape[1];
  if (args->J > INT32_MAX)
    return fail(BINCE_INVALID_ARGUMENT, "y: expected rows of at most 2^31 - 1 elements, received %lld",
                static_cast<long long>(args->J));
  BINCE_RETURN_IF_ERROR(check_optional(in->mean, "mean", {kFloat32}, {args->N, args->J}));
  BINCE_RETURN_IF_ERROR(check_tensor(in->scale, "scale", {kFloat32}, {args->N, args->J}));
  args->y = tensor_data<float>(in->y);
  args->mean = tensor_data<float>(in->mean);
  args->scale = tensor_data<float>(in->scale);
  if (!backward) return BINCE_OK;
  BINCE_RETURN_IF_ERROR(check_optional(in->dbits_per_row, "dbits_per_row", {kFloat32}, {args->N}));
  BINCE_RETURN_IF_ERROR(check_optional(in->dlikelihood, "dlikelihood", {kFloat32}, {args->N, args->J}));
  args->dbits_per_row = tensor_data<float>(in->dbits_per_row);
  args->dlikelihood = tensor_data<float>(in->dlikelihood);
  return BINCE_OK;
}

bince_status check_outputs(const bince_gaussian_outputs* out, bool backward, GaussianArgs* args) {
  if (!out || out->struct_size < sizeof(bince_gaussian_outputs))
    return fail(BINCE_INVALID_ARGUMENT, "outputs.struct_size: expected %zu, received %u",
                sizeof(bince_gaussian_outputs), out ? out->struct_size : 0u);
  BINCE_RETURN_IF_ERROR(check_optional(out->bits, "bits", {kFloat64}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(out->bits_per_row, "bits_per_row", {kFloat32}, {args->N}));
  args->bits = tensor_data<double>(out->bits);
  args->bits_per_row = tensor_data<float>(out->bits_per_row);
  const struct {
    const bince_tensor* tensor;
    const char* name;
    float** data;
    bool of_backward;
  } elements[] = {{out->likelihood, "likelihood", &args->likelihood, false},
                  {out->values, "values", &args->values, false},
                  {out->dy, "dy", &args->dy, true},
                  {out->dmean, "dmean", &args->dmean, true},
                  {out->dscale, "dscale", &args->dscale, true}};
  for (const auto& each : elements) {
    if (each.of_backward && !backward) continue;
    BINCE_RETURN_IF_ERROR(check_optional(each.tensor, each.name, {kFloat32}, {args->N, args->J}));
    *each.data = tensor_data<float>(each.tensor);
  }
  return BINCE_OK;
}

bince_status check_all(const bince_gaussian_options* options, const bince_gaussian_inputs* inputs,
                       const bince_gaussian_outputs* outputs, bool backward, GaussianArgs* args) {
  *args = {};
  if (!options || options->struct_size < sizeof(bince_gaussian_options))
    return fail(BINCE_INVALID_ARGUMENT, "options.struct_size: expected %zu, received %u",
                sizeof(bince_gaussian_options), options ? options->struct_size : 0u);
  BINCE_RETURN_IF_ERROR(check_quantize(options->quantize));
  BINCE_RETURN_IF_ERROR(check_floor(options->likelihood_floor, 1e-9, "likelihood_floor", &args->floor));
  BINCE_RETURN_IF_ERROR(check_floor(options->scale_bound, 0.11, "scale_bound", &args->scale_bound));
  if (backward && !std::isfinite(options->dbits))
    return fail(BINCE_INVALID_ARGUMENT, "dbits: expected a finite number, received %g", options->dbits);
  args->quantize = options->quantize;
  args->seed = options->seed;
  args->first_row = options->first_row;
  args->dbits = backward ? options->dbits : 0;
  BINCE_RETURN_IF_ERROR(check_inputs(inputs, backward, args));
  return check_outputs(outputs, backward, args);
}

bince_status explain(const GaussianArgs& args) {
  BINCE_RETURN_IF_ERROR(check_finite(args.y, args.N, args.J, "y", "row", "element"));
  BINCE_RETURN_IF_ERROR(check_finite(args.mean, args.N, args.J, "mean", "row", "element"));
  BINCE_RETURN_IF_ERROR(check_finite(args.scale, args.N, args.J, "scale", "row", "element"));
  BINCE_RETURN_IF_ERROR(check_finite(args.dlikelihood, args.N, args.J, "dlikelihood", "row", "element"));
  return fail(BINCE_INVALID_VALUE, "y and mean: their difference overflows float32");
}

bince_status run_gaussian(bince_context* context, const bince_gaussian_options* options,
                          const bince_gaussian_inputs* inputs, const bince_gaussian_outputs* outputs,
                          const bince_launch* launch, bool backward) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall call(context);
  GaussianArgs args;
  BINCE_RETURN_IF_ERROR(check_all(options, inputs, outputs, backward, &args));
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, context->ops->entropy->gaussian_workspace(args), &run));
  const Outcome outcome = context->ops->entropy->gaussian(args, run);
  if (outcome == Outcome::kFailed) return BINCE_INTERNAL;
  if (outcome == Outcome::kCancelled) return fail(BINCE_CANCELLED, "the Gaussian conditional was cancelled");
  return outcome == Outcome::kDone ? BINCE_OK : explain(args);
}

}  // namespace
}  // namespace bince

bince_status bince_gaussian_forward(bince_context* context, const bince_gaussian_options* options,
                                    const bince_gaussian_inputs* inputs,
                                    const bince_gaussian_outputs* outputs, const bince_launch* launch) {
  return bince::run_gaussian(context, options, inputs, outputs, launch, false);
}

bince_status bince_gaussian_backward(bince_context* context, const bince_gaussian_options* options,
                                     const bince_gaussian_inputs* inputs,
                                     const bince_gaussian_outputs* outputs, const bince_launch* launch) {
  return bince::run_gaussian(context, options, inputs, outputs, launch, true);
}

bince_status bince_gaussian_workspace(bince_context* context, const bince_gaussian_options* options,
                                      const bince_gaussian_inputs* inputs,
                                      const bince_gaussian_outputs* outputs, size_t* bytes) {
  using namespace bince;
  if (!context || !bytes)
    return fail(BINCE_INVALID_ARGUMENT, "context and bytes: expected pointers, received NULL");
  const DeviceCall call(context);
  GaussianArgs args;
  BINCE_RETURN_IF_ERROR(check_all(options, inputs, outputs, true, &args));
  *bytes = workspace_bytes(context, context->ops->entropy->gaussian_workspace(args));
  return BINCE_OK;
}

bince_status bince_gaussian_indexes(const bince_tensor* scale, const bince_tensor* scale_table,
                                    bince_tensor* indexes) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(check_tensor(scale, "scale", {kFloat32}, {-1, -1}));
  BINCE_RETURN_IF_ERROR(check_tensor(scale_table, "scale_table", {kFloat32}, {-1}));
  const int64_t N = scale->shape[0], J = scale->shape[1], S = scale_table->shape[0];
  BINCE_RETURN_IF_ERROR(check_tensor(indexes, "indexes", {kInt32}, {N, J}));
  const float* table = tensor_data<float>(scale_table);
  if (S < 1) return fail(BINCE_INVALID_ARGUMENT, "scale_table: expected at least one scale, received none");
  BINCE_RETURN_IF_ERROR(check_finite(table, 1, S, "scale_table", "row", "entry"));
  for (int64_t s = 1; s < S; ++s)
    if (!(table[s - 1] < table[s]))
      return fail(BINCE_INVALID_ARGUMENT, "scale_table: expected rising scales, received %g after %g",
                  static_cast<double>(table[s]), static_cast<double>(table[s - 1]));
  const float* scales = tensor_data<float>(scale);
  BINCE_RETURN_IF_ERROR(check_finite(scales, N, J, "scale", "row", "element"));
  int32_t* out = tensor_data<int32_t>(indexes);
  for (int64_t at = 0; at < N * J; ++at) {
    int64_t low = 0, high = S - 1;  // the answer is in [low, high]
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (table[middle] >= scales[at])
        high = middle;
      else
        low = middle + 1;
    }
    out[at] = static_cast<int32_t>(low);
  }
  return BINCE_OK;
}
