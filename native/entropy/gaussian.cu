// The Gaussian conditional on CUDA: layout of the work, launches.
#include "native/core/workspace.h"
#include "native/cuda/device_runtime.h"
#include "native/entropy/entropy_cuda.h"
#include "native/entropy/gaussian_kernel.cuh"

namespace bince {
namespace {

constexpr int kWarps = 4;
constexpr int64_t kTasks = 16384;  // warps wanted, whatever the device

size_t lay_out(const GaussianArgs& args, char* base, GaussianLayout* layout) {
  *layout = {};
  layout->floor = static_cast<float>(args.floor);
  layout->scale_bound = static_cast<float>(args.scale_bound);
  layout->dbits = static_cast<float>(args.dbits);
  layout->skip = static_cast<int>(args.first_row % 4);
  layout->quads = args.N > 0 ? (args.N + layout->skip + 3) / 4 : 0;
  layout->groups = (args.J + 31) / 32;
  const int64_t wanted = layout->groups > 0 && layout->groups < kTasks ? kTasks / layout->groups : 1;
  layout->slice = layout->quads > wanted ? (layout->quads + wanted - 1) / wanted : 1;
  layout->slices = layout->groups > 0 ? (layout->quads + layout->slice - 1) / layout->slice : 0;
  Workspace workspace = {base, 0};
  layout->bits = static_cast<double*>(
      carve_bytes(&workspace, static_cast<size_t>(layout->slices * layout->groups), sizeof(double)));
  if (args.bits_per_row)
    layout->row_bits = static_cast<float*>(
        carve_bytes(&workspace, static_cast<size_t>(args.N * layout->groups), sizeof(float)));
  return workspace.used;
}

bince_status launch_all(const GaussianArgs& args, const Run& run) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  GaussianLayout layout;
  lay_out(args, run.workspace, &layout);
  const int64_t warps = layout.slices * layout.groups;
  const unsigned grid = static_cast<unsigned>((warps + kWarps - 1) / kWarps);
  if (warps > 0) {
    if (args.dy || args.dmean || args.dscale)
      BINCE_LAUNCH((gaussian_kernel<true, kWarps>), grid, 32 * kWarps, 0, run.stream, args, layout,
                   run.report);
    else
      BINCE_LAUNCH((gaussian_kernel<false, kWarps>), grid, 32 * kWarps, 0, run.stream, args, layout,
                   run.report);
    BINCE_RETURN_IF_ERROR(launch_status("gaussian_kernel"));
  }
  BINCE_RETURN_IF_ERROR(sum_bits(layout.bits, warps, args.bits, run));
  return sum_rows(layout.row_bits, layout.groups, args.N, args.bits_per_row, run);
}

}  // namespace

size_t gaussian_workspace_cuda(const GaussianArgs& args) {
  GaussianLayout layout;
  return lay_out(args, nullptr, &layout);
}

Outcome gaussian_cuda(const GaussianArgs& args, const Run& run) {
  if (cancelled(run)) return Outcome::kCancelled;
  return launch_all(args, run) == BINCE_OK ? Outcome::kDone : Outcome::kFailed;
}

}  // namespace bince
