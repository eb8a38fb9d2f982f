#include "native/contrastive/score_shapes.cuh"

namespace bince {

const ScoreKernels& score_kernels_float32() {
  static const ScoreKernels kernels =
      score_kernels_of<ContrastiveTile<Float32Product, ScoreShapeFloat32, 2>>(ProductPrecision::kFloat32);
  return kernels;
}

}  // namespace bince
