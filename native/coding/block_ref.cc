// Block payloads as docs/FORMAT.md writes them down, symbol by symbol: the truth that other backends repeat.
#include "native/coding/block_ref.h"

#include "native/coding/escape.h"
#include "native/coding/polling.h"
#include "native/coding/quantize.h"
#include "native/coding/range_coder.h"

namespace bince {
namespace {

// The symbol at (row, c) of the input; false where its value cannot be quantised.
inline bool read_symbol(const ChannelPlan& plan, const EncodeJob& job, uint64_t row, uint32_t c,
                        int32_t* symbol) {
  const uint64_t at = row * plan.channels + c;
  if (job.type == kSymbolRows) {
    *symbol = static_cast<const int32_t*>(job.rows)[at];
    return true;
  }
  return quantize(static_cast<const float*>(job.rows)[at], plan.median[c], plan.gain[c], plan.shift[c],
                  symbol);
}

inline TableView table_of(const ChannelPlan& plan, const uint32_t* indexes, uint64_t row, uint32_t c) {
  return table_view(plan.tables, indexes ? indexes[row * plan.channels + c] : plan.table[c]);
}

// The entry that codes the symbol; an escape's number goes to *value.
inline uint32_t entry_of(const TableView& table, int32_t symbol, uint64_t* value) {
  const int64_t v = int64_t{symbol} - table.offset;
  if (v >= 0 && v < table.escape) return static_cast<uint32_t>(v);
  *value = escape_value(v, table.escape);
  return table.escape;
}

void store_symbol(const ChannelPlan& plan, const DecodeJob& job, uint64_t row, uint32_t c, int32_t symbol) {
  const uint64_t at = row * plan.channels + c;
  if (job.type == kSymbolRows)
    static_cast<int32_t*>(job.rows)[at] = symbol;
  else
    static_cast<float*>(job.rows)[at] = dequantize(symbol, plan.median[c], plan.step[c], plan.shift[c]);
}

// The symbol of a decoded entry; null or what is wrong with its escape.
inline const char* symbol_of(const TableView& table, uint32_t entry, const uint8_t** escapes,
                             const uint8_t* end, int32_t* symbol) {
  if (entry != table.escape) {
    *symbol = table.offset + static_cast<int32_t>(entry);
    return nullptr;
  }
  uint64_t value = 0;
  if (!read_varint(escapes, end, &value)) return "its escape bytes end too early";
  return escaped_symbol(value, table.escape, table.offset, symbol) ? nullptr : "a symbol beyond 32 bits";
}

void encode_block(const ChannelPlan& plan, EncodeJob* job) {
  const uint32_t L = plan.lanes, C = plan.channels;
  const uint64_t groups = (job->row_count + L - 1) / L;
  for (uint32_t l = 0; l < L; ++l) job->states[l] = kRansLow;
  job->words = job->words_end;
  job->escapes = job->escapes_end;
  job->cost = 0;
  job->invalid = job->cancelled = false;
  Polling polling = {job->cancel, 0};
  for (uint64_t g = groups; g-- > 0;) {
    if (polling.fired(uint64_t{L} * C)) {
      job->cancelled = true;
      return;
    }
    const uint64_t left = job->row_count - g * L;
    const uint32_t lanes = left < L ? static_cast<uint32_t>(left) : L;
    for (uint32_t c = C; c-- > 0;) {
      for (uint32_t l = lanes; l-- > 0;) {
        int32_t symbol = 0;
        if (!read_symbol(plan, *job, g * L + l, c, &symbol)) {
          job->invalid = true;
          return;
        }
        const TableView table = table_of(plan, job->indexes, g * L + l, c);
        uint64_t value = 0;
        const uint32_t entry = entry_of(table, symbol, &value);
        if (entry == table.escape) job->escapes = write_varint_before(job->escapes, value);
        job->cost += table.cost[entry];
        job->states[l] = rans_put(job->states[l], table.encode[entry], &job->words);
      }
    }
  }
}

const char* decode_block(const ChannelPlan& plan, DecodeJob* given) {
  const DecodeJob& job = *given;
  const uint32_t L = plan.lanes, C = plan.channels;
  const uint64_t lanes = job.row_count < L ? job.row_count : L;
  if (job.payload_bytes < job.escape_bytes + 4 * lanes) return "its payload is shorter than its states";
  uint32_t states[kLanes];
  const uint8_t* words = job.payload;
  for (uint64_t l = 0; l < lanes; ++l, words += 4) {
    states[l] = load_u32(words);
    if (states[l] < kRansLow) return "a state below 2^16";
  }
  const uint8_t* end = job.payload + job.payload_bytes;
  const uint8_t* escapes = end - job.escape_bytes;
  const uint8_t* words_end = escapes;
  Polling polling = {job.cancel, 0};
  for (uint64_t row = 0; row < job.row_count; row += L) {
    if (polling.fired(uint64_t{L} * C)) {
      given->cancelled = true;
      return nullptr;
    }
    const uint64_t left = job.row_count - row < L ? job.row_count - row : L;
    for (uint32_t c = 0; c < C; ++c) {
      for (uint64_t l = 0; l < left; ++l) {
        const TableView table = table_of(plan, job.indexes, row + l, c);
        const uint32_t slot = states[l] & 0xffff;
        const uint32_t entry = find_entry(table.decode, table.bucket, slot);
        const DecodeEntry e = table.decode[entry];
        uint32_t x = rans_after(states[l], e.start, e.frequency);
        if (x < kRansLow) {
          if (words_end - words < 2) return "its words end too early";
          x = x << 16 | load_word(words);
          words += 2;
        }
        states[l] = x;
        int32_t symbol;
        const char* damage = symbol_of(table, entry, &escapes, end, &symbol);
        if (damage) return damage;
        store_symbol(plan, job, row + l, c, symbol);
      }
    }
  }
  for (uint64_t l = 0; l < lanes; ++l)
    if (states[l] != kRansLow) return "a lane does not end where encoders begin";
  if (words != words_end) return "words are left over";
  if (escapes != end) return "escape bytes are left over";
  return nullptr;
}

}  // namespace

void encode_rans_ref(const ChannelPlan* plan, EncodeJob* jobs, int count, char*) {
  for (int i = 0; i < count; ++i) encode_block(*plan, &jobs[i]);
}

void decode_rans_ref(const ChannelPlan* plan, DecodeJob* jobs, int count, char*) {
  for (int i = 0; i < count; ++i) jobs[i].damage = decode_block(*plan, &jobs[i]);
}

void encode_range(const ChannelPlan* plan, EncodeJob* job, uint8_t* words_begin, uint8_t** words_end) {
  RangeWriter writer;
  range_start(&writer, words_begin, job->words_end);
  // Escapes come in decoding order: written upwards from the lowest place of their room.
  uint8_t* escapes = job->escapes_end;
  job->words = words_begin;
  job->cost = 0;
  job->invalid = true;
  for (uint64_t row = job->row_count; row-- > 0;) {  // backwards, only to place the escapes
    for (uint32_t c = plan->channels; c-- > 0;) {
      int32_t symbol = 0;
      if (!read_symbol(*plan, *job, row, c, &symbol)) return;
      const TableView table = table_of(*plan, job->indexes, row, c);
      uint64_t value = 0;
      if (entry_of(table, symbol, &value) == table.escape) escapes = write_varint_before(escapes, value);
    }
  }
  job->escapes = escapes;
  for (uint64_t row = 0; row < job->row_count; ++row) {
    for (uint32_t c = 0; c < plan->channels; ++c) {
      int32_t symbol = 0;
      read_symbol(*plan, *job, row, c, &symbol);
      const TableView table = table_of(*plan, job->indexes, row, c);
      uint64_t value = 0;
      const uint32_t entry = entry_of(table, symbol, &value);
      job->cost += table.cost[entry];
      range_put(&writer, table.decode[entry].start, table.decode[entry].frequency);
    }
  }
  range_finish(&writer);
  *words_end = writer.at;
  job->invalid = false;
}

void decode_range(const ChannelPlan* plan, DecodeJob* job) {
  const uint8_t* end = job->payload + job->payload_bytes;
  const uint8_t* escapes = end - job->escape_bytes;
  const uint8_t* words_end = escapes;
  RangeReader reader;
  range_start(&reader, job->payload, words_end);
  for (uint64_t row = 0; row < job->row_count; ++row) {
    for (uint32_t c = 0; c < plan->channels; ++c) {
      const TableView table = table_of(*plan, job->indexes, row, c);
      const uint32_t entry = find_entry(table.decode, table.bucket, range_slot(&reader));
      range_take(&reader, table.decode[entry].start, table.decode[entry].frequency);
      int32_t symbol;
      job->damage = symbol_of(table, entry, &escapes, end, &symbol);
      if (job->damage) return;
      store_symbol(*plan, *job, row, c, symbol);
    }
    if (2 * reader.words > job->payload_bytes) {  // early, so that short payloads do not decode long rows
      job->damage = "its words end too early";
      return;
    }
  }
  if (!range_complete(&reader, job->payload))
    job->damage = "its words do not end with its rows";
  else if (escapes != end)
    job->damage = "escape bytes are left over";
}

}  // namespace bince
