// The factorised model with any widths: a thread is a channel, in either layout.
//
// Parameters are read from memory (L1 serves them: neighbouring threads read neighbouring channels),
// gradients are added in the thread's own column of the workspace, and the trace of the forward pass lies in
// shared memory: with up to 8 layers of 16 nothing fits into registers.
#ifndef BINCE_ENTROPY_FACTORIZED_GENERAL_CUH_
#define BINCE_ENTROPY_FACTORIZED_GENERAL_CUH_

#include "native/entropy/factorized_kernel.cuh"

namespace bince {

// base[i * stride]: a channel's column of [P][C].
template <class T>
struct Column {
  T* base;
  int64_t stride;
  __device__ __forceinline__ T& operator[](int i) const { return base[i * stride]; }
  __device__ __forceinline__ Column operator+(int i) const { return {base + i * stride, stride}; }
};

// [layer][unit][2 points][thread] in shared memory.
struct SharedPoints {
  float* base;
  int threads;
  __device__ __forceinline__ float& operator[](int b) const { return base[b * threads]; }
};
struct SharedUnits {
  float* base;
  int threads;
  __device__ __forceinline__ SharedPoints operator[](int i) const {
    return {base + 2 * i * threads, threads};
  }
};
struct SharedLayers {
  float* base;
  int width, threads;
  __device__ __forceinline__ SharedUnits operator[](int k) const {
    return {base + 2 * k * width * threads, threads};
  }
};
struct SharedTrace {
  SharedLayers t, x;
};

BINCE_INLINE int widest(const Widths& w) {
  int width = 1;
  for (int k = 1; k < w.layers; ++k) width = w.width[k] > width ? w.width[k] : width;
  return width;
}
// Of one thread.
BINCE_INLINE size_t trace_bytes(const Widths& w) {
  return sizeof(float) * 4 * static_cast<size_t>(w.layers - 1) * static_cast<size_t>(widest(w));
}

// Grid: ceil(slices * groups / kWarps) blocks of kWarps warps; a warp is one slice of rows of one group of 32
// channels.  Shared: trace_bytes a thread.
template <bool kBackward, int kWarps>
__global__ void __launch_bounds__(32 * kWarps, 16)
    factorized_general_kernel(const FactorizedArgs args, const FactorizedLayout layout,
                              DeviceReport* report) {
  using L = LanesCuda;
  constexpr int kThreads = 32 * kWarps;
  BINCE_DYNAMIC_SHARED(float, traces);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (warp >= layout.slices * layout.groups) return;  // a whole warp, and there are no barriers
  const int64_t slice = warp / layout.groups, group = warp - slice * layout.groups;
  const int64_t c = group * 32 + lane;
  const bool present = c < args.C;
  const int64_t C = args.C, P = args.widths.parameters, own = present ? c : 0;
  const int width = widest(args.widths), layers = args.widths.layers - 1;
  float* const mine = traces + threadIdx.x;
  const SharedTrace trace = {{mine, width, kThreads},
                             {mine + 2 * layers * width * kThreads, width, kThreads}};
  const Column<const float> p = {layout.effective + own, C};
  const Column<float> d = {kBackward ? layout.partial + slice * (P + 2) * C + own : nullptr, C};
  for (int64_t i = 0; kBackward && present && i < P + 2; ++i) d.base[i * C] = 0;
  const float gain = layout.gains[own], floor = layout.floor;
  const float shift = args.shift ? args.shift[own] : 0.0f, median = args.medians ? args.medians[own] : 0.0f;

  double bits = 0;
  const int64_t begin = 4 * slice * layout.slice - layout.skip;
  for (int64_t n = begin; n < begin + 4 * layout.slice; ++n) {
    if (n < 0 || n >= args.N) continue;  // the same for every lane
    const float dbits = kBackward ? row_cotangent(args, layout, n) : 0.0f;
    double of_row = 0;
    for (int64_t i = 0; present && i < args.I; ++i) {
      const int64_t at = (n * C + c) * args.I + i;
      const float noise = args.quantize == BINCE_QUANTIZE_NOISE
                              ? noise_at(args.seed, args.first_row + static_cast<uint64_t>(n),
                                         static_cast<uint32_t>(c * args.I + i))
                              : 0.0f;
      float y;
      const float v = value_of(args, load_x(args, at), gain, shift, median, noise, &y);
      if (!is_finite(v)) note_offence(report, Offence::kValueNotFinite, n);
      const float held = L::clamp_magnitude(v, kLargestValue);
      const float points[1][2] = {{held - 0.5f, held + 0.5f}};
      float logit[1][2];
      network_forward<L, false, 2>(args.widths, p, points, &trace, logit);
      const Likelihood<L> of = likelihood_of<L>(logit[0][0], logit[0][1], floor);
      if (of.floored != of.floored) note_offence(report, Offence::kNetwork, c);
      if (args.likelihood) args.likelihood[at] = of.floored;
      if (args.values) args.values[at] = v;
      of_row += static_cast<double>(bits_of<L>(of));
      if (!kBackward) continue;
      float dlogit[1][2], dpoints[1][2];
      const float dlikelihood = element_cotangent(args, at, n, report);
      const float gradient = likelihood_cotangent<L>(of.raw, of.floored, floor, dbits, dlikelihood);
      likelihood_backward<L>(of, gradient, &dlogit[0][0], &dlogit[0][1]);
      network_backward<L, false, 2>(args.widths, p, points, trace, dlogit, d, dpoints);
      const float dvalue = dpoints[0][0] + dpoints[0][1];
      if (args.dx) args.dx[at] = dvalue * gain;
      d.base[P * C] = fmaf(dvalue, y, d.base[P * C]);
      d.base[(P + 1) * C] += dvalue;
    }
    bits += of_row;
    if (!layout.row_bits) continue;
    const double sum = warp_sum(of_row);
    if (lane == 0) layout.row_bits[n * layout.pieces + group] = static_cast<float>(sum);
  }
  bits = warp_sum(bits);
  if (lane == 0) layout.bits[warp] = bits;
}

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_GENERAL_CUH_
