// The factorised model on CUDA: launches.
#include "native/cuda/device_runtime.h"
#include "native/entropy/entropy_cuda.h"
#include "native/entropy/factorized_general.cuh"
#include "native/entropy/factorized_layout.h"
#include "native/entropy/factorized_parameters.cuh"

namespace bince {
namespace {

constexpr int kWarps = 4;      // of a block of elements
constexpr int kThreads = 256;  // of a block that prepares or adds up
unsigned blocks(int64_t count, int per_block) {
  return static_cast<unsigned>(divide_up(count, per_block));
}

template <bool kBackward>
bince_status launch_elements(const FactorizedArgs& args, const FactorizedLayout& layout, const Run& run) {
  const unsigned grid = blocks(layout.slices * layout.groups, kWarps);
  if (!is_default(args.widths)) {
    const size_t shared = 32 * trace_bytes(args.widths);
    const void* kernel = reinterpret_cast<const void*>(&factorized_general_kernel<kBackward, 1>);
    BINCE_RETURN_IF_ERROR(allow_shared(kernel, shared, "factorized_general_kernel"));
    BINCE_LAUNCH((factorized_general_kernel<kBackward, 1>), blocks(layout.slices * layout.groups, 1), 32,
                 shared, run.stream, args, layout, run.report);
    return launch_status("factorized_general_kernel");
  }
  if (runs_along_inner(args))
    BINCE_LAUNCH((factorized_kernel<kBackward, true, kWarps>), grid, 32 * kWarps, 0, run.stream, args, layout,
                 run.report);
  else
    BINCE_LAUNCH((factorized_kernel<kBackward, false, kWarps>), grid, 32 * kWarps, 0, run.stream, args,
                 layout, run.report);
  return launch_status("factorized_kernel");
}

bince_status launch_all(const FactorizedArgs& args, const Run& run, bool backward) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  FactorizedLayout layout;
  lay_out_factorized(args, backward, {}, run.workspace, &layout);
  BINCE_LAUNCH((prepare_parameters_kernel<kThreads>), blocks(args.widths.parameters * args.C, kThreads),
               kThreads, 0, run.stream, args, layout, run.report);
  BINCE_RETURN_IF_ERROR(launch_status("prepare_parameters_kernel"));
  // Columns of a quad may touch fewer pieces than there are places.
  if (layout.row_bits && runs_along_inner(args))
    BINCE_RETURN_IF_ERROR(cuda_status(
        cudaMemsetAsync(layout.row_bits, 0, sizeof(float) * static_cast<size_t>(args.N * layout.pieces),
                        static_cast<cudaStream_t>(run.stream)),
        "cudaMemsetAsync"));
  if (layout.slices > 0)
    BINCE_RETURN_IF_ERROR(backward ? launch_elements<true>(args, layout, run)
                                   : launch_elements<false>(args, layout, run));
  if (backward) {
    BINCE_LAUNCH((sum_gradients_kernel<kThreads>), blocks((args.widths.parameters + 2) * args.C, kThreads),
                 kThreads, 0, run.stream, args, layout, run.report);
    BINCE_RETURN_IF_ERROR(launch_status("sum_gradients_kernel"));
  }
  BINCE_RETURN_IF_ERROR(sum_bits(layout.bits, layout.slices * layout.groups, args.bits, run));
  return sum_rows(layout.row_bits, layout.pieces, args.N, args.bits_per_row, run);
}

Outcome run_all(const FactorizedArgs& args, const Run& run, bool backward) {
  if (cancelled(run)) return Outcome::kCancelled;
  return launch_all(args, run, backward) == BINCE_OK ? Outcome::kDone : Outcome::kFailed;
}

}  // namespace

size_t factorized_workspace_cuda(const FactorizedArgs& args, bool backward) {
  FactorizedLayout layout;
  return lay_out_factorized(args, backward, {}, nullptr, &layout);
}
Outcome factorized_forward_cuda(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, false);
}
Outcome factorized_backward_cuda(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, true);
}

}  // namespace bince
