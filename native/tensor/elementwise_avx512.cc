#include "native/tensor/lanes_avx512.h"

#include "native/tensor/elementwise_lanes.h"

namespace bince {

void fill_elementwise_avx512(TensorOps* ops) {
  fill_elementwise<TensorAvx512>(ops);
}

}  // namespace bince
