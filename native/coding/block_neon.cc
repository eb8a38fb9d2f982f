// 32-lane rANS as in block_avx512.cc, each vector in four quarters of eight lanes.  Tables are looked up by
// TBL: their numbers' low bytes, then their high bytes, in two or four registers, and an index has the entry
// in both its bytes, the upper one moved on to the high bytes' registers.  Words are dealt out and in by TBL
// with a pattern for every mask of 8 lanes.
#include "native/coding/lane_patterns.h"
#include "native/coding/tile_neon.h"

namespace bince {
namespace {

enum { kQuarters = 4 };

// Lanes 0 to 7, 8 to 15, ...  Masks are vectors of 0 and 65535.
struct Vec {
  uint16x8_t quarter[kQuarters];
};

}  // namespace
}  // namespace bince

#include "native/coding/lane_stream.h"

namespace bince {
namespace {

inline Vec load_lanes(const void* lanes) {
  const uint16_t* at = static_cast<const uint16_t*>(lanes);
  return {{vld1q_u16(at), vld1q_u16(at + 8), vld1q_u16(at + 16), vld1q_u16(at + 24)}};
}

inline void store_lanes(void* lanes, const Vec& v) {
  for (int q = 0; q < kQuarters; ++q) vst1q_u16(static_cast<uint16_t*>(lanes) + 8 * q, v.quarter[q]);
}

// One quarter of a pair of channels, the even channel's entries in the low bytes.
inline uint8x16_t tile_pair(const uint8_t* tile, uint32_t c, int q) {
  return vld1q_u8(tile + size_t{c} / 2 * 64 + 16 * q);
}

// A bit for each lane whose mask is set; counts, where asked for: the set lanes of each quarter in a byte.
inline uint32_t bits_of(const Vec& mask, uint32_t* counts = nullptr) {
  const uint8x16_t weights = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
  const auto sixteen = [&](int q) {
    const uint8x16_t a = vreinterpretq_u8_u16(mask.quarter[q]);
    return vandq_u8(vuzp1q_u8(a, vreinterpretq_u8_u16(mask.quarter[q + 1])), weights);
  };
  uint8x16_t sums = vpaddq_u8(sixteen(0), sixteen(2));
  sums = vpaddq_u8(sums, sums);
  sums = vpaddq_u8(sums, sums);
  if (counts) *counts = vgetq_lane_u32(vreinterpretq_u32_u8(vcntq_u8(sums)), 0);
  return vgetq_lane_u32(vreinterpretq_u32_u8(sums), 0);
}

inline uint32_t escape_mask(const uint8_t* tile, uint32_t c, uint32_t escape) {
  const uint8x16_t e = vdupq_n_u8(static_cast<uint8_t>(escape));
  const uint8x16_t own = vreinterpretq_u8_u16(vdupq_n_u16((c & 1) ? 0xff00 : 0x00ff));
  Vec met;
  for (int q = 0; q < kQuarters; ++q)
    met.quarter[q] =
        vtstq_u16(vreinterpretq_u16_u8(vceqq_u8(tile_pair(tile, c, q), e)), vreinterpretq_u16_u8(own));
  return bits_of(met);
}

// Whether some lane of a pair of channels holds the pair's escapes, the even channel's in the low byte.
inline bool pair_has_escape(const uint8_t* tile, uint32_t pair, uint32_t escapes) {
  const uint8x16_t both = vreinterpretq_u8_u16(vdupq_n_u16(static_cast<uint16_t>(escapes)));
  uint8x16_t met = vdupq_n_u8(0);
  for (int q = 0; q < kQuarters; ++q) met = vorrq_u8(met, vceqq_u8(tile_pair(tile, 2 * pair, q), both));
  return vmaxvq_u8(met) != 0;
}

// The mask of lanes whose bits are set.
inline Vec mask_of(uint32_t bits) {
  const uint16x8_t each = {1, 2, 4, 8, 16, 32, 64, 128};
  Vec mask;
  for (int q = 0; q < kQuarters; ++q)
    mask.quarter[q] = vtstq_u16(vdupq_n_u16(static_cast<uint16_t>(bits >> (8 * q) & 255)), each);
  return mask;
}

// A table of 16-bit numbers as bytes: 16 or 32 low ones, then as many high ones.
template <bool Large>
struct Planes {
  uint8x16x4_t four;
  uint8x16x2_t two;
  explicit Planes(const uint16_t* table) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(table);
    two = vld2q_u8(bytes);
    if (!Large) return;
    const uint8x16x2_t upper = vld2q_u8(bytes + 32);
    four = {{two.val[0], upper.val[0], two.val[1], upper.val[1]}};
  }
  uint16x8_t operator[](uint16x8_t index) const {
    const uint8x16_t each = vreinterpretq_u8_u16(index);
    return vreinterpretq_u16_u8(Large ? vqtbl4q_u8(four, each) : vqtbl2q_u8(two, each));
  }
};

// The index of entry 0; entry e is at e * 0x0101 from there.
template <bool Large>
constexpr uint16_t kFirstIndex = Large ? 0x2000 : 0x1000;

// --- decoding ---

// The indexes of the slots' entries by halving: below[j] tells the slots whose entry is j or more.
template <int Steps>
inline uint16x8_t search(uint16x8_t slot, const Planes<(Steps > 4)>& below, uint16_t middle) {
  constexpr uint16_t kFirst = kFirstIndex<(Steps > 4)>;
  const uint16x8_t beyond = vcgtq_u16(slot, vdupq_n_u16(middle));
  uint16x8_t index = vbslq_u16(beyond, vdupq_n_u16(kFirst + (0x0101 << (Steps - 1))), vdupq_n_u16(kFirst));
  for (int step = Steps - 2; step >= 0; --step) {
    const uint16x8_t candidate = vaddq_u16(index, vdupq_n_u16(static_cast<uint16_t>(0x0101 << step)));
    index = vbslq_u16(vcgtq_u16(slot, below[candidate]), candidate, index);
  }
  return index;
}

// The next words for 32 lanes: only those with a bit in `due` count.
inline Vec take_words(Stream* s, uint32_t due, uint32_t counts) {
  const uint8_t* at = s->end - 2 * s->left;
  alignas(64) uint8_t last[2 * kLanes + 16] = {};
  if (__builtin_expect(s->left < kLanes, 0)) {
    for (int64_t i = 0; i < 2 * s->left; ++i) last[i] = at[i];
    at = last;
  }
  const uint32_t sums = counts * 0x01010101;  // of the quarters up to each
  s->left -= sums >> 24;
  Vec words;
  for (int q = 0; q < kQuarters; ++q) {
    const uint32_t before = q == 0 ? 0 : sums >> (8 * q - 8) & 255;
    const uint8x16_t pattern = vld1q_u8(kPatterns.expand[due >> (8 * q) & 255]);
    words.quarter[q] = vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(at + 2 * before), pattern));
  }
  return words;
}

