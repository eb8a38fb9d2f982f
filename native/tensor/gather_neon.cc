#include "native/tensor/lanes_neon.h"

#include "native/tensor/gather_lanes.h"

namespace bince {

void fill_gather_neon(TensorOps* ops) {
  fill_gather<TensorNeon>(ops);
}

}  // namespace bince
