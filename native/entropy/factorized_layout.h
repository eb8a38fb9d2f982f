// How the factorised model's work is cut on CUDA, and where its partial results lie.
#ifndef BINCE_ENTROPY_FACTORIZED_LAYOUT_H_
#define BINCE_ENTROPY_FACTORIZED_LAYOUT_H_

#include "native/core/workspace.h"
#include "native/entropy/entropy_ops.h"

namespace bince {

// See factorized_kernel.cuh for units, groups and slices.  Everything follows from the shape alone, so that
// results do not depend on the device.
struct FactorizedLayout {
  int64_t stride;        // of rows: C * I
  float floor, dbits;    // the arguments' as float32
  int skip;              // rows of the first quad that lie before x: first_row mod 4
  int64_t quads;         // of rows, the first and the last perhaps in part
  int64_t groups;        // warps side by side: groups of 32 channels; inner layout: channels
  int64_t units, slice;  // of a channel; of a slice: quads, or quads * I
  int64_t slices;
  int64_t pieces;         // places for a row's bits
  int64_t column_pieces;  // inner layout: of one channel
  float* gains;           // [C] e^log_gain
  float* effective;       // [P][C] softplus(H), b, tanh(a)
  float* chain;           // [P][C] their derivatives
  float* partial;         // [slices][P + 2][C] gradients; then of log-gain, then of y
  double* bits;           // [slices][groups]
  float* row_bits;        // [N][pieces], where bits_per_row is asked for
};

struct FactorizedTuning {
  int64_t warps = 4096;       // wanted, several for every place that a large device has
  int64_t least_quads = 4;    // of a slice, so that fetching 58 parameters is worth it
  int64_t least_units = 128;  // the same in the inner layout, for a warp; a multiple of 32
};

// Whether lanes lie along I.
inline bool runs_along_inner(const FactorizedArgs& args) {
  return args.I > 1 && is_default(args.widths);
}

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The pieces are carved from `base`, which may be null; returns the bytes.
inline size_t lay_out_factorized(const FactorizedArgs& args, bool backward, const FactorizedTuning& tuning,
                                 char* base, FactorizedLayout* layout) {
  *layout = {};
  layout->stride = args.C * args.I;
  layout->floor = static_cast<float>(args.floor);
  layout->dbits = static_cast<float>(args.dbits);
  layout->skip = static_cast<int>(args.first_row % 4);
  layout->quads = args.N > 0 ? divide_up(args.N + layout->skip, 4) : 0;
  const bool inner = runs_along_inner(args);
  layout->units = inner ? layout->quads * args.I : layout->quads;
  layout->groups = inner ? args.C : divide_up(args.C, 32);
  const int64_t wanted = layout->groups < tuning.warps ? tuning.warps / layout->groups : 1;
  const int64_t even = divide_up(layout->units, wanted);
  if (inner) {
    layout->slice = even < tuning.least_units ? tuning.least_units : divide_up(even, 32) * 32;
    // Of 32 units each, which need not begin where a quad's columns do.
    layout->column_pieces = args.I % 32 == 0 ? args.I / 32 : 32 % args.I == 0 ? 1 : (args.I + 30) / 32 + 1;
    layout->pieces = layout->groups * layout->column_pieces;
  } else {
    layout->slice = even < tuning.least_quads ? tuning.least_quads : even;
    layout->pieces = layout->groups;
  }
  layout->slices = divide_up(layout->units, layout->slice);

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

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_LAYOUT_H_
