// CRC-32C by the processor's own instruction (SSE4.2, which AVX2 implies).
#include <nmmintrin.h>

#include "native/coding/coding_ops.h"

namespace {

uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t count) {
  uint64_t c = ~crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t eight;
    __builtin_memcpy(&eight, bytes, 8);
    c = _mm_crc32_u64(c, eight);
  }
  uint32_t narrow = static_cast<uint32_t>(c);
  for (; count > 0; --count) narrow = _mm_crc32_u8(narrow, *bytes++);
  return ~narrow;
}

}  // namespace

void bince::coding_fill_avx2(CodingOps* ops) {
  ops->crc32c = crc32c;
}