// One channel's table.
template <int Steps>
struct DecodePlanes {
  static constexpr bool kLarge = Steps > 4;
  Planes<kLarge> below, frequency, start;
  uint16_t middle;  // below[], half way
  uint16x8_t escape;
  DecodePlanes(const SmallDecode& table, uint32_t escape_entry)
      : below(table.below),
        frequency(table.frequency),
        start(table.start),
        middle(table.below[1 << (Steps - 1)]),
        escape(vdupq_n_u16(static_cast<uint16_t>(kFirstIndex<kLarge> + 0x0101 * escape_entry))) {}
};

// Decodes a channel of one block into indexes; lanes of *met that met an escape are set.
template <int Steps, bool Full>
inline Vec decode_channel(const DecodePlanes<Steps>& planes, Stream* s, const Vec& active, Vec* met) {
  Vec indexes, high, low, due;
  for (int q = 0; q < kQuarters; ++q) {
    const uint16x8_t old_high = s->high.quarter[q];
    const uint16x8_t index = search<Steps>(s->low.quarter[q], planes.below, planes.middle);
    const uint16x8_t frequency = planes.frequency[index];
    const uint16x8_t bias = vsubq_u16(s->low.quarter[q], planes.start[index]);
    const uint32x4_t first = vmull_u16(vget_low_u16(frequency), vget_low_u16(old_high));
    const uint32x4_t second = vmull_high_u16(frequency, old_high);
    low.quarter[q] = vmlaq_u16(bias, frequency, old_high);
    const uint16x8_t carry = vcltq_u16(low.quarter[q], bias);
    high.quarter[q] =
        vsubq_u16(vuzp2q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second)), carry);
    due.quarter[q] = vceqzq_u16(high.quarter[q]);
    if (!Full) due.quarter[q] = vandq_u16(due.quarter[q], active.quarter[q]);
    met->quarter[q] = vorrq_u16(met->quarter[q], vceqq_u16(index, planes.escape));
    indexes.quarter[q] = index;
  }
  uint32_t counts;
  const uint32_t bits = bits_of(due, &counts);
  const Vec words = take_words(s, bits, counts);
  for (int q = 0; q < kQuarters; ++q) {
    const uint16x8_t new_high = vbslq_u16(due.quarter[q], low.quarter[q], high.quarter[q]);
    const uint16x8_t new_low = vbslq_u16(due.quarter[q], words.quarter[q], low.quarter[q]);
    s->high.quarter[q] = Full ? new_high : vbslq_u16(active.quarter[q], new_high, s->high.quarter[q]);
    s->low.quarter[q] = Full ? new_low : vbslq_u16(active.quarter[q], new_low, s->low.quarter[q]);
  }
  return indexes;
}

