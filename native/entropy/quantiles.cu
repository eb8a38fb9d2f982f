// Launch of the quantile solve.
#include "native/cuda/device_runtime.h"
#include "native/entropy/entropy_cuda.h"
#include "native/entropy/quantiles_kernel.cuh"

namespace bince {
namespace {

bince_status launch_quantiles(const QuantilesArgs& args, const Run& run) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  const size_t shared = sizeof(double) * static_cast<size_t>(args.widths.parameters);  // at most 16 KB
  BINCE_LAUNCH(quantiles_kernel, static_cast<unsigned>(args.C), 32, shared, run.stream, args, run.report);
  return launch_status("quantiles_kernel");
}

}  // namespace

Outcome quantiles_cuda(const QuantilesArgs& args, const Run& run) {
  if (cancelled(run)) return Outcome::kCancelled;
  return launch_quantiles(args, run) == BINCE_OK ? Outcome::kDone : Outcome::kFailed;
}

}  // namespace bince
