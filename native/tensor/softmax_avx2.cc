#include "native/tensor/lanes_avx2.h"

#include "native/tensor/softmax_lanes.h"

namespace bince {

void fill_softmax_avx2(TensorOps* ops) {
  fill_softmax<TensorAvx2>(ops);
}

}  // namespace bince
