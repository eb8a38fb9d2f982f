// The Gaussian conditional over lanes that stand side by side in a row.  Included by SIMD sources alone.
//
// A task is some rows, cut at multiples of four row numbers (which share their noise), and one span of
// columns; it leaves the bits of each of its rows in its own place.  Tasks follow from N and J alone.
#ifndef BINCE_ENTROPY_GAUSSIAN_LANES_H_
#define BINCE_ENTROPY_GAUSSIAN_LANES_H_

#include "native/core/thread_pool.h"
#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/gaussian_element.h"
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

// One vector of one row; `at` is its first element, `noise` that of its row.
template <class L>
static inline typename L::V gaussian_vector(const GaussianArgs& args, int64_t at, float dbits,
                                            typename L::V noise, typename L::Mask mask, bool* broken) {
  using V = typename L::V;
  const V zero = L::set(0.0f), floor = L::set(static_cast<float>(args.floor));
  const V y = L::load(args.y + at, mask), given_scale = L::load(args.scale + at, mask);
  const V mean = args.mean ? L::load(args.mean + at, mask) : zero;
  V value = y;
  if (args.quantize == BINCE_QUANTIZE_NOISE) value = L::add(y, noise);
  if (args.quantize == BINCE_QUANTIZE_ROUND) value = L::add(L::round_even(L::sub(y, mean)), mean);
  const V distance = L::sub(value, mean), bound = L::set(static_cast<float>(args.scale_bound));
  *broken |= L::any_not_finite(distance, mask) || L::any_not_finite(given_scale, mask);

  const GaussianElement<L> of = gaussian_forward<L>(distance, given_scale, bound, floor);
  if (args.likelihood) L::store(args.likelihood + at, of.floored, mask);
  if (args.values) L::store(args.values + at, value, mask);
  const V bits = L::keep(of.bits, mask);
  if (!args.dy && !args.dmean && !args.dscale) return bits;

  const V dlikelihood = args.dlikelihood ? L::load(args.dlikelihood + at, mask) : zero;
  *broken |= L::any_not_finite(dlikelihood, mask);
  V ddistance, dscale;
  const V gradient = likelihood_cotangent<L>(of.raw, of.floored, floor, L::set(dbits), dlikelihood);
  gaussian_backward<L>(of, bound, gradient, &ddistance, &dscale);
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
      lane_noise<L, 1>(args.seed, row / 4, L::uadd(L::uset(static_cast<uint32_t>(j)), L::lane_index()),
                       noise);
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
