// The way of blocks through the vector coders, the same for every target.  Before it includes this, a
// target's file includes its tile_<target>.h and defines Vec (32 lanes of 16 bits), load_lanes, store_lanes,
// Stream, escape_mask, decode_tiles and encode_tiles.  All of it is in the unnamed namespace: each target has
// its own.
#ifndef BINCE_CODING_BLOCK_LANES_H_
#define BINCE_CODING_BLOCK_LANES_H_

#include "native/coding/block_ref.h"
#include "native/coding/escape.h"
#include "native/coding/quantize.h"
#include "native/coding/rans.h"

namespace bince {
namespace {

// The first pair of channels from `pair` on in steps of `step` where a lane may hold an escape, or what is
// beyond the tile.
inline uint32_t next_escapes(const ChannelPlan& plan, const uint8_t* tile, uint32_t pair, uint32_t step) {
  const uint32_t pairs = (plan.channels + 1) / 2;
  for (; pair < pairs; pair += step) {
    const uint32_t odd = 2 * pair + 1 < plan.channels ? plan.escape[2 * pair + 1] : 255;
    if (pair_has_escape(tile, pair, plan.escape[2 * pair] | odd << 8)) break;
  }
  return pair;
}

// --- decoding ---

// Puts the escapes of a channel where they belong in the rows; null, or what is wrong with one.
const char* place_channel(const ChannelPlan& plan, const DecodeJob& job, Stream* s, uint64_t row, uint32_t c,
                          uint32_t mask) {
  const uint8_t* end = job.payload + job.payload_bytes;
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
  return nullptr;
}

// The escapes of a tile, first to last.
const char* place_escapes(const ChannelPlan& plan, const DecodeJob& job, Stream* s, uint64_t row,
                          uint32_t active) {
  const uint32_t pairs = (plan.channels + 1) / 2;
  for (uint32_t pair = 0; (pair = next_escapes(plan, s->tile, pair, 1)) < pairs; ++pair) {
    for (uint32_t c = 2 * pair; c < 2 * pair + 2 && c < plan.channels; ++c) {
      const char* damage =
          place_channel(plan, job, s, row, c, escape_mask(s->tile, c, plan.escape[c]) & active);
      if (damage) return damage;
    }
  }
  return nullptr;
}

// Writes the line that a row's last channels share with the first `lead` of the next.
template <RowType Type>
void write_seam(const ChannelPlan& plan, const uint8_t* entries, uint32_t lead, int32_t* out) {
  const uint32_t C = plan.channels;
  alignas(64) int32_t both[32];
  write_some<Type>(plan, entries + C - 16, C - 16, 16, both);
  write_some<Type>(plan, entries + padded_channels(C), 0, 16, both + 16);
  write_line(both + lead, out + C - 16 + lead);
}

// `rows` rows of bytes to float32 or int32.  Where rows are written past the caches and are whole lines long,
// nothing but the first row's beginning and the last one's end takes the usual way.
template <RowType Type, bool PastCaches>
void write_group(const ChannelPlan& plan, const uint8_t* bytes, uint32_t rows, int32_t* out) {
  const uint32_t C = plan.channels;
  const size_t padded = padded_channels(C);
  const bool whole_lines = C % 16 == 0;  // then rows lie alike in their lines
  for (uint32_t row = 0, some; row < rows; row += some) {
    some = (whole_lines || !PastCaches) && rows - row >= 4 ? 4 : 1;
    const uint8_t* entries = bytes + row * padded;
    int32_t* at = out + size_t{row} * C;
    uint32_t lead = PastCaches ? static_cast<uint32_t>(-reinterpret_cast<uintptr_t>(at) % 64 / 4) : 0;
    if (lead > C) lead = C;
    const uint32_t whole = (C - lead) / 16 * 16, end = lead + whole;
    if (some == 4)
      write_lines<Type, PastCaches, 4>(plan, entries + lead, lead, whole, at + lead);
    else
      write_lines<Type, PastCaches, 1>(plan, entries + lead, lead, whole, at + lead);
    const bool seams = PastCaches && whole_lines && lead > 0;
    for (uint32_t i = 0; i < some; ++i, entries += padded, at += C) {
      if (row + i == 0 || !seams) write_some<Type>(plan, entries, 0, lead, at);
      if (seams && row + i + 1 < rows)
        write_seam<Type>(plan, entries, lead, at);
      else
        write_some<Type>(plan, entries + end, end, C - end, at + end);
    }
  }
}

void store_rows(const ChannelPlan& plan, DecodeJob* job, Stream* s, uint64_t row, uint32_t rows, bool escapes,
                uint8_t* bytes) {
  if (job->damage) return;
  if (s->left < 0) {
    job->damage = "its words end too early";
    return;
  }
  rows_of_tile(s->tile, padded_channels(plan.channels), bytes);
  int32_t* out = static_cast<int32_t*>(job->rows) + row * plan.channels;
  const bool past_caches = kWritesPastCaches && job->past_caches;
  if (job->type == kSymbolRows && past_caches)
    write_group<kSymbolRows, kWritesPastCaches>(plan, bytes, rows, out);
  else if (job->type == kSymbolRows)
    write_group<kSymbolRows, false>(plan, bytes, rows, out);
  else if (past_caches)
    write_group<kFloatRows, kWritesPastCaches>(plan, bytes, rows, out);
  else
    write_group<kFloatRows, false>(plan, bytes, rows, out);
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
  s->high = load_lanes(high);
  s->low = load_lanes(low);
  s->left = (s->end - job->payload - static_cast<int64_t>(4 * lanes)) / 2;
}

void finish_decoding(DecodeJob* job, const Stream& s) {
  if (job->damage) return;
  alignas(64) uint16_t high[kLanes], low[kLanes];
  store_lanes(high, s.high);
  store_lanes(low, s.low);
  bool whole = true;
  for (int l = 0; l < kLanes; ++l) whole = whole && high[l] == 1 && low[l] == 0;
  if (s.left < 0)
    job->damage = "its words end too early";
  else if (!whole)
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
  finish_stores();
}

// `Steps` is the target's own: what its decode_tiles is to make of the tables' sizes.
template <int Steps>
void decode_steps(const ChannelPlan& plan, DecodeJob* jobs, int count, char* scratch) {
  if (plan.lanes == kLanes)
    decode_blocks<Steps, true>(plan, jobs, count, scratch);
  else
    decode_blocks<Steps, false>(plan, jobs, count, scratch);
}

// --- encoding ---

// Writes the escapes of a channel, last to first.
void write_channel(const ChannelPlan& plan, EncodeJob* job, uint64_t row, uint32_t c, uint32_t mask) {
  while (mask) {
    const int lane = 31 - __builtin_clz(mask);
    mask &= ~(1u << lane);
    const uint64_t at = (row + static_cast<uint64_t>(lane)) * plan.channels + c;
    int32_t symbol = 0;
    if (job->type == kSymbolRows)
      symbol = static_cast<const int32_t*>(job->rows)[at];
    else if (!quantize(static_cast<const float*>(job->rows)[at], plan.median[c], plan.gain[c], plan.shift[c],
                       &symbol))
      job->invalid = true;
    const int64_t v = int64_t{symbol} - plan.offset[c];
    job->escapes = write_varint_before(job->escapes, escape_value(v, plan.escape[c]));
  }
}

// The escapes of a tile, last to first.  Every value that cannot be quantised is among them, unless tables
// reach as far.
void write_escapes(const ChannelPlan& plan, EncodeJob* job, const uint8_t* tile, uint64_t row,
                   uint32_t active) {
  const uint32_t pairs = (plan.channels + 1) / 2;
  // Downwards from the last pair, as a number modulo 2^32: beyond 0 is beyond all pairs.
  for (uint32_t pair = pairs - 1; (pair = next_escapes(plan, tile, pair, ~0u)) < pairs && !job->invalid;
       --pair)
    for (uint32_t c = 2 * pair + 2; c-- > 2 * pair;)
      if (c < plan.channels) write_channel(plan, job, row, c, escape_mask(tile, c, plan.escape[c]) & active);
}

// float32 values or int32 symbols -> bytes [32][C16]; rows beyond `rows` stay as they are.  Returns whether
// some entry is an escape.
template <RowType Type>
bool entries_of_rows(const ChannelPlan& plan, const void* rows_in, uint32_t rows, const char* ahead,
                     uint8_t* bytes) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  bool escapes = false;
  uint32_t row = 0;
  for (; row + 4 <= rows; row += 4)
    escapes |= quantise_rows<Type, 4>(plan, rows_in, size_t{row} * C, ahead, bytes + size_t{row} * padded);
  for (; row < rows; ++row)
    escapes |= quantise_rows<Type, 1>(plan, rows_in, size_t{row} * C, nullptr, bytes + size_t{row} * padded);
  return escapes;
}

bool all_quantise(const ChannelPlan& plan, const float* rows, uint32_t count) {
  for (uint32_t row = 0; row < count; ++row) {
    for (uint32_t c = 0; c < plan.channels; ++c) {
      int32_t symbol;
      const float x = rows[size_t{row} * plan.channels + c];
      if (!quantize(x, plan.median[c], plan.gain[c], plan.shift[c], &symbol)) return false;
    }
  }
  return true;
}

// Rows [row, row + rows) of a block into its tile.
void load_rows(const ChannelPlan& plan, EncodeJob* job, Stream* s, uint64_t row, uint32_t rows,
               uint8_t* bytes) {
  const char* at = static_cast<const char*>(job->rows) + row * plan.channels * 4;
  // Groups are read backwards, where hardware does not look ahead.
  s->ahead = row >= plan.lanes ? at - size_t{plan.lanes} * plan.channels * 4 : nullptr;
  const bool escapes = job->type == kFloatRows
                           ? entries_of_rows<kFloatRows>(plan, at, rows, s->ahead, bytes)
                           : entries_of_rows<kSymbolRows>(plan, at, rows, s->ahead, bytes);
  tile_of_rows(bytes, padded_channels(plan.channels), s->tile);
  if (plan.far && job->type == kFloatRows)
    job->invalid =
        job->invalid || !all_quantise(plan, static_cast<const float*>(static_cast<const void*>(at)), rows);
  if (escapes && !job->invalid) write_escapes(plan, job, s->tile, row, lane_mask(rows));
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
    job->words = job->words_end;  // for those that end early beside an invalid one
    for (uint32_t& state : job->states) state = 0;
    job->cost = 0;
    job->invalid = false;
    alignas(64) uint16_t one[kLanes], zero[kLanes] = {};
    for (uint16_t& lane : one) lane = 1;
    streams[k].high = load_lanes(one);
    streams[k].low = load_lanes(zero);
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
    store_lanes(high, streams[k].high);
    store_lanes(low, streams[k].low);
    for (int l = 0; l < kLanes; ++l) jobs[k].states[l] = static_cast<uint32_t>(high[l]) << 16 | low[l];
  }
}

void encode_rans_lanes(const ChannelPlan& plan, EncodeJob* jobs, int count, char* scratch) {
  const bool full = plan.lanes == kLanes, costs = jobs[0].count_cost;
  if (full && costs)
    encode_blocks<true, true>(plan, jobs, count, scratch);
  else if (full)
    encode_blocks<true, false>(plan, jobs, count, scratch);
  else if (costs)
    encode_blocks<false, true>(plan, jobs, count, scratch);
  else
    encode_blocks<false, false>(plan, jobs, count, scratch);
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_BLOCK_LANES_H_
