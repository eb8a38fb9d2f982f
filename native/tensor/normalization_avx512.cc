#include "native/tensor/lanes_avx512.h"

#include "native/tensor/normalization_lanes.h"

namespace bince {

void fill_normalization_avx512(TensorOps* ops) {
  fill_normalization<TensorAvx512>(ops);
}

}  // namespace bince
