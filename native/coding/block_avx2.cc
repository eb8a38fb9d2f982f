// 32-lane rANS as in block_avx512.cc, each vector in two halves of 16 lanes.  What AVX2 lacks: tables are
// looked up by pshufb, one plane of bytes for all 32 lanes at a time; words are dealt out and in by pshufb
// with a pattern for every mask of 8 lanes; shifts by a lane's own amount are multiplications.
#include "native/coding/lane_patterns.h"
#include "native/coding/tile_avx2.h"

namespace bince {
namespace {

// Lanes 0 to 7 and 16 to 23; 8 to 15 and 24 to 31: packing the halves to bytes brings the lanes into order,
// and unpacking bytes makes halves.  Masks are vectors of 0 and -1.
struct Vec {
  __m256i half[2];
};

}  // namespace
}  // namespace bince

#include "native/coding/lane_stream.h"

namespace bince {
namespace {

inline Vec load_lanes(const void* lanes) {
  const __m256i* at = static_cast<const __m256i*>(lanes);
  const __m256i a = _mm256_load_si256(at), b = _mm256_load_si256(at + 1);
  return {{_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)}};
}

inline void store_lanes(void* lanes, const Vec& v) {
  __m256i* at = static_cast<__m256i*>(lanes);
  _mm256_store_si256(at, _mm256_permute2x128_si256(v.half[0], v.half[1], 0x20));
  _mm256_store_si256(at + 1, _mm256_permute2x128_si256(v.half[0], v.half[1], 0x31));
}

inline __m256i tile_channel(const uint8_t* tile, uint32_t c) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(tile + size_t{c} * 32));
}

inline __m256i set_bytes(uint32_t value) {
  return _mm256_set1_epi8(static_cast<char>(value));
}

inline uint32_t escape_mask(const uint8_t* tile, uint32_t c, uint32_t escape) {
  return static_cast<uint32_t>(
      _mm256_movemask_epi8(_mm256_cmpeq_epi8(tile_channel(tile, c), set_bytes(escape))));
}

// Whether some lane of a pair of channels holds the pair's escapes, the even channel's in the low byte.
inline bool pair_has_escape(const uint8_t* tile, uint32_t pair, uint32_t escapes) {
  return (escape_mask(tile, 2 * pair, escapes & 255) | escape_mask(tile, 2 * pair + 1, escapes >> 8)) != 0;
}

// A bit for each lane whose mask is set.
inline uint32_t bits_of(const Vec& mask) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(mask.half[0], mask.half[1])));
}

// The mask of lanes whose bits are set.
inline Vec mask_of(uint32_t bits) {
  alignas(32) uint16_t lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = bits >> l & 1 ? 0xffff : 0;
  return load_lanes(lanes);
}

// Of 16-bit numbers without a sign.
inline __m256i at_least(__m256i a, __m256i b) {
  return _mm256_cmpeq_epi16(_mm256_max_epu16(a, b), a);
}

inline __m128i pattern(const uint8_t* at) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(at));
}

inline __m256i twice(const void* at) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(static_cast<const __m128i*>(at)));
}

// --- decoding ---

// The pair of entries of each lane in both of its bytes: a search by halves.
template <bool Large>
inline __m256i search(__m256i slot, const PairDecode& table) {
  const __m256i turned = _mm256_xor_si256(slot, _mm256_set1_epi16(static_cast<short>(0x8000)));
  const __m256i next = _mm256_set1_epi16(0x100);
  __m256i at = _mm256_setzero_si256();  // twice the group's number
  if (Large) at = _mm256_and_si256(_mm256_cmpgt_epi16(turned, twice(table.below[0])), _mm256_set1_epi8(2));
  for (int level = 1; level < 4; ++level) {
    const __m256i below = _mm256_shuffle_epi8(twice(table.below[level]), _mm256_or_si256(at, next));
    at = _mm256_sub_epi8(at, _mm256_cmpgt_epi16(turned, below));
    if (level < 3) at = _mm256_add_epi8(at, at);
  }
  return at;
}

