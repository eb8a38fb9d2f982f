// CRC-32C by the instruction of SSE4.2, which AVX2 implies.
#include <nmmintrin.h>

#include "native/coding/crc32c_pieces.h"

namespace bince {
namespace {

inline uint32_t eight(uint32_t crc, uint64_t word) {
  return static_cast<uint32_t>(_mm_crc32_u64(crc, word));
}

inline uint32_t one(uint32_t crc, uint8_t byte) {
  return _mm_crc32_u8(crc, byte);
}

}  // namespace

void coding_fill_crc_avx2(CodingOps* ops) {
  ops->crc32c = crc32c<eight, one>;
}

}  // namespace bince
