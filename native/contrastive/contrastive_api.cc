// The C ABI of the contrastive family: argument checks, then the backend's slot.
#include <cmath>
#include <cstring>
#include <limits>

#include "bince.h"
#include "native/contrastive/contrastive_ops.h"
#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"

namespace bince {
namespace {

constexpr uint32_t kKnownFlags = BINCE_CONTRASTIVE_SYMMETRIC | BINCE_CONTRASTIVE_COSINE |
                                 BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL | BINCE_CONTRASTIVE_OWN_KEY |
                                 BINCE_CONTRASTIVE_SUM | BINCE_CONTRASTIVE_UNCHECKED | BINCE_CONTRASTIVE_TF32;
constexpr int64_t kMaxLines = std::numeric_limits<int32_t>::max() - 1024;  // columns are int32 in the kernels

bince_status check_scalar(const char* name, float value, bool may_be_infinite = false) {
  if (std::isnan(value) || (!may_be_infinite && std::isinf(value)))
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected a finite number, received %g", name, double{value});
  return BINCE_OK;
}

bince_status check_scalars(const bince_contrastive& given) {
  BINCE_RETURN_IF_ERROR(check_scalar("scale", given.scale));
  BINCE_RETURN_IF_ERROR(check_scalar("bias", given.bias));
  BINCE_RETURN_IF_ERROR(check_scalar("clip", given.clip));
  BINCE_RETURN_IF_ERROR(check_scalar("regularizer", given.regularizer));
  BINCE_RETURN_IF_ERROR(check_scalar("negative_log_weight", given.negative_log_weight));
  BINCE_RETURN_IF_ERROR(check_scalar("threshold", given.threshold, true));
  BINCE_RETURN_IF_ERROR(check_scalar("grad_loss", given.grad_loss));
  if (given.clip < 0)
    return fail(BINCE_INVALID_ARGUMENT, "clip: expected 0 (none) or more, received %g", double{given.clip});
  return BINCE_OK;
}

bince_status check_matrix(const bince_tensor* tensor, const char* name, const bince_tensor* like) {
  const int64_t dim = like ? like->shape[1] : -1;
  if (like)
    BINCE_RETURN_IF_ERROR(check_tensor(tensor, name, {like->dtype}, {-1, dim}));
  else
    BINCE_RETURN_IF_ERROR(check_tensor(tensor, name, {kFloat32, kBfloat16}, {-1, -1}));
  for (int axis = 0; axis < 2; ++axis)
    if (tensor->shape[axis] < 1 || tensor->shape[axis] > kMaxLines)
      return fail(BINCE_INVALID_ARGUMENT, "%s: expected at least one %s, received shape [%lld, %lld]", name,
                  axis == 0 ? "row" : "dimension", static_cast<long long>(tensor->shape[0]),
                  static_cast<long long>(tensor->shape[1]));
  return BINCE_OK;
}

// Two tensors that come together or not at all.
bince_status check_pair(const bince_tensor* a, const bince_tensor* b, const char* a_name,
                        const char* b_name) {
  if ((a == nullptr) != (b == nullptr))
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected together with %s, received NULL", a ? b_name : a_name,
                a ? a_name : b_name);
  return BINCE_OK;
}

bince_status check_combination(const bince_contrastive& given, const ContrastiveProblem& problem) {
  const bool symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  if (given.denominator > BINCE_DENOMINATOR_SIGMOID)
    return fail(BINCE_INVALID_ARGUMENT, "denominator: expected 0 to 3, received %u", given.denominator);
  if (given.flags & ~kKnownFlags)
    return fail(BINCE_INVALID_ARGUMENT, "flags: expected a combination of 0x%x, received 0x%x", kKnownFlags,
                given.flags);
  if (symmetric && given.denominator == BINCE_DENOMINATOR_SIGMOID)
    return fail(BINCE_INVALID_ARGUMENT,
                "flags: SYMMETRIC does not go with the SIGMOID denominator, whose loss is already symmetric");
  if (problem.has(BINCE_CONTRASTIVE_OWN_KEY)) {
    if (symmetric || problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL) ||
        given.denominator == BINCE_DENOMINATOR_SIGMOID)
      return fail(BINCE_INVALID_ARGUMENT,
                  "flags: OWN_KEY does not go with SYMMETRIC, EXCLUDE_DIAGONAL or the SIGMOID denominator");
    if (given.row_group)
      return fail(BINCE_INVALID_ARGUMENT, "row_group: expected none with OWN_KEY, whose positives are keys");
    if (!given.queue) return fail(BINCE_INVALID_ARGUMENT, "queue: expected with OWN_KEY, received NULL");
  }
  if (given.positive && given.row_group)
    return fail(BINCE_INVALID_ARGUMENT, "row_group: expected none beside positive");
  if (!given.positive && !given.row_group && problem.rows > problem.keys)
    return fail(BINCE_INVALID_ARGUMENT,
                "positive: expected for %lld rows and %lld keys, since the diagonal has no key for every row",
                static_cast<long long>(problem.rows), static_cast<long long>(problem.keys));
  if (given.column_weight && !symmetric)
    return fail(BINCE_INVALID_ARGUMENT, "column_weight: expected only with SYMMETRIC");
  return BINCE_OK;
}

