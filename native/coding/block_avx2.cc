// 32-lane rANS as in block_avx512.cc, each vector in two halves of 16 lanes.  What AVX2 lacks: tables are
// looked up by pshufb, one plane of bytes at a time; words are dealt out and in by pshufb with a pattern for
// every mask of 8 lanes; shifts by a lane's own amount are multiplications.
#include "native/coding/tile_avx2.h"

namespace bince {
namespace {

// Lanes 0 to 15 and 16 to 31.  Masks are vectors of 0 and -1.
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
  return {{_mm256_load_si256(at), _mm256_load_si256(at + 1)}};
}

inline void store_lanes(void* lanes, const Vec& v) {
  __m256i* at = static_cast<__m256i*>(lanes);
  _mm256_store_si256(at, v.half[0]);
  _mm256_store_si256(at + 1, v.half[1]);
}

inline __m256i tile_channel(const uint8_t* tile, uint32_t c, int half) {
  const __m256i pair = _mm256_load_si256(reinterpret_cast<const __m256i*>(tile + size_t{c} / 2 * 64) + half);
  return (c & 1) ? _mm256_srli_epi16(pair, 8) : _mm256_and_si256(pair, _mm256_set1_epi16(255));
}

// A bit for each lane whose mask is set.
inline uint32_t bits_of(const Vec& mask) {
  const __m256i bytes = _mm256_packs_epi16(mask.half[0], mask.half[1]);
  // packs works in 128-bit quarters: lanes 0-7, 16-23, 8-15, 24-31
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_permute4x64_epi64(bytes, 0xd8)));
}

inline uint32_t escape_mask(const uint8_t* tile, uint32_t c, uint32_t escape) {
  const __m256i e = _mm256_set1_epi16(static_cast<short>(escape));
  return bits_of(
      {{_mm256_cmpeq_epi16(tile_channel(tile, c, 0), e), _mm256_cmpeq_epi16(tile_channel(tile, c, 1), e)}});
}

// Whether some lane of a pair of channels holds the pair's escapes, the even channel's in the low byte.
inline bool pair_has_escape(const uint8_t* tile, uint32_t pair, uint32_t escapes) {
  const __m256i* entries = reinterpret_cast<const __m256i*>(tile + size_t{pair} * 64);
  const __m256i e = _mm256_set1_epi16(static_cast<short>(escapes));
  const __m256i met = _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_load_si256(entries), e),
                                      _mm256_cmpeq_epi8(_mm256_load_si256(entries + 1), e));
  return !_mm256_testz_si256(met, met);
}

// The mask of lanes whose bits are set.
inline Vec mask_of(uint32_t bits) {
  const __m256i each = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
                                         static_cast<short>(32768));
  Vec mask;
  for (int h = 0; h < 2; ++h) {
    const __m256i own = _mm256_and_si256(_mm256_set1_epi16(static_cast<short>(bits >> (16 * h))), each);
    mask.half[h] = _mm256_cmpeq_epi16(own, each);
  }
  return mask;
}

// Of 16-bit numbers without a sign.
inline __m256i at_least(__m256i a, __m256i b) {
  return _mm256_cmpeq_epi16(_mm256_max_epu16(a, b), a);
}
inline __m256i below(__m256i a, __m256i b) {
  return _mm256_xor_si256(at_least(a, b), _mm256_set1_epi16(-1));
}

// For each mask of 8 lanes: the byte pattern that brings the next words to its lanes (expand), or its lanes'
// words to the end of 16 bytes (compress).
struct Patterns {
  alignas(64) uint8_t expand[256][16];
  alignas(64) uint8_t compress[256][16];
  constexpr Patterns() : expand(), compress() {
    for (int mask = 0; mask < 256; ++mask) {
      int count = 0, rank = 0;
      for (int lane = 0; lane < 8; ++lane) count += mask >> lane & 1;
      for (int i = 0; i < 16; ++i) expand[mask][i] = compress[mask][i] = 0x80;
      for (int lane = 0; lane < 8; ++lane) {
        if (!(mask >> lane & 1)) continue;
        for (int byte = 0; byte < 2; ++byte) {
          expand[mask][2 * lane + byte] = static_cast<uint8_t>(2 * rank + byte);
          compress[mask][2 * (8 - count + rank) + byte] = static_cast<uint8_t>(2 * lane + byte);
        }
        ++rank;
      }
    }
  }
};

