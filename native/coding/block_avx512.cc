// 32-lane rANS with lane = row: all lanes of a vector stand at the same channel, so every lookup goes to one
// small table, in registers.  The 32-bit states are kept as two vectors of 16-bit halves; several blocks are
// coded side by side to hide the latency of their chains.  Tables of at most 32 entries; others take the
// reference's path.
#include "native/coding/tile_avx512.h"

namespace bince {
namespace {
using Vec = __m512i;
}  // namespace
}  // namespace bince

#include "native/coding/lane_stream.h"

namespace bince {
namespace {

inline Vec load_lanes(const uint16_t* lanes) {
  return _mm512_load_si512(lanes);
}

inline void store_lanes(uint16_t* lanes, Vec v) {
  _mm512_store_si512(lanes, v);
}

inline uint32_t escape_mask(const uint8_t* tile, uint32_t c, uint32_t escape) {
  return _mm512_cmpeq_epi16_mask(tile_channel(tile, c), _mm512_set1_epi16(static_cast<short>(escape)));
}

// --- decoding ---

// The entries of the slots `low`: a binary search in the table, 2^Steps entries at most.
template <int Steps>
inline __m512i search(__m512i low, __m512i below) {
  __m512i entry = _mm512_setzero_si512();
  for (int step = 1 << (Steps - 1); step > 0; step >>= 1) {
    const __m512i candidate = _mm512_or_si512(entry, _mm512_set1_epi16(static_cast<short>(step)));
    const __m512i bound = _mm512_permutexvar_epi16(candidate, below);
    entry = _mm512_mask_mov_epi16(entry, _mm512_cmpgt_epu16_mask(low, bound), candidate);
  }
  return entry;
}

// x = frequency * (x div 2^16) + slot - start, and a new word where x < 2^16.
template <bool Full>
inline void advance(Stream* s, __m512i frequency, __m512i start, __mmask32 active) {
  const __m512i one = _mm512_set1_epi16(1), zero = _mm512_setzero_si512();
  const __m512i bias = _mm512_sub_epi16(s->low, start);
  __m512i low = _mm512_add_epi16(_mm512_mullo_epi16(frequency, s->high), bias);
  __m512i high = _mm512_mulhi_epu16(frequency, s->high);
  high = _mm512_mask_add_epi16(high, _mm512_cmplt_epu16_mask(low, bias), high, one);
  __mmask32 due = _mm512_cmpeq_epi16_mask(high, zero);
  if (!Full) due &= active;
  const uint8_t* at = s->end - 2 * s->left;
  __m512i words;
  if (__builtin_expect(s->left >= kLanes, 1))
    words = _mm512_loadu_si512(at);
  else
    words = _mm512_maskz_loadu_epi16(s->left > 0 ? lane_mask(static_cast<uint64_t>(s->left)) : 0, at);
  s->left -= __builtin_popcount(due);
  high = _mm512_mask_mov_epi16(high, due, low);
  low = _mm512_mask_expand_epi16(low, due, words);
  if (Full) {
    s->high = high;
    s->low = low;
  } else {
    s->high = _mm512_mask_mov_epi16(s->high, active, high);
    s->low = _mm512_mask_mov_epi16(s->low, active, low);
  }
}

// Decodes channel c of the current group in K blocks; *nearest is lowered to 0 in lanes that met an escape.
template <int K, int Steps, bool Full>
inline void decode_channel(const ChannelPlan& plan, uint32_t c, Stream* streams, __mmask32 active,
                           __m512i* entries, __m512i* nearest) {
  const SmallDecode& table = *plan.decode[c];
  const __m512i below = _mm512_load_si512(table.below);
  const __m512i frequency = _mm512_load_si512(table.frequency), start = _mm512_load_si512(table.start);
  const __m512i escape = _mm512_set1_epi16(static_cast<short>(plan.escape[c]));
  for (int k = 0; k < K; ++k) {
    const __m512i entry = search<Steps>(streams[k].low, below);
    nearest[k] = _mm512_min_epu16(nearest[k], _mm512_sub_epi16(escape, entry));
    advance<Full>(&streams[k], _mm512_permutexvar_epi16(entry, frequency),
                  _mm512_permutexvar_epi16(entry, start), active);
    entries[k] = entry;
  }
}

// One row group of K blocks into their tiles.  Returns a bit for each block that met an escape.
template <int K, int Steps, bool Full>
unsigned decode_tiles(const ChannelPlan& plan, Stream* given, __mmask32 active) {
  Stream streams[K];
  __m512i nearest[K];
  for (int k = 0; k < K; ++k) {
    streams[k] = given[k];
    nearest[k] = _mm512_set1_epi16(1);
  }
  const uint32_t C = plan.channels;
  for (uint32_t c = 0; c < C; c += 2) {
    __m512i even[K], odd[K];
    decode_channel<K, Steps, Full>(plan, c, streams, active, even, nearest);
    if (c + 1 < C) {
      decode_channel<K, Steps, Full>(plan, c + 1, streams, active, odd, nearest);
      for (int k = 0; k < K; ++k) even[k] = _mm512_or_si512(even[k], _mm512_slli_epi16(odd[k], 8));
    }
    for (int k = 0; k < K; ++k) _mm512_store_si512(streams[k].tile + size_t{c} * 32, even[k]);
  }
  unsigned escapes = 0;
  for (int k = 0; k < K; ++k) {
    if (_mm512_testn_epi16_mask(nearest[k], nearest[k]) & active) escapes |= 1u << k;
    given[k] = streams[k];
  }
  return escapes;
}

// --- encoding ---

// x div frequency of x = high:low < frequency * 2^16, without the remainder.
inline __m512i divide(__m512i high, __m512i low, __m512i frequency, __m512i reciprocal, __m512i shift) {
  const __m512i one = _mm512_set1_epi16(1);
  const __m512i d = _mm512_sllv_epi16(frequency, shift);
  const __m512i u1 = _mm512_shldv_epi16(high, low, shift), u0 = _mm512_sllv_epi16(low, shift);
  const __m512i q0 = _mm512_add_epi16(_mm512_mullo_epi16(reciprocal, u1), u0);
  __m512i q = _mm512_add_epi16(_mm512_mulhi_epu16(reciprocal, u1), _mm512_add_epi16(u1, one));
  q = _mm512_mask_add_epi16(q, _mm512_cmplt_epu16_mask(q0, u0), q, one);
  __m512i r = _mm512_sub_epi16(u0, _mm512_mullo_epi16(q, d));
  const __mmask32 above = _mm512_cmpgt_epu16_mask(r, q0);
  q = _mm512_mask_sub_epi16(q, above, q, one);
  r = _mm512_mask_add_epi16(r, above, r, d);
  return _mm512_mask_add_epi16(q, _mm512_cmpge_epu16_mask(r, d), q, one);
}

// Codes one entry a lane.
template <bool Full>
inline void put(Stream* s, const SmallEncode& table, __m512i entry, __mmask32 active) {
  const __m512i frequency = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.frequency));
  const __m512i start = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.start));
  const __m512i reciprocal = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.reciprocal));
  const __m512i shift = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.shift));
  __mmask32 due = _mm512_cmpge_epu16_mask(s->high, frequency);
  if (!Full) due &= active;
  const unsigned count = static_cast<unsigned>(__builtin_popcount(due));
  s->words -= 2 * count;
  _mm512_mask_storeu_epi16(s->words, _bzhi_u32(~0u, count), _mm512_maskz_compress_epi16(due, s->low));
  __m512i low = _mm512_mask_mov_epi16(s->low, due, s->high);
  __m512i high = _mm512_maskz_mov_epi16(~due, s->high);
  high = divide(high, low, frequency, reciprocal, shift);
  low = _mm512_add_epi16(_mm512_sub_epi16(low, _mm512_mullo_epi16(high, frequency)), start);
  if (Full) {
    s->high = high;
    s->low = low;
  } else {
    s->high = _mm512_mask_mov_epi16(s->high, active, high);
    s->low = _mm512_mask_mov_epi16(s->low, active, low);
  }
}

