// CRC-32C by a warp: lane l takes words l, l + 32, ... of a message that is padded in front with zeros to
// whole rows of 128 bytes, which do not change the remainder.  A lane moves its sum past a row by four
// look-ups; at the end the lanes' sums are moved past what stands behind them and added, in five rounds.
#ifndef BINCE_CODING_CRC32C_CUH_
#define BINCE_CODING_CRC32C_CUH_

#include "native/coding/tiles.cuh"

namespace bince {
namespace {

constexpr uint32_t kCrcPolynomial = 0x82F63B78u;
constexpr uint32_t kCrcTableWords = 4 * 256;

// x^(8 bytes) mod P; bit 31 is the coefficient of x^0.
constexpr uint32_t crc_power(int bytes) {
  uint32_t power = 1u << 31;
  for (int i = 0; i < 8 * bytes; ++i) power = (power & 1) ? (power >> 1) ^ kCrcPolynomial : power >> 1;
  return power;
}

__device__ __forceinline__ uint32_t crc_product(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 0; i < 32; ++i) {
    product ^= (a >> (31 - i) & 1) ? b : 0;
    b = (b >> 1) ^ ((b & 1) ? kCrcPolynomial : 0);
  }
  return product;
}

// table[k * 256 + b]: byte k of a sum equal to b, 128 zero bytes later.  All threads of the block, at least
// 32 of them; basis: [32].
__device__ __forceinline__ void make_crc_tables(uint32_t* table, uint32_t* basis) {
  if (threadIdx.x < 32) basis[threadIdx.x] = crc_product(crc_power(128), 1u << threadIdx.x);
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < kCrcTableWords; i += blockDim.x) {
    uint32_t sum = 0;
    for (uint32_t bit = 0; bit < 8; ++bit) sum ^= (i >> bit & 1) ? basis[i / 256 * 8 + bit] : 0;
    table[i] = sum;
  }
}

// The checksum of a section: of its head (checksum_head) and its payload.  All lanes; every lane gets it.
__device__ __forceinline__ uint32_t section_checksum(const SectionRules& rules, uint64_t block,
                                                     const Section& s, const uint32_t* table) {
  const uint32_t lane = lane_id();
  const uint32_t head = lane < kChecksumHead / 4 ? checksum_head(rules, block, s, static_cast<int>(lane)) : 0;
  const uint64_t count = kChecksumHead + s.payload_bytes;
  const uint64_t pad = (128 - count % 128) % 128, rows = (count + pad) / 128;
  uint32_t sum = 0;
  for (uint64_t row = 0; row < rows; ++row) {
    const int64_t at = static_cast<int64_t>(128 * row + 4 * lane) - static_cast<int64_t>(pad);
    uint32_t word = 0;
    if (row < 2) {  // padding, head, and the initial ones
      for (int k = 0; k < 4; ++k) {
        const int64_t q = at + k;
        const uint32_t from_head = __shfl_sync(kAllLanes, head, static_cast<int>(q >> 2 & 31));
        uint32_t byte = 0;
        if (q >= kChecksumHead)
          byte = s.payload[q - kChecksumHead];
        else if (q >= 0)
          byte = (from_head >> (8 * (q & 3)) & 0xff) ^ (q < 4 ? 0xff : 0);
        word |= byte << (8 * k);
      }
    } else {
      word = load_u32(s.payload + (at - kChecksumHead));
    }
    sum = table[sum & 255] ^ table[256 + (sum >> 8 & 255)] ^ table[512 + (sum >> 16 & 255)] ^
          table[768 + (sum >> 24)] ^ word;
  }
  constexpr uint32_t kPast[5] = {crc_power(4), crc_power(8), crc_power(16), crc_power(32), crc_power(64)};
  for (int round = 0; round < 5; ++round)
    sum = crc_product(kPast[round], sum) ^ __shfl_down_sync(kAllLanes, sum, 1u << round);
  sum = ~crc_product(kPast[0], sum);
  return __shfl_sync(kAllLanes, sum, 0);
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_CRC32C_CUH_
