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

constexpr int64_t kTilePoints = 24;   // whole pairs of noise's blocks of four rows, whole steps of kRows
constexpr int64_t kAhead = 8;         // rows between those worked on and those fetched meanwhile
constexpr int64_t kLeastChunk = 264;  // points
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

// Buffers of one tile, a row of lanes a point: noise, and tensors whose points are not rows of channels.
template <class L>
struct alignas(64) TileBuffers {
  float noise[(kTilePoints + 8) * L::kLanes];  // from a multiple of four rows on
  float x[kTilePoints * L::kLanes];
  float dlikelihood[kTilePoints * L::kLanes];
  float likelihood[kTilePoints * L::kLanes];
  float values[kTilePoints * L::kLanes];
  float dx[kTilePoints * L::kLanes];
  float dbits_per_row[kTilePoints];
};

// One tile as the arithmetic sees it: point r of a tensor lies at r * stride.  Null: absent.
template <class L>
struct Tile {
  using V = typename L::V;
  typename L::Mask mask;  // of the lanes that are channels
  V gain, shift, median, floor, dbits;
  bool round, scale_gradients;
  int64_t stride;
  int64_t x_stride;  // x is widened in the buffers where it is bfloat16
  int64_t ahead;     // from a point to the one that is fetched meanwhile
  const float* x;
  const float* dlikelihood;
  const float* noise;  // stride kLanes
  const float* dbits_per_row;
  float* likelihood;
  float* values;
  float* dx;
  float* point_bits;
};

// What is gathered over the points of a tile.  The likelihoods' product stands for the sum of their
// logarithms, of which a tile then needs one; mantissas from 3/4 to 3/2 cannot overflow in so few factors.
template <class L>
struct TileSums {
  typename L::V mantissa, exponent;  // of the product
  typename L::V suspect;             // NaN in lanes that met something not finite, else 0
};

// Reads (or writes) one tile of a tensor of x's shape whose points are not rows of channels.
template <class L>
static inline void load_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                             const float* tensor, float* tile) {
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes, lanes = lanes_of(plan, group);
  for (int64_t lane = 0; lane < L::kLanes; ++lane)
    for (int64_t r = 0; r < count; ++r) {
      const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
      tile[r * L::kLanes + lane] = lane < lanes ? tensor[(n * args.C + c0 + lane) * args.I + i] : 0.0f;
    }
}

// The same of x where it is bfloat16, in either layout.
template <class L>
static inline void widen_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                              float* tile) {
  const FactorizedArgs& args = *plan.args;
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
  for (int64_t lane = 0; lane < lanes; ++lane)
    for (int64_t r = 0; r < count; ++r) {
      const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
      tensor[(n * args.C + c0 + lane) * args.I + i] = tile[r * L::kLanes + lane];
    }
}

// The noise of a tile's points; returns where that of the first one lies.
template <class L>
static inline const float* make_noise(const FactorizedPlan<L>& plan, int64_t group, int64_t point,
                                      int64_t count, float* noise) {
  using U = typename L::U;
  const FactorizedArgs& args = *plan.args;
  const U channels = L::uadd(L::uset(static_cast<uint32_t>(group * L::kLanes)), L::lane_index());
  if (args.I == 1) {
    typename L::V eight[8];
    const uint64_t row = args.first_row + static_cast<uint64_t>(point);
    const int64_t skip = static_cast<int64_t>(row % 4);
    for (int64_t r = 0; r < skip + count; r += 8) {
      lane_noise<L, 2>(args.seed, row / 4 + static_cast<uint64_t>(r / 4), channels, eight);
      for (int k = 0; k < 8; ++k) L::store(noise + (r + k) * L::kLanes, eight[k]);
    }
    return noise + skip * L::kLanes;
  }
  typename L::V four[4];
  const U columns = L::umul(channels, L::uset(static_cast<uint32_t>(args.I)));
  for (int64_t r = 0; r < count; ++r) {
    const int64_t n = (point + r) / args.I, i = (point + r) % args.I;
    const uint64_t row = args.first_row + static_cast<uint64_t>(n);
    lane_noise<L, 1>(args.seed, row / 4, L::uadd(columns, L::uset(static_cast<uint32_t>(i))), four);
    L::store(noise + r * L::kLanes, four[row % 4]);
  }
  return noise;
}

// x -> y -> v of point r.
template <class L>
BINCE_INLINE typename L::V value_of(const Tile<L>& tile, int64_t r, typename L::V* y) {
  using V = typename L::V;
  *y = L::mul(L::sub(L::load(tile.x + r * tile.x_stride, tile.mask), tile.shift), tile.gain);
  __builtin_prefetch(tile.x + r * tile.x_stride + tile.ahead, 0);
  if (tile.dx) __builtin_prefetch(tile.dx + r * tile.stride + tile.ahead, 1);
  V v = *y;
  if (tile.noise) v = L::add(v, L::load(tile.noise + r * L::kLanes));
  if (tile.round) v = L::add(L::round_even(L::sub(v, tile.median)), tile.median);
  if (tile.values) L::store(tile.values + r * tile.stride, v, tile.mask);
  return v;
}

