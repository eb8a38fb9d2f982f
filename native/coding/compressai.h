// CompressAI's strings: rANS with a 64-bit state, 32-bit words, 16-bit tables and 4-bit bypass tokens.
//
// Layout of a string: the final state, low word first, then 32-bit words, all little-endian; no length, no
// checksum.  A symbol outside its table is entry m, then the number of 4-bit nibbles of its escape number as
// a 4-bit token, then the nibbles, low first.
#ifndef BINCE_CODING_COMPRESSAI_H_
#define BINCE_CODING_COMPRESSAI_H_

#include "native/coding/coding_ops.h"
#include "native/coding/compressai_step.h"

namespace bince {

// Strings that a slot takes at once: lanes of eight 512-bit vectors of states.
enum { kStringsAtOnce = 64 };
// Bytes behind a string's end that the encoder may write: the room is the caller's, the bytes mean nothing.
enum { kStringSpareBytes = 8 };

struct StringJob {
  int32_t* symbols;         // [length]: read by the encoder, written by the decoder
  const uint32_t* indexes;  // [length]
  int64_t length;
  uint8_t* begin;      // the encoded string; the encoder writes it downwards from `end`
  uint8_t* end;        // and kStringSpareBytes behind it, if it encodes
  int64_t failed_at;   // the symbol that could not be coded
  const char* damage;  // null, or what is wrong
};

// `count` is 1 to kStringsAtOnce; all have the same length.
void encode_strings_ref(const bince_tables* tables, StringJob* jobs, int count);
void decode_strings_ref(const bince_tables* tables, StringJob* jobs, int count);

}  // namespace bince

#endif  // BINCE_CODING_COMPRESSAI_H_
