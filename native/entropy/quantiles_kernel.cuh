// Quantiles of the factorised model by bisection, in double: a warp is a channel, lanes 0 to 2 solve its
// three quantiles, its parameters lie in shared memory.  Latency is all there is: some 60 evaluations of a
// network of 5 layers one after the other, for all channels at once.
#ifndef BINCE_ENTROPY_QUANTILES_KERNEL_CUH_
#define BINCE_ENTROPY_QUANTILES_KERNEL_CUH_

#include "native/cuda/report.cuh"
#include "native/entropy/bisection.h"
#include "native/entropy/entropy_ops.h"
#include "native/entropy/factorized_parameters.cuh"

namespace bince {

// F in double, `effective` [P] already through softplus and tanh.
struct DoubleNetwork {
  const Widths* widths;
  const double* effective;

  __host__ __device__ double logit(double value) const {
    const Widths& w = *widths;
    double input[kMaxHiddenWidth] = {value}, output[kMaxHiddenWidth];
    for (int k = 0;; ++k) {
      const int in = w.width[k], out = w.width[k + 1];
      const double* matrix = effective + w.matrix[k];
      const double* bias = effective + bias_index(w, k);
      const double* factor = effective + factor_index(w, k);
      for (int i = 0; i < out; ++i) {
        double h = bias[i];
        for (int j = 0; j < in; ++j) h += matrix[i * in + j] * input[j];
        if (k + 1 == w.layers) return h;
        output[i] = h + factor[i] * tanh(h);
      }
      for (int i = 0; i < out; ++i) input[i] = output[i];
    }
  }
};

// Grid C, block 32, shared P doubles.
__global__ void __launch_bounds__(32) quantiles_kernel(const QuantilesArgs args, DeviceReport* report) {
  BINCE_DYNAMIC_SHARED(double, effective);
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t c = blockIdx.x;
  for (int p = lane; p < args.widths.parameters; p += 32) {
    const float raw = args.params[p * args.C + c];
    if (!is_finite(raw)) note_offence(report, Offence::kParameters, c);
    const ParameterKind kind = parameter_kind(args.widths, p);
    const double value = static_cast<double>(raw);
    effective[p] = kind == ParameterKind::kMatrix   ? fmax(value, 0.0) + log1p(exp(-fabs(value)))
                   : kind == ParameterKind::kFactor ? tanh(value)
                                                    : value;
  }
  __syncwarp();  // the parameters are written
  int unsolved = 0;
  if (lane < 3) {
    bool solved = true;
    const DoubleNetwork network = {&args.widths, effective};
    args.quantiles[c * 3 + lane] = static_cast<float>(bisect(network, (lane - 1) * args.target, &solved));
    unsolved = !solved;
  }
  const unsigned which = __ballot_sync(kAllLanes, unsolved);
  if (args.unsolved && lane == 0) args.unsolved[c] = __popc(which);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_QUANTILES_KERNEL_CUH_
