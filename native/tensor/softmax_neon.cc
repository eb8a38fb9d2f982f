#include "native/tensor/lanes_neon.h"

#include "native/tensor/softmax_lanes.h"

namespace bince {

void fill_softmax_neon(TensorOps* ops) {
  fill_softmax<TensorNeon>(ops);
}

}  // namespace bince
