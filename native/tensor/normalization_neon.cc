#include "native/tensor/lanes_neon.h"

#include "native/tensor/normalization_lanes.h"

namespace bince {

void fill_normalization_neon(TensorOps* ops) {
  fill_normalization<TensorNeon>(ops);
}

}  // namespace bince
