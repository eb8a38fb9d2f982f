// The two kernels that compute scores: statistics of rows and columns, and gradients with respect to the
// scores.  Their epilogues stand in plain_epilogue.cuh and
// general_epilogue.cuh, their products in score_tile.cuh.
#ifndef BINCE_CONTRASTIVE_SCORE_KERNELS_CUH_
#define BINCE_CONTRASTIVE_SCORE_KERNELS_CUH_

#include "native/contrastive/general_epilogue.cuh"
#include "native/contrastive/plain_epilogue.cuh"

namespace bince {

// Row tiles whose blocks run side by side, so that a wave of blocks reads few rows of q and of k.
constexpr int32_t kTileGroup = 16;

// The row tile and the split of a block.
struct BlockPlace {
  int32_t row_tile, split;
};

__device__ __forceinline__ BlockPlace block_place(const TileRange& range) {
  const int32_t block = static_cast<int32_t>(blockIdx.x), group = block / (kTileGroup * range.splits);
  const int32_t rest = block - group * kTileGroup * range.splits;
  const int32_t left = range.row_tiles - group * kTileGroup, members = left < kTileGroup ? left : kTileGroup;
  return {group * kTileGroup + rest % members, rest / members};
}

template <class Tile>
__device__ __forceinline__ TilePlace tile_place(const ScoreTerms& terms, const TileRange& range,
                                                int32_t row_tile, int32_t column_tile) {
  TilePlace place;
  place.row = range.first_row + row_tile * Tile::kRows;
  place.column = range.first_column + column_tile * Tile::kColumns;
  place.rows = terms.rows - place.row < Tile::kRows ? terms.rows - place.row : Tile::kRows;
  place.columns =
      terms.columns - place.column < Tile::kColumns ? terms.columns - place.column : Tile::kColumns;
  return place;
}

// Shared memory of both kernels: the product's stages, which general epilogues use once the product is done,
// then what the block keeps.
template <class Tile>
__host__ __device__ constexpr size_t tile_bytes() {
  const size_t elements = ThreadTile<Tile>::kSharedBytes;
  const size_t bytes = Tile::kSharedBytes > elements ? Tile::kSharedBytes : elements;
  return (bytes + 127) / 128 * 128;
}

template <class Tile>
__host__ __device__ constexpr size_t statistics_shared_bytes() {
  return tile_bytes<Tile>() + sizeof(float) * 3 * Tile::kWarpColumns * Tile::kRows;
}

template <class Tile>
__host__ __device__ constexpr size_t gradients_shared_bytes() {
  return tile_bytes<Tile>() + sizeof(double) * 2 * Tile::kThreads / 32;
}

// Sums over the block; thread 0 has the result.  `shared`: [warps].  Ends without a barrier.
__device__ __forceinline__ double sum_over_block(double value, double* shared) {
  value = sum_over_lanes(value, kWholeWarp);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();  // every warp's sum is there
  double sum = 0;
  if (threadIdx.x == 0)
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += shared[warp];
  return sum;
}

// Joins the columns of warps and writes the block's rows: its part is number `split`.
template <class Tile>
__device__ __forceinline__ void write_rows(const LineParts& parts, const BlockPlace& at, const float* state) {
  constexpr int kPlane = Tile::kWarpColumns * Tile::kRows;
  for (int row = static_cast<int>(threadIdx.x); row < Tile::kRows; row += Tile::kThreads) {
    float maximum = state[row], sum = state[kPlane + row], positive = state[2 * kPlane + row];
    for (int warp = 1; warp < Tile::kWarpColumns; ++warp) {
      const float* other = state + warp * Tile::kRows + row;
      join_sums(&maximum, &sum, other[0], other[kPlane]);
      positive += other[2 * kPlane];
    }
    const int64_t to = at.split * parts.stride + at.row_tile * Tile::kRows + row;
    parts.maximum[to] = maximum;
    parts.sum[to] = sum;
    parts.positive[to] = positive;
  }
}

// This warp's part of the columns of a tile.
template <class Tile>
__device__ __forceinline__ ColumnOutput column_output(const StatisticsLaunch& launch, int32_t row_tile,
                                                      int32_t column_tile) {
  if (!launch.terms.symmetric) return {nullptr, nullptr, nullptr};
  const int64_t to = (int64_t{row_tile} * Tile::kWarpRows + Tile::warp_row()) * launch.columns.stride +
                     int64_t{column_tile} * Tile::kColumns;
  return {launch.columns.maximum + to, launch.columns.sum + to, launch.columns.positive + to};
}

template <class Tile>
__device__ __forceinline__ void clear_columns(const ColumnOutput& columns) {
  for (int j = 0; j < Tile::kColumnsPerThread; ++j)
    if (Tile::lane() < 4) {
      columns.maximum[Tile::column_of(j)] = 0;
      columns.sum[Tile::column_of(j)] = 0;
      columns.positive[Tile::column_of(j)] = 0;
    }
}

// Statistics of rows and, if symmetric, of columns; adds the sum of raw^2.
// Grid row_tiles * splits, block Tile::kThreads, shared statistics_shared_bytes.
template <class Tile, bool kPlain>
__global__ void __launch_bounds__(Tile::kThreads, kPlain ? Tile::kResident : 1)
    score_statistics(const StatisticsLaunch launch) {
  BINCE_DYNAMIC_SHARED(char, shared);
  constexpr int kPlane = Tile::kWarpColumns * Tile::kRows;
  float* const state = reinterpret_cast<float*>(shared + tile_bytes<Tile>());
  float* const mine = state + Tile::warp_column() * Tile::kRows;
  const RowState rows = {mine, mine + kPlane, mine + 2 * kPlane};
  if (threadIdx.x % 4 == 0)
    for (int i = 0; i < Tile::kRowsPerThread; ++i) {
      rows.maximum[Tile::row_of(i)] = -INFINITY;
      rows.sum[Tile::row_of(i)] = 0;
      rows.positive[Tile::row_of(i)] = 0;
    }
  const BlockPlace at = block_place(launch.range);
  const int32_t first = at.split * launch.range.split_tiles, end = first + launch.range.split_tiles;
  double squares = 0;
  for (int32_t tile_at = first; tile_at < end && tile_at < launch.range.column_tiles; ++tile_at) {
    const TilePlace place = tile_place<Tile>(launch.terms, launch.range, at.row_tile, tile_at);
    const ColumnOutput columns = column_output<Tile>(launch, at.row_tile, tile_at);
    if (!kPlain && launch.positives_alone && !__syncthreads_or(holds_positive<Tile>(launch.terms, place))) {
      if (columns.maximum) clear_columns<Tile>(columns);
      continue;
    }
    Tile tile;
    tile.multiply(launch.q, place.row, launch.k, place.column, launch.dim, shared);
    if constexpr (kPlain) {
      plain_statistics(tile, launch.terms, place, rows, columns);
    } else {
      const ThreadTile<Tile> elements(shared);
      elements.store(tile);
      float tile_squares = 0;
      general_statistics(elements, launch.terms, place, launch.positives_alone, rows, columns, &tile_squares);
      squares += tile_squares;
      __syncthreads();  // all are done with their elements: the next product may fill the stages
    }
  }
  if (!kPlain) squares = sum_over_block(squares, reinterpret_cast<double*>(shared));
  __syncthreads();  // the states of all warps are there
  write_rows<Tile>(launch.rows, at, state);
  if (!kPlain && threadIdx.x == 0) launch.squares[blockIdx.x] += squares;
}

// A row's elements are columns 2 t and 2 t + 1 of 8: pairs of lanes exchange halves, so that a warp's store
// covers whole 32-byte sectors.
template <class Tile>
__device__ __forceinline__ void store_gradients(const Tile& tile, uint16_t* to, int64_t stride) {
  static_assert(Tile::kColumnsPerThread % 4 == 0, "two blocks of 8 columns at a time");
  const bool odd = threadIdx.x % 2 != 0;
  const int column = Tile::column_of(0) + (odd ? 6 : 0);
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i) {
    uint16_t* const row = to + Tile::row_of(i) * stride + column;
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; j += 4) {
      const uint32_t left = pack_bfloat16(tile.value[i][j], tile.value[i][j + 1]);
      const uint32_t right = pack_bfloat16(tile.value[i][j + 2], tile.value[i][j + 3]);
      const uint32_t other = __shfl_xor_sync(kAllLanes, odd ? left : right, 1);
      const uint64_t low = odd ? other : left, high = odd ? right : other;
      *reinterpret_cast<uint64_t*>(row + 4 * j) = low | high << 32;
    }
  }
}

