// CRC-32C (Castagnoli, reflected 0x82F63B78), eight bytes at a time by table ("slicing", Kounavis and Berry).
#include "native/coding/block_ref.h"

namespace bince {
namespace {

struct CrcTables {
  uint32_t at[8][256];
  constexpr CrcTables() : at() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
      at[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; ++i)
      for (int k = 1; k < 8; ++k) at[k][i] = (at[k - 1][i] >> 8) ^ at[0][at[k - 1][i] & 255];
  }
};

constexpr CrcTables kCrc;

}  // namespace

uint32_t crc32c_ref(uint32_t crc, const uint8_t* bytes, size_t count) {
  crc = ~crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    crc ^= bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
    crc = kCrc.at[7][crc & 255] ^ kCrc.at[6][crc >> 8 & 255] ^ kCrc.at[5][crc >> 16 & 255] ^
          kCrc.at[4][crc >> 24] ^ kCrc.at[3][bytes[4]] ^ kCrc.at[2][bytes[5]] ^ kCrc.at[1][bytes[6]] ^
          kCrc.at[0][bytes[7]];
  }
  for (; count > 0; --count) crc = (crc >> 8) ^ kCrc.at[0][(crc ^ *bytes++) & 255];
  return ~crc;
}

}  // namespace bince
