// Logits, and the quantiles of the factorised model: their loss and their direct solution (on CUDA in
// quantiles.cu).
#include <cmath>

#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/core/thread_pool.h"
#include "native/entropy/bisection.h"
#include "native/entropy/entropy_check.h"
#include "native/entropy/reference_network.h"

namespace bince {
namespace {

bince_status check_tail_mass(double tail_mass) {
  if (!(tail_mass > 0 && tail_mass < 1))
    return fail(BINCE_INVALID_ARGUMENT, "tail_mass: expected a number between 0 and 1, received %g",
                tail_mass);
  return BINCE_OK;
}

// What bisect() asks for.
struct Curve {
  const ReferenceNetwork& network;
  double logit(double value) const {
    ReferenceNetwork::Trace trace;
    return network.logit(value, &trace);
  }
};

struct Solve {
  const QuantilesArgs& args;
  const Run& run;
};

void solve_channel(void* argument, int64_t c, int) {
  const Solve& solve = *static_cast<const Solve*>(argument);
  if (cancelled(solve.run)) return;
  const QuantilesArgs& args = solve.args;
  ReferenceNetwork network;
  network.load(args.widths, args.params, args.C, c);
  int unsolved = 0;
  for (int q = 0; q < 3; ++q) {
    bool solved = true;
    args.quantiles[c * 3 + q] = static_cast<float>(bisect(Curve{network}, (q - 1) * args.target, &solved));
    unsolved += !solved;
  }
  if (args.unsolved) args.unsolved[c] = unsolved;
}

}  // namespace

Outcome quantiles_ref(const QuantilesArgs& args, const Run& run) {
  Solve solve = {args, run};
  parallel_for(run.pool, args.C, solve_channel, &solve);
  return cancelled(run) ? Outcome::kCancelled : Outcome::kDone;
}

}  // namespace bince

bince_status bince_factorized_logits(bince_context* context, const bince_factorized_options* options,
                                     const bince_tensor* params, const bince_tensor* values,
                                     bince_tensor* logits) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(needs_cpu(context, "bince_factorized_logits"));
  Widths widths;
  BINCE_RETURN_IF_ERROR(check_widths(options, &widths));
  const float* data;
  BINCE_RETURN_IF_ERROR(check_params(context, widths, params, -1, &data));
  const int64_t C = params->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(values, "values", {kFloat32}, {C, -1}));
  const int64_t K = values->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(logits, "logits", {kFloat32}, {C, K}));
  const float* in = tensor_data<float>(values);
  BINCE_RETURN_IF_ERROR(check_finite(in, C, K, "values", "channel", "value"));
  float* out = tensor_data<float>(logits);
  ReferenceNetwork network;
  ReferenceNetwork::Trace trace;
  for (int64_t c = 0; c < C; ++c) {
    network.load(widths, data, C, c);
    for (int64_t k = 0; k < K; ++k) out[c * K + k] = static_cast<float>(network.logit(in[c * K + k], &trace));
  }
  return BINCE_OK;
}

bince_status bince_quantiles_loss(bince_context* context, const bince_factorized_options* options,
                                  const bince_tensor* params, const bince_tensor* quantiles, double tail_mass,
                                  bince_tensor* loss, bince_tensor* dquantiles) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(needs_cpu(context, "bince_quantiles_loss"));
  Widths widths;
  BINCE_RETURN_IF_ERROR(check_widths(options, &widths));
  BINCE_RETURN_IF_ERROR(check_tail_mass(tail_mass));
  const float* data;
  BINCE_RETURN_IF_ERROR(check_params(context, widths, params, -1, &data));
  const int64_t C = params->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(quantiles, "quantiles", {kFloat32}, {C, 3}));
  BINCE_RETURN_IF_ERROR(check_tensor(loss, "loss", {kFloat64}, {1}));
  BINCE_RETURN_IF_ERROR(check_optional(dquantiles, "dquantiles", {kFloat32}, {C, 3}));
  const float* q = tensor_data<float>(quantiles);
  BINCE_RETURN_IF_ERROR(check_finite(q, C, 3, "quantiles", "channel", "quantile"));
  float* gradient = tensor_data<float>(dquantiles);
  const double target = std::log(2 / tail_mass - 1);
  double total = 0;
  ReferenceNetwork network;
  ReferenceNetwork::Trace trace;
  for (int64_t c = 0; c < C; ++c) {
    network.load(widths, data, C, c);
    for (int k = 0; k < 3; ++k) {
      const double distance = network.logit(q[c * 3 + k], &trace) - (k - 1) * target;
      total += std::fabs(distance);
      if (!gradient) continue;
      double unused[kMaxParameters] = {};
      const double sign = distance < 0 ? -1 : distance > 0;
      gradient[c * 3 + k] = static_cast<float>(network.backward(q[c * 3 + k], trace, sign, unused));
    }
  }
  *tensor_data<double>(loss) = total;
  return BINCE_OK;
}

size_t bince_quantiles_workspace(const bince_context* context) {
  return context ? bince::workspace_bytes(context, 0) : 0;
}

bince_status bince_quantiles_solve(bince_context* context, const bince_factorized_options* options,
                                   const bince_tensor* params, double tail_mass, bince_tensor* quantiles,
                                   bince_tensor* unsolved, const bince_launch* launch) {
  using namespace bince;
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall call(context);
  QuantilesArgs args = {};
  BINCE_RETURN_IF_ERROR(check_widths(options, &args.widths));
  BINCE_RETURN_IF_ERROR(check_tail_mass(tail_mass));
  BINCE_RETURN_IF_ERROR(check_params(context, args.widths, params, -1, &args.params));
  args.C = params->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(quantiles, "quantiles", {kFloat32}, {args.C, 3}));
  BINCE_RETURN_IF_ERROR(check_optional(unsolved, "unsolved", {kInt32}, {args.C}));
  args.target = std::log(2 / tail_mass - 1);
  args.quantiles = tensor_data<float>(quantiles);
  args.unsolved = tensor_data<int32_t>(unsolved);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, 0, &run));
  const Outcome outcome = context->ops->entropy->quantiles(args, run);
  if (outcome == Outcome::kFailed) return BINCE_INTERNAL;
  return outcome == Outcome::kDone ? BINCE_OK : fail(BINCE_CANCELLED, "the quantile solve was cancelled");
}
