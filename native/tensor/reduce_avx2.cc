#include "native/tensor/lanes_avx2.h"

#include "native/tensor/reduce_lanes.h"

namespace bince {

void fill_reduce_avx2(TensorOps* ops) {
  fill_reduce<TensorAvx2>(ops);
}

}  // namespace bince
