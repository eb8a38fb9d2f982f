// One step of rANS (Duda, "Asymmetric numeral systems", 2013) with a 32-bit state and 16-bit words:
// 2^16 <= x < 2^32 between steps, at most one word a symbol.  See docs/FORMAT.md.
#ifndef BINCE_CODING_RANS_H_
#define BINCE_CODING_RANS_H_

#include <string.h>

#include "native/coding/prepared_tables.h"

namespace bince {

enum : uint32_t { kRansLow = 1u << 16 };

BINCE_INLINE uint32_t load_word(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8;
}

BINCE_INLINE void store_word(uint8_t* at, uint32_t word) {
  at[0] = static_cast<uint8_t>(word);
  at[1] = static_cast<uint8_t>(word >> 8);
}

BINCE_INLINE uint32_t load_u32(const uint8_t* at) {
  return load_word(at) | load_word(at + 2) << 16;
}

BINCE_INLINE void store_u32(uint8_t* at, uint32_t value) {
  store_word(at, value & 0xffff);
  store_word(at + 2, value >> 16);
}

// Codes one entry: returns the new state; a word, if one is due, goes before *words.
BINCE_INLINE uint32_t rans_put(uint32_t x, const EncodeEntry& entry, uint8_t** words) {
  if (x >= static_cast<uint64_t>(entry.frequency) << 16) {
    *words -= 2;
    store_word(*words, x & 0xffff);
    x >>= 16;
  }
  const uint32_t q = static_cast<uint32_t>(divide_by_frequency(x, entry));
  return (q << 16) + (x - q * entry.frequency) + entry.start;
}

}  // namespace bince

#endif  // BINCE_CODING_RANS_H_
