#include "native/tensor/lanes_avx2.h"

#include "native/tensor/optimizer_lanes.h"

namespace bince {

void fill_optimizer_avx2(TensorOps* ops) {
  fill_optimizer<TensorAvx2>(ops);
}

}  // namespace bince
