// The Gaussian conditional: a thread holds one column and runs through the rows of a slice, four at a time
// (they share a Philox block); neighbouring lanes are neighbouring columns.  Limited by memory: up to 12
// bytes are read and 20 written an element, for some 170 instructions both ways.
#ifndef BINCE_ENTROPY_GAUSSIAN_KERNEL_CUH_
#define BINCE_ENTROPY_GAUSSIAN_KERNEL_CUH_

#include "native/cuda/report.cuh"
#include "native/entropy/bits_kernels.cuh"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/gaussian_element.h"
#include "native/entropy/lanes_cuda.cuh"
#include "native/entropy/philox.h"

namespace bince {

struct GaussianLayout {
  float floor, scale_bound, dbits;  // the arguments' as float32
  int skip;                         // rows of the first quad that lie before y: first_row mod 4
  int64_t quads;                    // of rows
  int64_t groups;                   // of 32 columns
  int64_t slice, slices;            // quads of a slice; slices
  double* bits;                     // [slices][groups]
  float* row_bits;                  // [N][groups], where bits_per_row is asked for
};

// Element y[at] of row n, with its inputs; returns its bits.
template <bool kBackward>
__device__ __forceinline__ float run_gaussian_element(const GaussianArgs& args, const GaussianLayout& layout,
                                                      int64_t at, int64_t n, float y, float mean, float scale,
                                                      float noise, float dbits, DeviceReport* report) {
  using L = LanesCuda;
  const float floor = layout.floor, bound = layout.scale_bound;
  float value = y;
  if (args.quantize == BINCE_QUANTIZE_NOISE) value = y + noise;
  if (args.quantize == BINCE_QUANTIZE_ROUND) value = rintf(y - mean) + mean;
  const float distance = value - mean;
  if (!is_finite(mean)) note_offence(report, Offence::kGaussianMean, n);
  if (!is_finite(scale)) note_offence(report, Offence::kGaussianScale, n);
  if (!is_finite(distance) && is_finite(mean)) note_offence(report, Offence::kGaussianValue, n);
  const GaussianElement<L> of = gaussian_forward<L>(distance, scale, bound, floor);
  if (args.likelihood) args.likelihood[at] = of.floored;
  if (args.values) args.values[at] = value;
  if (!kBackward) return of.bits;
  const float dlikelihood = args.dlikelihood ? args.dlikelihood[at] : 0.0f;
  if (!is_finite(dlikelihood)) note_offence(report, Offence::kLikelihoodCotangent, n);
  float ddistance, dscale;
  const float gradient = likelihood_cotangent<L>(of.raw, of.floored, floor, dbits, dlikelihood);
  gaussian_backward<L>(of, bound, gradient, &ddistance, &dscale);
  if (args.dy) args.dy[at] = ddistance;
  if (args.dmean) args.dmean[at] = -ddistance;
  if (args.dscale) args.dscale[at] = dscale;
  return of.bits;
}

// The four rows of a quad at column j; returns their bits.  All lanes take part.
template <bool kBackward>
__device__ __forceinline__ float run_gaussian_quad(const GaussianArgs& args, const GaussianLayout& layout,
                                                   int64_t quad, int64_t group, int lane,
                                                   DeviceReport* report) {
  const int64_t first = 4 * quad - layout.skip, j = group * 32 + lane;
  float y[4] = {0, 0, 0, 0}, mean[4] = {0, 0, 0, 0}, scale[4] = {1, 1, 1, 1}, noise[4] = {0, 0, 0, 0};
  bool present[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) {  // all loads first: they are what takes time
    present[r] = j < args.J && first + r >= 0 && first + r < args.N;
    const int64_t at = (first + r) * args.J + j;
    if (!present[r]) continue;
    y[r] = args.y[at];
    if (args.mean) mean[r] = args.mean[at];
    scale[r] = args.scale[at];
  }
  if (args.quantize == BINCE_QUANTIZE_NOISE)
    noise_of_four_rows(args.seed, args.first_row / 4 + static_cast<uint64_t>(quad), static_cast<uint32_t>(j),
                       noise);
  float total = 0;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int64_t n = first + r;
    float bits = 0;
    if (present[r]) {
      const float of_row = kBackward && args.dbits_per_row ? args.dbits_per_row[n] : 0.0f;
      if (!is_finite(of_row)) note_offence(report, Offence::kBitsCotangent, n);
      bits = run_gaussian_element<kBackward>(args, layout, n * args.J + j, n, y[r], mean[r], scale[r],
                                             noise[r], layout.dbits + of_row, report);
    }
    if (layout.row_bits) {
      const float sum = warp_sum(bits);
      if (lane == 0 && n >= 0 && n < args.N) layout.row_bits[n * layout.groups + group] = sum;
    }
    total += bits;
  }
  return total;
}

// Grid: ceil(slices * groups / kWarps) blocks of kWarps warps; a warp is one slice of one group.
template <bool kBackward, int kWarps>
__global__ void __launch_bounds__(32 * kWarps)
    gaussian_kernel(const GaussianArgs args, const GaussianLayout layout, DeviceReport* report) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (warp >= layout.slices * layout.groups) return;  // a whole warp, and there are no barriers
  const int64_t slice = warp / layout.groups, group = warp - slice * layout.groups;
  const int64_t begin = slice * layout.slice;
  const int64_t end = begin + layout.slice < layout.quads ? begin + layout.slice : layout.quads;
  double bits = 0;
  for (int64_t quad = begin; quad < end; ++quad)
    bits += static_cast<double>(run_gaussian_quad<kBackward>(args, layout, quad, group, lane, report));
  bits = warp_sum(bits);
  if (lane == 0) layout.bits[warp] = bits;
}

}  // namespace bince

#endif  // BINCE_ENTROPY_GAUSSIAN_KERNEL_CUH_
