#include "native/tensor/lanes_avx2.h"

#include "native/tensor/gather_lanes.h"

namespace bince {

void fill_gather_avx2(TensorOps* ops) {
  fill_gather<TensorAvx2>(ops);
}

}  // namespace bince
