// One symbol of a CompressAI string, both ways; plain functions that nvcc compiles too.  The layout is told
// in compressai.h.
#ifndef BINCE_CODING_COMPRESSAI_STEP_H_
#define BINCE_CODING_COMPRESSAI_STEP_H_

#include "native/coding/escape.h"
#include "native/coding/rans.h"

namespace bince {

// At most 2 bytes for the entry, half a byte for the count and 7 nibbles.
enum { kMaxStringSymbolBytes = 6, kStringStateBytes = 8 };
inline constexpr uint64_t kMaxStringEscape = uint64_t{1} << 28;
inline constexpr uint64_t kStringStateLow = uint64_t{1} << 31;
inline constexpr uint64_t kStringStateEnd = uint64_t{1} << 63;
enum { kBypassBits = 4, kMaxNibbles = 7 };  // of a number below 2^28

enum class StringDamage : int32_t {
  kNone,
  kTooShort,
  kLongEscape,
  kLeadingZeros,
  kBeyondInt32,
  kLength,
  kState,
  kEnd,
  kWordsLeft
};

BINCE_INLINE void emit_string_word(uint64_t* x, uint8_t** words) {
  *words -= 4;
  store_u32(*words, static_cast<uint32_t>(*x));
  *x >>= 32;
}

BINCE_INLINE void put_string_entry(const EncodeEntry& entry, uint64_t* x, uint8_t** words) {
  if (*x >= static_cast<uint64_t>(entry.frequency) << 47) emit_string_word(x, words);
  const uint64_t q = divide_by_frequency(*x, entry);
  *x = (q << 16) + (*x - q * entry.frequency) + entry.start;
}

BINCE_INLINE void put_bypass(uint32_t nibble, uint64_t* x, uint8_t** words) {
  if (*x >= uint64_t{1} << 59) emit_string_word(x, words);
  *x = *x << kBypassBits | nibble;
}

// The tokens of an escape, last to first, as the state is a stack; the entry itself follows.
BINCE_INLINE void put_string_escape(uint64_t raw, uint64_t* x, uint8_t** words) {
  int nibbles = 0;
  while (raw >> (kBypassBits * nibbles)) ++nibbles;
  for (int i = nibbles; i-- > 0;) put_bypass(raw >> (kBypassBits * i) & 15, x, words);
  put_bypass(static_cast<uint32_t>(nibbles), x, words);
}

// Codes a symbol; false where its escape is too large for a string, and nothing has changed then.
BINCE_INLINE bool put_string_symbol(const TableView& table, int32_t symbol, uint64_t* x, uint8_t** words) {
  const int64_t v = int64_t{symbol} - table.offset;
  uint32_t entry = static_cast<uint32_t>(v);
  if (__builtin_expect(v < 0 || v >= table.escape, 0)) {
    const uint64_t raw = escape_value(v, table.escape);
    if (raw >= kMaxStringEscape) return false;
    put_string_escape(raw, x, words);
    entry = table.escape;
  }
  put_string_entry(table.encode[entry], x, words);
  return true;
}

// Writes the state before the words; returns the string's first byte.
BINCE_INLINE uint8_t* put_string_state(uint64_t x, uint8_t* words) {
  words -= kStringStateBytes;
  store_u32(words, static_cast<uint32_t>(x));
  store_u32(words + 4, static_cast<uint32_t>(x >> 32));
  return words;
}

struct StringReader {
  uint64_t x;
  const uint8_t* at;
  const uint8_t* end;
};

// Without a branch on the state, which nobody can predict.
BINCE_INLINE bool renormalize_string(StringReader* r) {
  if (__builtin_expect(r->end - r->at < 4, 0)) return r->x >= kStringStateLow;
  const bool due = r->x < kStringStateLow;
  const uint64_t renewed = r->x << 32 | load_u32(r->at);
  r->x = due ? renewed : r->x;
  r->at += due ? 4 : 0;
  return true;
}

BINCE_INLINE bool take_bypass(StringReader* r, uint32_t* nibble) {
  *nibble = r->x & 15;
  r->x >>= kBypassBits;
  return renormalize_string(r);
}

BINCE_INLINE StringDamage take_string_escape(StringReader* r, const TableView& table, int32_t* symbol) {
  uint32_t nibbles, nibble = 1;
  if (!take_bypass(r, &nibbles)) return StringDamage::kTooShort;
  if (nibbles > kMaxNibbles) return StringDamage::kLongEscape;
  uint64_t raw = 0;
  for (uint32_t i = 0; i < nibbles; ++i) {
    if (!take_bypass(r, &nibble)) return StringDamage::kTooShort;
    raw |= uint64_t{nibble} << (kBypassBits * i);
  }
  if (nibble == 0) return StringDamage::kLeadingZeros;
  return escaped_symbol(raw, table.escape, table.offset, symbol) ? StringDamage::kNone
                                                                 : StringDamage::kBeyondInt32;
}

BINCE_INLINE StringDamage take_string_symbol(StringReader* r, const TableView& table, int32_t* symbol) {
  const uint32_t slot = r->x & 0xffff;
  const uint32_t entry = find_entry(table.decode, table.bucket, slot);
  const DecodeEntry e = table.decode[entry];
  r->x = e.frequency * (r->x >> 16) + slot - e.start;
  if (__builtin_expect(!renormalize_string(r), 0)) return StringDamage::kTooShort;
  if (__builtin_expect(entry == table.escape, 0)) return take_string_escape(r, table, symbol);
  *symbol = table.offset + static_cast<int32_t>(entry);
  return StringDamage::kNone;
}

BINCE_INLINE StringDamage start_string(const uint8_t* begin, const uint8_t* end, StringReader* r) {
  const int64_t size = end - begin;
  if (size < kStringStateBytes || size % 4 != 0) return StringDamage::kLength;
  *r = {load_u32(begin) | uint64_t{load_u32(begin + 4)} << 32, begin + kStringStateBytes, end};
  return r->x < kStringStateLow || r->x >= kStringStateEnd ? StringDamage::kState : StringDamage::kNone;
}

BINCE_INLINE StringDamage end_string(const StringReader& r) {
  if (r.x != kStringStateLow) return StringDamage::kEnd;
  return r.at == r.end ? StringDamage::kNone : StringDamage::kWordsLeft;
}

}  // namespace bince

#endif  // BINCE_CODING_COMPRESSAI_STEP_H_
