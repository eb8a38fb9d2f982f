#include "native/tensor/lanes_neon.h"

#include "native/tensor/random_lanes.h"

namespace bince {

void fill_random_neon(TensorOps* ops) {
  fill_random<TensorNeon>(ops);
}

}  // namespace bince
