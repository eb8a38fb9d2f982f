#include "native/tensor/lanes_avx512.h"

#include "native/tensor/softmax_lanes.h"

namespace bince {

void fill_softmax_avx512(TensorOps* ops) {
  fill_softmax<TensorAvx512>(ops);
}

}  // namespace bince
