// The factorised model over lanes: a lane is a channel, so x is read in whole vectors and a channel's
// parameters lie in one lane of [parameter][lane].  Included by SIMD sources alone.
//
// Points are the N * I elements of a channel.  A task is one group of L channels and one chunk of points; its
// partial gradients and bits go to its own place and are added up in chunk order, so the result does not
// depend on the threads.  Chunks follow from the number of points alone.
#ifndef BINCE_ENTROPY_FACTORIZED_LANES_H_
#define BINCE_ENTROPY_FACTORIZED_LANES_H_

#include "native/core/thread_pool.h"
#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/factorized_network.h"
#include "native/entropy/likelihood.h"
#include "native/entropy/noise_lanes.h"

namespace bince {

constexpr int64_t kTilePoints = 16;   // points in flight between memory and the network
constexpr int64_t kLeastChunk = 256;  // points
constexpr int64_t kMostChunks = 64;

// Where everything lies in the workspace.
template <class L>
struct FactorizedPlan {
  const FactorizedArgs* args;
  const Run* run;
  bool backward;
  int64_t points, groups, chunk, chunks;
  float* gains;       // [groups * kLanes]
  float* effective;   // [groups][P][kLanes] softplus(H), b, tanh(a)
  float* chain;       // [groups][P][kLanes] their derivatives
  float* partial;     // [groups][chunks][P + 2][kLanes] gradients; then of log-gain, then of y
  double* bits;       // [groups][chunks]
  int32_t* broken;    // [groups][chunks] not finite
  float* point_bits;  // [groups][points], where bits_per_row is asked for

