// The tensor family's table of every backend.
#include "native/tensor/column_blocks.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

const TensorOps* tensor_ops(Backend backend) {
  struct Tables {
    TensorOps ops[kBackends] = {};
    Tables() {
      fill_elementwise_ref(&ops[0]);
      fill_broadcast_ref(&ops[0]);
      fill_reduce_ref(&ops[0]);
      fill_gather_ref(&ops[0]);
      fill_random_ref(&ops[0]);
      fill_softmax_ref(&ops[0]);
      fill_normalization_ref(&ops[0]);
      fill_pool_ref(&ops[0]);
      fill_upsample_ref(&ops[0]);
      fill_optimizer_ref(&ops[0]);
      ops[1] = ops[2] = ops[0];
    }
  };
  static const Tables tables;
  return &tables.ops[static_cast<int>(backend)];
}

size_t column_workspace(int64_t rows, int64_t columns) {
  return column_partials_bytes(rows, columns);
}

}  // namespace bince
