// ScoreKernels of one precision; included by the file that builds them.
#ifndef BINCE_CONTRASTIVE_SCORE_LAUNCH_CUH_
#define BINCE_CONTRASTIVE_SCORE_LAUNCH_CUH_

#include "native/contrastive/score_kernels.cuh"
#include "native/contrastive/score_launch.h"
#include "native/cuda/device_runtime.h"

namespace bince {

// kResident_: blocks that shall fit a multiprocessor at a time.
template <class Precision, class Shape, int kResident_>
struct ContrastiveTile : ScoreTile<Precision, Shape> {
  static constexpr int kRows = Shape::kRows;
  static constexpr int kColumns = Shape::kColumns;
  static constexpr int kWarpRows = Shape::kWarpRows;
  static constexpr int kWarpColumns = Shape::kWarpColumns;
  static constexpr int kResident = kResident_;
};

template <class Tile, bool kPlain>
bince_status launch_statistics(void* stream, const StatisticsLaunch& launch) {
  constexpr size_t kBytes = statistics_shared_bytes<Tile>();
  BINCE_RETURN_IF_ERROR(allow_shared(reinterpret_cast<const void*>(score_statistics<Tile, kPlain>), kBytes,
                                     "score_statistics"));
  const unsigned blocks = static_cast<unsigned>(launch.range.row_tiles * launch.range.splits);
  BINCE_LAUNCH((score_statistics<Tile, kPlain>), blocks, Tile::kThreads, kBytes, stream, launch);
  return launch_status("score_statistics");
}

template <class Tile, bool kPlain>
bince_status launch_gradients(void* stream, const GradientLaunch& launch) {
  constexpr size_t kBytes = gradients_shared_bytes<Tile>();
  BINCE_RETURN_IF_ERROR(
      allow_shared(reinterpret_cast<const void*>(score_gradients<Tile, kPlain>), kBytes, "score_gradients"));
  const unsigned blocks = static_cast<unsigned>(launch.range.row_tiles * launch.range.column_tiles);
  BINCE_LAUNCH((score_gradients<Tile, kPlain>), blocks, Tile::kThreads, kBytes, stream, launch);
  return launch_status("score_gradients");
}

template <class Tile>
ScoreKernels score_kernels_of(ProductPrecision product) {
  return {product,
          Tile::kRows,
          Tile::kColumns,
          Tile::kWarpRows,
          [](void* stream, bool plain, const StatisticsLaunch& launch) {
            return plain ? launch_statistics<Tile, true>(stream, launch)
                         : launch_statistics<Tile, false>(stream, launch);
          },
          [](void* stream, bool plain, const GradientLaunch& launch) {
            return plain ? launch_gradients<Tile, true>(stream, launch)
                         : launch_gradients<Tile, false>(stream, launch);
          }};
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_LAUNCH_CUH_
