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

// Decoding: the state behind an entry, before a word is taken where it fell below kRansLow.
BINCE_INLINE uint32_t rans_after(uint32_t x, uint32_t start, uint32_t frequency) {
  return frequency * (x >> 16) + (x & 0xffff) - start;
}

// Encoding: whether a word is due before the entry is coded.
BINCE_INLINE bool rans_due(uint32_t x, uint32_t frequency) {
  return x >= static_cast<uint64_t>(frequency) << 16;
}

// For rans_before: a quotient by multiplication, at most one too small for any 32-bit dividend.
BINCE_INLINE uint32_t rans_reciprocal(uint32_t frequency) {
  return 0xffffffffu / frequency;
}

// Encoding: the state that decodes to the entry and then to x; x < frequency * 2^16.  With r = 2^32 / f - d,
// d <= 1, the product's upper half is above x / f - 1, so one correction makes it the quotient.
BINCE_INLINE uint32_t rans_before(uint32_t x, uint32_t start, uint32_t frequency, uint32_t reciprocal) {
  uint32_t quotient = static_cast<uint32_t>(static_cast<uint64_t>(x) * reciprocal >> 32);
  uint32_t rest = x - quotient * frequency;
  quotient += rest >= frequency ? 1 : 0;
  rest -= rest >= frequency ? frequency : 0;
  return (quotient << 16) + rest + start;
}

// Codes one entry: returns the new state; a word, if one is due, goes before *words.
BINCE_INLINE uint32_t rans_put(uint32_t x, const EncodeEntry& entry, uint8_t** words) {
  if (rans_due(x, entry.frequency)) {
    *words -= 2;
    store_word(*words, x & 0xffff);
    x >>= 16;
  }
  const uint32_t q = static_cast<uint32_t>(divide_by_frequency(x, entry));
  return (q << 16) + (x - q * entry.frequency) + entry.start;
}

}  // namespace bince

#endif  // BINCE_CODING_RANS_H_
