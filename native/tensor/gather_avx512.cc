#include "native/tensor/lanes_avx512.h"

#include "native/tensor/gather_lanes.h"

namespace bince {

void fill_gather_avx512(TensorOps* ops) {
  fill_gather<TensorAvx512>(ops);
}

}  // namespace bince
