// What happens when the lanes of a warp operation have met.
#include <cstring>

#include "test/cusim/cusim.h"
#include "test/cusim/cusim_mma.h"

namespace cusim {
namespace {

void nothing(Offer*, unsigned, Place) {}

enum class Shuffle { kIndex, kXor, kDown, kUp };

template <Shuffle kKind>
void shuffle_all(Offer lanes[32], unsigned mask, Place place) {
  for (unsigned bits = mask; bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    Offer& offer = lanes[lane];
    const int width = static_cast<int>(offer.extra >> 32), which = static_cast<int>(offer.extra);
    const int first = lane & ~(width - 1);
    int from = lane;
    if (kKind == Shuffle::kIndex) from = first + (which & (width - 1));
    if (kKind == Shuffle::kXor) from = lane ^ which;
    if (kKind == Shuffle::kDown) from = lane + which;
    if (kKind == Shuffle::kUp) from = lane - which;
    if (from >= first + width || (kKind == Shuffle::kUp && from < first)) from = lane;
    if (from < 0 || !(mask >> from & 1))
      fail(place, "lane %d shuffles from lane %d, which the mask does not name", lane, from);
    offer.result = lanes[from].value;
  }
}

unsigned true_lanes(Offer lanes[32], unsigned mask) {
  unsigned votes = 0;
  for (unsigned bits = mask; bits; bits &= bits - 1)
    votes |= static_cast<unsigned>(lanes[__builtin_ctz(bits)].value) << __builtin_ctz(bits);
  return votes;
}

void give_all(Offer lanes[32], unsigned mask, uint64_t result) {
  for (unsigned bits = mask; bits; bits &= bits - 1) lanes[__builtin_ctz(bits)].result = result;
}

void ballot(Offer lanes[32], unsigned mask, Place) {
  give_all(lanes, mask, true_lanes(lanes, mask));
}
void any(Offer lanes[32], unsigned mask, Place) {
  give_all(lanes, mask, true_lanes(lanes, mask) != 0);
}
void all(Offer lanes[32], unsigned mask, Place) {
  give_all(lanes, mask, true_lanes(lanes, mask) == mask);
}

void match(Offer lanes[32], unsigned mask, Place) {
  for (int i = 0; i < 32; ++i) {
    lanes[i].result = 0;
    for (int j = 0; j < 32; ++j)
      if ((mask >> j & 1) && lanes[j].value == lanes[i].value) lanes[i].result |= 1u << j;
  }
}

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// D = A B + C with kDepth columns in A.  Products are exact and sums are made in double, rounded once: what
// devices do in between is not documented.
template <int kDepth>
struct Product {
  double a[16][kDepth], b[kDepth][8], d[16][8];

  void run() {
    for (int k = 0; k < kDepth; ++k)
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) d[i][j] += a[i][k] * b[k][j];
  }
};

const Fragments& fragments_of(const Offer& offer) {
  return *reinterpret_cast<const Fragments*>(offer.value);
}

template <int kDepth>
void run_product(Product<kDepth>& product, Offer lanes[32]) {
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      product.d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2] = fragments_of(lanes[lane]).c[i];
  product.run();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      fragments_of(lanes[lane]).d[i] =
          static_cast<float>(product.d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2]);
}

void mma_bfloat16(Offer lanes[32], unsigned, Place) {
  Product<16> product;
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& own = fragments_of(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      double* const to = &product.a[g + 8 * (i % 2)][2 * t + 8 * (i / 2)];
      to[0] = float_of(own.a[i] << 16);
      to[1] = float_of(own.a[i] & 0xffff0000u);
    }
    for (int i = 0; i < 2; ++i) {
      product.b[2 * t + 8 * i][g] = float_of(own.b[i] << 16);
      product.b[2 * t + 8 * i + 1][g] = float_of(own.b[i] & 0xffff0000u);
    }
  }
  run_product(product, lanes);
}

void mma_tf32(Offer lanes[32], unsigned, Place) {
  constexpr uint32_t kRead = 0xffffe000u;  // the instruction ignores the lower 13 bits
  Product<8> product;
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& own = fragments_of(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) product.a[g + 8 * (i % 2)][t + 4 * (i / 2)] = float_of(own.a[i] & kRead);
    for (int i = 0; i < 2; ++i) product.b[t + 4 * i][g] = float_of(own.b[i] & kRead);
  }
  run_product(product, lanes);
}

// Every lane learns every row's address.
void share_rows(Offer lanes[32], unsigned, Place) {
  for (int lane = 0; lane < 32; ++lane) {
    MatrixRows& rows = *reinterpret_cast<MatrixRows*>(lanes[lane].extra);
    for (int i = 0; i < 32; ++i) rows.rows[i] = reinterpret_cast<const void*>(lanes[i].value);
  }
}

}  // namespace

const Meeting kSyncWarp = {"__syncwarp", nothing, true};
const Meeting kShuffle = {"__shfl_sync", shuffle_all<Shuffle::kIndex>, false};
const Meeting kShuffleXor = {"__shfl_xor_sync", shuffle_all<Shuffle::kXor>, false};
const Meeting kShuffleDown = {"__shfl_down_sync", shuffle_all<Shuffle::kDown>, false};
const Meeting kShuffleUp = {"__shfl_up_sync", shuffle_all<Shuffle::kUp>, false};
const Meeting kBallot = {"__ballot_sync", ballot, false};
const Meeting kAny = {"__any_sync", any, false};
const Meeting kAll = {"__all_sync", all, false};
const Meeting kMatch = {"__match_any_sync", match, false};
const Meeting kMmaBfloat16 = {"mma_bfloat16", mma_bfloat16, false};
const Meeting kMmaTf32 = {"mma_tf32", mma_tf32, false};
const Meeting kLoadMatrices = {"load_matrices", share_rows, false};
const Meeting kLoadMatricesTransposed = {"load_matrices_transposed", share_rows, false};

}  // namespace cusim
