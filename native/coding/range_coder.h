// The range coder of docs/FORMAT.md (after Martin, 1979): first in, first out, exact in 53 bits, so that
// JavaScript numbers decode it too.  low < 2^48; 2^32 <= range <= 2^48 between symbols; 16-bit words; a carry
// runs back through the words that were written.
#ifndef BINCE_CODING_RANGE_CODER_H_
#define BINCE_CODING_RANGE_CODER_H_

#include "native/coding/rans.h"

namespace bince {

inline constexpr uint64_t kRangeTop = uint64_t{1} << 48;
inline constexpr uint64_t kRangeLow = uint64_t{1} << 32;

struct RangeWriter {
  uint64_t low;
  uint64_t range;
  uint8_t* begin;  // words lie in [begin, at)
  uint8_t* at;
  uint8_t* end;  // of the room
};

BINCE_INLINE void range_start(RangeWriter* w, uint8_t* begin, uint8_t* end) {
  *w = {0, kRangeTop, begin, begin, end};
}

BINCE_INLINE void range_carry(RangeWriter* w) {
  for (uint8_t* p = w->at; p > w->begin;) {
    p -= 2;
    const uint32_t word = (load_word(p) + 1) & 0xffff;
    store_word(p, word);
    if (word) return;
  }
}

BINCE_INLINE uint64_t range_after(uint64_t range, uint64_t r, uint32_t start, uint32_t frequency) {
  return start + frequency == 0x10000 ? range - r * start : r * frequency;
}

// False where the room is used up; nothing has changed then.
BINCE_INLINE bool range_put(RangeWriter* w, uint32_t start, uint32_t frequency) {
  if (w->end - w->at < 4) return false;  // one word now and the last one at the end
  const uint64_t r = w->range >> 16;
  w->low += r * start;
  w->range = range_after(w->range, r, start, frequency);
  if (w->low >= kRangeTop) {
    w->low -= kRangeTop;
    range_carry(w);
  }
  if (w->range < kRangeLow) {
    store_word(w->at, static_cast<uint32_t>(w->low >> 32));
    w->at += 2;
    w->low = (w->low & 0xffffffff) << 16;
    w->range <<= 16;
  }
  return true;
}

BINCE_INLINE bool range_finish(RangeWriter* w) {
  if (w->end - w->at < 2) return false;
  const uint64_t value = (w->low + 0xffffffff) >> 32;
  if (value == 0x10000) range_carry(w);
  store_word(w->at, static_cast<uint32_t>(value & 0xffff));
  w->at += 2;
  return true;
}

struct RangeReader {
  uint64_t code;
  uint64_t range;
  const uint8_t* at;   // the next word
  const uint8_t* end;  // of the words; those beyond count as 0
  uint64_t words;      // that the encoder must have stored so far: 1 + renormalisations
};

BINCE_INLINE uint64_t range_next_word(RangeReader* r) {
  if (r->end - r->at < 2) return 0;
  const uint64_t word = load_word(r->at);
  r->at += 2;
  return word;
}

BINCE_INLINE void range_start(RangeReader* r, const uint8_t* begin, const uint8_t* end) {
  *r = {0, kRangeTop, begin, end, 1};
  for (int i = 0; i < 3; ++i) r->code = r->code << 16 | range_next_word(r);
}

BINCE_INLINE uint32_t range_slot(const RangeReader* r) {
  const uint64_t slot = r->code / (r->range >> 16);
  return slot > 65535 ? 65535 : static_cast<uint32_t>(slot);
}

BINCE_INLINE void range_take(RangeReader* r, uint32_t start, uint32_t frequency) {
  const uint64_t unit = r->range >> 16;
  r->code -= unit * start;
  r->range = range_after(r->range, unit, start, frequency);
  if (r->range < kRangeLow) {
    r->code = r->code << 16 | range_next_word(r);  // code < range always, whatever the words say
    r->range <<= 16;
    ++r->words;
  }
}

// Whether exactly the words in [begin, end) were written for the symbols taken.
BINCE_INLINE bool range_complete(const RangeReader* r, const uint8_t* begin) {
  return static_cast<uint64_t>(r->end - begin) == 2 * r->words;
}

}  // namespace bince

#endif  // BINCE_CODING_RANGE_CODER_H_