  int64_t parameters() const { return args->widths.parameters; }
};

template <class L>
static inline size_t plan_factorized(const FactorizedArgs& args, bool backward, char* base,
                                     FactorizedPlan<L>* plan) {
  *plan = {};
  plan->args = &args;
  plan->backward = backward;
  plan->points = args.N * args.I;
  plan->groups = (args.C + L::kLanes - 1) / L::kLanes;
  const int64_t even = (plan->points + kMostChunks - 1) / kMostChunks;
  plan->chunk = even < kLeastChunk ? kLeastChunk : (even + kTilePoints - 1) / kTilePoints * kTilePoints;
  plan->chunks = (plan->points + plan->chunk - 1) / plan->chunk;
  const size_t groups = static_cast<size_t>(plan->groups), tasks = groups * static_cast<size_t>(plan->chunks);
  const size_t parameters = static_cast<size_t>(args.widths.parameters);
  Workspace workspace = {base, 0};
  plan->gains = static_cast<float*>(carve_bytes(&workspace, groups * L::kLanes, sizeof(float)));
  plan->effective =
      static_cast<float*>(carve_bytes(&workspace, groups * parameters * L::kLanes, sizeof(float)));
  plan->bits = static_cast<double*>(carve_bytes(&workspace, tasks, sizeof(double)));
  plan->broken = static_cast<int32_t*>(carve_bytes(&workspace, tasks, sizeof(int32_t)));
  if (backward) {
    plan->chain =
        static_cast<float*>(carve_bytes(&workspace, groups * parameters * L::kLanes, sizeof(float)));
    plan->partial =
        static_cast<float*>(carve_bytes(&workspace, tasks * (parameters + 2) * L::kLanes, sizeof(float)));
  }
  if (args.bits_per_row)
    plan->point_bits = static_cast<float*>(
        carve_bytes(&workspace, groups * static_cast<size_t>(plan->points), sizeof(float)));
  return workspace.used;
}

template <class L>
static inline int64_t lanes_of(const FactorizedPlan<L>& plan, int64_t group) {
  const int64_t rest = plan.args->C - group * L::kLanes;
  return rest < L::kLanes ? rest : L::kLanes;
}

// Parameters of one group through softplus and tanh; absent lanes get zeros.
template <class L>
static void prepare_group(void* argument, int64_t group, int) {
  using V = typename L::V;
  const FactorizedPlan<L>& plan = *static_cast<const FactorizedPlan<L>*>(argument);
  const FactorizedArgs& args = *plan.args;
  const Widths& w = args.widths;
  const auto mask = L::mask(lanes_of(plan, group));
  float* effective = plan.effective + group * plan.parameters() * L::kLanes;
  float* chain = plan.chain ? plan.chain + group * plan.parameters() * L::kLanes : nullptr;
  const float* params = args.params + group * L::kLanes;
  const V one = L::set(1.0f);
  for (int k = 0; k < w.layers; ++k) {
    const int end = k + 1 < w.layers ? w.matrix[k + 1] : w.parameters;
    for (int p = w.matrix[k]; p < end; ++p) {
      const V raw = L::load(params + p * args.C, mask);
      V value = raw, slope = one;
      if (p < bias_index(w, k)) {
        value = lane_softplus<L>(raw);
        slope = lane_sigmoid<L>(raw);
      } else if (p >= factor_index(w, k)) {
        value = lane_tanh<L>(raw);
        slope = L::fnma(value, value, one);
      }
      L::store(effective + p * L::kLanes, L::keep(value, mask));
      if (chain) L::store(chain + p * L::kLanes, slope);
    }
  }
  for (int64_t lane = 0; lane < L::kLanes; ++lane) {
    const int64_t c = group * L::kLanes + lane;
    plan.gains[c] = args.log_gain && c < args.C ? gain_of(args.log_gain[c]) : 1.0f;
  }
}

// kTilePoints points of one group, a row of lanes each.
template <class L>
struct alignas(64) FactorizedTile {
  float scaled[kTilePoints * L::kLanes];  // y
  float value[kTilePoints * L::kLanes];   // v
  float dlikelihood[kTilePoints * L::kLanes];
  float likelihood[kTilePoints * L::kLanes];
  float bits[kTilePoints * L::kLanes];
  float dvalue[kTilePoints * L::kLanes];
  float dbits[kTilePoints];
};

// Reads (or writes) one tile of a tensor of x's shape.
template <class L>
static inline void load_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                             const float* tensor, float* tile) {
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes, lanes = lanes_of(plan, group);
  if (args.I == 1) {
    const auto mask = L::mask(lanes);
    for (int64_t r = 0; r < count; ++r)
      L::store(tile + r * L::kLanes, L::load(tensor + (point + r) * args.C + c0, mask));
    return;
  }
  for (int64_t lane = 0; lane < L::kLanes; ++lane)
    for (int64_t r = 0; r < count; ++r) {
      const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
      tile[r * L::kLanes + lane] = lane < lanes ? tensor[(n * args.C + c0 + lane) * args.I + i] : 0.0f;
    }
}

// x's tile, widened where it is bfloat16.
template <class L>
static inline void load_x(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                          float* tile) {
  const FactorizedArgs& args = *plan.args;
  if (args.x) return load_tile(plan, group, point, count, args.x, tile);
  const int64_t c0 = group * L::kLanes, lanes = lanes_of(plan, group);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
    for (int64_t lane = 0; lane < L::kLanes; ++lane)
      tile[r * L::kLanes + lane] = lane < lanes ? x_at(args, (n * args.C + c0 + lane) * args.I + i) : 0.0f;
  }
}

template <class L>
static inline void store_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                              const float* tile, float* tensor) {
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes, lanes = lanes_of(plan, group);
  if (args.I == 1) {
    const auto mask = L::mask(lanes);
    for (int64_t r = 0; r < count; ++r)
      L::store(tensor + (point + r) * args.C + c0, L::load(tile + r * L::kLanes), mask);
    return;
  }
  for (int64_t lane = 0; lane < lanes; ++lane)
    for (int64_t r = 0; r < count; ++r) {
      const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
      tensor[(n * args.C + c0 + lane) * args.I + i] = tile[r * L::kLanes + lane];
    }
}

