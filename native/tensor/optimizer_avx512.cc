#include "native/tensor/lanes_avx512.h"

#include "native/tensor/optimizer_lanes.h"

namespace bince {

void fill_optimizer_avx512(TensorOps* ops) {
  fill_optimizer<TensorAvx512>(ops);
}

}  // namespace bince