// One row group of K blocks into their tiles.  Returns a bit for each block that met an escape.
template <int K, int Steps, bool Full>
unsigned decode_tiles(const ChannelPlan& plan, Stream* streams, uint32_t active_lanes) {
  const Vec active = mask_of(active_lanes);
  Vec met[K];
  for (int k = 0; k < K; ++k) met[k] = mask_of(0);
  for (uint32_t c = 0; c < plan.channels; ++c) {
    const DecodePlanes<Steps> planes(*plan.decode[c], plan.escape[c]);
    for (int k = 0; k < K; ++k) {
      uint8_t* at = streams[k].tile + size_t{c} / 2 * 64;
      const Vec indexes = decode_channel<Steps, Full>(planes, &streams[k], active, &met[k]);
      for (int q = 0; q < kQuarters; ++q) {
        // The entry stands in the index's low byte.
        const uint8x16_t index = vreinterpretq_u8_u16(indexes.quarter[q]);
        const uint8x16_t even = (c & 1) ? vld1q_u8(at + 16 * q) : index;
        vst1q_u8(at + 16 * q, (c & 1) ? vtrn1q_u8(even, index) : even);
      }
    }
  }
  unsigned escapes = 0;
  for (int k = 0; k < K; ++k)
    if (bits_of(met[k]) & active_lanes) escapes |= 1u << k;
  return escapes;
}

// --- encoding ---

// x div frequency of x = high:low < frequency * 2^16, without the remainder, by the reciprocal and the shift
// of SmallEncode.
inline uint16x8_t divide(uint16x8_t high, uint16x8_t low, uint16x8_t frequency, uint16x8_t reciprocal,
                         uint16x8_t shift) {
  const int16x8_t left = vreinterpretq_s16_u16(shift), right = vsubq_s16(left, vdupq_n_s16(16));
  const uint16x8_t d = vshlq_u16(frequency, left);
  const uint16x8_t u1 = vorrq_u16(vshlq_u16(high, left), vshlq_u16(low, right));
  const uint16x8_t u0 = vshlq_u16(low, left);
  const uint16x8_t first = vreinterpretq_u16_u32(vmull_u16(vget_low_u16(reciprocal), vget_low_u16(u1)));
  const uint16x8_t second = vreinterpretq_u16_u32(vmull_high_u16(reciprocal, u1));
  const uint16x8_t q0 = vaddq_u16(vuzp1q_u16(first, second), u0);
  uint16x8_t q = vaddq_u16(vuzp2q_u16(first, second), vaddq_u16(u1, vdupq_n_u16(1)));
  q = vsubq_u16(q, vcltq_u16(q0, u0));
  uint16x8_t r = vmlsq_u16(u0, q, d);
  const uint16x8_t above = vcgtq_u16(r, q0);
  q = vaddq_u16(q, above);
  r = vaddq_u16(r, vandq_u16(above, d));
  return vsubq_u16(q, vcgeq_u16(r, d));
}

// Puts the words of the lanes with a bit in `due` before s->words.  Writes 16 bytes at a time: what it spoils
// below is written later, or is the room's margin.
inline void put_words(Stream* s, const Vec& words, uint32_t due, uint32_t counts) {
  for (int q = kQuarters; q-- > 0;) {
    const uint8x16_t pattern = vld1q_u8(kPatterns.compress[due >> (8 * q) & 255]);
    vst1q_u8(s->words - 16, vqtbl1q_u8(vreinterpretq_u8_u16(words.quarter[q]), pattern));
    s->words -= 2 * (counts >> (8 * q) & 255);
  }
}

// The planes of one table's numbers.
template <bool Large>
struct EncodePlanes {
  Planes<Large> frequency, start, reciprocal, shift;
  explicit EncodePlanes(const SmallEncode& table)
      : frequency(table.frequency), start(table.start), reciprocal(table.reciprocal), shift(table.shift) {}
};

// The indexes of a channel's entries in a quarter.
template <bool Large>
inline uint16x8_t index_of(const uint8_t* tile, uint32_t c, int q) {
  const uint8x16_t pair = tile_pair(tile, c, q);
  const uint8x16_t entry = (c & 1) ? vtrn2q_u8(pair, pair) : vtrn1q_u8(pair, pair);
  return vaddq_u16(vreinterpretq_u16_u8(entry), vdupq_n_u16(kFirstIndex<Large>));
}

