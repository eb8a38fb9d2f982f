#include "native/tensor/lanes_avx512.h"

#include "native/tensor/upsample_lanes.h"

namespace bince {

void fill_upsample_avx512(TensorOps* ops) {
  fill_upsample<TensorAvx512>(ops);
}

}  // namespace bince
