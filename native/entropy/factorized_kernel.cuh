// The factorised model with the default widths 1-3-3-3-3-1: a thread holds a channel's 58 parameters and,
// backward, its 58 gradients in registers and runs through elements of the channel.
//
// Elements come in units: the four rows that share a Philox block, at one column.  Two layouts:
//   rows    x [N][C]      lanes are adjacent channels, a warp runs through a slice of the row quads
//   inner   x [N][C][I]   lanes are adjacent units (quad, i) of one channel, the parameters those of the warp
// Slices follow from the shape alone.  Every warp leaves its gradients and bits in its own place of the
// workspace; further kernels add them up in the order of the slices.  No shared memory, no barriers.
#ifndef BINCE_ENTROPY_FACTORIZED_KERNEL_CUH_
#define BINCE_ENTROPY_FACTORIZED_KERNEL_CUH_

#include "native/cuda/bfloat16.cuh"
#include "native/cuda/report.cuh"
#include "native/entropy/bits_kernels.cuh"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/factorized_layout.h"
#include "native/entropy/factorized_network.h"
#include "native/entropy/lanes_cuda.cuh"
#include "native/entropy/likelihood.h"
#include "native/entropy/philox.h"

namespace bince {

constexpr int kUsualParameters = 58;

// What a thread knows of its channel.
template <int kParameters>
struct Channel {
  float p[kParameters];
  float gain, shift, median;
};
template <int kParameters>
struct ChannelSums {
  float d[kParameters];
  float dlog_gain, dvalue;
};

__device__ __forceinline__ float load_x(const FactorizedArgs& args, int64_t at) {
  return args.x_bfloat16 ? bfloat16_to_float(args.x_bfloat16[at]) : args.x[at];
}

// x -> y -> v, each step rounded to float32 as on every backend.
__device__ __forceinline__ float value_of(const FactorizedArgs& args, float x, float gain, float shift,
                                          float median, float noise, float* scaled) {
  const float y = (x - shift) * gain;
  *scaled = y;
  if (args.quantize == BINCE_QUANTIZE_NOISE) return y + noise;
  if (args.quantize == BINCE_QUANTIZE_ROUND) return rintf(y - median) + median;
  return y;
}

// The cotangent of a row's bits; prepare_parameters_kernel has looked at the values.
__device__ __forceinline__ float row_cotangent(const FactorizedArgs& args, const FactorizedLayout& layout,
                                               int64_t n) {
  return layout.dbits + (args.dbits_per_row ? args.dbits_per_row[n] : 0.0f);
}
__device__ __forceinline__ float element_cotangent(const FactorizedArgs& args, int64_t at, int64_t n,
                                                   DeviceReport* report) {
  const float given = args.dlikelihood ? args.dlikelihood[at] : 0.0f;
  if (!is_finite(given)) note_offence(report, Offence::kLikelihoodCotangent, n);
  return given;
}

// The element x[at] of row n and channel c: outputs, gradients; returns its bits.
template <bool kBackward>
__device__ __forceinline__ float run_element(const FactorizedArgs& args, const FactorizedLayout& layout,
                                             const Channel<kUsualParameters>& channel, int64_t at, int64_t n,
                                             int64_t c, float x, float noise,
                                             ChannelSums<kUsualParameters>* sums, DeviceReport* report) {
  using L = LanesCuda;
  const float floor = layout.floor;
  float dbits = 0, dlikelihood = 0;
  if (kBackward) {
    dbits = row_cotangent(args, layout, n);
    dlikelihood = element_cotangent(args, at, n, report);
  }
  float y;
  const float v = value_of(args, x, channel.gain, channel.shift, channel.median, noise, &y);
  if (!is_finite(v)) note_offence(report, Offence::kValueNotFinite, n);
  const float held = L::clamp_magnitude(v, kLargestValue);  // which makes a number of a NaN, too
  const float points[1][2] = {{held - 0.5f, held + 0.5f}};
  float logit[1][2];
  NetworkTrace<L, true, 2> trace;
  network_forward<L, true, 2>(args.widths, channel.p, points, &trace, logit);
  const Likelihood<L> of = likelihood_of<L>(logit[0][0], logit[0][1], floor);
  if (of.floored != of.floored) note_offence(report, Offence::kNetwork, c);
  if (args.likelihood) args.likelihood[at] = of.floored;
  if (args.values) args.values[at] = v;
  if (!kBackward) return bits_of<L>(of);

  float dlogit[1][2], dpoints[1][2];
  const float gradient = likelihood_cotangent<L>(of.raw, of.floored, floor, dbits, dlikelihood);
  likelihood_backward<L>(of, gradient, &dlogit[0][0], &dlogit[0][1]);
  network_backward<L, true, 2>(args.widths, channel.p, points, trace, dlogit, sums->d, dpoints);
  const float dvalue = dpoints[0][0] + dpoints[0][1];
  if (args.dx) args.dx[at] = dvalue * channel.gain;
  sums->dlog_gain = fmaf(dvalue, y, sums->dlog_gain);
  sums->dvalue += dvalue;
  return bits_of<L>(of);
}

// Leaves the bits of rows in their places: in the rows layout the warp's sum, in the inner layout those of
// the lanes that hold columns of the same quad.  All lanes take part; lanes without an element bring 0.
template <bool kInner>
__device__ __forceinline__ void store_row_bits(const FactorizedArgs& args, const FactorizedLayout& layout,
                                               float bits, int64_t n, int64_t group, int64_t quad, int lane,
                                               int64_t unit) {
  const bool row = n >= 0 && n < args.N;
  if (!kInner) {
    const float sum = warp_sum(bits);
    if (row && lane == 0) layout.row_bits[n * layout.pieces + group] = sum;
    return;
  }
  const int segment = static_cast<int>(quad);
  const float sum = segment_sum(bits, segment, lane);
  const int next = __shfl_down_sync(kAllLanes, segment, 1);
  const bool last = lane == 31 || next != segment || unit + 1 == layout.units;
  const int64_t piece = unit / 32 - quad * args.I / 32;
  if (row && last && unit < layout.units)
    layout.row_bits[n * layout.pieces + group * layout.column_pieces + piece] = sum;
}

// The four rows of a unit; returns their bits.
template <bool kBackward, bool kInner>
__device__ __forceinline__ float run_unit(const FactorizedArgs& args, const FactorizedLayout& layout,
                                          const Channel<kUsualParameters>& channel, int64_t c, int64_t group,
                                          int64_t quad, int64_t i, bool present, int lane, int64_t unit,
                                          ChannelSums<kUsualParameters>* sums, DeviceReport* report) {
  const int64_t first = 4 * quad - layout.skip;
  // Rows `low` to `low + count - 1` of the four are rows of x.
  const int low = first < 0 ? static_cast<int>(-first) : 0;
  const int high = args.N - first < 4 ? static_cast<int>(args.N - first) : 4;
  const unsigned count = present && high > low ? static_cast<unsigned>(high - low) : 0u;
  int64_t at = (first * args.C + c) * args.I + i;
  float next = low == 0 && count > 0 ? load_x(args, at) : 0.0f;
  float noise[4] = {0, 0, 0, 0};
  if (args.quantize == BINCE_QUANTIZE_NOISE)
    noise_of_four_rows(args.seed, (args.first_row >> 2) + static_cast<uint64_t>(quad),
                       static_cast<uint32_t>(c * args.I + i), noise);
  float total = 0;
#pragma unroll 1
  for (int r = -low; r < 4 - low; ++r, at += layout.stride) {
    const float x = next;
    // The next row's x is on its way while this one is worked on.
    if (static_cast<unsigned>(r + 1) < count) next = load_x(args, at + layout.stride);
    const int64_t n = first + low + r;
    float bits = 0;
    if (static_cast<unsigned>(r) < count)
      bits = run_element<kBackward>(args, layout, channel, at, n, c, x, noise[0], sums, report);
    if (layout.row_bits) store_row_bits<kInner>(args, layout, bits, n, group, quad, lane, unit);
    total += bits;
    noise[0] = noise[1], noise[1] = noise[2], noise[2] = noise[3];
  }
  return total;
}

// Leaves the gradients of a slice in partial [slice][P + 2][C].
template <bool kInner>
__device__ __forceinline__ void store_sums(const FactorizedArgs& args, const FactorizedLayout& layout,
                                           const ChannelSums<kUsualParameters>& sums, int64_t slice,
                                           int64_t c, bool present, int lane) {
  constexpr int kRows = kUsualParameters + 2;
  float* partial = layout.partial + slice * kRows * args.C + c;
  if (!kInner) {
    if (!present) return;
#pragma unroll
    for (int p = 0; p < kUsualParameters; ++p) partial[p * args.C] = sums.d[p];
    partial[kUsualParameters * args.C] = sums.dlog_gain;
    partial[(kUsualParameters + 1) * args.C] = sums.dvalue;
    return;
  }
  float first = 0, second = 0;  // of rows `lane` and `lane + 32`
#pragma unroll
  for (int p = 0; p < kRows; ++p) {
    const float mine = p < kUsualParameters    ? sums.d[p < kUsualParameters ? p : 0]
                       : p == kUsualParameters ? sums.dlog_gain
                                               : sums.dvalue;
    const float sum = warp_sum(mine);
    if (lane == p) first = sum;
    if (lane + 32 == p) second = sum;
  }
  partial[lane * args.C] = first;
  if (lane + 32 < kRows) partial[(lane + 32) * args.C] = second;
}

// Grid: ceil(slices * groups / kWarps) blocks of kWarps warps; a warp is one slice of one group.
template <bool kBackward, bool kInner, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    factorized_kernel(const FactorizedArgs args, const FactorizedLayout layout, DeviceReport* report) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (warp >= layout.slices * layout.groups) return;  // a whole warp, and there are no barriers
  const int64_t slice = warp / layout.groups, group = warp - slice * layout.groups;
  const int64_t c = kInner ? group : group * 32 + lane;
  const bool channel_exists = c < args.C;
  Channel<kUsualParameters> channel;
  ChannelSums<kUsualParameters> sums;
#pragma unroll
  for (int p = 0; p < kUsualParameters; ++p) {
    channel.p[p] = channel_exists ? layout.effective[p * args.C + c] : 0.0f;
    sums.d[p] = 0;
  }
  sums.dlog_gain = sums.dvalue = 0;
  channel.gain = channel_exists ? layout.gains[c] : 1.0f;
  channel.shift = channel_exists && args.shift ? args.shift[c] : 0.0f;
  channel.median = channel_exists && args.medians ? args.medians[c] : 0.0f;

  const int64_t begin = slice * layout.slice;
  const int64_t end = begin + layout.slice < layout.units ? begin + layout.slice : layout.units;
  double bits = 0;
  if (!kInner) {
    for (int64_t quad = begin; quad < end; ++quad)
      bits += static_cast<double>(run_unit<kBackward, kInner>(args, layout, channel, c, group, quad, 0,
                                                              channel_exists, lane, quad, &sums, report));
  } else {
    int64_t quad = (begin + lane) / args.I, i = begin + lane - quad * args.I;
    const int64_t quad_step = 32 / args.I, i_step = 32 - quad_step * args.I;
    for (int64_t unit = begin; unit < end; unit += 32) {  // the same count for every lane
      bits += static_cast<double>(run_unit<kBackward, kInner>(
          args, layout, channel, c, group, quad, i, unit + lane < end, lane, unit + lane, &sums, report));
      quad += quad_step, i += i_step;
      if (i >= args.I) i -= args.I, ++quad;
    }
  }
  bits = warp_sum(bits);
  if (lane == 0) layout.bits[warp] = bits;
  if (kBackward) store_sums<kInner>(args, layout, sums, slice, c, channel_exists, lane);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_KERNEL_CUH_
