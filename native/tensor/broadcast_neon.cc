#include "native/tensor/lanes_neon.h"

#include "native/tensor/broadcast_lanes.h"

namespace bince {

void fill_broadcast_neon(TensorOps* ops) {
  fill_broadcast<TensorNeon>(ops);
}

}  // namespace bince