template <class Tile>
__device__ __forceinline__ void store_gradients(const Tile& tile, float* to, int64_t stride) {
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i)
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; j += 2) {
      float* const at = to + Tile::row_of(i) * stride + Tile::column_of(j);
      const uint64_t low = __float_as_uint(tile.value[i][j]), high = __float_as_uint(tile.value[i][j + 1]);
      *reinterpret_cast<uint64_t*>(at) = low | high << 32;
    }
}

// G_ij = d total / d <q_i, k_j> of a block of pairs, zeros outside the matrix, and its sums.
// Grid row_tiles * column_tiles, block Tile::kThreads, shared gradients_shared_bytes.
template <class Tile, bool kPlain>
__global__ void __launch_bounds__(Tile::kThreads, kPlain ? Tile::kResident : 1)
    score_gradients(const GradientLaunch launch) {
  BINCE_DYNAMIC_SHARED(char, shared);
  double* const warps = reinterpret_cast<double*>(shared + tile_bytes<Tile>());
  const BlockPlace at = block_place(launch.range);
  const TilePlace place = tile_place<Tile>(launch.terms, launch.range, at.row_tile, at.split);
  GradientSums sums = {0, 0};
  Tile tile;
  tile.multiply(launch.q, place.row, launch.k, place.column, launch.dim, shared);
  bool done = false;
  if constexpr (kPlain) {  // unless LSEs are too far apart for one reference
    done = !(launch.terms.symmetric && launch.terms.totals->wide);
    if (done) plain_gradients(tile, launch.terms, place, &sums);
  }
  if (!done) {
    const ThreadTile<Tile> elements(shared);
    elements.store(tile);
    general_gradients(elements, launch.terms, place, &sums);
    elements.load(&tile);
  }
  using Element = typename Tile::Element;
  store_gradients(tile,
                  static_cast<Element*>(launch.gradients) +
                      at.row_tile * int64_t{Tile::kRows} * launch.stride + at.split * Tile::kColumns,
                  launch.stride);
  const double gd = sum_over_block(sums.gd, warps);
  const double g = sum_over_block(sums.g, warps + Tile::kThreads / 32);
  if (threadIdx.x == 0) {
    launch.sums[2 * blockIdx.x] += gd;
    launch.sums[2 * blockIdx.x + 1] += g;
  }
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_SCORE_KERNELS_CUH_
