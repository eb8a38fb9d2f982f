#include "native/tensor/lanes_avx512.h"

#include "native/tensor/broadcast_lanes.h"

namespace bince {

void fill_broadcast_avx512(TensorOps* ops) {
  fill_broadcast<TensorAvx512>(ops);
}

}  // namespace bince
