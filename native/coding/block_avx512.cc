// 32-lane rANS with lane = row: all lanes of a vector stand at the same channel, so every lookup goes to one
// small table, in registers.  The 32-bit states are kept as two vectors of 16-bit halves; several blocks are
// coded side by side to hide the latency of their chains.  Tables of at most 32 entries; others take the
// reference's path.
#include "native/coding/block_ref.h"
#include "native/coding/escape.h"
#include "native/coding/quantize.h"
#include "native/coding/rans.h"
#include "native/coding/tile_avx512.h"

namespace bince {
namespace {

// A block on its way.  Lanes beyond its rows stand at 2^16 and do not move.
struct Stream {
  __m512i high, low;       // halves of the 32 states
  const uint8_t* end;      // decoder: the end of the words
  int64_t left;            // decoder: words before `end` not yet read; below 0 when they ran out
  uint8_t* words;          // encoder: the first word written
  const uint8_t* escapes;  // decoder: the next escape byte
  uint8_t* tile;
};

inline __mmask32 lane_mask(uint64_t lanes) {
  return lanes >= kLanes ? ~0u : (1u << lanes) - 1;
}

// --- decoding
// ----------------------------------------------------------------------------------------------------

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

// Puts the escapes of a tile where they belong in the rows; null, or what is wrong with one.
const char* place_escapes(const ChannelPlan& plan, const DecodeJob& job, Stream* s, uint64_t row,
                          __mmask32 active) {
  const uint8_t* end = job.payload + job.payload_bytes;
  for (uint32_t c = 0; c < plan.channels; ++c) {
    const __m512i escape = _mm512_set1_epi16(static_cast<short>(plan.escape[c]));
    __mmask32 mask = _mm512_cmpeq_epi16_mask(tile_channel(s->tile, c), escape) & active;
    for (; mask; mask &= mask - 1) {
      const uint64_t at = (row + static_cast<uint64_t>(__builtin_ctz(mask))) * plan.channels + c;
      uint64_t value;
      int32_t symbol;
      if (!read_varint(&s->escapes, end, &value)) return "its escape bytes end too early";
      if (!escaped_symbol(value, plan.escape[c], plan.offset[c], &symbol)) return "a symbol beyond 32 bits";
      if (job.type == kSymbolRows)
        static_cast<int32_t*>(job.rows)[at] = symbol;
      else
        static_cast<float*>(job.rows)[at] = dequantize(symbol, plan.median[c], plan.step[c], plan.shift[c]);
    }
  }
  return nullptr;
}

void store_rows(const ChannelPlan& plan, DecodeJob* job, Stream* s, uint64_t row, uint32_t rows, bool escapes,
                uint8_t* bytes) {
  if (job->damage) return;
  if (s->left < 0) {
    job->damage = "its words end too early";
    return;
  }
  rows_of_tile(s->tile, padded_channels(plan.channels), bytes);
  const uint64_t at = row * plan.channels;
  if (job->type == kSymbolRows)
    symbol_rows(plan, bytes, rows, static_cast<int32_t*>(job->rows) + at);
  else
    dequantize_rows(plan, bytes, rows, static_cast<float*>(job->rows) + at);
  if (escapes) job->damage = place_escapes(plan, *job, s, row, lane_mask(rows));
}

void start_decoding(const ChannelPlan& plan, DecodeJob* job, Stream* s) {
  const uint64_t lanes = job->row_count < plan.lanes ? job->row_count : plan.lanes;
  const uint8_t* end = job->payload + job->payload_bytes;
  s->escapes = end - job->escape_bytes;
  s->end = s->escapes;
  if (job->payload_bytes < job->escape_bytes + 4 * lanes) {
    job->damage = "its payload is shorter than its states";
    return;
  }
  if ((job->payload_bytes - job->escape_bytes) % 2 != 0) {
    job->damage = "words are left over";
    return;
  }
  alignas(64) uint16_t high[kLanes], low[kLanes];
  for (uint64_t l = 0; l < kLanes; ++l) {
    const uint32_t x = l < lanes ? load_u32(job->payload + 4 * l) : kRansLow;
    if (x < kRansLow) job->damage = "a state below 2^16";
    high[l] = static_cast<uint16_t>(x >> 16);
    low[l] = static_cast<uint16_t>(x);
  }
  s->high = _mm512_load_si512(high);
  s->low = _mm512_load_si512(low);
  s->left = (s->end - job->payload - static_cast<int64_t>(4 * lanes)) / 2;
}

void finish_decoding(DecodeJob* job, const Stream& s) {
  if (job->damage) return;
  const __mmask32 high = _mm512_cmpneq_epi16_mask(s.high, _mm512_set1_epi16(1));
  const __mmask32 low = _mm512_test_epi16_mask(s.low, s.low);
  if (s.left < 0)
    job->damage = "its words end too early";
  else if (high | low)
    job->damage = "a lane does not end where encoders begin";
  else if (s.left != 0)
    job->damage = "words are left over";
  else if (s.escapes != job->payload + job->payload_bytes)
    job->damage = "escape bytes are left over";
}

// The groups that all K blocks have whole, side by side.
template <int K, int Steps, bool Full>
void decode_together(const ChannelPlan& plan, DecodeJob* jobs, Stream* streams, uint64_t groups,
                     uint8_t* bytes) {
  for (uint64_t g = 0; g < groups; ++g) {
    const unsigned escapes = decode_tiles<K, Steps, Full>(plan, streams, lane_mask(plan.lanes));
    bool whole = false;
    for (int k = 0; k < K; ++k) {
      store_rows(plan, &jobs[k], &streams[k], g * plan.lanes, plan.lanes, escapes >> k & 1, bytes);
      whole = whole || !jobs[k].damage;
    }
    if (!whole) return;
  }
}

template <int Steps, bool Full>
void decode_blocks(const ChannelPlan& plan, DecodeJob* jobs, int count, char* scratch) {
  const size_t tile_bytes = size_t{padded_channels(plan.channels)} * kLanes;
  Stream streams[kBlocksAtOnce];
  uint8_t* bytes = reinterpret_cast<uint8_t*>(scratch) + kBlocksAtOnce * tile_bytes;
  uint64_t together = ~uint64_t{0};
  bool whole = true;
  for (int k = 0; k < count; ++k) {
    streams[k].tile = reinterpret_cast<uint8_t*>(scratch) + static_cast<size_t>(k) * tile_bytes;
    start_decoding(plan, &jobs[k], &streams[k]);
    whole = whole && !jobs[k].damage;
    const uint64_t groups = jobs[k].row_count / plan.lanes;
    if (groups < together) together = groups;
  }
  if (!whole) together = 0;  // each alone, so that only the damaged ones stop
  if (count == 4)
    decode_together<4, Steps, Full>(plan, jobs, streams, together, bytes);
  else if (count == 3)
    decode_together<3, Steps, Full>(plan, jobs, streams, together, bytes);
  else if (count == 2)
    decode_together<2, Steps, Full>(plan, jobs, streams, together, bytes);
  else
    decode_together<1, Steps, Full>(plan, jobs, streams, together, bytes);
  for (int k = 0; k < count; ++k) {
    for (uint64_t row = together * plan.lanes; row < jobs[k].row_count && !jobs[k].damage;
         row += plan.lanes) {
      const uint64_t left = jobs[k].row_count - row;
      const uint32_t rows = left < plan.lanes ? static_cast<uint32_t>(left) : plan.lanes;
      const unsigned escapes = rows == kLanes
                                   ? decode_tiles<1, Steps, true>(plan, &streams[k], ~0u)
                                   : decode_tiles<1, Steps, false>(plan, &streams[k], lane_mask(rows));
      store_rows(plan, &jobs[k], &streams[k], row, rows, escapes, bytes);
    }
    finish_decoding(&jobs[k], streams[k]);
  }
}

template <int Steps>
void decode_steps(const ChannelPlan& plan, DecodeJob* jobs, int count, char* scratch) {
  if (plan.lanes == kLanes)
    decode_blocks<Steps, true>(plan, jobs, count, scratch);
  else
    decode_blocks<Steps, false>(plan, jobs, count, scratch);
}

void decode_rans(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return decode_rans_ref(plan, jobs, count, scratch);
  if (plan->largest <= 4) return decode_steps<2>(*plan, jobs, count, scratch);
  if (plan->largest <= 8) return decode_steps<3>(*plan, jobs, count, scratch);
  if (plan->largest <= 16) return decode_steps<4>(*plan, jobs, count, scratch);
  decode_steps<5>(*plan, jobs, count, scratch);
}

// --- encoding
// ----------------------------------------------------------------------------------------------------

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

// Writes the escapes of a tile, last to first.
void write_escapes(const ChannelPlan& plan, EncodeJob* job, const uint8_t* tile, uint64_t row,
                   __mmask32 active) {
  for (uint32_t c = plan.channels; c-- > 0;) {
    const __m512i escape = _mm512_set1_epi16(static_cast<short>(plan.escape[c]));
    __mmask32 mask = _mm512_cmpeq_epi16_mask(tile_channel(tile, c), escape) & active;
    while (mask) {
      const int lane = 31 - __builtin_clz(mask);
      mask &= ~(1u << lane);
      const uint64_t at = (row + static_cast<uint64_t>(lane)) * plan.channels + c;
      int32_t symbol = 0;
      if (job->type == kSymbolRows)
        symbol = static_cast<const int32_t*>(job->rows)[at];
      else
        quantize(static_cast<const float*>(job->rows)[at], plan.median[c], plan.gain[c], plan.shift[c],
                 &symbol);
      const int64_t v = int64_t{symbol} - plan.offset[c];
      job->escapes = write_varint_before(job->escapes, escape_value(v, plan.escape[c]));
    }
  }
}

// Rows [row, row + rows) of a block into its tile.
void load_rows(const ChannelPlan& plan, EncodeJob* job, Stream* s, uint64_t row, uint32_t rows,
               uint8_t* bytes) {
  const char* at = static_cast<const char*>(job->rows) + row * plan.channels * 4;
  const RowsSeen seen = job->type == kFloatRows ? entries_of_rows<kFloatRows>(plan, at, rows, bytes)
                                                : entries_of_rows<kSymbolRows>(plan, at, rows, bytes);
  tile_of_rows(bytes, padded_channels(plan.channels), s->tile);
  job->invalid = job->invalid || seen.invalid;
  if (seen.escapes && !job->invalid) write_escapes(plan, job, s->tile, row, lane_mask(rows));
}

template <int K, bool Full, bool Costs>
void encode_together(const ChannelPlan& plan, EncodeJob* jobs, Stream* streams, uint64_t groups,
                     uint8_t* bytes) {
  for (uint64_t g = groups; g-- > 0;) {
    bool invalid = false;
    for (int k = 0; k < K; ++k) {
      load_rows(plan, &jobs[k], &streams[k], g * plan.lanes, plan.lanes, bytes);
      invalid = invalid || jobs[k].invalid;
    }
    if (invalid) return;
    encode_tiles<K, Full, Costs>(plan, streams, jobs, lane_mask(plan.lanes));
  }
}

template <bool Full, bool Costs>
void encode_blocks(const ChannelPlan& plan, EncodeJob* jobs, int count, char* scratch) {
  const size_t tile_bytes = size_t{padded_channels(plan.channels)} * kLanes;
  Stream streams[kBlocksAtOnce];
  uint8_t* bytes = reinterpret_cast<uint8_t*>(scratch) + kBlocksAtOnce * tile_bytes;
  uint64_t together = ~uint64_t{0};
  for (int k = 0; k < count; ++k) {
    const uint64_t groups = jobs[k].row_count / plan.lanes;
    if (groups < together) together = groups;
  }
  for (int k = 0; k < count; ++k) {
    EncodeJob* job = &jobs[k];
    job->escapes = job->escapes_end;
    job->cost = 0;
    job->invalid = false;
    streams[k].high = _mm512_set1_epi16(1);
    streams[k].low = _mm512_setzero_si512();
    streams[k].words = job->words_end;
    streams[k].tile = reinterpret_cast<uint8_t*>(scratch) + static_cast<size_t>(k) * tile_bytes;
    for (uint64_t g = (job->row_count + plan.lanes - 1) / plan.lanes; g-- > together && !job->invalid;) {
      const uint64_t left = job->row_count - g * plan.lanes;
      const uint32_t rows = left < plan.lanes ? static_cast<uint32_t>(left) : plan.lanes;
      load_rows(plan, job, &streams[k], g * plan.lanes, rows, bytes);
      encode_tiles<1, false, Costs>(plan, &streams[k], job, lane_mask(rows));
    }
  }
  bool invalid = false;
  for (int k = 0; k < count; ++k) invalid = invalid || jobs[k].invalid;
  if (invalid) return;
  if (count == 4)
    encode_together<4, Full, Costs>(plan, jobs, streams, together, bytes);
  else if (count == 3)
    encode_together<3, Full, Costs>(plan, jobs, streams, together, bytes);
  else if (count == 2)
    encode_together<2, Full, Costs>(plan, jobs, streams, together, bytes);
  else
    encode_together<1, Full, Costs>(plan, jobs, streams, together, bytes);
  for (int k = 0; k < count; ++k) {
    jobs[k].words = streams[k].words;
    alignas(64) uint16_t high[kLanes], low[kLanes];
    _mm512_store_si512(high, streams[k].high);
    _mm512_store_si512(low, streams[k].low);
    for (int l = 0; l < kLanes; ++l) jobs[k].states[l] = static_cast<uint32_t>(high[l]) << 16 | low[l];
  }
}

void encode_rans(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch) {
  if (!plan->small) return encode_rans_ref(plan, jobs, count, scratch);
  const bool full = plan->lanes == kLanes, costs = jobs[0].count_cost;
  if (full && costs)
    encode_blocks<true, true>(*plan, jobs, count, scratch);
  else if (full)
    encode_blocks<true, false>(*plan, jobs, count, scratch);
  else if (costs)
    encode_blocks<false, true>(*plan, jobs, count, scratch);
  else
    encode_blocks<false, false>(*plan, jobs, count, scratch);
}

}  // namespace

void coding_fill_avx512(CodingOps* ops) {
  ops->encode_rans = encode_rans;
  ops->decode_rans = decode_rans;
}

}  // namespace bince
