// The tile operations on AVX-512: 12 x 32 register tiles.
#include "native/contrastive/vector_avx512.h"

#include "native/contrastive/vector_math.h"

#include "native/contrastive/tile_product.h"

#include "native/contrastive/tile_epilogue.h"

namespace bince {

const TileOps& tile_ops_avx512() {
  static const TileOps ops = {
      kTileRows,       kPanelColumns, find_nonfinite,   inverse_norms, pack_panels,    pack_rows,
      multiply_scores, multiply_rows, multiply_columns, forward_tile,  positives_tile, gradient_tile,
      merge,           dot,           add_row,          denormalize};
  return ops;
}

}  // namespace bince