// The numbers of 32 pairs.
inline Vec look_up(const uint8_t planes[2][16], __m256i pairs) {
  const __m256i low = _mm256_shuffle_epi8(twice(planes[0]), pairs);
  const __m256i high = _mm256_shuffle_epi8(twice(planes[1]), pairs);
  return {{_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)}};
}

// The next words for 32 lanes: only those with a bit in `due` count.
inline Vec take_words(Stream* s, uint32_t due) {
  const uint8_t* at = s->end - 2 * s->left;
  alignas(64) uint8_t last[2 * kLanes + 16] = {};
  if (__builtin_expect(s->left < kLanes, 0)) {
    for (int64_t i = 0; i < 2 * s->left; ++i) last[i] = at[i];
    at = last;
  }
  s->left -= __builtin_popcount(due);
  __m128i part[4];
  for (int q = 0; q < 4; ++q) {
    const uint32_t mask = due >> (8 * q) & 255;
    part[q] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)),
                               pattern(kPatterns.expand[mask]));
    at += 2 * __builtin_popcount(mask);
  }
  return {{_mm256_inserti128_si256(_mm256_castsi128_si256(part[0]), part[2], 1),
           _mm256_inserti128_si256(_mm256_castsi128_si256(part[1]), part[3], 1)}};
}

// Decodes a channel of one block; returns the entries.
template <bool Large, bool Full>
inline __m256i decode_channel(const PairDecode& table, Stream* s, const Vec& active) {
  const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi16(1);
  const __m256i low_bytes = _mm256_set1_epi16(255);
  const __m256i pairs =
      _mm256_packus_epi16(_mm256_and_si256(search<Large>(s->low.half[0], table), low_bytes),
                          _mm256_and_si256(search<Large>(s->low.half[1], table), low_bytes));
  const Vec starts = look_up(table.start, pairs), firsts = look_up(table.frequency, pairs);
  const Vec turns = look_up(table.turn, pairs);
  Vec second, low, high, due;
  for (int h = 0; h < 2; ++h) {
    const __m256i rest = _mm256_sub_epi16(s->low.half[h], starts.half[h]);
    second.half[h] = at_least(rest, firsts.half[h]);
    const __m256i bias = _mm256_sub_epi16(rest, _mm256_and_si256(second.half[h], firsts.half[h]));
    const __m256i frequency =
        _mm256_xor_si256(firsts.half[h], _mm256_and_si256(second.half[h], turns.half[h]));
    low.half[h] = _mm256_add_epi16(_mm256_mullo_epi16(frequency, s->high.half[h]), bias);
    // One more where the sum carries: at_least is -1 where it does not.
    high.half[h] = _mm256_add_epi16(_mm256_add_epi16(_mm256_mulhi_epu16(frequency, s->high.half[h]), one),
                                    at_least(low.half[h], bias));
    due.half[h] = _mm256_cmpeq_epi16(high.half[h], zero);
    if (!Full) due.half[h] = _mm256_and_si256(due.half[h], active.half[h]);
  }
  const Vec words = take_words(s, bits_of(due));
  for (int h = 0; h < 2; ++h) {
    const __m256i new_high = _mm256_or_si256(high.half[h], _mm256_and_si256(due.half[h], low.half[h]));
    const __m256i new_low = _mm256_or_si256(words.half[h], _mm256_andnot_si256(due.half[h], low.half[h]));
    s->high.half[h] = Full ? new_high : _mm256_blendv_epi8(s->high.half[h], new_high, active.half[h]);
    s->low.half[h] = Full ? new_low : _mm256_blendv_epi8(s->low.half[h], new_low, active.half[h]);
  }
  return _mm256_sub_epi8(_mm256_add_epi8(pairs, pairs), _mm256_packs_epi16(second.half[0], second.half[1]));
}

