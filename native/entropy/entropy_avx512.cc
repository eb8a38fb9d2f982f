// The entropy family's slots for AVX-512.
#include "native/entropy/lanes_avx512.h"

#include "native/entropy/factorized_lanes.h"
#include "native/entropy/gaussian_lanes.h"

namespace bince {

EntropyOps entropy_avx512() {
  EntropyOps ops = {};
  ops.factorized_workspace = factorized_workspace_lanes<LanesAvx512>;
  ops.factorized_forward = factorized_forward_lanes<LanesAvx512>;
  ops.factorized_backward = factorized_backward_lanes<LanesAvx512>;
  ops.gaussian_workspace = gaussian_workspace_lanes<LanesAvx512>;
  ops.gaussian = gaussian_lanes<LanesAvx512>;
  ops.uniform_noise = fill_noise<LanesAvx512>;
  return ops;
}

}  // namespace bince
