// Philox noise over lanes that stand side by side in a row.  Included by SIMD sources alone.
#ifndef BINCE_ENTROPY_NOISE_LANES_H_
#define BINCE_ENTROPY_NOISE_LANES_H_

#include "native/entropy/entropy_ops.h"
#include "native/entropy/philox.h"

namespace bince {

// B times a block of four counters in every lane: they become their random words.  Two side by side hide the
// latency of the multiplications.
template <class L, int B>
BINCE_INLINE void lane_philox_blocks(typename L::U (&counter)[B][4], uint32_t key0, uint32_t key1) {
  using U = typename L::U;
  for (int round = 0; round < 10; ++round) {
    for (U(&words)[4] : counter) {
      U high0, low0, high1, low1;
      L::multiply_wide(words[0], BINCE_PHILOX_M0, &high0, &low0);
      L::multiply_wide(words[2], BINCE_PHILOX_M1, &high1, &low1);
      words[0] = L::uxor(L::uxor(high1, words[1]), L::uset(key0));
      words[2] = L::uxor(L::uxor(high0, words[3]), L::uset(key1));
      words[1] = low1;
      words[3] = low0;
    }
    key0 += BINCE_PHILOX_W0;
    key1 += BINCE_PHILOX_W1;
  }
}
template <class L>
BINCE_INLINE void lane_philox(typename L::U (&counter)[4], uint32_t key0, uint32_t key1) {
  lane_philox_blocks<L, 1>(reinterpret_cast<typename L::U(&)[1][4]>(counter), key0, key1);
}

// The noise of rows 4 * row_block .. + 4 * B - 1 in the columns given a lane: noise[4 * B].
template <class L, int B>
BINCE_INLINE void lane_noise(uint64_t seed, uint64_t row_block, typename L::U columns,
                             typename L::V (&noise)[4 * B]) {
  typename L::U words[B][4];
  for (int b = 0; b < B; ++b) {
    const uint64_t block = row_block + static_cast<uint64_t>(b);
    words[b][0] = columns;
    words[b][1] = L::uset(static_cast<uint32_t>(block));
    words[b][2] = L::uset(static_cast<uint32_t>(block >> 32));
    words[b][3] = L::uset(0);
  }
  lane_philox_blocks<L, B>(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  for (int i = 0; i < 4 * B; ++i)
    noise[i] =
        L::mul(L::add(L::upper_23_signed(words[i / 4][i % 4]), L::set(0.5f)), L::set(1.0f / 8388608.0f));
}

// noise [rows][columns] of the rows from first_row on.
template <class L>
static inline Outcome fill_noise(uint64_t seed, uint64_t first_row, int64_t rows, int64_t columns,
                                 float* noise, const Run&) {
  for (int64_t n = 0; n < rows;) {
    const uint64_t row = first_row + static_cast<uint64_t>(n);
    const int64_t skip = static_cast<int64_t>(row % 4);
    const int64_t count = 4 - skip < rows - n ? 4 - skip : rows - n;
    for (int64_t j = 0; j < columns; j += L::kLanes) {
      const auto mask = L::mask(columns - j < L::kLanes ? columns - j : L::kLanes);
      typename L::V block[4];
      lane_noise<L, 1>(seed, row / 4, L::uadd(L::uset(static_cast<uint32_t>(j)), L::lane_index()), block);
      for (int64_t r = 0; r < count; ++r) L::store(noise + (n + r) * columns + j, block[skip + r], mask);
    }
    n += count;
  }
  return Outcome::kDone;
}

}  // namespace bince

#endif  // BINCE_ENTROPY_NOISE_LANES_H_