// One row group of K blocks into their tiles.  Returns a bit for each block that met an escape.
template <int K, int Steps, bool Full>
unsigned decode_tiles(const ChannelPlan& plan, Stream* streams, uint32_t active_lanes) {
  const Vec active = mask_of(active_lanes);
  __m256i nearest[K];
  for (int k = 0; k < K; ++k) nearest[k] = _mm256_set1_epi8(1);
  for (uint32_t c = 0; c < plan.channels; ++c) {
    const __m256i escape = set_bytes(plan.escape[c]);
    for (int k = 0; k < K; ++k) {
      const __m256i entries = decode_channel<(Steps > 4), Full>(*plan.pairs[c], &streams[k], active);
      nearest[k] = _mm256_min_epu8(nearest[k], _mm256_sub_epi8(escape, entries));
      _mm256_store_si256(reinterpret_cast<__m256i*>(streams[k].tile + size_t{c} * 32), entries);
    }
  }
  unsigned escapes = 0;
  for (int k = 0; k < K; ++k) {
    const __m256i met = _mm256_cmpeq_epi8(nearest[k], _mm256_setzero_si256());
    if (static_cast<uint32_t>(_mm256_movemask_epi8(met)) & active_lanes) escapes |= 1u << k;
  }
  return escapes;
}

// --- encoding ---

// x div frequency of x = high:low < frequency * 2^16, without the remainder; power = 2^shift of SmallEncode.
// at_least is -1 where it holds, so what is added where it does not hold is 1 + at_least.
inline __m256i divide(__m256i high, __m256i low, __m256i frequency, __m256i reciprocal, __m256i power) {
  const __m256i d = _mm256_mullo_epi16(frequency, power);
  const __m256i u1 = _mm256_or_si256(_mm256_mullo_epi16(high, power), _mm256_mulhi_epu16(low, power));
  const __m256i u0 = _mm256_mullo_epi16(low, power);
  const __m256i q0 = _mm256_add_epi16(_mm256_mullo_epi16(reciprocal, u1), u0);
  __m256i q =
      _mm256_add_epi16(_mm256_mulhi_epu16(reciprocal, u1), _mm256_add_epi16(u1, _mm256_set1_epi16(2)));
  q = _mm256_add_epi16(q, at_least(q0, u0));
  __m256i r = _mm256_sub_epi16(u0, _mm256_mullo_epi16(q, d));
  const __m256i not_above = at_least(q0, r);
  r = _mm256_add_epi16(r, _mm256_andnot_si256(not_above, d));
  q = _mm256_sub_epi16(_mm256_add_epi16(q, _mm256_set1_epi16(-1)), not_above);
  return _mm256_sub_epi16(q, at_least(r, d));
}

// Puts the words of the lanes with a bit in `due` before s->words.  Writes 16 bytes at a time: what it spoils
// below is written later, or is the room's margin.
inline void put_words(Stream* s, const Vec& words, uint32_t due) {
  for (int q = 4; q-- > 0;) {
    const uint32_t mask = due >> (8 * q) & 255;
    const __m256i half = words.half[q & 1];
    const __m128i part = (q & 2) ? _mm256_extracti128_si256(half, 1) : _mm256_castsi256_si128(half);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(s->words - 16),
                     _mm_shuffle_epi8(part, pattern(kPatterns.compress[mask])));
    s->words -= 2 * __builtin_popcount(mask);
  }
}

// The bytes that look entries of 32 lanes up: pshufb gives 0 where bit 7 is set.
template <bool Large>
struct Index {
  __m256i first, second;  // among entries 0 to 15, and 16 to 31
  explicit Index(__m256i entries)
      : first(Large ? _mm256_adds_epu8(entries, _mm256_set1_epi8(0x70)) : entries),
        second(_mm256_sub_epi8(entries, _mm256_set1_epi8(16))) {}
  __m256i look_up(const uint8_t plane[kSmallEntries]) const {
    const __m256i found = _mm256_shuffle_epi8(twice(plane), first);
    return Large ? _mm256_or_si256(found, _mm256_shuffle_epi8(twice(plane + 16), second)) : found;
  }
  Vec look_up(const uint8_t planes[2][kSmallEntries]) const {
    const __m256i low = look_up(planes[0]), high = look_up(planes[1]);
    return {{_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)}};
  }
};

