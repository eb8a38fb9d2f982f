#include "native/tensor/lanes_neon.h"

#include "native/tensor/upsample_lanes.h"

namespace bince {

void fill_upsample_neon(TensorOps* ops) {
  fill_upsample<TensorNeon>(ops);
}

}  // namespace bince
