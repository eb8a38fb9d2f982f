// The dense family's slots for NEON: 12 x 8 register tiles.
#include "native/contrastive/vector_neon.h"

#include "native/dense/conv_tiled.h"

namespace bince {

DenseOps dense_neon() {
  DenseOps ops = {};
  ops.matmul_workspace = matmul_workspace;
  ops.matmul = matmul;
  ops.conv2d_workspace = conv2d_workspace;
  ops.conv2d = conv2d;
  ops.conv2d_backward_input_workspace = conv2d_backward_input_workspace;
  ops.conv2d_backward_input = conv2d_backward_input;
  ops.conv2d_backward_weight_workspace = conv2d_backward_weight_workspace;
  ops.conv2d_backward_weight = conv2d_backward_weight;
  return ops;
}

}  // namespace bince