// Costs of a row group's entries: sums of pairs of 15-bit halves, 2^15 of them at most, stay within 32 bits.
struct Cost {
  __m512i high, low;
};

inline void count(Cost* cost, const SmallEncode& table, __m512i entry, __mmask32 active) {
  const __m512i one = _mm512_maskz_mov_epi16(active, _mm512_set1_epi16(1));
  const __m512i high = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.cost_high));
  const __m512i low = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.cost_low));
  cost->high = _mm512_add_epi32(cost->high, _mm512_madd_epi16(high, one));
  cost->low = _mm512_add_epi32(cost->low, _mm512_madd_epi16(low, one));
}

inline uint64_t sum_of(__m512i v) {
  const __m512i even = _mm512_and_si512(v, _mm512_set1_epi64(0xffffffff));
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(_mm512_add_epi64(even, _mm512_srli_epi64(v, 32))));
}

inline void flush(Cost* cost, EncodeJob* job) {
  job->cost += (sum_of(cost->high) << 15) + sum_of(cost->low);
  *cost = {_mm512_setzero_si512(), _mm512_setzero_si512()};
}

constexpr uint32_t kFlushChannels = 1 << 15;

// One row group of K blocks out of their tiles, the last channel first.
template <int K, bool Full, bool Costs>
void encode_tiles(const ChannelPlan& plan, Stream* given, EncodeJob* jobs, __mmask32 active) {
  Stream streams[K];
  Cost costs[K];
  for (int k = 0; k < K; ++k) {
    streams[k] = given[k];
    costs[k] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  }
  for (uint32_t c = plan.channels; c-- > 0;) {
    const SmallEncode& table = *plan.encode[c];
    for (int k = 0; k < K; ++k) {
      const __m512i entry = tile_channel(streams[k].tile, c);
      put<Full>(&streams[k], table, entry, active);
      if (Costs) {
        count(&costs[k], table, entry, active);
        if (c % kFlushChannels == 0) flush(&costs[k], &jobs[k]);
      }
    }
  }
  for (int k = 0; k < K; ++k) given[k] = streams[k];
}

}  // namespace
}  // namespace bince

#include "native/coding/block_lanes.h"

void bince::coding_fill_blocks_avx512(CodingOps* ops) {
  ops->encode_rans = encode_rans_lanes;
  ops->decode_rans = decode_rans_lanes;
}