template <bool Large, bool Full>
inline void put(Stream* s, const ByteEncode& table, uint32_t c, const Vec& active) {
  const Index<Large> index(tile_channel(s->tile, c));
  const Vec frequency = index.look_up(table.frequency);
  Vec due;
  for (int h = 0; h < 2; ++h) {
    due.half[h] = at_least(s->high.half[h], frequency.half[h]);
    if (!Full) due.half[h] = _mm256_and_si256(due.half[h], active.half[h]);
  }
  put_words(s, s->low, bits_of(due));
  const Vec reciprocal = index.look_up(table.reciprocal), power = index.look_up(table.power);
  const Vec start = index.look_up(table.start);
  for (int h = 0; h < 2; ++h) {
    const __m256i low = _mm256_or_si256(_mm256_andnot_si256(due.half[h], s->low.half[h]),
                                        _mm256_and_si256(due.half[h], s->high.half[h]));
    const __m256i high = _mm256_andnot_si256(due.half[h], s->high.half[h]);
    const __m256i q = divide(high, low, frequency.half[h], reciprocal.half[h], power.half[h]);
    const __m256i rest = _mm256_sub_epi16(low, _mm256_mullo_epi16(q, frequency.half[h]));
    const __m256i new_low = _mm256_add_epi16(rest, start.half[h]);
    s->high.half[h] = Full ? q : _mm256_blendv_epi8(s->high.half[h], q, active.half[h]);
    s->low.half[h] = Full ? new_low : _mm256_blendv_epi8(s->low.half[h], new_low, active.half[h]);
  }
}

// What the entries of a tile cost.
template <bool Large>
uint64_t cost_of(const ChannelPlan& plan, const uint8_t* tile, uint32_t active_lanes) {
  const __m256i zero = _mm256_setzero_si256();
  const Vec mask = mask_of(active_lanes);
  const __m256i active = _mm256_packs_epi16(mask.half[0], mask.half[1]);
  __m256i sums[4] = {zero, zero, zero, zero};
  for (uint32_t c = 0; c < plan.channels; ++c) {
    const Index<Large> index(tile_channel(tile, c));
    for (int byte = 0; byte < 4; ++byte) {
      const __m256i bytes = _mm256_and_si256(index.look_up(plan.bytes[c]->cost[byte]), active);
      sums[byte] = _mm256_add_epi64(sums[byte], _mm256_sad_epu8(bytes, zero));
    }
  }
  uint64_t cost = 0;
  for (int byte = 0; byte < 4; ++byte) {
    alignas(32) uint64_t parts[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts), sums[byte]);
    cost += (parts[0] + parts[1] + parts[2] + parts[3]) << (8 * byte);
  }
  return cost;
}

template <int K, bool Large, bool Full, bool Costs>
void encode_sized(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, uint32_t active_lanes) {
  const Vec active = mask_of(active_lanes);
  for (uint32_t c = plan.channels; c-- > 0;) {
    for (int k = 0; k < K; ++k) {
      if (Full && streams[k].ahead) fetch_ahead(plan, streams[k], c);
      put<Large, Full>(&streams[k], *plan.bytes[c], c, active);
    }
  }
  for (int k = 0; Costs && k < K; ++k) jobs[k].cost += cost_of<Large>(plan, streams[k].tile, active_lanes);
}

// One row group of K blocks out of their tiles, the last channel first.
template <int K, bool Full, bool Costs>
void encode_tiles(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, uint32_t active_lanes) {
  if (plan.largest <= 16)
    encode_sized<K, false, Full, Costs>(plan, streams, jobs, active_lanes);
  else
    encode_sized<K, true, Full, Costs>(plan, streams, jobs, active_lanes);
}

}  // namespace
}  // namespace bince

#include "native/coding/block_lanes.h"

namespace bince {
namespace {

void decode_rans_avx2(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return decode_rans_ref(plan, jobs, count, scratch);
  if (plan->largest <= 16) return decode_steps<4>(*plan, jobs, count, scratch);
  decode_steps<5>(*plan, jobs, count, scratch);
}

void encode_rans_avx2(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return encode_rans_ref(plan, jobs, count, scratch);
  encode_rans_lanes(*plan, jobs, count, scratch);
}

}  // namespace

void coding_fill_blocks_avx2(CodingOps* ops) {
  ops->encode_rans = encode_rans_avx2;
  ops->decode_rans = decode_rans_avx2;
}

}  // namespace bince
