#include "native/tensor/lanes_avx512.h"

#include "native/tensor/reduce_lanes.h"

namespace bince {

void fill_reduce_avx512(TensorOps* ops) {
  fill_reduce<TensorAvx512>(ops);
}

}  // namespace bince
