// Unsigned LEB128 numbers ("varints") and the escapes built on them.
#ifndef BINCE_CODING_ESCAPE_H_
#define BINCE_CODING_ESCAPE_H_

#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

// A varint below 2^53 has at most 8 bytes; an escape of an int32 symbol at most 5.
enum { kMaxVarintBytes = 8, kMaxEscapeBytes = 5 };

// The number written for v = symbol - offset outside 0 <= v < escape.
BINCE_INLINE uint64_t escape_value(int64_t v, uint32_t escape) {
  return v < 0 ? static_cast<uint64_t>(-2 * v - 1) : static_cast<uint64_t>(2 * (v - int64_t{escape}));
}

// The symbol of an escape; false where it does not fit int32.
BINCE_INLINE bool escaped_symbol(uint64_t value, uint32_t escape, int32_t offset, int32_t* symbol) {
  const int64_t half = static_cast<int64_t>(value / 2);
  const int64_t s = ((value & 1) ? -half - 1 : half + int64_t{escape}) + int64_t{offset};
  *symbol = static_cast<int32_t>(s);
  return s == *symbol;
}

BINCE_INLINE int varint_bytes(uint64_t value) {
  int bytes = 1;
  while (value >>= 7) ++bytes;
  return bytes;
}

BINCE_INLINE uint8_t* write_varint(uint8_t* out, uint64_t value) {
  for (; value >= 128; value >>= 7) *out++ = static_cast<uint8_t>(value | 128);
  *out++ = static_cast<uint8_t>(value);
  return out;
}

// Writes the varint so that it ends at `end`; returns its first byte.
BINCE_INLINE uint8_t* write_varint_before(uint8_t* end, uint64_t value) {
  uint8_t* begin = end - varint_bytes(value);
  write_varint(begin, value);
  return begin;
}

// Reads a varint below 2^53 from [*at, end) and moves *at behind it; false where there is none.
BINCE_INLINE bool read_varint(const uint8_t** at, const uint8_t* end, uint64_t* value) {
  uint64_t v = 0;
  for (int i = 0; i < kMaxVarintBytes && *at < end; ++i) {
    const uint64_t byte = *(*at)++;
    v |= (byte & 127) << (7 * i);
    if (byte < 128) {
      *value = v;
      return v < (uint64_t{1} << 53);
    }
  }
  return false;
}

}  // namespace bince

#endif  // BINCE_CODING_ESCAPE_H_
