// The score kernels of each precision, for the host's side.
#ifndef BINCE_CONTRASTIVE_SCORE_LAUNCH_H_
#define BINCE_CONTRASTIVE_SCORE_LAUNCH_H_

#include "native/contrastive/contrastive_device.cuh"
#include "native/contrastive/gradient_product.h"

namespace bince {

struct ScoreKernels {
  ProductPrecision product;
  int32_t tile_rows, tile_columns;
  int32_t warp_rows;  // parts of column statistics that a tile leaves
  // `plain` chooses the epilogue, see plain_epilogue.cuh.
  bince_status (*statistics)(void* stream, bool plain, const StatisticsLaunch& launch);
  bince_status (*gradients)(void* stream, bool plain, const GradientLaunch& launch);
};

const ScoreKernels& score_kernels_bfloat16();
const ScoreKernels& score_kernels_tf32();
const ScoreKernels& score_kernels_float32();

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_LAUNCH_H_
