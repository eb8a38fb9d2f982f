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
      for (int b = 1; b < kBackends; ++b) ops[b] = ops[0];
#if defined(BINCE_X86)
      fill_elementwise_avx2(&ops[1]);
      fill_broadcast_avx2(&ops[1]);
      fill_reduce_avx2(&ops[1]);
      fill_gather_avx2(&ops[1]);
      fill_random_avx2(&ops[1]);
      fill_softmax_avx2(&ops[1]);
      fill_normalization_avx2(&ops[1]);
      fill_pool_avx2(&ops[1]);
      fill_upsample_avx2(&ops[1]);
      fill_optimizer_avx2(&ops[1]);
      ops[2] = ops[1];
      fill_elementwise_avx512(&ops[2]);
      fill_broadcast_avx512(&ops[2]);
      fill_reduce_avx512(&ops[2]);
      fill_gather_avx512(&ops[2]);
      fill_random_avx512(&ops[2]);
      fill_softmax_avx512(&ops[2]);
      fill_normalization_avx512(&ops[2]);
      fill_pool_avx512(&ops[2]);
      fill_upsample_avx512(&ops[2]);
      fill_optimizer_avx512(&ops[2]);
#endif
#if defined(BINCE_ARM64)
      TensorOps* neon = &ops[static_cast<int>(Backend::kNeon)];
      fill_elementwise_neon(neon);
      fill_broadcast_neon(neon);
      fill_reduce_neon(neon);
      fill_gather_neon(neon);
      fill_random_neon(neon);
      fill_softmax_neon(neon);
      fill_normalization_neon(neon);
      fill_pool_neon(neon);
      fill_upsample_neon(neon);
      fill_optimizer_neon(neon);
#endif
    }
  };
  static const Tables tables;
  return &tables.ops[static_cast<int>(backend)];
}

size_t column_workspace(int64_t rows, int64_t columns) {
  return column_partials_bytes(rows, columns);
}

size_t reduce_workspace(int64_t outer, int64_t n, int64_t inner) {
  if (inner != 1) return column_partials_bytes(n, inner);
  return outer < kSharedRows ? static_cast<size_t>(outer) * column_partials_bytes(n, 1) : 0;
}

}  // namespace bince
