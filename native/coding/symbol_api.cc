// The C ABI of plain arrays.
#include <cstring>

#include "native/coding/block_sections.h"
#include "native/coding/coding_device_api.h"
#include "native/coding/compressai.h"
#include "native/coding/polling.h"
#include "native/coding/symbol_stream.h"
#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"

namespace bince {
namespace {

// Words, escapes and what a coder adds at its ends.
constexpr uint64_t kSymbolBytes = 8, kStreamBytes = 256;
constexpr int64_t kMaxCount = int64_t{1} << 40;

bince_status check_count(int64_t count, const char* name) {
  if (count < 0 || count > kMaxCount)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected 0 to 2^40, received %lld", name,
                static_cast<long long>(count));
  return BINCE_OK;
}

bince_status check_context(const bince_context* context) {
  return context ? BINCE_OK : fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
}

bince_status check_place(const void* place) {
  return place ? BINCE_OK
               : fail(BINCE_INVALID_ARGUMENT, "bytes: expected a place for the result, received NULL");
}

bince_status check_indexes(const bince_tables* tables, const int32_t* indexes, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (indexes[i] < 0 || static_cast<uint32_t>(indexes[i]) >= tables->tables)
      return fail(BINCE_INVALID_ARGUMENT, "indexes: number %lld: expected 0 to %u, received %d",
                  static_cast<long long>(i), tables->tables - 1, indexes[i]);
  return BINCE_OK;
}

// A plain array, checked.
struct Symbols {
  const uint32_t* indexes;  // [count], or null
  uint32_t channels;        // 1 with indexes, else T
  uint64_t rows;
};

bince_status check_symbols(const bince_context* context, const bince_tables* tables, int32_t coder,
                           uint32_t lanes, const bince_tensor* symbols, const bince_tensor* indexes,
                           Symbols* checked) {
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  if (coder != BINCE_RANS && coder != BINCE_RANGE)
    return fail(BINCE_INVALID_ARGUMENT, "coder: expected BINCE_RANS or BINCE_RANGE, received %d", coder);
  if (lanes < 1 || lanes > kLanes || (lanes & (lanes - 1)) != 0 || (coder == BINCE_RANGE && lanes != 1))
    return fail(BINCE_INVALID_ARGUMENT, "lanes: expected %s, received %u",
                coder == BINCE_RANGE ? "1 for the range coder" : "1, 2, 4, 8, 16 or 32", lanes);
  BINCE_RETURN_IF_ERROR(check_tensor(symbols, "symbols", {kInt32}, {-1}));
  const int64_t count = symbols->shape[0];
  BINCE_RETURN_IF_ERROR(check_count(count, "symbols"));
  BINCE_RETURN_IF_ERROR(check_optional(indexes, "indexes", {kInt32}, {count}));
  checked->indexes = tensor_data<const uint32_t>(indexes);
  if (indexes && !context->cuda)
    BINCE_RETURN_IF_ERROR(check_indexes(tables, tensor_data<const int32_t>(indexes), count));
  checked->channels = indexes ? 1 : tables->tables;
  if (count % checked->channels != 0)
    return fail(BINCE_INVALID_ARGUMENT, "symbols: expected a multiple of the %u tables, received %lld",
                checked->channels, static_cast<long long>(count));
  checked->rows = static_cast<uint64_t>(count) / checked->channels;
  return BINCE_OK;
}

SectionRules device_rules(int32_t coder, uint32_t lanes) {
  return {coder, lanes, 0, 1, 0};
}

DeviceFormat array_format(const bince_tables* tables, const Symbols& symbols, int32_t coder, uint32_t lanes) {
  return {device_rules(coder, lanes), symbols.channels, tables, nullptr, nullptr};
}

// Without indexes channel c uses table c.
void plan_channels(const bince_tables* tables, const Symbols& symbols, uint32_t lanes, uint32_t* table,
                   ChannelPlan* plan) {
  for (uint32_t c = 0; c < symbols.channels; ++c) table[c] = c;
  *plan = {};
  plan->channels = symbols.channels;
  plan->lanes = lanes;
  plan->tables = tables;
  plan->table = table;
  plan->largest = UINT32_MAX;  // no vector forms: backends take the reference's path
}

bince_status copy_out(const uint8_t* begin, const uint8_t* end, bince_tensor* out, uint64_t* bytes) {
  *bytes = static_cast<uint64_t>(end - begin);
  if (*bytes > static_cast<uint64_t>(out->shape[0]))
    return fail(BINCE_BUFFER_TOO_SMALL, "coded: expected at least %llu bytes, received %lld",
                static_cast<unsigned long long>(*bytes), static_cast<long long>(out->shape[0]));
  if (*bytes) std::memcpy(tensor_data<uint8_t>(out), begin, *bytes);
  return BINCE_OK;
}

uint64_t room_of(uint64_t count) {
  return kSymbolBytes * count + kStreamBytes;
}

bince_status encode_range_symbols(const Run& run, const bince_tables* tables, const Symbols& symbols,
                                  const int32_t* values, uint8_t* room, uint64_t count, bince_tensor* coded,
                                  uint64_t* bytes) {
  RangeWriter writer;
  range_start(&writer, room, room + room_of(count));
  uint32_t table = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (i % kCancelSymbols == 0 && cancelled(run)) return fail(BINCE_CANCELLED, "encoding was cancelled");
    const uint32_t index = symbols.indexes ? symbols.indexes[i] : table;
    if (++table == symbols.channels) table = 0;
    if (!stream_put(&writer, table_view(tables, index), values[i]))
      return fail(BINCE_INTERNAL, "the range coder's room is too small");
  }
  range_finish(&writer);
  return copy_out(room, writer.at, coded, bytes);
}

