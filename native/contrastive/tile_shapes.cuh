// The shapes of tiles that are built; README.md, "CUDA, v1", tells why.  bench/gpu/contrastive_tune.cu times
// others.
#ifndef BINCE_CONTRASTIVE_TILE_SHAPES_CUH_
#define BINCE_CONTRASTIVE_TILE_SHAPES_CUH_

#include "native/contrastive/tile_multiply.cuh"
#include "native/contrastive/tile_operand.cuh"

namespace bince {

// Of gradient products: Small where the results are narrow or too few for Large tiles to occupy the device.
template <class Precision>
struct ProductShapes {
  using Large = TileShape<128, 128, 2, 2, 64, 4>;
  using Small = Large;
};
template <>
struct ProductShapes<Bfloat16Product> {
  using Large = TileShape<128, 256, 2, 4, 64, 3>;
  using Small = TileShape<64, 128, 2, 2, 64, 4>;
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_SHAPES_CUH_
