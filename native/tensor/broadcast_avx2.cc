#include "native/tensor/lanes_avx2.h"

#include "native/tensor/broadcast_lanes.h"

namespace bince {

void fill_broadcast_avx2(TensorOps* ops) {
  fill_broadcast<TensorAvx2>(ops);
}

}  // namespace bince
