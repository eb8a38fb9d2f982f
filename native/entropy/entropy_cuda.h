// The CUDA slots of the entropy family, and what they share on the host's side.
#ifndef BINCE_ENTROPY_ENTROPY_CUDA_H_
#define BINCE_ENTROPY_ENTROPY_CUDA_H_

#include "native/entropy/entropy_ops.h"

namespace bince {

size_t factorized_workspace_cuda(const FactorizedArgs& args, bool backward);
Outcome factorized_forward_cuda(const FactorizedArgs& args, const Run& run);
Outcome factorized_backward_cuda(const FactorizedArgs& args, const Run& run);
size_t gaussian_workspace_cuda(const GaussianArgs& args);
Outcome gaussian_cuda(const GaussianArgs& args, const Run& run);
Outcome quantiles_cuda(const QuantilesArgs& args, const Run& run);

// Queue the sums of bits_kernels.cuh; nothing where the result is null.
bince_status sum_bits(const double* partial, int64_t count, double* total, const Run& run);
bince_status sum_rows(const float* partial, int64_t groups, int64_t N, float* rows, const Run& run);

}  // namespace bince

#endif  // BINCE_ENTROPY_ENTROPY_CUDA_H_