constexpr Patterns kPatterns;

inline __m128i pattern(const uint8_t* at) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(at));
}

// A table of 16-bit numbers as planes of bytes: entries 0-15 and 16-31, low and high bytes, twice in each
// register.
struct Planes {
  __m256i low[2], high[2];
};

template <bool Large>
inline Planes planes_of(const uint16_t* table) {
  Planes p;
  const __m128i byte = _mm_set1_epi16(255);
  for (int g = 0; g < (Large ? 2 : 1); ++g) {
    const __m128i a = _mm_load_si128(reinterpret_cast<const __m128i*>(table + 16 * g));
    const __m128i b = _mm_load_si128(reinterpret_cast<const __m128i*>(table + 16 * g + 8));
    p.low[g] = _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(a, byte), _mm_and_si128(b, byte)));
    p.high[g] = _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8)));
  }
  return p;
}

// Byte patterns for the entries of 16 lanes: pshufb gives 0 where bit 7 is set.
template <bool Large>
struct Index {
  __m256i low[2], high[2];
  explicit Index(__m256i entry) {
    const __m256i moved = _mm256_slli_epi16(entry, 8);
    const __m256i keep_low = _mm256_set1_epi16(static_cast<short>(0x8000)),
                  keep_high = _mm256_set1_epi16(0x80);
    // Entries above 15 reach bit 7 with 0x70 added; those below 16 reach it with 16 taken off.
    const __m256i up_low = _mm256_set1_epi16(0x70), up_high = _mm256_set1_epi16(0x7000);
    const __m256i off_low = _mm256_set1_epi16(16), off_high = _mm256_set1_epi16(0x1000);
    low[0] = _mm256_or_si256(Large ? _mm256_adds_epu8(entry, up_low) : entry, keep_low);
    high[0] = _mm256_or_si256(Large ? _mm256_adds_epu8(moved, up_high) : moved, keep_high);
    if (!Large) return;
    low[1] = _mm256_or_si256(_mm256_sub_epi8(entry, off_low), keep_low);
    high[1] = _mm256_or_si256(_mm256_sub_epi8(moved, off_high), keep_high);
  }
  __m256i look_up(const Planes& p) const {
    __m256i value =
        _mm256_or_si256(_mm256_shuffle_epi8(p.low[0], low[0]), _mm256_shuffle_epi8(p.high[0], high[0]));
    if (Large) {
      value = _mm256_or_si256(value, _mm256_shuffle_epi8(p.low[1], low[1]));
      value = _mm256_or_si256(value, _mm256_shuffle_epi8(p.high[1], high[1]));
    }
    return value;
  }
};

// --- decoding ---

// The entries of the slots: how many entries begin at or below each.
inline __m256i search(__m256i slot, const SmallDecode& table, uint32_t escape) {
  const __m256i sign = _mm256_set1_epi16(static_cast<short>(0x8000));
  const __m256i signed_slot = _mm256_xor_si256(slot, sign);
  __m256i entry = _mm256_setzero_si256();
  for (uint32_t j = 1; j <= escape; ++j) {
    const __m256i bound = _mm256_set1_epi16(static_cast<short>(table.below[j] ^ 0x8000));
    entry = _mm256_sub_epi16(entry, _mm256_cmpgt_epi16(signed_slot, bound));
  }
  return entry;
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
  return {{_mm256_inserti128_si256(_mm256_castsi128_si256(part[0]), part[1], 1),
           _mm256_inserti128_si256(_mm256_castsi128_si256(part[2]), part[3], 1)}};
}

