#include "native/tensor/lanes_neon.h"

#include "native/tensor/reduce_lanes.h"

namespace bince {

void fill_reduce_neon(TensorOps* ops) {
  fill_reduce<TensorNeon>(ops);
}

}  // namespace bince
