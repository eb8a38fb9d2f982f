#include "native/contrastive/score_shapes.cuh"

namespace bince {

const ScoreKernels& score_kernels_tf32() {
  static const ScoreKernels kernels =
      score_kernels_of<ContrastiveTile<Tf32Product, ScoreShapeTf32, 2>>(ProductPrecision::kTf32);
  return kernels;
}

}  // namespace bince