// x -> y -> v.  True when a value is not finite.
template <class L>
static inline bool make_values(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                               FactorizedTile<L>* tile) {
  using V = typename L::V;
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes;
  const auto mask = L::mask(lanes_of(plan, group));
  const V gain = L::load(plan.gains + c0);
  const V shift = args.shift ? L::load(args.shift + c0, mask) : L::set(0.0f);
  const V median = args.medians ? L::load(args.medians + c0, mask) : L::set(0.0f);
  const typename L::U channels = L::uadd(L::uset(static_cast<uint32_t>(c0)), L::lane_index());
  const typename L::U columns = L::umul(channels, L::uset(static_cast<uint32_t>(args.I)));
  V noise[4];
  uint64_t block = ~uint64_t{0};
  bool broken = false;
  load_x(plan, group, point, count, tile->scaled);
  for (int64_t r = 0; r < count; ++r) {
    const V y = L::mul(L::sub(L::load(tile->scaled + r * L::kLanes), shift), gain);
    V v = y;
    if (args.quantize == BINCE_QUANTIZE_NOISE) {
      const int64_t n = args.I == 1 ? point + r : (point + r) / args.I, i = point + r - n * args.I;
      const uint64_t row = args.first_row + static_cast<uint64_t>(n);
      if (args.I > 1 || row / 4 != block) {
        block = row / 4;
        lane_noise<L>(args.seed, block, L::uadd(columns, L::uset(static_cast<uint32_t>(i))), noise);
      }
      v = L::add(y, noise[row % 4]);
    } else if (args.quantize == BINCE_QUANTIZE_ROUND) {
      v = L::add(L::round_even(L::sub(y, median)), median);
    }
    broken |= L::any_not_finite(v, mask);
    L::store(tile->scaled + r * L::kLanes, y);
    L::store(tile->value + r * L::kLanes, v);
  }
  return broken;
}

// Likelihood and bits of R points, and where d is given the gradients: d [P], tile->dvalue.
template <class L, bool kDefault, int R>
static inline void evaluate_points(const FactorizedArgs& args, const typename L::V* p,
                                   FactorizedTile<L>* tile, int64_t r0, typename L::V* d) {
  using V = typename L::V;
  V at[1][2 * R], logit[1][2 * R], dlogit[1][2 * R], dat[1][2 * R];
  const V half = L::set(0.5f), floor = L::set(static_cast<float>(args.floor));
  for (int r = 0; r < R; ++r) {
    const V v = L::clamp_magnitude(L::load(tile->value + (r0 + r) * L::kLanes), L::set(kLargestValue));
    at[0][2 * r] = L::sub(v, half);
    at[0][2 * r + 1] = L::add(v, half);
  }
  NetworkTrace<L, kDefault, 2 * R> trace;
  network_forward<L, kDefault, 2 * R>(args.widths, p, at, &trace, logit);
  for (int r = 0; r < R; ++r) {
    const int64_t place = (r0 + r) * L::kLanes;
    const Likelihood<L> of = likelihood_of<L>(logit[0][2 * r], logit[0][2 * r + 1], floor);
    L::store(tile->likelihood + place, of.floored);
    L::store(tile->bits + place, of.bits);
    if (!d) continue;
    const V gradient = likelihood_cotangent<L>(of.raw, of.floored, floor, L::set(tile->dbits[r0 + r]),
                                               L::load(tile->dlikelihood + place));
    likelihood_backward<L>(of, gradient, &dlogit[0][2 * r], &dlogit[0][2 * r + 1]);
  }
  if (!d) return;
  network_backward<L, kDefault, 2 * R>(args.widths, p, at, trace, dlogit, d, dat);
  for (int r = 0; r < R; ++r)
    L::store(tile->dvalue + (r0 + r) * L::kLanes, L::add(dat[0][2 * r], dat[0][2 * r + 1]));
}

