#include "native/tensor/lanes_neon.h"

#include "native/tensor/pool_lanes.h"

namespace bince {

void fill_pool_neon(TensorOps* ops) {
  fill_pool<TensorNeon>(ops);
}

}  // namespace bince
