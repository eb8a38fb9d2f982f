#include "native/tensor/lanes_neon.h"

#include "native/tensor/optimizer_lanes.h"

namespace bince {

void fill_optimizer_neon(TensorOps* ops) {
  fill_optimizer<TensorNeon>(ops);
}

}  // namespace bince
