// The entropy family's slots for NEON.
#include "native/entropy/factorized_lanes.h"
#include "native/entropy/gaussian_lanes.h"
#include "native/entropy/lanes_neon.h"

namespace bince {

EntropyOps entropy_neon() {
  EntropyOps ops = {};
  ops.factorized_workspace = factorized_workspace_lanes<LanesNeon>;
  ops.factorized_forward = factorized_forward_lanes<LanesNeon>;
  ops.factorized_backward = factorized_backward_lanes<LanesNeon>;
  ops.gaussian_workspace = gaussian_workspace_lanes<LanesNeon>;
  ops.gaussian = gaussian_lanes<LanesNeon>;
  ops.uniform_noise = fill_noise<LanesNeon>;
  return ops;
}

}  // namespace bince