// One tile: values, network, outputs.  Adds to d [P + 2] and bits.  True when something is not finite.
template <class L, bool kDefault, int R>
static inline bool run_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                            FactorizedTile<L>* tile, typename L::V* d, typename L::Sum* bits) {
  using V = typename L::V;
  const FactorizedArgs& args = *plan.args;
  const auto mask = L::mask(lanes_of(plan, group));
  if (make_values(plan, group, point, count, tile)) return true;
  const V* p = reinterpret_cast<const V*>(plan.effective + group * plan.parameters() * L::kLanes);
  const int64_t padded = (count + R - 1) / R * R;  // points beyond count: value 0, no cotangent
  for (int64_t r = 0; r < padded; ++r) {
    const bool real = r < count;
    if (!real) L::store(tile->value + r * L::kLanes, L::set(0.0f));
    if (!args.dlikelihood || !real) L::store(tile->dlikelihood + r * L::kLanes, L::set(0.0f));
    const float of_row = args.dbits_per_row && real ? args.dbits_per_row[(point + r) / args.I] : 0.0f;
    tile->dbits[r] = real ? static_cast<float>(args.dbits) + of_row : 0.0f;
  }
  if (args.dlikelihood) load_tile(plan, group, point, count, args.dlikelihood, tile->dlikelihood);
  for (int64_t r = 0; r < padded; r += R) evaluate_points<L, kDefault, R>(args, p, tile, r, d);
  bool broken = false;
  for (int64_t r = 0; r < count; ++r) {
    const V kept = L::keep(L::load(tile->bits + r * L::kLanes), mask);
    L::sum_add(bits, kept);
    broken |= L::any_not_finite(L::load(tile->likelihood + r * L::kLanes), mask);
    if (plan.point_bits) plan.point_bits[group * plan.points + point + r] = L::horizontal_sum(kept);
  }
  if (args.likelihood) store_tile(plan, group, point, count, tile->likelihood, args.likelihood);
  if (args.values) store_tile(plan, group, point, count, tile->value, args.values);
  if (!d) return broken;
  const V gain = L::load(plan.gains + group * L::kLanes);
  for (int64_t r = 0; r < count; ++r) {
    const V dvalue = L::load(tile->dvalue + r * L::kLanes);
    V* dlog_gain = d + plan.parameters();
    dlog_gain[0] = L::fma(dvalue, L::load(tile->scaled + r * L::kLanes), dlog_gain[0]);
    dlog_gain[1] = L::add(dlog_gain[1], dvalue);
    L::store(tile->dvalue + r * L::kLanes, L::mul(dvalue, gain));
    broken |= args.dlikelihood && L::any_not_finite(dvalue, mask);
  }
  if (args.dx) store_tile(plan, group, point, count, tile->dvalue, args.dx);
  return broken;
}

template <class L, bool kDefault, int R>
static void run_task(void* argument, int64_t task, int) {
  using V = typename L::V;
  const FactorizedPlan<L>& plan = *static_cast<const FactorizedPlan<L>*>(argument);
  if (cancelled(*plan.run)) return;
  const int64_t group = task / plan.chunks, first = task % plan.chunks * plan.chunk;
  const int64_t end = first + plan.chunk < plan.points ? first + plan.chunk : plan.points;
  V* d = nullptr;
  if (plan.backward) {
    d = reinterpret_cast<V*>(plan.partial + task * (plan.parameters() + 2) * L::kLanes);
    for (int64_t p = 0; p < plan.parameters() + 2; ++p) d[p] = L::set(0.0f);
  }
  FactorizedTile<L> tile;
  typename L::Sum bits = L::sum_zero();
  bool broken = false;
  for (int64_t point = first; point < end && !broken; point += kTilePoints) {
    const int64_t count = end - point < kTilePoints ? end - point : kTilePoints;
    broken = run_tile<L, kDefault, R>(plan, group, point, count, &tile, d, &bits);
  }
  plan.bits[task] = L::sum_total(bits);
  plan.broken[task] = broken;
}

