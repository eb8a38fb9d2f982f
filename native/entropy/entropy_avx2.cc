// The entropy family's slots for AVX2 with FMA.
#include "native/entropy/factorized_lanes.h"
#include "native/entropy/gaussian_lanes.h"
#include "native/entropy/lanes_avx2.h"

namespace bince {

EntropyOps entropy_avx2() {
  EntropyOps ops = {};
  ops.factorized_workspace = factorized_workspace_lanes<LanesAvx2>;
  ops.factorized_forward = factorized_forward_lanes<LanesAvx2>;
  ops.factorized_backward = factorized_backward_lanes<LanesAvx2>;
  ops.gaussian_workspace = gaussian_workspace_lanes<LanesAvx2>;
  ops.gaussian = gaussian_lanes<LanesAvx2>;
  ops.uniform_noise = fill_noise<LanesAvx2>;
  return ops;
}

}  // namespace bince
