#include "native/contrastive/score_shapes.cuh"

namespace bince {

const ScoreKernels& score_kernels_bfloat16() {
  static const ScoreKernels kernels =
      score_kernels_of<ContrastiveTile<Bfloat16Product, ScoreShapeBfloat16, 2>>(ProductPrecision::kBfloat16);
  return kernels;
}

}  // namespace bince
