#include "native/tensor/lanes_avx2.h"

#include "native/tensor/pool_lanes.h"

namespace bince {

void fill_pool_avx2(TensorOps* ops) {
  fill_pool<TensorAvx2>(ops);
}

}  // namespace bince