bince_status encode_rans_symbols(const Run& run, const CodingOps* ops, const ChannelPlan& plan,
                                 const Symbols& symbols, const int32_t* values, uint8_t* room, char* scratch,
                                 bince_tensor* coded, uint64_t* bytes) {
  const uint64_t count = symbols.rows * symbols.channels;
  EncodeJob job = {};
  job.rows = values;
  job.indexes = symbols.indexes;
  job.type = kSymbolRows;
  job.row_count = symbols.rows;
  // Words grow down from here, escapes from the end; 128 bytes before the words hold the states.
  job.words_end = room + 160 + 2 * count;
  job.escapes_end = room + room_of(count);
  job.cancel = run.cancel;
  ops->encode_rans(&plan, &job, 1, scratch);
  if (job.cancelled) return fail(BINCE_CANCELLED, "encoding was cancelled");
  const size_t escape_bytes = static_cast<size_t>(job.escapes_end - job.escapes);
  uint8_t* at = job.words;
  const uint64_t lanes = symbols.rows < plan.lanes ? symbols.rows : plan.lanes;
  for (uint64_t l = lanes; l-- > 0;) store_u32(at -= 4, job.states[l]);
  at = write_varint_before(at, escape_bytes);
  std::memmove(job.words_end, job.escapes, escape_bytes);
  return copy_out(at, job.words_end + escape_bytes, coded, bytes);
}

// Both directions need the table numbers and scratch; the encoder room besides.
size_t carve_symbols(Workspace* workspace, const bince_tables* tables, uint64_t count, bool encode,
                     uint32_t** table, char** scratch, uint8_t** room) {
  *table = static_cast<uint32_t*>(carve_bytes(workspace, tables->tables, sizeof(uint32_t)));
  *scratch = static_cast<char*>(carve_bytes(workspace, 1, coding_scratch_bytes(tables->tables)));
  *room = static_cast<uint8_t*>(carve_bytes(workspace, 1, encode ? room_of(count) : 0));
  return workspace->used;
}

size_t symbols_bytes(const bince_tables* tables, uint64_t count, bool encode) {
  Workspace workspace;
  uint32_t* table;
  char* scratch;
  uint8_t* room;
  return carve_symbols(&workspace, tables, count, encode, &table, &scratch, &room);
}