template <bool Large, bool Full>
inline void put(Stream* s, const EncodePlanes<Large>& planes, uint32_t c, const Vec& active) {
  Vec due, frequency, indexes;
  for (int q = 0; q < kQuarters; ++q) {
    indexes.quarter[q] = index_of<Large>(s->tile, c, q);
    frequency.quarter[q] = planes.frequency[indexes.quarter[q]];
    due.quarter[q] = vcgeq_u16(s->high.quarter[q], frequency.quarter[q]);
    if (!Full) due.quarter[q] = vandq_u16(due.quarter[q], active.quarter[q]);
  }
  uint32_t counts;
  const uint32_t bits = bits_of(due, &counts);
  put_words(s, s->low, bits, counts);
  for (int q = 0; q < kQuarters; ++q) {
    const uint16x8_t index = indexes.quarter[q], f = frequency.quarter[q];
    const uint16x8_t low = vbslq_u16(due.quarter[q], s->high.quarter[q], s->low.quarter[q]);
    const uint16x8_t high = vbicq_u16(s->high.quarter[q], due.quarter[q]);
    const uint16x8_t quotient = divide(high, low, f, planes.reciprocal[index], planes.shift[index]);
    const uint16x8_t new_low = vaddq_u16(vmlsq_u16(low, quotient, f), planes.start[index]);
    s->high.quarter[q] = Full ? quotient : vbslq_u16(active.quarter[q], quotient, s->high.quarter[q]);
    s->low.quarter[q] = Full ? new_low : vbslq_u16(active.quarter[q], new_low, s->low.quarter[q]);
  }
}

// Sums of costs: halves as SmallEncode has them, a 64-bit number for each pair of quarters.
struct Costs {
  uint64x2_t high, low;
  uint64_t total() const { return (vaddvq_u64(high) << 15) + vaddvq_u64(low); }
};

// Adds the costs of a channel's entries.
template <bool Large>
inline void add_costs(Costs* costs, const Planes<Large>& high, const Planes<Large>& low, const uint8_t* tile,
                      uint32_t c, const Vec& active) {
  uint32x4_t highs = vdupq_n_u32(0), lows = vdupq_n_u32(0);
  for (int q = 0; q < kQuarters; ++q) {
    const uint16x8_t index = index_of<Large>(tile, c, q);
    highs = vpadalq_u16(highs, vandq_u16(high[index], active.quarter[q]));
    lows = vpadalq_u16(lows, vandq_u16(low[index], active.quarter[q]));
  }
  costs->high = vpadalq_u32(costs->high, highs);
  costs->low = vpadalq_u32(costs->low, lows);
}

template <int K, bool Large, bool Full, bool Counted>
void encode_sized(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, uint32_t active_lanes) {
  const Vec active = mask_of(active_lanes);
  Costs costs[K];
  for (Costs& each : costs) each = {vdupq_n_u64(0), vdupq_n_u64(0)};
  for (uint32_t c = plan.channels; c-- > 0;) {
    const SmallEncode& table = *plan.encode[c];
    const EncodePlanes<Large> planes(table);
    for (int k = 0; k < K; ++k) {
      if (Full && streams[k].ahead) fetch_ahead(plan, streams[k], c);
      put<Large, Full>(&streams[k], planes, c, active);
    }
    if (!Counted) continue;
    const Planes<Large> high(table.cost_high), low(table.cost_low);
    for (int k = 0; k < K; ++k) add_costs<Large>(&costs[k], high, low, streams[k].tile, c, active);
  }
  for (int k = 0; Counted && k < K; ++k) jobs[k].cost += costs[k].total();
}

// One row group of K blocks out of their tiles, the last channel first.
template <int K, bool Full, bool Counted>
void encode_tiles(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, uint32_t active_lanes) {
  if (plan.largest <= 16)
    encode_sized<K, false, Full, Counted>(plan, streams, jobs, active_lanes);
  else
    encode_sized<K, true, Full, Counted>(plan, streams, jobs, active_lanes);
}

}  // namespace
}  // namespace bince

#include "native/coding/block_lanes.h"

namespace bince {
namespace {

void decode_rans_neon(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return decode_rans_ref(plan, jobs, count, scratch);
  if (plan->largest <= 4) return decode_steps<2>(*plan, jobs, count, scratch);
  if (plan->largest <= 8) return decode_steps<3>(*plan, jobs, count, scratch);
  if (plan->largest <= 16) return decode_steps<4>(*plan, jobs, count, scratch);
  decode_steps<5>(*plan, jobs, count, scratch);
}

void encode_rans_neon(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return encode_rans_ref(plan, jobs, count, scratch);
  encode_rans_lanes(*plan, jobs, count, scratch);
}

}  // namespace

void coding_fill_blocks_neon(CodingOps* ops) {
  ops->encode_rans = encode_rans_neon;
  ops->decode_rans = decode_rans_neon;
}

}  // namespace bince