// Decodes channel c of one block; *nearest is lowered to 0 in lanes that met an escape.
template <bool Large, bool Full>
inline Vec decode_channel(const ChannelPlan& plan, uint32_t c, const Planes& frequencies,
                          const Planes& starts, Stream* s, const Vec& active, Vec* nearest) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i escape = _mm256_set1_epi16(static_cast<short>(plan.escape[c]));
  Vec entries, high, low, due;
  for (int h = 0; h < 2; ++h) {
    const __m256i entry = search(s->low.half[h], *plan.decode[c], plan.escape[c]);
    const Index<Large> index(entry);
    const __m256i frequency = index.look_up(frequencies);
    const __m256i bias = _mm256_sub_epi16(s->low.half[h], index.look_up(starts));
    low.half[h] = _mm256_add_epi16(_mm256_mullo_epi16(frequency, s->high.half[h]), bias);
    high.half[h] = _mm256_sub_epi16(_mm256_mulhi_epu16(frequency, s->high.half[h]), below(low.half[h], bias));
    due.half[h] = _mm256_cmpeq_epi16(high.half[h], zero);
    if (!Full) due.half[h] = _mm256_and_si256(due.half[h], active.half[h]);
    nearest->half[h] = _mm256_min_epu16(nearest->half[h], _mm256_sub_epi16(escape, entry));
    entries.half[h] = entry;
  }
  const Vec words = take_words(s, bits_of(due));
  for (int h = 0; h < 2; ++h) {
    const __m256i new_high = _mm256_blendv_epi8(high.half[h], low.half[h], due.half[h]);
    const __m256i new_low = _mm256_blendv_epi8(low.half[h], words.half[h], due.half[h]);
    s->high.half[h] = Full ? new_high : _mm256_blendv_epi8(s->high.half[h], new_high, active.half[h]);
    s->low.half[h] = Full ? new_low : _mm256_blendv_epi8(s->low.half[h], new_low, active.half[h]);
  }
  return entries;
}

// One row group of K blocks into their tiles.  Returns a bit for each block that met an escape.
template <int K, int Steps, bool Full>
unsigned decode_tiles(const ChannelPlan& plan, Stream* streams, uint32_t active_lanes) {
  constexpr bool kLarge = Steps > 4;
  const Vec active = mask_of(active_lanes);
  Vec nearest[K];
  for (int k = 0; k < K; ++k) nearest[k] = {{_mm256_set1_epi16(1), _mm256_set1_epi16(1)}};
  for (uint32_t c = 0; c < plan.channels; ++c) {
    const Planes frequencies = planes_of<kLarge>(plan.decode[c]->frequency);
    const Planes starts = planes_of<kLarge>(plan.decode[c]->start);
    for (int k = 0; k < K; ++k) {
      uint8_t* at = streams[k].tile + size_t{c} / 2 * 64;
      Vec entries =
          decode_channel<kLarge, Full>(plan, c, frequencies, starts, &streams[k], active, &nearest[k]);
      if (c & 1) {
        const Vec even = load_lanes(at);
        for (int h = 0; h < 2; ++h)
          entries.half[h] = _mm256_or_si256(even.half[h], _mm256_slli_epi16(entries.half[h], 8));
      }
      store_lanes(at, entries);
    }
  }
  unsigned escapes = 0;
  for (int k = 0; k < K; ++k) {
    const __m256i zero = _mm256_setzero_si256();
    const Vec met = {
        {_mm256_cmpeq_epi16(nearest[k].half[0], zero), _mm256_cmpeq_epi16(nearest[k].half[1], zero)}};
    if (bits_of(met) & active_lanes) escapes |= 1u << k;
  }
  return escapes;
}

// --- encoding ---

// x div frequency of x = high:low < frequency * 2^16, without the remainder; power = 2^shift of SmallEncode.
inline __m256i divide(__m256i high, __m256i low, __m256i frequency, __m256i reciprocal, __m256i power) {
  const __m256i one = _mm256_set1_epi16(1);
  const __m256i d = _mm256_mullo_epi16(frequency, power);
  const __m256i u1 = _mm256_or_si256(_mm256_mullo_epi16(high, power), _mm256_mulhi_epu16(low, power));
  const __m256i u0 = _mm256_mullo_epi16(low, power);
  const __m256i q0 = _mm256_add_epi16(_mm256_mullo_epi16(reciprocal, u1), u0);
  __m256i q = _mm256_add_epi16(_mm256_mulhi_epu16(reciprocal, u1), _mm256_add_epi16(u1, one));
  q = _mm256_sub_epi16(q, below(q0, u0));
  __m256i r = _mm256_sub_epi16(u0, _mm256_mullo_epi16(q, d));
  const __m256i above = below(q0, r);
  q = _mm256_add_epi16(q, above);
  r = _mm256_add_epi16(r, _mm256_and_si256(above, d));
  return _mm256_sub_epi16(q, at_least(r, d));
}