bince_status stream_damage(uint64_t at, const char* damage) {
  return fail(BINCE_CORRUPT_DATA, "the coded symbols are damaged at symbol %llu: %s",
              static_cast<unsigned long long>(at), damage);
}

bince_status decode_range_symbols(const Run& run, const bince_tables* tables, const Symbols& symbols,
                                  const uint8_t* bytes, uint64_t byte_count, int32_t* values) {
  const uint64_t count = symbols.rows * symbols.channels;
  RangeReader reader;
  range_start(&reader, bytes, bytes + byte_count);
  uint32_t table = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (i % kCancelSymbols == 0 && cancelled(run)) return fail(BINCE_CANCELLED, "decoding was cancelled");
    const uint32_t index = symbols.indexes ? symbols.indexes[i] : table;
    if (++table == symbols.channels) table = 0;
    const char* damage = stream_get(&reader, table_view(tables, index), &values[i]);
    if (!damage && 2 * reader.words > byte_count) damage = "they end too early";
    if (damage) return stream_damage(i, damage);
  }
  return range_complete(&reader, bytes) ? BINCE_OK : stream_damage(count, "words are left over");
}

bince_status decode_rans_symbols(const Run& run, const CodingOps* ops, const ChannelPlan& plan,
                                 const Symbols& symbols, const uint8_t* bytes, uint64_t byte_count,
                                 int32_t* values, char* scratch) {
  const uint8_t* at = bytes;
  uint64_t escape_bytes;
  if (!read_varint(&at, bytes + byte_count, &escape_bytes))
    return stream_damage(0, "the size of escapes is cut off");
  DecodeJob job = {};
  job.rows = values;
  job.indexes = symbols.indexes;
  job.type = kSymbolRows;
  job.row_count = symbols.rows;
  job.payload = at;
  job.payload_bytes = static_cast<uint64_t>(bytes + byte_count - at);
  job.escape_bytes = escape_bytes;
  if (escape_bytes > job.payload_bytes) return stream_damage(0, "it is cut off");
  job.cancel = run.cancel;
  ops->decode_rans(&plan, &job, 1, scratch);
  if (job.cancelled) return fail(BINCE_CANCELLED, "decoding was cancelled");
  if (job.damage) return fail(BINCE_CORRUPT_DATA, "the coded symbols are damaged: %s", job.damage);
  return BINCE_OK;
}

}  // namespace
}  // namespace bince

using namespace bince;

bince_status bince_symbols_bound(int64_t count, uint64_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_place(bytes));
  BINCE_RETURN_IF_ERROR(check_count(count, "count"));
  *bytes = room_of(static_cast<uint64_t>(count));
  return BINCE_OK;
}

bince_status bince_symbols_encode_workspace(const bince_context* context, const bince_tables* tables,
                                            int64_t count, size_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  BINCE_RETURN_IF_ERROR(check_place(bytes));
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  BINCE_RETURN_IF_ERROR(check_count(count, "count"));
  if (context->cuda) {
    // One lane and the range coder take the most room; channels are rows of one symbol or all the tables.
    Workspace workspace;
    carve_encode_room(&workspace, device_rules(BINCE_RANGE, 1), 1, static_cast<uint64_t>(count), true);
    carve_bytes(&workspace, tables->tables, sizeof(DeviceChannel));
    *bytes = workspace_bytes(context, workspace.used);
    return BINCE_OK;
  }
  *bytes = symbols_bytes(tables, static_cast<uint64_t>(count), true);
  return BINCE_OK;
}

