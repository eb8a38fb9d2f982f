// The dense family's table by backend.
#include "native/dense/dense_ops.h"

namespace bince {
#if defined(BINCE_X86) || defined(BINCE_ARM64)
namespace {

// A slot and the one that sizes its workspace are taken together.
DenseOps completed(DenseOps ops, const DenseOps& slower) {
  if (!ops.matmul) {
    ops.matmul = slower.matmul;
    ops.matmul_workspace = slower.matmul_workspace;
  }
  if (!ops.conv2d) {
    ops.conv2d = slower.conv2d;
    ops.conv2d_workspace = slower.conv2d_workspace;
  }
  if (!ops.conv2d_backward_input) {
    ops.conv2d_backward_input = slower.conv2d_backward_input;
    ops.conv2d_backward_input_workspace = slower.conv2d_backward_input_workspace;
  }
  if (!ops.conv2d_backward_weight) {
    ops.conv2d_backward_weight = slower.conv2d_backward_weight;
    ops.conv2d_backward_weight_workspace = slower.conv2d_backward_weight_workspace;
  }
  return ops;
}

}  // namespace
#endif

const DenseOps* dense_ops(Backend backend) {
  static const DenseOps ref = dense_ref();
#if defined(BINCE_X86)
  static const DenseOps avx2 = with_blas(Backend::kAvx2, completed(dense_avx2(), ref));
  static const DenseOps avx512 = with_blas(Backend::kAvx512, completed(dense_avx512(), avx2));
#elif defined(BINCE_ARM64)
  static const DenseOps neon = with_blas(Backend::kNeon, completed(dense_neon(), ref));
#endif
  switch (backend) {
#if defined(BINCE_X86)
    case Backend::kAvx512:
      return &avx512;
    case Backend::kAvx2:
      return &avx2;
#elif defined(BINCE_ARM64)
    case Backend::kNeon:
      return &neon;
#endif
    default:
      return &ref;
  }
}

}  // namespace bince