// The cotangent of the likelihood of point r.
template <class L>
BINCE_INLINE typename L::V cotangent_of(const Tile<L>& tile, int64_t r, const Likelihood<L>& of) {
  using V = typename L::V;
  V dbits = tile.dbits, dlikelihood = L::set(0.0f);
  if (tile.dbits_per_row) dbits = L::add(dbits, L::set(tile.dbits_per_row[r]));
  if (tile.dlikelihood) dlikelihood = L::load(tile.dlikelihood + r * tile.stride, tile.mask);
  return likelihood_cotangent<L>(of.raw, of.floored, tile.floor, dbits, dlikelihood);
}

// R points from r0 on: values, network, outputs; backward adds their gradients to d [P + 2].
template <class L, bool kDefault, bool kBackward, int R>
BINCE_INLINE void evaluate_points(const Widths& w, const typename L::V* p, const Tile<L>& tile, int64_t r0,
                                  TileSums<L>* sums, typename L::V* d) {
  using V = typename L::V;
  V y[R], at[1][2 * R], logit[1][2 * R], dlogit[1][2 * R], dat[1][2 * R];
  const V half = L::set(0.5f), zero = L::set(0.0f);
  for (int r = 0; r < R; ++r) {
    const V v = value_of<L>(tile, r0 + r, &y[r]);
    sums->suspect = L::fma(v, zero, sums->suspect);
    const V held = L::clamp_magnitude(v, L::set(kLargestValue));
    at[0][2 * r] = L::sub(held, half);
    at[0][2 * r + 1] = L::add(held, half);
  }
  NetworkTrace<L, kDefault, 2 * R> trace;
  network_forward<L, kDefault, 2 * R>(w, p, at, &trace, logit);
  for (int r = 0; r < R; ++r) {
    const Likelihood<L> of = likelihood_of<L>(logit[0][2 * r], logit[0][2 * r + 1], tile.floor);
    sums->suspect = L::fma(of.floored, zero, sums->suspect);
    V mantissa, exponent;
    L::split(of.floored, &mantissa, &exponent);
    sums->mantissa = L::mul(sums->mantissa, mantissa);
    sums->exponent = L::add(sums->exponent, exponent);
    if (tile.likelihood) L::store(tile.likelihood + (r0 + r) * tile.stride, of.floored, tile.mask);
    if (tile.point_bits) tile.point_bits[r0 + r] = L::horizontal_sum(L::keep(bits_of<L>(of), tile.mask));
    if (kBackward)
      likelihood_backward<L>(of, cotangent_of<L>(tile, r0 + r, of), &dlogit[0][2 * r], &dlogit[0][2 * r + 1]);
  }
  if (!kBackward) return;
  network_backward<L, kDefault, 2 * R>(w, p, at, trace, dlogit, d, dat);
  for (int r = 0; r < R; ++r) {
    const V dvalue = L::add(dat[0][2 * r], dat[0][2 * r + 1]);
    if (tile.dlikelihood) sums->suspect = L::fma(dvalue, zero, sums->suspect);
    if (tile.dx) L::store(tile.dx + (r0 + r) * tile.stride, L::mul(dvalue, tile.gain), tile.mask);
    if (!tile.scale_gradients) continue;
    d[w.parameters] = L::fma(dvalue, y[r], d[w.parameters]);
    d[w.parameters + 1] = L::add(d[w.parameters + 1], dvalue);
  }
}

// What all tiles of a task have in common.
template <class L>
static inline Tile<L> start_tiles(const FactorizedPlan<L>& plan, int64_t group) {
  const FactorizedArgs& args = *plan.args;
  const int64_t c0 = group * L::kLanes;
  Tile<L> tile = {};
  tile.mask = L::mask(lanes_of(plan, group));
  tile.gain = L::load(plan.gains + c0);
  tile.shift = args.shift ? L::load(args.shift + c0, tile.mask) : L::set(0.0f);
  tile.median = args.medians ? L::load(args.medians + c0, tile.mask) : L::set(0.0f);
  tile.floor = L::set(static_cast<float>(args.floor));
  tile.dbits = L::set(static_cast<float>(args.dbits));
  tile.round = args.quantize == BINCE_QUANTIZE_ROUND;
  tile.scale_gradients = args.dlog_gain || args.dshift;
  return tile;
}

