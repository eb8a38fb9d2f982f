#include "native/tensor/lanes_avx2.h"

#include "native/tensor/upsample_lanes.h"

namespace bince {

void fill_upsample_avx2(TensorOps* ops) {
  fill_upsample<TensorAvx2>(ops);
}

}  // namespace bince