// Adds up a group's partial gradients in chunk order and applies the chain rule of softplus and tanh.
template <class L>
static void reduce_group(void* argument, int64_t group, int) {
  const FactorizedPlan<L>& plan = *static_cast<const FactorizedPlan<L>*>(argument);
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes, lanes = lanes_of(plan, group), rows = plan.parameters() + 2;
  const float* partial = plan.partial + group * plan.chunks * rows * L::kLanes;
  const float* chain = plan.chain + group * plan.parameters() * L::kLanes;
  for (int64_t p = 0; p < rows; ++p) {
    double sum[L::kLanes] = {};
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk)
      for (int64_t lane = 0; lane < L::kLanes; ++lane)
        sum[lane] += static_cast<double>(partial[(chunk * rows + p) * L::kLanes + lane]);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const int64_t c = c0 + lane;
      if (!__builtin_isfinite(static_cast<float>(sum[lane]))) plan.broken[group * plan.chunks] = 1;
      if (p < plan.parameters()) {
        if (args.dparams)
          args.dparams[p * args.C + c] =
              static_cast<float>(sum[lane] * static_cast<double>(chain[p * L::kLanes + lane]));
      } else if (p == plan.parameters()) {
        if (args.dlog_gain) args.dlog_gain[c] = static_cast<float>(sum[lane]);
      } else if (args.dshift) {
        args.dshift[c] = static_cast<float>(-sum[lane] * static_cast<double>(plan.gains[c]));
      }
    }
  }
}

template <class L>
static inline void reduce_bits(const FactorizedPlan<L>& plan) {
  const FactorizedArgs& args = *plan.args;
  if (args.bits) {
    double total = 0;
    for (int64_t task = 0; task < plan.groups * plan.chunks; ++task) total += plan.bits[task];
    *args.bits = total;
  }
  for (int64_t n = 0; args.bits_per_row && n < args.N; ++n) {
    double row = 0;
    for (int64_t group = 0; group < plan.groups; ++group)
      for (int64_t i = 0; i < args.I; ++i)
        row += static_cast<double>(plan.point_bits[group * plan.points + n * args.I + i]);
    args.bits_per_row[n] = static_cast<float>(row);
  }
}

template <class L>
static inline Outcome run_factorized_lanes(const FactorizedArgs& args, const Run& run, bool backward) {
  FactorizedPlan<L> plan;
  plan_factorized<L>(args, backward, run.workspace, &plan);
  plan.run = &run;
  const int64_t tasks = plan.groups * plan.chunks;
  parallel_for(run.pool, plan.groups, prepare_group<L>, &plan);
  parallel_for(run.pool, tasks, is_default(args.widths) ? run_task<L, true, L::kRows> : run_task<L, false, 1>,
               &plan);
  if (cancelled(run)) return Outcome::kCancelled;
  if (backward) parallel_for(run.pool, plan.groups, reduce_group<L>, &plan);
  for (int64_t task = 0; task < tasks; ++task)
    if (plan.broken[task]) return Outcome::kNotFinite;
  reduce_bits(plan);
  return Outcome::kDone;
}

template <class L>
static size_t factorized_workspace_lanes(const FactorizedArgs& args, bool backward) {
  FactorizedPlan<L> plan;
  return plan_factorized<L>(args, backward, nullptr, &plan);
}
template <class L>
static Outcome factorized_forward_lanes(const FactorizedArgs& args, const Run& run) {
  return run_factorized_lanes<L>(args, run, false);
}
template <class L>
static Outcome factorized_backward_lanes(const FactorizedArgs& args, const Run& run) {
  return run_factorized_lanes<L>(args, run, true);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_LANES_H_
