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

enum { kStringsAtOnce = 4 };

struct StringJob {
  int32_t* symbols;         // [length]: read by the encoder, written by the decoder
  const uint32_t* indexes;  // [length]
  int64_t length;
  uint8_t* begin;  // the encoded string; the encoder writes it downwards from `end`
  uint8_t* end;
  int64_t failed_at;   // the symbol that could not be coded
  const char* damage;  // null, or what is wrong
};

void encode_strings(const bince_tables* tables, StringJob* jobs, int count);
void decode_strings(const bince_tables* tables, StringJob* jobs, int count);

}  // namespace bince

#endif  // BINCE_CODING_COMPRESSAI_H_
