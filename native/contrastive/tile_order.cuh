// The order in which blocks take tiles, so that blocks that run together share their operands in the L2
// cache.
#ifndef BINCE_CONTRASTIVE_TILE_ORDER_CUH_
#define BINCE_CONTRASTIVE_TILE_ORDER_CUH_

#include "native/cuda/language.cuh"

namespace bince {

struct TilePlace {
  int64_t row, column;  // counted in tiles
};

// Tile `index` of row_tiles x column_tiles: bands of `band` rows of tiles, column by column within a band. Of
// n blocks that run together about `band` row tiles and n / band column tiles are in use: best near sqrt(n).
__device__ __forceinline__ TilePlace tile_at(int64_t index, int64_t row_tiles, int64_t column_tiles,
                                             int64_t band) {
  const int64_t first = index / (band * column_tiles) * band, within = index % (band * column_tiles);
  const int64_t height = row_tiles - first < band ? row_tiles - first : band;
  return {first + within % height, within / height};
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_ORDER_CUH_
