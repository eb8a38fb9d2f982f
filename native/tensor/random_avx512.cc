#include "native/tensor/lanes_avx512.h"

#include "native/tensor/random_lanes.h"

namespace bince {

void fill_random_avx512(TensorOps* ops) {
  fill_random<TensorAvx512>(ops);
}

}  // namespace bince
