// The simulated matrix instructions against the PTX ISA's tables, element by element, and products of random
// matrices against plain loops.
#include <random>

#include "test/cusim/mma_probe.cuh"
#include "test/native/harness.h"

namespace {

TEST(fragments_lie_as_documented) {
  CHECK_EQ(mma_probe::run(stdout), 0);
}

// D = A B + C of random matrices; its error is that of one rounding.
TEST(random_products) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  double a[16][16], b[16][8], c[16][8];
  std::vector<uint32_t> own_a(32 * 4), own_b(32 * 2);
  std::vector<float> own_c(32 * 4), own_d(32 * 4);
  for (int lane = 0; lane < 32; ++lane) {
    const size_t at = static_cast<size_t>(lane);
    for (int e = 0; e < 8; ++e) {
      const mma_probe::Place p = mma_probe::place_of_a(false, lane, e);
      const uint32_t bits = mma_probe::nearest_bfloat16(normal(random));
      own_a[4 * at + static_cast<size_t>(e / 2)] |= bits << (16 * (e % 2));
      a[p.row][p.column] = static_cast<double>(__uint_as_float(bits << 16));
    }
    for (int e = 0; e < 4; ++e) {
      const mma_probe::Place p = mma_probe::place_of_b(false, lane, e);
      const uint32_t bits = mma_probe::nearest_bfloat16(normal(random));
      own_b[2 * at + static_cast<size_t>(e / 2)] |= bits << (16 * (e % 2));
      b[p.row][p.column] = static_cast<double>(__uint_as_float(bits << 16));
    }
    for (int e = 0; e < 4; ++e) {
      const mma_probe::Place p = mma_probe::place_of_c(lane, e);
      c[p.row][p.column] = static_cast<double>(own_c[4 * at + static_cast<size_t>(e)] = normal(random));
    }
  }
  BINCE_LAUNCH(mma_probe::product_kernel<false>, 1, 32, 0, nullptr, own_a.data(), own_b.data(), own_c.data(),
               own_d.data(), 1);
  CHECK(cudaGetLastError() == cudaSuccess);
  for (int lane = 0; lane < 32; ++lane) {
    for (int e = 0; e < 4; ++e) {
      const mma_probe::Place p = mma_probe::place_of_c(lane, e);
      double sum = c[p.row][p.column];
      for (int k = 0; k < 16; ++k) sum += a[p.row][k] * b[k][p.column];
      CHECK_NEAR(own_d[static_cast<size_t>(4 * lane + e)], sum, std::fabs(sum) * 0x1p-23);
    }
  }
}

}  // namespace
