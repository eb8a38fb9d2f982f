#include "native/tensor/lanes_avx2.h"

#include "native/tensor/random_lanes.h"

namespace bince {

void fill_random_avx2(TensorOps* ops) {
  fill_random<TensorAvx2>(ops);
}

}  // namespace bince
