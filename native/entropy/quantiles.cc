// Logits, and the quantiles of the factorised model: their loss and their direct solution.
#include <cmath>

#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/core/thread_pool.h"
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

struct Solve {
  Widths widths;
  const float* params;
  int64_t C;
  double target;
  float* quantiles;   // [C][3]
  int32_t* unsolved;  // [C] or null
  const int32_t* cancel;
};

// The x with F(x) = target; +-kLargestValue when the bracket would have to grow beyond it, 0 where F
// overflows.
double bisect(const ReferenceNetwork& network, double target, bool* solved) {
  ReferenceNetwork::Trace trace;
  double low = -1, high = 1;
  while (network.logit(low, &trace) > target) {
    if (low <= -kLargestValue) return *solved = false, -kLargestValue;
    low *= 2;
  }
  while (network.logit(high, &trace) < target) {
    if (high >= kLargestValue) return *solved = false, kLargestValue;
    high *= 2;
  }
  if (std::isnan(network.logit(low, &trace)) || std::isnan(network.logit(high, &trace)))
    return *solved = false, 0;
  for (int step = 0; step < 100; ++step) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    if (network.logit(middle, &trace) < target)
      low = middle;
    else
      high = middle;
  }
  return 0.5 * (low + high);
}

void solve_channel(void* argument, int64_t c, int) {
  const Solve& solve = *static_cast<const Solve*>(argument);
  if (solve.cancel && __atomic_load_n(solve.cancel, __ATOMIC_RELAXED)) return;
  ReferenceNetwork network;
  network.load(solve.widths, solve.params, solve.C, c);
  int unsolved = 0;
  for (int q = 0; q < 3; ++q) {
    bool solved = true;
    solve.quantiles[c * 3 + q] = static_cast<float>(bisect(network, (q - 1) * solve.target, &solved));
    unsolved += !solved;
  }
  if (solve.unsolved) solve.unsolved[c] = unsolved;
}

}  // namespace
}  // namespace bince

bince_status bince_factorized_logits(bince_context* context, const bince_factorized_options* options,
                                     const bince_tensor* params, const bince_tensor* values,
                                     bince_tensor* logits) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(needs_cpu(context, "bince_factorized_logits"));
  Widths widths;
  BINCE_RETURN_IF_ERROR(check_widths(options, &widths));
  const float* data;
  BINCE_RETURN_IF_ERROR(check_params(widths, params, -1, &data));
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
  BINCE_RETURN_IF_ERROR(check_params(widths, params, -1, &data));
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

bince_status bince_quantiles_solve(bince_context* context, const bince_factorized_options* options,
                                   const bince_tensor* params, double tail_mass, bince_tensor* quantiles,
                                   bince_tensor* unsolved, const bince_launch* launch) {
  using namespace bince;
  BINCE_RETURN_IF_ERROR(needs_cpu(context, "bince_quantiles_solve"));
  Solve solve = {};
  BINCE_RETURN_IF_ERROR(check_widths(options, &solve.widths));
  BINCE_RETURN_IF_ERROR(check_tail_mass(tail_mass));
  BINCE_RETURN_IF_ERROR(check_params(solve.widths, params, -1, &solve.params));
  solve.C = params->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(quantiles, "quantiles", {kFloat32}, {solve.C, 3}));
  BINCE_RETURN_IF_ERROR(check_optional(unsolved, "unsolved", {kInt32}, {solve.C}));
  solve.target = std::log(2 / tail_mass - 1);
  solve.quantiles = tensor_data<float>(quantiles);
  solve.unsolved = tensor_data<int32_t>(unsolved);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, 0, &run));
  solve.cancel = run.cancel;
  parallel_for(run.pool, solve.C, solve_channel, &solve);
  return cancelled(run) ? fail(BINCE_CANCELLED, "the quantile solve was cancelled") : BINCE_OK;
}
