// CRC-32C by a processor's own instruction.  The instruction takes two or three cycles but one starts every
// cycle, so three pieces of kPiece bytes run side by side; a checksum moves past a piece of zeros by one
// table look-up a byte.  Included by the files of targets alone.
#ifndef BINCE_CODING_CRC32C_PIECES_H_
#define BINCE_CODING_CRC32C_PIECES_H_

#include "native/coding/coding_ops.h"

namespace bince {
namespace {

constexpr size_t kPiece = 1024;

// at[k][b]: the checksum with byte k equal to b, after kPiece zero bytes.
struct PastPiece {
  uint32_t at[4][256];
  constexpr PastPiece() : at() {
    uint32_t bits[32] = {};
    for (int i = 0; i < 32; ++i) {
      uint32_t crc = 1u << i;
      for (size_t bit = 0; bit < 8 * kPiece; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
      bits[i] = crc;
    }
    for (int k = 0; k < 4; ++k)
      for (int b = 0; b < 256; ++b)
        for (int i = 0; i < 8; ++i)
          if (b >> i & 1) at[k][b] ^= bits[8 * k + i];
  }
};

constexpr PastPiece kPast;

inline uint32_t past_piece(uint32_t crc) {
  return kPast.at[0][crc & 255] ^ kPast.at[1][crc >> 8 & 255] ^ kPast.at[2][crc >> 16 & 255] ^
         kPast.at[3][crc >> 24];
}

inline uint64_t eight_bytes(const uint8_t* at) {
  uint64_t eight;
  __builtin_memcpy(&eight, at, 8);
  return eight;
}

// Eight(crc, word) and One(crc, byte): the checksum after eight bytes, after one.
template <uint32_t (*Eight)(uint32_t, uint64_t), uint32_t (*One)(uint32_t, uint8_t)>
uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t count) {
  uint32_t c = ~crc;
  for (; count >= 3 * kPiece; count -= 3 * kPiece, bytes += 3 * kPiece) {
    uint32_t second = 0, third = 0;
    for (size_t i = 0; i < kPiece; i += 8) {
      c = Eight(c, eight_bytes(bytes + i));
      second = Eight(second, eight_bytes(bytes + kPiece + i));
      third = Eight(third, eight_bytes(bytes + 2 * kPiece + i));
    }
    c = past_piece(past_piece(c) ^ second) ^ third;
  }
  for (; count >= 8; count -= 8, bytes += 8) c = Eight(c, eight_bytes(bytes));
  for (; count > 0; --count) c = One(c, *bytes++);
  return ~c;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_CRC32C_PIECES_H_
