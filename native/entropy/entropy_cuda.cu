// The entropy family's table for CUDA, and the noise by itself.
#include "native/entropy/entropy_cuda.h"

#include "native/cuda/device_runtime.h"
#include "native/entropy/noise_kernel.cuh"

namespace bince {
namespace {

Outcome uniform_noise_cuda(uint64_t seed, uint64_t first_row, int64_t rows, int64_t columns, float* noise,
                           const Run& run) {
  constexpr int kThreads = 256;
  if (rows == 0 || columns == 0) return Outcome::kDone;
  const DeviceScope scope(run.device);
  if (scope.status() != BINCE_OK) return Outcome::kFailed;
  const int64_t quads = (rows + static_cast<int64_t>(first_row % 4) + 3) / 4;
  const int64_t blocks = (quads * columns + kThreads - 1) / kThreads;
  BINCE_LAUNCH((uniform_noise_kernel<kThreads>), static_cast<unsigned>(blocks), kThreads, 0, run.stream, seed,
               first_row, rows, columns, noise);
  return launch_status("uniform_noise_kernel") == BINCE_OK ? Outcome::kDone : Outcome::kFailed;
}

}  // namespace

const EntropyOps* entropy_ops_cuda() {
  static const EntropyOps ops = {factorized_workspace_cuda,
                                 factorized_forward_cuda,
                                 factorized_backward_cuda,
                                 gaussian_workspace_cuda,
                                 gaussian_cuda,
                                 uniform_noise_cuda,
                                 quantiles_cuda};
  return &ops;
}

}  // namespace bince
