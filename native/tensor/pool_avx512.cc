#include "native/tensor/lanes_avx512.h"

#include "native/tensor/pool_lanes.h"

namespace bince {

void fill_pool_avx512(TensorOps* ops) {
  fill_pool<TensorAvx512>(ops);
}

}  // namespace bince