bince_status bince_symbols_encode(const bince_context* context, const bince_tables* tables, int32_t coder,
                                  uint32_t lanes, const bince_tensor* symbols, const bince_tensor* indexes,
                                  bince_tensor* coded, uint64_t* bytes, const bince_launch* launch) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  if (!context->cuda) BINCE_RETURN_IF_ERROR(check_place(bytes));
  const DeviceCall scope(context);
  Symbols checked;
  BINCE_RETURN_IF_ERROR(check_symbols(context, tables, coder, lanes, symbols, indexes, &checked));
  BINCE_RETURN_IF_ERROR(check_tensor(coded, "coded", {kUint8}, {-1}));
  const uint64_t count = static_cast<uint64_t>(symbols->shape[0]);
  if (context->cuda) {
    EncodeBlocksCall call = {};
    call.format = array_format(tables, checked, coder, lanes);
    call.rows = tensor_data<const int32_t>(symbols);
    call.indexes = checked.indexes;
    call.type = kSymbolRows;
    call.array = true;
    call.row_count = checked.rows;
    call.out = tensor_data<uint8_t>(coded);
    call.capacity = static_cast<uint64_t>(coded->shape[0]);
    call.bytes = bytes;
    return encode_blocks_on_device(context, launch, &call);
  }
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, symbols_bytes(tables, count, true), &run));
  Workspace workspace = {run.workspace, 0};
  uint32_t* table;
  char* scratch;
  uint8_t* room;
  carve_symbols(&workspace, tables, count, true, &table, &scratch, &room);
  const int32_t* values = tensor_data<const int32_t>(symbols);
  if (coder == BINCE_RANGE)
    return encode_range_symbols(run, tables, checked, values, room, count, coded, bytes);
  ChannelPlan plan;
  plan_channels(tables, checked, lanes, table, &plan);
  return encode_rans_symbols(run, context->ops->coding, plan, checked, values, room, scratch, coded, bytes);
}

bince_status bince_symbols_decode_workspace(const bince_context* context, const bince_tables* tables,
                                            size_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  BINCE_RETURN_IF_ERROR(check_place(bytes));
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  if (context->cuda) {
    Workspace workspace;
    carve_decode_room(&workspace, tables->tables, 1, true);
    *bytes = workspace_bytes(context, workspace.used);
    return BINCE_OK;
  }
  *bytes = symbols_bytes(tables, 0, false);
  return BINCE_OK;
}

bince_status bince_symbols_decode(const bince_context* context, const bince_tables* tables, int32_t coder,
                                  uint32_t lanes, const bince_tensor* coded, const bince_tensor* indexes,
                                  bince_tensor* symbols, const bince_launch* launch) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  const DeviceCall scope(context);
  Symbols checked;
  BINCE_RETURN_IF_ERROR(check_symbols(context, tables, coder, lanes, symbols, indexes, &checked));
  BINCE_RETURN_IF_ERROR(check_tensor(coded, "coded", {kUint8}, {-1}));
  if (context->cuda) {
    DecodeBlocksCall call = {};
    call.format = array_format(tables, checked, coder, lanes);
    call.bytes = tensor_data<const uint8_t>(coded);
    call.byte_count = static_cast<uint64_t>(coded->shape[0]);
    call.blocks = 1;
    call.rows = tensor_data<void>(symbols);
    call.indexes = checked.indexes;
    call.type = kSymbolRows;
    call.array = true;
    call.row_count = checked.rows;
    return decode_blocks_on_device(context, launch, &call);
  }
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, symbols_bytes(tables, 0, false), &run));
  Workspace workspace = {run.workspace, 0};
  uint32_t* table;
  char* scratch;
  uint8_t* room;
  carve_symbols(&workspace, tables, 0, false, &table, &scratch, &room);
  const uint8_t* bytes = tensor_data<const uint8_t>(coded);
  const uint64_t byte_count = static_cast<uint64_t>(coded->shape[0]);
  int32_t* values = tensor_data<int32_t>(symbols);
  if (coder == BINCE_RANGE) return decode_range_symbols(run, tables, checked, bytes, byte_count, values);
  ChannelPlan plan;
  plan_channels(tables, checked, lanes, table, &plan);
  return decode_rans_symbols(run, context->ops->coding, plan, checked, bytes, byte_count, values, scratch);
}
