#include "native/tensor/lanes_avx2.h"

#include "native/tensor/elementwise_lanes.h"

namespace bince {

void fill_elementwise_avx2(TensorOps* ops) {
  fill_elementwise<TensorAvx2>(ops);
}

}  // namespace bince