// Everything but values.  `problem` is filled as far as the checks went.
bince_status check_problem(const bince_contrastive* given, ContrastiveProblem* problem) {
  if (!given) return fail(BINCE_INVALID_ARGUMENT, "problem: expected a bince_contrastive, received NULL");
  if (given->struct_size < sizeof(bince_contrastive))
    return fail(BINCE_INVALID_ARGUMENT,
                "problem.struct_size: expected %zu, received %u (use bince_contrastive_init)",
                sizeof(bince_contrastive), given->struct_size);
  BINCE_RETURN_IF_ERROR(check_scalars(*given));
  BINCE_RETURN_IF_ERROR(check_matrix(given->q, "q", nullptr));
  BINCE_RETURN_IF_ERROR(check_matrix(given->k, "k", given->q));
  if (given->queue) BINCE_RETURN_IF_ERROR(check_matrix(given->queue, "queue", given->q));
  const int64_t rows = given->q->shape[0], keys = given->k->shape[0], dim = given->q->shape[1];
  const int64_t columns = keys + (given->queue ? given->queue->shape[0] : 0);
  if (columns > kMaxLines) return fail(BINCE_INVALID_ARGUMENT, "queue: too many columns with those of k");
  BINCE_RETURN_IF_ERROR(check_optional(given->positive, "positive", {kInt32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_pair(given->row_group, given->column_group, "row_group", "column_group"));
  BINCE_RETURN_IF_ERROR(check_optional(given->row_group, "row_group", {kInt32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_optional(given->column_group, "column_group", {kInt32}, {columns}));
  BINCE_RETURN_IF_ERROR(check_pair(given->row_id, given->column_id, "row_id", "column_id"));
  BINCE_RETURN_IF_ERROR(check_optional(given->row_id, "row_id", {kInt32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_optional(given->column_id, "column_id", {kInt32}, {columns}));
  BINCE_RETURN_IF_ERROR(check_optional(given->row_weight, "row_weight", {kFloat32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_optional(given->column_weight, "column_weight", {kFloat32}, {columns}));
  const bool bfloat16 = given->q->dtype.code == BINCE_BFLOAT;
  *problem = {given->denominator,
              given->flags,
              given->scale,
              given->bias,
              given->clip,
              given->regularizer,
              given->negative_log_weight,
              given->threshold,
              given->grad_loss,
              rows,
              keys,
              columns,
              dim,
              given->flags & BINCE_CONTRASTIVE_OWN_KEY ? keys : 0,
              {tensor_data<void>(given->q), nullptr, rows, rows, dim, bfloat16},
              {tensor_data<void>(given->k), tensor_data<void>(given->queue), keys, columns, dim, bfloat16},
              tensor_data<int32_t>(given->positive),
              tensor_data<int32_t>(given->row_group),
              tensor_data<int32_t>(given->column_group),
              tensor_data<int32_t>(given->row_id),
              tensor_data<int32_t>(given->column_id),
              tensor_data<float>(given->row_weight),
              tensor_data<float>(given->column_weight)};
  return check_combination(*given, *problem);
}

bince_status check_weights(const float* weight, int64_t count, const char* name) {
  for (int64_t i = 0; weight && i < count; ++i)
    if (!(weight[i] >= 0) || std::isinf(weight[i]))
      return fail(BINCE_INVALID_VALUE, "%s: row %lld holds %g, expected a finite weight >= 0", name,
                  static_cast<long long>(i), double{weight[i]});
  return BINCE_OK;
}

bince_status check_finite(const Run& run, const ContrastiveOps& ops, const ContrastiveRows& rows,
                          const char* name, const char* rest) {
  const int64_t row = ops.find_nonfinite(run, rows);
  if (row < 0) return BINCE_OK;
  const bool queued = row >= rows.first_count;
  return fail(BINCE_INVALID_VALUE, "%s: row %lld holds NaN or infinity", queued ? rest : name,
              static_cast<long long>(queued ? row - rows.first_count : row));
}

bince_status check_values(const Run& run, const ContrastiveOps& ops, const ContrastiveProblem& problem) {
  for (int64_t i = 0; problem.positive && i < problem.rows; ++i)
    if (problem.positive[i] < -1 || problem.positive[i] >= problem.keys)
      return fail(BINCE_INVALID_VALUE, "positive: row %lld holds %d, expected -1 to %lld",
                  static_cast<long long>(i), problem.positive[i], static_cast<long long>(problem.keys - 1));
  BINCE_RETURN_IF_ERROR(check_weights(problem.row_weight, problem.rows, "row_weight"));
  BINCE_RETURN_IF_ERROR(check_weights(problem.column_weight, problem.columns, "column_weight"));
  if (problem.has(BINCE_CONTRASTIVE_UNCHECKED)) return BINCE_OK;
  BINCE_RETURN_IF_ERROR(check_finite(run, ops, problem.q, "q", "q"));
  return check_finite(run, ops, problem.k, "k", "queue");
}

bince_status check_results(const bince_contrastive_results* given, const ContrastiveProblem& problem,
                           uint32_t call, ContrastiveResults* results) {
  if (!given) return fail(BINCE_INVALID_ARGUMENT, "results: expected a struct, received NULL");
  if (given->struct_size < sizeof(bince_contrastive_results))
    return fail(BINCE_INVALID_ARGUMENT, "results.struct_size: expected %zu, received %u",
                sizeof(bince_contrastive_results), given->struct_size);
  const int64_t rows = problem.rows, columns = problem.columns;
  BINCE_RETURN_IF_ERROR(check_optional(given->loss, "loss", {kFloat32}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(given->regularizer, "regularizer", {kFloat32}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(given->row_loss, "row_loss", {kFloat32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_optional(given->row_lse, "row_lse", {kFloat32}, {rows}));
  BINCE_RETURN_IF_ERROR(check_optional(given->column_loss, "column_loss", {kFloat32}, {columns}));
  BINCE_RETURN_IF_ERROR(check_optional(given->column_lse, "column_lse", {kFloat32}, {columns}));
  BINCE_RETURN_IF_ERROR(check_optional(given->dq, "dq", {kFloat32}, {rows, problem.dim}));
  BINCE_RETURN_IF_ERROR(check_optional(given->dk, "dk", {kFloat32}, {problem.keys, problem.dim}));
  BINCE_RETURN_IF_ERROR(check_optional(given->dscale, "dscale", {kFloat32}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(given->dbias, "dbias", {kFloat32}, {1}));
  const bool symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  const bool sigmoid = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  if ((given->column_loss || given->column_lse) && !symmetric)
    return fail(BINCE_INVALID_ARGUMENT, "column_lse: expected column results only with SYMMETRIC");
  if (given->row_lse && sigmoid)
    return fail(BINCE_INVALID_ARGUMENT, "row_lse: expected none with the SIGMOID denominator");
  if (call == BINCE_CONTRASTIVE_FORWARD && (given->dq || given->dk || given->dscale || given->dbias))
    return fail(BINCE_INVALID_ARGUMENT, "dq: expected no gradients in a forward call");
  if (call == BINCE_CONTRASTIVE_BACKWARD && !sigmoid &&
      (!given->row_lse || (symmetric && !given->column_lse)))
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected the statistics of the forward call, received NULL",
                given->row_lse ? "column_lse" : "row_lse");
  *results = {tensor_data<float>(given->loss),        tensor_data<float>(given->regularizer),
              tensor_data<float>(given->row_loss),    tensor_data<float>(given->row_lse),
              tensor_data<float>(given->column_loss), tensor_data<float>(given->column_lse),
              tensor_data<float>(given->dq),          tensor_data<float>(given->dk),
              tensor_data<float>(given->dscale),      tensor_data<float>(given->dbias)};
  return BINCE_OK;
}

bince_status run_contrastive(bince_context* context, const bince_launch* launch,
                             const bince_contrastive* given, const bince_contrastive_results* wanted,
                             uint32_t call) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall scope(context);
  ContrastiveProblem problem;
  ContrastiveResults results;
  BINCE_RETURN_IF_ERROR(check_problem(given, &problem));
  BINCE_RETURN_IF_ERROR(check_results(wanted, problem, call, &results));
  const ContrastiveOps& ops = *context->ops->contrastive;
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, ops.workspace(problem, call), &run));
  // On a device kernels look at the values, and bince_finish tells.
  if (!context->cuda) BINCE_RETURN_IF_ERROR(check_values(run, ops, problem));
  const bince_status status = ops.run(run, problem, results, call);
  return status == BINCE_CANCELLED ? fail(status, "the contrastive call was cancelled") : status;
}

}  // namespace

const ContrastiveOps* contrastive_ops(Backend backend) {
#if defined(BINCE_X86)
  if (backend == Backend::kAvx512) return &contrastive_ops_avx512();
  if (backend == Backend::kAvx2) return &contrastive_ops_avx2();
#endif
#if defined(BINCE_ARM64)
  if (backend == Backend::kNeon) return &contrastive_ops_neon();
#endif
  (void)backend;
  return &contrastive_ops_ref();
}

}  // namespace bince

using namespace bince;

void bince_contrastive_init(bince_contrastive* problem) {
  if (!problem) return;
  std::memset(problem, 0, sizeof *problem);
  problem->struct_size = sizeof *problem;
  problem->scale = 1;
  problem->threshold = INFINITY;
  problem->grad_loss = 1;
}

bince_status bince_contrastive_workspace(const bince_context* context, const bince_contrastive* problem,
                                         uint32_t call, size_t* bytes) {
  if (!context || !bytes) return fail(BINCE_INVALID_ARGUMENT, "context, bytes: expected both, received NULL");
  const DeviceCall scope(context);
  if (call < BINCE_CONTRASTIVE_FORWARD || call > BINCE_CONTRASTIVE_FORWARD_BACKWARD)
    return fail(BINCE_INVALID_ARGUMENT, "call: expected 1 to 3, received %u", call);
  ContrastiveProblem checked;
  BINCE_RETURN_IF_ERROR(check_problem(problem, &checked));
  *bytes = workspace_bytes(context, context->ops->contrastive->workspace(checked, call));
  return BINCE_OK;
}

bince_status bince_contrastive_forward(bince_context* context, const bince_contrastive* problem,
                                       const bince_contrastive_results* results, const bince_launch* launch) {
  return run_contrastive(context, launch, problem, results, BINCE_CONTRASTIVE_FORWARD);
}

bince_status bince_contrastive_backward(bince_context* context, const bince_contrastive* problem,
                                        const bince_contrastive_results* results,
                                        const bince_launch* launch) {
  return run_contrastive(context, launch, problem, results, BINCE_CONTRASTIVE_BACKWARD);
}

bince_status bince_contrastive_forward_backward(bince_context* context, const bince_contrastive* problem,
                                                const bince_contrastive_results* results,
                                                const bince_launch* launch) {
  return run_contrastive(context, launch, problem, results, BINCE_CONTRASTIVE_FORWARD_BACKWARD);
}
