// Tiles of scores: every precision, shrunk and built shapes, all tails, two pieces, several schedules.
#include "native/contrastive/score_tile.cuh"
#include "test/cusim/contrastive_tile_case.h"

namespace bince_tile_case {
namespace {

// out[row tiles * kRows][column tiles * kColumns]; every tile of a block is made twice, to prove that
// `shared` can be used again at once.
template <class Precision, class Shape>
__global__ void scores_kernel(TileRows a, TileRows b, int dim, float* out) {
  BINCE_DYNAMIC_SHARED(char, shared);
  using Tile = ScoreTile<Precision, Shape>;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * Shape::kRows;
  const int64_t column = static_cast<int64_t>(blockIdx.y) * Shape::kColumns;
  Tile tile;
  tile.multiply(b, column, a, row, dim, shared);
  tile.multiply(a, row, b, column, dim, shared);
  for (int i = 0; i < Tile::kRowsPerThread; ++i)
    for (int j = 0; j < Tile::kColumnsPerThread; ++j)
      out[(row + Tile::row_of(i)) * gridDim.y * Shape::kColumns + column + Tile::column_of(j)] =
          tile.value[i][j];
}

struct Case {
  int64_t rows, columns, first_columns;
  int dim;
  int64_t more_stride;
};

template <class Precision, class Shape>
std::vector<float> scores_of(Rows<Precision>& a, Rows<Precision>& b) {
  const int64_t row_tiles = (a.rows.count + Shape::kRows - 1) / Shape::kRows;
  const int64_t column_tiles = (b.rows.count + Shape::kColumns - 1) / Shape::kColumns;
  std::vector<float> out(static_cast<size_t>(row_tiles * Shape::kRows * column_tiles * Shape::kColumns), NAN);
  constexpr size_t kBytes = ScoreTile<Precision, Shape>::kSharedBytes;
  const auto kernel = scores_kernel<Precision, Shape>;
  CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(kBytes)) == cudaSuccess);
  BINCE_LAUNCH(kernel, dim3(static_cast<unsigned>(row_tiles), static_cast<unsigned>(column_tiles)),
               Shape::kThreads, kBytes, nullptr, a.rows, b.rows, static_cast<int>(a.dim), out.data());
  const bool launched = cudaGetLastError() == cudaSuccess;
  CHECK(launched);
  if (!launched) std::printf("%s\n", cusim::last_message().c_str());
  return out;
}

template <class Precision, class Shape>
void check_scores(const Case& c) {
  Rows<Precision> a(c.rows, c.rows, c.dim, c.more_stride, 1);
  Rows<Precision> b(c.columns, c.first_columns, c.dim, c.more_stride, 2);
  const std::vector<float> out = scores_of<Precision, Shape>(a, b);
  const int64_t width = (c.columns + Shape::kColumns - 1) / Shape::kColumns * Shape::kColumns;
  int64_t wrong = 0;
  for (size_t at = 0; at < out.size(); ++at) {
    const int64_t i = static_cast<int64_t>(at) / width, j = static_cast<int64_t>(at) % width;
    if (i >= c.rows || j >= c.columns) {
      wrong += out[at] != 0;
      continue;
    }
    wrong += !sum_matches<Precision>(
        out[at], c.dim, [&](int64_t k) { return a.value(i, k); }, [&](int64_t k) { return b.value(j, k); });
  }
  if (wrong)
    std::printf("rows %lld columns %lld (%lld) dim %d\n", static_cast<long long>(c.rows),
                static_cast<long long>(c.columns), static_cast<long long>(c.first_columns), c.dim);
  CHECK_EQ(wrong, 0);
}

template <class Precision, class Shape>
void check_tails() {
  for (const int dim : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 127, 257})
    check_scores<Precision, Shape>({Shape::kRows + 1, Shape::kColumns - 1, 5, dim, dim % 3});
  for (const int64_t rows : {1, 2, Shape::kRows - 1, Shape::kRows, Shape::kRows + 1, 2 * Shape::kRows + 3})
    check_scores<Precision, Shape>({rows, 13, 13, 37, 1});
  for (const int64_t columns :
       {1, 2, Shape::kColumns - 1, Shape::kColumns, Shape::kColumns + 1, 2 * Shape::kColumns + 3})
    for (const int64_t first : {int64_t{1}, columns / 2, columns})
      if (first) check_scores<Precision, Shape>({11, columns, first, 23, 0});
}

TEST(shrunk_score_tiles_of_bfloat16) {
  check_tails<Bfloat16Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Bfloat16Product, TileShape<32, 64, 2, 2, 64, 3>>();
}
TEST(shrunk_score_tiles_of_tf32) {
  check_tails<Tf32Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Tf32Product, TileShape<32, 64, 2, 2, 64, 3>>();
}
TEST(shrunk_score_tiles_of_float32) {
  check_tails<Float32Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Float32Product, TileShape<32, 64, 2, 2, 64, 3>>();
}

template <class Precision>
void check_large() {
  check_scores<Precision, TileShape<128, 128, 2, 2, 128, 3>>({127, 129, 60, 131, 0});
  check_scores<Precision, TileShape<128, 128, 2, 2, 64, 4>>({129, 127, 127, 200, 1});
  check_scores<Precision, TileShape<128, 256, 2, 4, 64, 4>>({65, 250, 250, 72, 0});
}
TEST(large_score_tiles) {
  check_large<Bfloat16Product>();
  check_large<Tf32Product>();
  check_large<Float32Product>();
}

template <class Precision, class Shape>
void check_schedules() {
  Rows<Precision> a(Shape::kRows + 3, Shape::kRows + 3, 150, 0, 3), b(Shape::kColumns, 7, 150, 0, 4);
  const std::vector<float> first = scores_of<Precision, Shape>(a, b);
  for (uint64_t seed = 1; seed < 6; ++seed) {
    cusim::set_seed(seed);
    CHECK(memcmp(first.data(), (scores_of<Precision, Shape>(a, b)).data(), first.size() * 4) == 0);
  }
  cusim::set_seed(0);
}
TEST(scores_do_not_depend_on_the_schedule) {
  check_schedules<Bfloat16Product, TileShape<32, 32, 2, 2, 32, 2>>();
  check_schedules<Tf32Product, TileShape<32, 32, 2, 2, 32, 3>>();
  check_schedules<Float32Product, TileShape<32, 32, 2, 2, 32, 4>>();
}

}  // namespace
}  // namespace bince_tile_case
