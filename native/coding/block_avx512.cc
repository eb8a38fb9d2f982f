// 32-lane rANS with lane = row: all lanes of a vector stand at the same channel, so every lookup goes to one
// table, in registers where it has at most 64 entries.  The 32-bit states are kept as two vectors of 16-bit
// halves; several blocks are coded side by side to hide the latency of their chains.  Tables of more than 256
// entries take the reference's path.
#include "native/coding/lane_tables_avx512.h"

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

// Whether some lane of a pair of channels holds the pair's escapes, the even channel's in the low byte.
inline bool pair_has_escape(const uint8_t* tile, uint32_t pair, uint32_t escapes) {
  const __m512i entries = _mm512_load_si512(tile + size_t{pair} * 64);
  return _mm512_cmpeq_epi8_mask(entries, set_words(static_cast<int>(escapes))) != 0;
}

// --- decoding ---

// x = frequency * (x div 2^16) + slot - start, and a new word where x < 2^16.  Whether a sum carries is told
// from the product, before the sum is there: the masks are what the next channel waits for.
template <bool Full>
inline void advance(Stream* s, const Found& found, __mmask32 active) {
  const __m512i one = _mm512_set1_epi16(1), zero = _mm512_setzero_si512();
  const __m512i bias = _mm512_sub_epi16(s->low, found.start);
  const __m512i product = _mm512_mullo_epi16(found.frequency, s->high);
  const __m512i complement = _mm512_ternarylogic_epi64(bias, bias, bias, 0x55);
  const __mmask32 carry = _mm512_cmpgt_epu16_mask(product, complement);
  __m512i low = _mm512_add_epi16(product, bias);
  __m512i high = _mm512_mulhi_epu16(found.frequency, s->high);
  __mmask32 due = _kandn_mask32(carry, _mm512_cmpeq_epi16_mask(high, zero));
  high = _mm512_mask_add_epi16(high, carry, high, one);
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

// Decodes channel c of the current group in K blocks.
template <class Way, int K, bool Full>
inline void decode_channel(const ChannelPlan& plan, uint32_t c, Stream* streams, __mmask32 active,
                           __m512i* entries) {
  const Way way(plan, c);
  for (int k = 0; k < K; ++k) {
    const Found found = way.find(streams[k].low);
    advance<Full>(&streams[k], found, active);
    entries[k] = found.entry;
  }
}

// Decodes channels [begin, end) of the current group in K blocks; a byte of *nearest falls to 0 where a lane
// met an escape.
template <class Way, int K, bool Full>
void decode_run(const ChannelPlan& plan, const LaneRun& run, Stream* given, __mmask32 active,
                __m512i* nearest_escape) {
  Stream streams[K];
  __m512i nearest[K];
  for (int k = 0; k < K; ++k) {
    streams[k] = given[k];
    nearest[k] = nearest_escape[k];
  }
  const __m512i low = set_words(0xff), high = set_words(Way::kHigh);
  for (uint32_t c = run.begin; c < run.end; c += 2) {
    __m512i even[K], odd[K];
    uint32_t escapes = plan.escape[c] | 0xff00;
    decode_channel<Way, K, Full>(plan, c, streams, active, even);
    for (int k = 0; k < K; ++k) odd[k] = _mm512_setzero_si512();
    if (c + 1 < run.end) {
      escapes = plan.escape[c] | plan.escape[c + 1] << 8;
      decode_channel<Way, K, Full>(plan, c + 1, streams, active, odd);
    }
    const __m512i escape = set_words(static_cast<int>(escapes));
    for (int k = 0; k < K; ++k) {
      // (low & even) | (high & odd)
      const __m512i both = _mm512_ternarylogic_epi64(low, even[k], _mm512_and_si512(high, odd[k]), 0xea);
      nearest[k] = _mm512_min_epu8(nearest[k], _mm512_sub_epi8(escape, both));
      _mm512_store_si512(streams[k].tile + size_t{c} * 32, both);
    }
  }
  for (int k = 0; k < K; ++k) {
    given[k] = streams[k];
    nearest_escape[k] = nearest[k];
  }
}

// One row group of K blocks into their tiles.  Returns a bit for each block that met an escape.
template <int K, int, bool Full>
unsigned decode_tiles(const ChannelPlan& plan, Stream* streams, __mmask32 active) {
  __m512i nearest[K];
  for (int k = 0; k < K; ++k) nearest[k] = _mm512_set1_epi8(1);
  for (uint32_t r = 0; r < plan.run_count; ++r) {
    const LaneRun& run = plan.runs[r];
    switch (run.way) {
      case LaneWay::kSmall3:
        decode_run<SmallWay<3>, K, Full>(plan, run, streams, active, nearest);
        break;
      case LaneWay::kSmall5:
        decode_run<SmallWay<5>, K, Full>(plan, run, streams, active, nearest);
        break;
      case LaneWay::kMedium4:
        decode_run<MediumWay<4>, K, Full>(plan, run, streams, active, nearest);
        break;
      case LaneWay::kMedium6:
        decode_run<MediumWay<6>, K, Full>(plan, run, streams, active, nearest);
        break;
      case LaneWay::kLarge:
        decode_run<LargeWay, K, Full>(plan, run, streams, active, nearest);
        break;
    }
  }
  unsigned escapes = 0;
  for (int k = 0; k < K; ++k) {
    const __m512i met = _mm512_mask_mov_epi16(_mm512_set1_epi8(1), active, nearest[k]);
    if (_mm512_testn_epi8_mask(met, met)) escapes |= 1u << k;
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
inline void put(Stream* s, const Divisor& by, __mmask32 active) {
  __mmask32 due = _mm512_cmpge_epu16_mask(s->high, by.frequency);
  if (!Full) due &= active;
  const unsigned count = static_cast<unsigned>(__builtin_popcount(due));
  s->words -= 2 * count;
  _mm512_mask_storeu_epi16(s->words, _bzhi_u32(~0u, count), _mm512_maskz_compress_epi16(due, s->low));
  __m512i low = _mm512_mask_mov_epi16(s->low, due, s->high);
  __m512i high = _mm512_maskz_mov_epi16(~due, s->high);
  high = divide(high, low, by.frequency, by.reciprocal, by.shift);
  low = _mm512_add_epi16(_mm512_sub_epi16(low, _mm512_mullo_epi16(high, by.frequency)), by.start);
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

inline void count(Cost* cost, const SmallPut& put, __m512i entry, __mmask32 active) {
  const __m512i one = _mm512_maskz_mov_epi16(active, _mm512_set1_epi16(1));
  const __m512i high = SmallPut::look_up(entry, put.table.cost_high);
  const __m512i low = SmallPut::look_up(entry, put.table.cost_low);
  cost->high = _mm512_add_epi32(cost->high, _mm512_madd_epi16(high, one));
  cost->low = _mm512_add_epi32(cost->low, _mm512_madd_epi16(low, one));
}

inline void count(Cost* cost, const LargePut& put, __m512i entry, __mmask32 active) {
  for (int half = 0; half < 2; ++half) {
    const __mmask16 lanes = static_cast<__mmask16>(active >> (16 * half));
    const __m512i costs =
        _mm512_maskz_mov_epi32(lanes, gathered(put.table.cost, widened(put.inside(entry), half)));
    cost->high = _mm512_add_epi32(cost->high, _mm512_srli_epi32(costs, 15));
    cost->low = _mm512_add_epi32(cost->low, _mm512_and_si512(costs, _mm512_set1_epi32(0x7fff)));
  }
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

// Codes channels [begin, end) of a row group, the last first.
template <class Put, int K, bool Full>
void encode_run(const ChannelPlan& plan, const LaneRun& run, Stream* given, __mmask32 active) {
  Stream streams[K];
  for (int k = 0; k < K; ++k) streams[k] = given[k];
  for (uint32_t c = run.end; c-- > run.begin;) {
    const Put way(plan, c);
    for (int k = 0; k < K; ++k) {
      if (Full && streams[k].ahead) fetch_ahead(plan, streams[k], c);
      put<Full>(&streams[k], way.divisor(tile_channel(streams[k].tile, c)), active);
    }
  }
  for (int k = 0; k < K; ++k) given[k] = streams[k];
}

// Adds what the entries of a tile cost.
template <class Counted>
void count_run(const ChannelPlan& plan, const LaneRun& run, const uint8_t* tile, EncodeJob* job,
               __mmask32 active) {
  Cost cost = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (uint32_t c = run.begin; c < run.end; ++c) {
    count(&cost, Counted(plan, c), tile_channel(tile, c), active);
    if (c % kFlushChannels == kFlushChannels - 1) flush(&cost, job);
  }
  flush(&cost, job);
}

// One row group of K blocks out of their tiles, the last channel first.
template <int K, bool Full, bool Costs>
void encode_tiles(const ChannelPlan& plan, Stream* streams, EncodeJob* jobs, __mmask32 active) {
  for (uint32_t r = plan.run_count; r-- > 0;) {
    const LaneRun& run = plan.runs[r];
    if (run.way <= LaneWay::kSmall5)
      encode_run<SmallPut, K, Full>(plan, run, streams, active);
    else if (run.way <= LaneWay::kMedium6)
      encode_run<MediumPut, K, Full>(plan, run, streams, active);
    else
      encode_run<LargePut, K, Full>(plan, run, streams, active);
    for (int k = 0; Costs && k < K; ++k) {
      if (run.way <= LaneWay::kSmall5)
        count_run<SmallPut>(plan, run, streams[k].tile, &jobs[k], active);
      else
        count_run<LargePut>(plan, run, streams[k].tile, &jobs[k], active);
    }
  }
}

}  // namespace
}  // namespace bince

#include "native/coding/block_lanes.h"

namespace bince {
namespace {

void decode_rans_avx512(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch) {
  if (!plan->narrow) return decode_rans_ref(plan, jobs, count, scratch);
  decode_steps<0>(*plan, jobs, count, scratch);
}

void encode_rans_avx512(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch) {
  if (!plan->narrow) return encode_rans_ref(plan, jobs, count, scratch);
  encode_rans_lanes(*plan, jobs, count, scratch);
}

}  // namespace

void coding_fill_blocks_avx512(CodingOps* ops) {
  ops->encode_rans = encode_rans_avx512;
  ops->decode_rans = decode_rans_avx512;
}

}  // namespace bince
