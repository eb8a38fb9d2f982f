// Before and after the elements: parameters through softplus and tanh, and the gradients back through them.
#ifndef BINCE_ENTROPY_FACTORIZED_PARAMETERS_CUH_
#define BINCE_ENTROPY_FACTORIZED_PARAMETERS_CUH_

#include "native/entropy/factorized_kernel.cuh"

namespace bince {

enum class ParameterKind { kMatrix, kBias, kFactor };

BINCE_INLINE ParameterKind parameter_kind(const Widths& w, int p) {
  int k = 0;
  while (k + 1 < w.layers && p >= w.matrix[k + 1]) ++k;
  return p < bias_index(w, k)     ? ParameterKind::kMatrix
         : p < factor_index(w, k) ? ParameterKind::kBias
                                  : ParameterKind::kFactor;
}

// effective and chain [P][C], gains [C]; looks at the values of everything but x and dlikelihood.  A thread a
// parameter; chain may be null.
template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    prepare_parameters_kernel(const FactorizedArgs args, const FactorizedLayout layout,
                              DeviceReport* report) {
  using L = LanesCuda;
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (int64_t n = at; args.dbits_per_row && n < args.N; n += int64_t{gridDim.x} * kThreads)
    if (!is_finite(args.dbits_per_row[n])) note_offence(report, Offence::kBitsCotangent, n);
  if (at >= args.widths.parameters * args.C) return;
  const int64_t p = at / args.C, c = at - p * args.C;
  const float raw = args.params[at];
  if (!is_finite(raw)) note_offence(report, Offence::kParameters, c);
  float value = raw, slope = 1;
  const ParameterKind kind = parameter_kind(args.widths, static_cast<int>(p));
  if (kind == ParameterKind::kMatrix) {
    value = lane_softplus<L>(raw);
    slope = lane_sigmoid<L>(raw);
  } else if (kind == ParameterKind::kFactor) {
    value = lane_tanh<L>(raw);
    slope = L::fnma(value, value, 1.0f);
  }
  layout.effective[at] = value;
  if (layout.chain) layout.chain[at] = slope;
  if (p > 0) return;
  const float log_gain = args.log_gain ? args.log_gain[c] : 0.0f;
  const float shift = args.shift ? args.shift[c] : 0.0f, median = args.medians ? args.medians[c] : 0.0f;
  if (!is_finite(log_gain) || !is_finite(shift) || !is_finite(median))
    note_offence(report, Offence::kChannelScale, c);
  layout.gains[c] = static_cast<float>(exp(static_cast<double>(log_gain)));
}

// dparams [P][C], dlog_gain and dshift [C]: sums of partial [slices][P + 2][C] in the order of the slices,
// and the chain rule of softplus and tanh.  A thread a sum.
template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    sum_gradients_kernel(const FactorizedArgs args, const FactorizedLayout layout, DeviceReport* report) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t P = args.widths.parameters, rows = (P + 2) * args.C;
  if (at >= rows) return;
  const int64_t p = at / args.C, c = at - p * args.C;
  double sum = 0;
#pragma unroll 8
  for (int64_t slice = 0; slice < layout.slices; ++slice)
    sum += static_cast<double>(layout.partial[slice * rows + at]);
  if (!is_finite(static_cast<float>(sum))) note_offence(report, Offence::kNetwork, c);
  if (p < P) {
    if (args.dparams) args.dparams[at] = static_cast<float>(sum * static_cast<double>(layout.chain[at]));
  } else if (p == P) {
    if (args.dlog_gain) args.dlog_gain[c] = static_cast<float>(sum);
  } else if (args.dshift) {
    args.dshift[c] = static_cast<float>(-sum * static_cast<double>(layout.gains[c]));
  }
}

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_PARAMETERS_CUH_
