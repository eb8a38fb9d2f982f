// The tiles that scores are computed in.  README.md, "CUDA", tells why these.
#ifndef BINCE_CONTRASTIVE_SCORE_SHAPES_CUH_
#define BINCE_CONTRASTIVE_SCORE_SHAPES_CUH_

#include "native/contrastive/score_launch.cuh"

namespace bince {

#if defined(BINCE_SMALL_TILES)
// The simulator's: so small that the tests' problems have many tiles, splits, launches and blocks.
using ScoreShapeBfloat16 = TileShape<32, 32, 2, 2, 32, 2>;
using ScoreShapeTf32 = TileShape<32, 32, 1, 2, 32, 2>;
using ScoreShapeFloat32 = TileShape<32, 32, 2, 1, 32, 2>;
#else
// With the rows' statistics (3 KiB) they fit the 99 KiB that a block may have on sm_86, sm_89 and sm_120.
using ScoreShapeBfloat16 = TileShape<128, 128, 2, 2, 128, 3>;
using ScoreShapeTf32 = TileShape<128, 128, 2, 2, 64, 4>;
using ScoreShapeFloat32 = TileShape<128, 128, 2, 2, 64, 4>;
#endif

#if !defined(BINCE_SMALL_TILES)
template <class Precision, class Shape>
constexpr bool fits_a_block() {
  return statistics_shared_bytes<ContrastiveTile<Precision, Shape, 2>>() <= 99 * 1024 &&
         gradients_shared_bytes<ContrastiveTile<Precision, Shape, 2>>() <= 99 * 1024;
}
static_assert(fits_a_block<Bfloat16Product, ScoreShapeBfloat16>() &&
                  fits_a_block<Tf32Product, ScoreShapeTf32>() &&
                  fits_a_block<Float32Product, ScoreShapeFloat32>(),
              "shared memory of a block");
#endif

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_SHAPES_CUH_
