// The C ABI of the streaming range coder.
#include <cstring>

#include "native/coding/block_sections.h"
#include "native/coding/symbol_stream.h"
#include "native/core/status.h"

namespace bince {
namespace {

static_assert(sizeof(RangeWriter) <= sizeof(bince_range_encoder::state), "bince.h declares too little");
struct StreamReader {
  RangeReader reader;
  const uint8_t* begin;
};
static_assert(sizeof(StreamReader) <= sizeof(bince_range_decoder::state), "bince.h declares too little");

RangeWriter load(const bince_range_encoder* encoder) {
  RangeWriter writer;
  std::memcpy(&writer, encoder->state, sizeof writer);
  return writer;
}
void store(bince_range_encoder* encoder, const RangeWriter& writer) {
  std::memcpy(encoder->state, &writer, sizeof writer);
}

bince_status check_table(const bince_tables* tables, uint32_t table) {
  if (table < tables->tables) return BINCE_OK;
  return fail(BINCE_INVALID_ARGUMENT, "table: expected 0 to %u, received %u", tables->tables - 1, table);
}

bince_status check_buffer(const void* buffer, size_t bytes, size_t least) {
  if (buffer && bytes >= least) return BINCE_OK;
  return fail(BINCE_BUFFER_TOO_SMALL, "buffer: expected at least %zu bytes, received %zu", least,
              buffer ? bytes : size_t{0});
}

}  // namespace
}  // namespace bince

using namespace bince;

bince_status bince_range_encoder_init(bince_range_encoder* encoder, const bince_tables* tables, void* buffer,
                                      size_t buffer_bytes) {
  if (!encoder) return fail(BINCE_INVALID_ARGUMENT, "encoder: expected an encoder, received NULL");
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  BINCE_RETURN_IF_ERROR(check_buffer(buffer, buffer_bytes, 2));
  encoder->tables = tables;
  RangeWriter writer;
  range_start(&writer, static_cast<uint8_t*>(buffer), static_cast<uint8_t*>(buffer) + buffer_bytes);
  store(encoder, writer);
  return BINCE_OK;
}

bince_status bince_range_encoder_put(bince_range_encoder* encoder, uint32_t table, int32_t symbol) {
  BINCE_RETURN_IF_ERROR(check_table(encoder->tables, table));
  RangeWriter writer = load(encoder);
  if (!stream_put(&writer, table_view(encoder->tables, table), symbol))
    return fail(BINCE_BUFFER_TOO_SMALL, "buffer: %zu bytes are not enough for the next symbol",
                static_cast<size_t>(writer.end - writer.begin));
  store(encoder, writer);
  return BINCE_OK;
}

bince_status bince_range_encoder_move(bince_range_encoder* encoder, void* buffer, size_t buffer_bytes) {
  RangeWriter writer = load(encoder);
  const size_t used = static_cast<size_t>(writer.at - writer.begin);
  BINCE_RETURN_IF_ERROR(check_buffer(buffer, buffer_bytes, used + 2));
  writer.begin = static_cast<uint8_t*>(buffer);
  writer.at = writer.begin + used;
  writer.end = writer.begin + buffer_bytes;
  store(encoder, writer);
  return BINCE_OK;
}

bince_status bince_range_encoder_finish(bince_range_encoder* encoder, size_t* bytes) {
  if (!bytes) return fail(BINCE_INVALID_ARGUMENT, "bytes: expected a place for the result, received NULL");
  RangeWriter writer = load(encoder);
  if (!range_finish(&writer)) return fail(BINCE_BUFFER_TOO_SMALL, "buffer: no room for the last word");
  *bytes = static_cast<size_t>(writer.at - writer.begin);
  return BINCE_OK;
}

bince_status bince_range_decoder_init(bince_range_decoder* decoder, const bince_tables* tables,
                                      const void* bytes, size_t count) {
  if (!decoder) return fail(BINCE_INVALID_ARGUMENT, "decoder: expected a decoder, received NULL");
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  if (count > 0 && !bytes)
    return fail(BINCE_INVALID_ARGUMENT, "bytes: expected %zu bytes, received NULL", count);
  decoder->tables = tables;
  StreamReader stream;
  stream.begin = static_cast<const uint8_t*>(bytes);
  range_start(&stream.reader, stream.begin, stream.begin + count);
  std::memcpy(decoder->state, &stream, sizeof stream);
  return BINCE_OK;
}

bince_status bince_range_decoder_get(bince_range_decoder* decoder, uint32_t table, int32_t* symbol) {
  if (!symbol) return fail(BINCE_INVALID_ARGUMENT, "symbol: expected a place for the result, received NULL");
  BINCE_RETURN_IF_ERROR(check_table(decoder->tables, table));
  StreamReader stream;
  std::memcpy(&stream, decoder->state, sizeof stream);
  const char* damage = stream_get(&stream.reader, table_view(decoder->tables, table), symbol);
  if (!damage && 2 * stream.reader.words > static_cast<uint64_t>(stream.reader.end - stream.begin))
    damage = "it ends too early";
  if (damage) return fail(BINCE_CORRUPT_DATA, "the coded stream is damaged: %s", damage);
  std::memcpy(decoder->state, &stream, sizeof stream);
  return BINCE_OK;
}

bince_status bince_range_decoder_finish(const bince_range_decoder* decoder) {
  StreamReader stream;
  std::memcpy(&stream, decoder->state, sizeof stream);
  if (range_complete(&stream.reader, stream.begin)) return BINCE_OK;
  return fail(BINCE_CORRUPT_DATA, "the coded stream is damaged: it does not end with its last symbol");
}
