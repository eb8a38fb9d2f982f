// The streaming range coder over prepared tables: what bince_range_encoder and bince_range_decoder hold, and
// the form in which plain arrays are range coded.
#ifndef BINCE_CODING_SYMBOL_STREAM_H_
#define BINCE_CODING_SYMBOL_STREAM_H_

#include "native/coding/escape.h"
#include "native/coding/range_coder.h"

namespace bince {

// Codes a symbol, its escape's bytes behind it.  False where the room might not do; nothing has changed then.
BINCE_INLINE bool stream_put(RangeWriter* writer, const TableView& table, int32_t symbol) {
  const int64_t v = int64_t{symbol} - table.offset;
  const bool inside = v >= 0 && v < table.escape;
  const DecodeEntry entry = table.decode[inside ? v : table.escape];
  if (inside) return range_put(writer, entry.start, entry.frequency);
  uint8_t bytes[kMaxVarintBytes];
  const int count = static_cast<int>(write_varint(bytes, escape_value(v, table.escape)) - bytes);
  if (writer->end - writer->at < 2 * (count + 2)) return false;
  range_put(writer, entry.start, entry.frequency);
  for (int i = 0; i < count; ++i) range_put(writer, uint32_t{bytes[i]} << 8, 256);
  return true;
}

// Takes a symbol; null, or what is wrong.
BINCE_INLINE const char* stream_get(RangeReader* reader, const TableView& table, int32_t* symbol) {
  const uint32_t entry = find_entry(table.decode, table.bucket, range_slot(reader));
  range_take(reader, table.decode[entry].start, table.decode[entry].frequency);
  if (entry != table.escape) {
    *symbol = table.offset + static_cast<int32_t>(entry);
    return nullptr;
  }
  uint8_t bytes[kMaxVarintBytes];
  int count = 0;
  do {
    if (count == kMaxVarintBytes) return "an escape that does not end";
    const uint32_t byte = range_slot(reader) >> 8;
    range_take(reader, byte << 8, 256);
    bytes[count++] = static_cast<uint8_t>(byte);
  } while (bytes[count - 1] & 128);
  const uint8_t* at = bytes;
  uint64_t value;
  if (!read_varint(&at, bytes + count, &value) || !escaped_symbol(value, table.escape, table.offset, symbol))
    return "a symbol beyond 32 bits";
  return nullptr;
}

}  // namespace bince

#endif  // BINCE_CODING_SYMBOL_STREAM_H_