// Puts the words of the lanes with a bit in `due` before s->words.  Writes 16 bytes at a time: what it spoils
// below is written later, or is the room's margin.
inline void put_words(Stream* s, const Vec& words, uint32_t due) {
  for (int q = 4; q-- > 0;) {
    const uint32_t mask = due >> (8 * q) & 255;
    const __m256i half = words.half[q >> 1];
    const __m128i part = (q & 1) ? _mm256_extracti128_si256(half, 1) : _mm256_castsi256_si128(half);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(s->words - 16),
                     _mm_shuffle_epi8(part, pattern(kPatterns.compress[mask])));
    s->words -= 2 * __builtin_popcount(mask);
  }
}

// The planes of one table's numbers.
template <bool Large>
struct EncodePlanes {
  Planes frequency, start, reciprocal, power;
  explicit EncodePlanes(const SmallEncode& table)
      : frequency(planes_of<Large>(table.frequency)),
        start(planes_of<Large>(table.start)),
        reciprocal(planes_of<Large>(table.reciprocal)),
        power(planes_of<Large>(table.power)) {}
};

template <bool Large, bool Full>
inline void put(Stream* s, const EncodePlanes<Large>& planes, uint32_t c, const Vec& active) {
  Vec due, frequency;
  for (int h = 0; h < 2; ++h) {
    frequency.half[h] = Index<Large>(tile_channel(s->tile, c, h)).look_up(planes.frequency);
    due.half[h] = at_least(s->high.half[h], frequency.half[h]);
    if (!Full) due.half[h] = _mm256_and_si256(due.half[h], active.half[h]);
  }
  put_words(s, s->low, bits_of(due));
  for (int h = 0; h < 2; ++h) {
    const Index<Large> index(tile_channel(s->tile, c, h));
    const __m256i low = _mm256_blendv_epi8(s->low.half[h], s->high.half[h], due.half[h]);
    const __m256i high = _mm256_andnot_si256(due.half[h], s->high.half[h]);
    const __m256i f = frequency.half[h];
    const __m256i q = divide(high, low, f, index.look_up(planes.reciprocal), index.look_up(planes.power));
    const __m256i rest = _mm256_sub_epi16(low, _mm256_mullo_epi16(q, f));
    const __m256i new_low = _mm256_add_epi16(rest, index.look_up(planes.start));
    s->high.half[h] = Full ? q : _mm256_blendv_epi8(s->high.half[h], q, active.half[h]);
    s->low.half[h] = Full ? new_low : _mm256_blendv_epi8(s->low.half[h], new_low, active.half[h]);
  }
}

// The costs of a channel's entries, lane by lane.
inline uint64_t cost_of(const SmallEncode& table, const uint8_t* tile, uint32_t c, uint32_t active_lanes) {
  uint64_t sum = 0;
  const uint8_t* entry = tile + size_t{c} / 2 * 64 + (c & 1);
  for (uint32_t lanes = active_lanes; lanes; lanes &= lanes - 1) {
    const uint32_t e = entry[2 * __builtin_ctz(lanes)];
    sum += (uint64_t{table.cost_high[e]} << 15) + table.cost_low[e];
  }
  return sum;
}

template <int K, bool Large, bool Full, bool Costs>
void encode_sized(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, uint32_t active_lanes) {
  const Vec active = mask_of(active_lanes);
  for (uint32_t c = plan.channels; c-- > 0;) {
    const EncodePlanes<Large> planes(*plan.encode[c]);
    for (int k = 0; k < K; ++k) {
      put<Large, Full>(&streams[k], planes, c, active);
      if (Costs) jobs[k].cost += cost_of(*plan.encode[c], streams[k].tile, c, active_lanes);
    }
  }
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
