// The factorised model on CUDA: layout of the work, launches.
#include "native/core/workspace.h"
#include "native/cuda/device_runtime.h"
#include "native/entropy/entropy_cuda.h"
#include "native/entropy/factorized_general.cuh"
#include "native/entropy/factorized_parameters.cuh"

namespace bince {
namespace {

constexpr int kWarps = 4;             // of a block of elements
constexpr int kThreads = 256;         // of a block that prepares or adds up
constexpr int64_t kTasks = 4096;      // warps wanted, whatever the device
constexpr int64_t kLeastQuads = 4;    // of a slice, so that its 58 parameters and gradients are worth it
constexpr int64_t kLeastUnits = 128;  // the same of the inner layout, for a warp

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

bool is_inner(const FactorizedArgs& args) {
  return args.I > 1 && is_default(args.widths);
}

// Everything but the pointers.
FactorizedLayout shape_of(const FactorizedArgs& args) {
  FactorizedLayout layout = {};
  layout.skip = static_cast<int>(args.first_row % 4);
  layout.quads = args.N > 0 ? divide_up(args.N + layout.skip, 4) : 0;
  const bool inner = is_inner(args);
  layout.units = inner ? layout.quads * args.I : layout.quads;
  layout.groups = inner ? args.C : divide_up(args.C, 32);
  const int64_t wanted = layout.groups < kTasks ? kTasks / layout.groups : 1;
  const int64_t even = divide_up(layout.units, wanted);
  if (inner) {
    layout.slice = even < kLeastUnits ? kLeastUnits : divide_up(even, 32) * 32;
    layout.column_pieces = args.I % 32 == 0 ? args.I / 32 : 32 % args.I == 0 ? 1 : (args.I + 30) / 32 + 1;
    layout.pieces = layout.groups * layout.column_pieces;
  } else {
    layout.slice = even < kLeastQuads ? kLeastQuads : even;
    layout.pieces = layout.groups;
  }
  layout.slices = divide_up(layout.units, layout.slice);
  return layout;
}

size_t lay_out(const FactorizedArgs& args, bool backward, char* base, FactorizedLayout* layout) {
  *layout = shape_of(args);
  const size_t C = static_cast<size_t>(args.C), P = static_cast<size_t>(args.widths.parameters);
  const size_t slices = static_cast<size_t>(layout->slices);
  Workspace workspace = {base, 0};
  const auto floats = [&](size_t count) {
    return static_cast<float*>(carve_bytes(&workspace, count, sizeof(float)));
  };
  layout->gains = floats(C);
  layout->effective = floats(P * C);
  if (backward) {
    layout->chain = floats(P * C);
    layout->partial = floats(slices * (P + 2) * C);
  }
  layout->bits = static_cast<double*>(
      carve_bytes(&workspace, slices * static_cast<size_t>(layout->groups), sizeof(double)));
  if (args.bits_per_row)
    layout->row_bits = floats(static_cast<size_t>(args.N) * static_cast<size_t>(layout->pieces));
  return workspace.used;
}

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
  if (is_inner(args))
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
  lay_out(args, backward, run.workspace, &layout);
  BINCE_LAUNCH((prepare_parameters_kernel<kThreads>), blocks(args.widths.parameters * args.C, kThreads),
               kThreads, 0, run.stream, args, layout, run.report);
  BINCE_RETURN_IF_ERROR(launch_status("prepare_parameters_kernel"));
  // Columns of a quad may touch fewer pieces than there are places.
  if (layout.row_bits && is_inner(args))
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
  return lay_out(args, backward, nullptr, &layout);
}
Outcome factorized_forward_cuda(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, false);
}
Outcome factorized_backward_cuda(const FactorizedArgs& args, const Run& run) {
  return run_all(args, run, true);
}

}  // namespace bince