// Rows of channels are read and written where they lie, other layouts through the buffers.
template <class L>
static inline void place_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                              TileBuffers<L>* buffers, Tile<L>* tile) {
  const FactorizedArgs& args = *plan.args;
  const bool rows = args.I == 1;
  const int64_t place = point * args.C + group * L::kLanes;
  tile->stride = rows ? args.C : int64_t{L::kLanes};
  tile->x_stride = rows && args.x ? args.C : int64_t{L::kLanes};
  // The last lane's line: where rows are not aligned to lines, the first lane's came with the group before.
  const bool more = rows && args.x && point + count + kAhead <= plan.points;
  tile->ahead = more ? kAhead * args.C + lanes_of(plan, group) - 1 : 0;
  tile->likelihood = !args.likelihood ? nullptr : rows ? args.likelihood + place : buffers->likelihood;
  tile->values = !args.values ? nullptr : rows ? args.values + place : buffers->values;
  tile->dx = !args.dx ? nullptr : rows ? args.dx + place : buffers->dx;
  tile->x = args.x && rows ? args.x + place : buffers->x;
  tile->dlikelihood = !args.dlikelihood ? nullptr : rows ? args.dlikelihood + place : buffers->dlikelihood;
  if (!args.x) widen_tile(plan, group, point, count, buffers->x);
  if (args.x && !rows) load_tile(plan, group, point, count, args.x, buffers->x);
  if (args.dlikelihood && !rows) load_tile(plan, group, point, count, args.dlikelihood, buffers->dlikelihood);
  if (args.dbits_per_row && rows) tile->dbits_per_row = args.dbits_per_row + point;
  if (args.dbits_per_row && !rows) {
    for (int64_t r = 0; r < count; ++r) buffers->dbits_per_row[r] = args.dbits_per_row[(point + r) / args.I];
    tile->dbits_per_row = buffers->dbits_per_row;
  }
  if (args.quantize == BINCE_QUANTIZE_NOISE)
    tile->noise = make_noise(plan, group, point, count, buffers->noise);
  if (plan.point_bits) tile->point_bits = plan.point_bits + group * plan.points + point;
}

// Outputs that went to the buffers.
template <class L>
static inline void deliver_tile(const FactorizedPlan<L>& plan, int64_t group, int64_t point, int64_t count,
                                const TileBuffers<L>& buffers) {
  const FactorizedArgs& args = *plan.args;
  if (args.I == 1) return;
  if (args.likelihood) store_tile(plan, group, point, count, buffers.likelihood, args.likelihood);
  if (args.values) store_tile(plan, group, point, count, buffers.values, args.values);
  if (args.dx) store_tile(plan, group, point, count, buffers.dx, args.dx);
}

template <class L, bool kDefault, bool kBackward, int R>
static void run_task(void* argument, int64_t task, int) {
  using V = typename L::V;
  const FactorizedPlan<L>& plan = *static_cast<const FactorizedPlan<L>*>(argument);
  if (cancelled(*plan.run)) return;
  const Widths w = plan.args->widths;
  const int64_t group = task / plan.chunks, first = task % plan.chunks * plan.chunk;
  const int64_t end = first + plan.chunk < plan.points ? first + plan.chunk : plan.points;
  const V* p = reinterpret_cast<const V*>(plan.effective + group * w.parameters * L::kLanes);
  V* d = nullptr;
  if (kBackward) {
    d = reinterpret_cast<V*>(plan.partial + task * (w.parameters + 2) * L::kLanes);
    for (int64_t k = 0; k < w.parameters + 2; ++k) d[k] = L::set(0.0f);
  }
  TileBuffers<L> buffers;
  Tile<L> tile = start_tiles(plan, group);
  typename L::Sum bits = L::sum_zero();
  bool broken = false;
  for (int64_t point = first; point < end && !broken; point += kTilePoints) {
    const int64_t count = end - point < kTilePoints ? end - point : kTilePoints;
    place_tile(plan, group, point, count, &buffers, &tile);
    TileSums<L> sums = {L::set(1.0f), L::set(0.0f), L::set(0.0f)};
    int64_t r = 0;
    for (; r + R <= count; r += R) evaluate_points<L, kDefault, kBackward, R>(w, p, tile, r, &sums, d);
    for (; R > 1 && r < count; ++r) evaluate_points<L, kDefault, kBackward, 1>(w, p, tile, r, &sums, d);
    deliver_tile(plan, group, point, count, buffers);
    const V logarithm = L::add(lane_log2<L>(sums.mantissa), sums.exponent);
    L::sum_add(&bits, L::keep(L::sub(L::set(0.0f), logarithm), tile.mask));
    broken = L::any_not_finite(sums.suspect, tile.mask);
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
  parallel_for(run.pool, tasks,
               is_default(args.widths)
                   ? backward ? run_task<L, true, true, L::kRows> : run_task<L, true, false, L::kRows>
               : backward ? run_task<L, false, true, 1>
                          : run_task<L, false, false, 1>,
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
