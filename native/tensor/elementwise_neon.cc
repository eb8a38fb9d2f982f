#include "native/tensor/lanes_neon.h"

#include "native/tensor/elementwise_lanes.h"

namespace bince {

void fill_elementwise_neon(TensorOps* ops) {
  fill_elementwise<TensorNeon>(ops);
}

}  // namespace bince
