// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and the noise made of it.
//
// The noise of element (row n, column j) of a tensor with rows of J = C * inner columns is word n mod 4 of
// the block with counter (j, n div 4 low, n div 4 high, 0) and key = seed: four rows share a block, so lanes
// or threads that stand side by side in a row use all of it.
#ifndef BINCE_ENTROPY_PHILOX_H_
#define BINCE_ENTROPY_PHILOX_H_

#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

#define BINCE_PHILOX_M0 0xD2511F53u
#define BINCE_PHILOX_M1 0xCD9E8D57u
#define BINCE_PHILOX_W0 0x9E3779B9u
#define BINCE_PHILOX_W1 0xBB67AE85u

// counter[4] becomes the block's four random words.
BINCE_INLINE void philox4x32_10(uint32_t counter[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{BINCE_PHILOX_M0} * counter[0];
    const uint64_t product1 = uint64_t{BINCE_PHILOX_M1} * counter[2];
    const uint32_t next0 = static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    const uint32_t next2 = static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[1] = static_cast<uint32_t>(product1);
    counter[3] = static_cast<uint32_t>(product0);
    counter[0] = next0;
    counter[2] = next2;
    key0 += BINCE_PHILOX_W0;
    key1 += BINCE_PHILOX_W1;
  }
}

// Uniform in (-1/2, 1/2), symmetric about 0: (k + 1/2) * 2^-23 for the signed upper 23 bits k, exact in
// float32.
BINCE_INLINE float centred_uniform(uint32_t word) {
  return (static_cast<float>(static_cast<int32_t>(word) >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

// The noise of the four rows 4 * row_block .. 4 * row_block + 3 in one column.
BINCE_INLINE void noise_of_four_rows(uint64_t seed, uint64_t row_block, uint32_t column, float noise[4]) {
  uint32_t words[4] = {column, static_cast<uint32_t>(row_block), static_cast<uint32_t>(row_block >> 32), 0};
  philox4x32_10(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  for (int i = 0; i < 4; ++i) noise[i] = centred_uniform(words[i]);
}

BINCE_INLINE float noise_at(uint64_t seed, uint64_t row, uint32_t column) {
  float noise[4];
  noise_of_four_rows(seed, row / 4, column, noise);
  return noise[row % 4];
}

}  // namespace bince

#endif  // BINCE_ENTROPY_PHILOX_H_
