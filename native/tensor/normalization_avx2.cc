#include "native/tensor/lanes_avx2.h"

#include "native/tensor/normalization_lanes.h"

namespace bince {

void fill_normalization_avx2(TensorOps* ops) {
  fill_normalization<TensorAvx2>(ops);
}

}  // namespace bince
