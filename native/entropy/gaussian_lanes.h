// The Gaussian conditional over lanes that stand side by side in a row.  Included by SIMD sources alone.
//
// A task is some rows, cut at multiples of four row numbers (which share their noise), and one span of
// columns; it leaves the bits of each of its rows in its own place.  Tasks follow from N and J alone.
#ifndef BINCE_ENTROPY_GAUSSIAN_LANES_H_
#define BINCE_ENTROPY_GAUSSIAN_LANES_H_

#include "native/core/thread_pool.h"
#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/lane_math.h"
#include "native/entropy/noise_lanes.h"

namespace bince {

constexpr int64_t kSpanColumns = 2048;
constexpr int64_t kTaskElements = 8192;

template <class L>
struct GaussianPlan {
  const GaussianArgs* args;
  const Run* run;
  int64_t spans, task_rows, row_tasks;  // task_rows is a multiple of 4
  double* bits;                         // [N][spans]
  int32_t* broken;                      // [row_tasks][spans]
};

template <class L>
static inline size_t plan_gaussian(const GaussianArgs& args, char* base, GaussianPlan<L>* plan) {
  *plan = {};
  plan->args = &args;
  plan->spans = (args.J + kSpanColumns - 1) / kSpanColumns;
  const int64_t width = args.J < 1 ? 1 : args.J < kSpanColumns ? args.J : kSpanColumns;
  plan->task_rows = (kTaskElements / width + 3) / 4 * 4;
  // Tasks begin where the row number is a multiple of task_rows of the first four-aligned row.
  const int64_t skipped = static_cast<int64_t>(args.first_row % 4);
  plan->row_tasks = args.N < 1 ? 0 : (args.N + skipped + plan->task_rows - 1) / plan->task_rows;
  Workspace workspace = {base, 0};
  plan->bits = static_cast<double*>(carve_bytes(
      &workspace, static_cast<size_t>(args.N) * static_cast<size_t>(plan->spans), sizeof(double)));
  plan->broken = static_cast<int32_t*>(carve_bytes(
      &workspace, static_cast<size_t>(plan->row_tasks) * static_cast<size_t>(plan->spans), sizeof(int32_t)));
  return workspace.used;
}

// Phi(x), the normal distribution function, and e^(-x^2 / 2): Phi(-z) = e^(-z^2 / 2) R(z), R a rational
// minimax fit (relative error 4e-9) of the scaled complementary error function on [0, 12]; beyond, both tail
// and exponential are zero (Phi(-12) is 2e-33).
template <class L>
BINCE_INLINE typename L::V lane_normal_cdf(typename L::V x, typename L::V* exponential) {
  using V = typename L::V;
  const V z = L::min(L::abs(x), L::set(12.0f));
  V p = L::set(0.003902261145412922f);
  p = L::fma(p, z, L::set(0.03918036073446274f));
  p = L::fma(p, z, L::set(0.17890501022338867f));
  p = L::fma(p, z, L::set(0.43241316080093384f));
  p = L::fma(p, z, L::set(0.5f));
  V q = L::set(0.009781340137124062f);
  q = L::fma(q, z, L::set(0.09821928292512894f));
  q = L::fma(q, z, L::set(0.45804330706596375f));
  q = L::fma(q, z, L::set(1.1844581365585327f));
  q = L::fma(q, z, L::set(1.6627111434936523f));
  q = L::fma(q, z, L::set(1.0f));
  // z^2 in two parts, so that its rounding does not grow with it.
  const V square = L::mul(z, z), lost = L::fma(z, z, L::sub(L::set(0.0f), square));
  const V rounded = lane_exp<L>(L::mul(square, L::set(-0.5f)));
  const V near = L::fma(L::mul(rounded, lost), L::set(-0.5f), rounded);
  *exponential = L::where_less(L::set(12.0f), L::abs(x), L::set(0.0f), near);
  const V tail = L::mul(L::mul(p, L::reciprocal(q)), *exponential);
  return L::where_less(L::set(0.0f), x, L::sub(L::set(1.0f), tail), tail);
}

// One vector of one row; `at` is its first element, `noise` that of its row.
template <class L>
static inline typename L::V gaussian_vector(const GaussianArgs& args, int64_t at, float dbits,
                                            typename L::V noise, typename L::Mask mask, bool* broken) {
  using V = typename L::V;
  const V zero = L::set(0.0f), half = L::set(0.5f), floor = L::set(static_cast<float>(args.floor));
  const V y = L::load(args.y + at, mask), given_scale = L::load(args.scale + at, mask);
  const V mean = args.mean ? L::load(args.mean + at, mask) : zero;
  V value = y;
  if (args.quantize == BINCE_QUANTIZE_NOISE) value = L::add(y, noise);
  if (args.quantize == BINCE_QUANTIZE_ROUND) value = L::add(L::round_even(L::sub(y, mean)), mean);
  const V distance = L::sub(value, mean), away = L::abs(distance);
  const V bound = L::set(static_cast<float>(args.scale_bound));
  const V inverse = L::reciprocal(L::max(given_scale, bound));
  *broken |= L::any_not_finite(distance, mask) || L::any_not_finite(given_scale, mask);

  const V upper = L::mul(L::sub(half, away), inverse);
  const V lower = L::mul(L::sub(L::sub(zero, half), away), inverse);
  V upper_exponential, lower_exponential;
  const V upper_cdf = lane_normal_cdf<L>(upper, &upper_exponential);
  const V lower_cdf = lane_normal_cdf<L>(lower, &lower_exponential);
  const V likelihood = L::sub(upper_cdf, lower_cdf), floored = L::max(likelihood, floor);
  if (args.likelihood) L::store(args.likelihood + at, floored, mask);
  if (args.values) L::store(args.values + at, value, mask);
  const V bits = L::keep(L::sub(zero, lane_log2<L>(floored)), mask);
  if (!args.dy && !args.dmean && !args.dscale) return bits;

  V gradient = args.dlikelihood ? L::load(args.dlikelihood + at, mask) : zero;
  *broken |= L::any_not_finite(gradient, mask);
  gradient = L::fma(L::set(dbits * -1.44269504f), L::reciprocal(floored), gradient);
  gradient = L::where_less(likelihood, floor, L::min(gradient, zero), gradient);
  const V density = L::mul(inverse, L::set(0.39894228f));  // 1 / sqrt(2 pi)
  const V upper_slope = L::mul(upper_exponential, density), lower_slope = L::mul(lower_exponential, density);
  const V outward = L::mul(gradient, L::sub(lower_slope, upper_slope));
  const V ddistance = L::mul(outward, L::sign(distance));
  // Beyond 13 the slopes are zero, which an infinite distance must not turn into NaN.
  const V far = L::set(13.0f);
  const V moved = L::fnma(upper_slope, L::clamp_magnitude(upper, far),
                          L::mul(lower_slope, L::clamp_magnitude(lower, far)));
  V dscale = L::mul(gradient, moved);
  dscale = L::where_less(given_scale, bound, L::min(dscale, zero), dscale);
  if (args.dy) L::store(args.dy + at, ddistance, mask);
  if (args.dmean) L::store(args.dmean + at, L::sub(zero, ddistance), mask);
  if (args.dscale) L::store(args.dscale + at, dscale, mask);
  return bits;
}

// Up to four rows that share their noise: rows n0 .. n1 - 1, columns j0 .. j1 - 1.
template <class L>
static inline bool gaussian_rows(const GaussianPlan<L>& plan, int64_t n0, int64_t n1, int64_t span) {
  using V = typename L::V;
  const GaussianArgs& args = *plan.args;
  const int64_t j0 = span * kSpanColumns, j1 = j0 + kSpanColumns < args.J ? j0 + kSpanColumns : args.J;
  const uint64_t row = args.first_row + static_cast<uint64_t>(n0);
  typename L::Sum sums[4];
  float dbits[4];
  for (int64_t n = n0; n < n1; ++n) {
    sums[n - n0] = L::sum_zero();
    dbits[n - n0] = static_cast<float>(args.dbits) + (args.dbits_per_row ? args.dbits_per_row[n] : 0.0f);
  }
  bool broken = false;
  for (int64_t j = j0; j < j1; j += L::kLanes) {
    const auto mask = L::mask(j1 - j < L::kLanes ? j1 - j : L::kLanes);
    V noise[4] = {L::set(0.0f), L::set(0.0f), L::set(0.0f), L::set(0.0f)};
    if (args.quantize == BINCE_QUANTIZE_NOISE)
      lane_noise<L>(args.seed, row / 4, L::uadd(L::uset(static_cast<uint32_t>(j)), L::lane_index()), noise);
    for (int64_t n = n0; n < n1; ++n)
      L::sum_add(&sums[n - n0],
                 gaussian_vector<L>(args, n * args.J + j, dbits[n - n0],
                                    noise[(row + static_cast<uint64_t>(n - n0)) % 4], mask, &broken));
  }
  for (int64_t n = n0; n < n1; ++n) plan.bits[n * plan.spans + span] = L::sum_total(sums[n - n0]);
  return broken;
}

template <class L>
static void gaussian_task(void* argument, int64_t task, int) {
  const GaussianPlan<L>& plan = *static_cast<const GaussianPlan<L>*>(argument);
  if (cancelled(*plan.run)) return;
  const int64_t span = task % plan.spans, N = plan.args->N;
  const int64_t skipped = static_cast<int64_t>(plan.args->first_row % 4);
  const int64_t first = task / plan.spans * plan.task_rows - skipped;
  bool broken = false;
  for (int64_t n = first; n < first + plan.task_rows && n < N; n += 4) {
    const int64_t n0 = n < 0 ? 0 : n, n1 = n + 4 < N ? n + 4 : N;
    broken |= gaussian_rows(plan, n0, n1, span);
  }
  plan.broken[task] = broken;
}

template <class L>
static size_t gaussian_workspace_lanes(const GaussianArgs& args) {
  GaussianPlan<L> plan;
  return plan_gaussian<L>(args, nullptr, &plan);
}

template <class L>
static Outcome gaussian_lanes(const GaussianArgs& args, const Run& run) {
  GaussianPlan<L> plan;
  plan_gaussian<L>(args, run.workspace, &plan);
  plan.run = &run;
  const int64_t tasks = plan.row_tasks * plan.spans;
  parallel_for(run.pool, tasks, gaussian_task<L>, &plan);
  if (cancelled(run)) return Outcome::kCancelled;
  for (int64_t task = 0; task < tasks; ++task)
    if (plan.broken[task]) return Outcome::kNotFinite;
  double total = 0;
  for (int64_t n = 0; n < args.N; ++n) {
    double row = 0;
    for (int64_t span = 0; span < plan.spans; ++span) row += plan.bits[n * plan.spans + span];
    if (args.bits_per_row) args.bits_per_row[n] = static_cast<float>(row);
    total += row;
  }
  if (args.bits) *args.bits = total;
  return Outcome::kDone;
}

}  // namespace bince

#endif  // BINCE_ENTROPY_GAUSSIAN_LANES_H_
