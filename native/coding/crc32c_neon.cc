// CRC-32C by the instructions of Armv8's CRC32 extension, which nearly every AArch64 processor has.
#include <arm_acle.h>

#include "native/coding/crc32c_pieces.h"

namespace bince {
namespace {

inline uint32_t eight(uint32_t crc, uint64_t word) {
  return __crc32cd(crc, word);
}

inline uint32_t one(uint32_t crc, uint8_t byte) {
  return __crc32cb(crc, byte);
}

}  // namespace

void coding_fill_crc_neon(CodingOps* ops) {
  ops->crc32c = crc32c<eight, one>;
}

}  // namespace bince
