// The C ABI of blocks: argument checks, then the sections.  Plain arrays and CompressAI's strings are in
// symbol_api.cc.
#include <stddef.h>

#include <cmath>

#include "native/coding/block_ref.h"
#include "native/coding/block_sections.h"
#include "native/coding/coding_device_api.h"
#include "native/coding/compressai.h"
#include "native/coding/lane_runs.h"
#include "native/coding/row_scan.h"
#include "native/core/context.h"
#include "native/core/cpu_features.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"

namespace bince {

const CodingOps* coding_ops(Backend backend) {
  struct Table {
    CodingOps ops[kBackends];
    Table() {
      const CodingOps ref = {encode_rans_ref, decode_rans_ref, crc32c_ref, encode_strings_ref,
                             decode_strings_ref};
      for (CodingOps& each : ops) each = ref;
#if defined(BINCE_X86)
      for (const Backend faster : {Backend::kAvx2, Backend::kAvx512}) {
        CodingOps* each = &ops[static_cast<int>(faster)];
        coding_fill_crc_avx2(each);
        coding_fill_blocks_avx2(each);
      }
      coding_fill_blocks_avx512(&ops[static_cast<int>(Backend::kAvx512)]);
      coding_fill_string_decoder_avx512(&ops[static_cast<int>(Backend::kAvx512)]);
      coding_fill_string_encoder_avx512(&ops[static_cast<int>(Backend::kAvx512)]);
#endif
#if defined(BINCE_ARM64)
      CodingOps* neon = &ops[static_cast<int>(Backend::kNeon)];
      if (cpu_features().arm_crc32) coding_fill_crc_neon(neon);
      coding_fill_blocks_neon(neon);
#endif
    }
  };
  static const Table table;
  return &table.ops[static_cast<int>(backend)];
}

namespace {

constexpr uint32_t kMaxChannels = 1 << 20, kMaxBlockRows = 1 << 20;

bince_status check_channel_values(const bince_tensor* tensor, const char* name, int64_t channels, bool step) {
  BINCE_RETURN_IF_ERROR(check_optional(tensor, name, {kFloat32}, {channels}));
  if (!tensor) return BINCE_OK;
  const float* values = tensor_data<const float>(tensor);
  for (int64_t c = 0; c < channels; ++c) {
    const float v = values[c];
    if (!std::isfinite(v) || (step && !(v > 0 && std::isfinite(1.0f / v))))
      return fail(BINCE_INVALID_VALUE, "%s: channel %lld: expected a finite number%s, received %g", name,
                  static_cast<long long>(c), step ? " above 0 with a finite reciprocal" : "",
                  static_cast<double>(v));
  }
  return BINCE_OK;
}

bince_status check_table_index(const bince_block_format* format) {
  const uint32_t tables = format->tables->tables;
  if (!format->table_index) {
    if (tables != format->channels)
      return fail(BINCE_INVALID_ARGUMENT, "tables: expected %u, one a channel, received %u", format->channels,
                  tables);
    return BINCE_OK;
  }
  BINCE_RETURN_IF_ERROR(
      check_tensor(format->table_index, "table_index", {kInt32}, {static_cast<int64_t>(format->channels)}));
  const int32_t* index = tensor_data<const int32_t>(format->table_index);
  for (uint32_t c = 0; c < format->channels; ++c)
    if (index[c] < 0 || static_cast<uint32_t>(index[c]) >= tables)
      return fail(BINCE_INVALID_ARGUMENT, "table_index: channel %u: expected 0 to %u, received %d", c,
                  tables - 1, index[c]);
  return BINCE_OK;
}

bince_status check_coder(int32_t coder, uint32_t lanes) {
  if (coder != BINCE_RANS && coder != BINCE_RANGE)
    return fail(BINCE_INVALID_ARGUMENT, "coder: expected BINCE_RANS or BINCE_RANGE, received %d", coder);
  if (lanes < 1 || lanes > kLanes || (lanes & (lanes - 1)) != 0)
    return fail(BINCE_INVALID_ARGUMENT, "lanes: expected 1, 2, 4, 8, 16 or 32, received %u", lanes);
  if (coder == BINCE_RANGE && lanes != 1)
    return fail(BINCE_INVALID_ARGUMENT, "lanes: expected 1 for the range coder, received %u", lanes);
  return BINCE_OK;
}

bince_status check_format(const bince_block_format* format) {
  if (!format) return fail(BINCE_INVALID_ARGUMENT, "format: expected a format, received NULL");
  // Callers that were compiled before `uploaded` pass a struct that ends there.
  if (format->struct_size < offsetof(bince_block_format, uploaded))
    return fail(BINCE_INVALID_ARGUMENT, "format.struct_size: expected %zu, received %u",
                sizeof(bince_block_format), format->struct_size);
  BINCE_RETURN_IF_ERROR(check_coder(format->coder, format->lanes));
  if (format->channels < 1 || format->channels > kMaxChannels)
    return fail(BINCE_INVALID_ARGUMENT, "channels: expected 1 to %u, received %u", kMaxChannels,
                format->channels);
  if (format->block_rows < 1 || format->block_rows > kMaxBlockRows)
    return fail(BINCE_INVALID_ARGUMENT, "block_rows: expected 1 to %u, received %u", kMaxBlockRows,
                format->block_rows);
  BINCE_RETURN_IF_ERROR(check_prepared(format->tables));
  BINCE_RETURN_IF_ERROR(check_table_index(format));
  const int64_t C = format->channels;
  BINCE_RETURN_IF_ERROR(check_channel_values(format->median, "median", C, false));
  BINCE_RETURN_IF_ERROR(check_channel_values(format->step, "step", C, true));
  return check_channel_values(format->shift, "shift", C, false);
}

// Everything but the arrays over the channels.
SectionPlan plan_of(const bince_context* context, const bince_block_format* format) {
  SectionPlan plan = {};
  plan.ops = context ? context->ops->coding : nullptr;
  plan.coder = format->coder;
  plan.header_crc = format->header_crc;
  plan.block_rows = format->block_rows;
  plan.channels.channels = format->channels;
  plan.channels.lanes = format->lanes;
  plan.channels.tables = format->tables;
  const TableHead* heads = tables_at<TableHead>(format->tables, format->tables->heads_at);
  const int32_t* index = tensor_data<const int32_t>(format->table_index);
  for (uint32_t c = 0; c < format->channels; ++c) {
    const TableHead& head = heads[index ? static_cast<uint32_t>(index[c]) : c];
    plan.row_cost += head.least_cost;
    if (head.entries > plan.channels.largest) plan.channels.largest = head.entries;
    const int64_t last = int64_t{head.offset} + head.entries - 1;
    if (head.offset <= -(1 << 30) || last >= 1 << 30) plan.channels.far = true;
  }
  plan.channels.small = plan.channels.largest <= kSmallEntries;
  plan.channels.narrow = plan.channels.largest <= kNarrowEntries;
  return plan;
}

struct ChannelArrays {
  uint32_t* table;
  int32_t* offset;
  uint32_t* escape;
  float *median, *step, *gain, *shift;
  const SmallDecode** decode;
  const SmallEncode** encode;
  const PairDecode** pairs;
  const ByteEncode** bytes;
  const void** lane_decode;
  const LaneEncode** lane_encode;
  LaneRun* runs;
};

template <typename T>
T* carve(Workspace* workspace, size_t count) {
  return static_cast<T*>(carve_bytes(workspace, count, sizeof(T)));
}

// Rounded up to a whole number of vectors, so that vector loads of the last channels stay inside; those that
// do not begin with a vector (rows off their lines) read into the next array.
ChannelArrays carve_channels(Workspace* workspace, uint32_t channels) {
  const size_t C = (size_t{channels} + 31) & ~size_t{31};
  ChannelArrays a;
  a.table = carve<uint32_t>(workspace, C);
  a.offset = carve<int32_t>(workspace, C);
  a.escape = carve<uint32_t>(workspace, C);
  a.median = carve<float>(workspace, C);
  a.step = carve<float>(workspace, C);
  a.gain = carve<float>(workspace, C);
  a.shift = carve<float>(workspace, C);
  a.decode = carve<const SmallDecode*>(workspace, C);
  a.encode = carve<const SmallEncode*>(workspace, C);
  a.pairs = carve<const PairDecode*>(workspace, C);
  a.bytes = carve<const ByteEncode*>(workspace, C);
  a.lane_decode = carve<const void*>(workspace, C);
  a.lane_encode = carve<const LaneEncode*>(workspace, C);
  a.runs = carve<LaneRun>(workspace, C / 2);
  return a;
}

size_t channel_bytes(uint32_t channels) {
  Workspace workspace;
  carve_channels(&workspace, channels);
  return workspace.used;
}

void fill_channels(const bince_block_format* format, char* base, ChannelPlan* plan) {
  Workspace workspace = {base, 0};
  const ChannelArrays a = carve_channels(&workspace, format->channels);
  const bince_tables* tables = format->tables;
  const TableHead* heads = tables_at<TableHead>(tables, tables->heads_at);
  const int32_t* index = tensor_data<const int32_t>(format->table_index);
  const float* median = tensor_data<const float>(format->median);
  const float* step = tensor_data<const float>(format->step);
  const float* shift = tensor_data<const float>(format->shift);
  const uint32_t padded = (format->channels + 31) & ~uint32_t{31};
  for (uint32_t c = 0; c < padded; ++c) {
    const uint32_t k = c < format->channels ? c : 0;  // the padding repeats channel 0
    const uint32_t t = index ? static_cast<uint32_t>(index[k]) : k;
    a.table[c] = t;
    a.offset[c] = heads[t].offset;
    a.escape[c] = heads[t].entries - 1;
    a.median[c] = median ? median[k] : 0.0f;
    a.step[c] = step ? step[k] : 1.0f;
    a.gain[c] = 1.0f / a.step[c];
    a.shift[c] = shift ? shift[k] : 0.0f;
    const bool small = heads[t].small >= 0;
    a.decode[c] = small ? tables_at<SmallDecode>(tables, tables->small_decode_at) + heads[t].small : nullptr;
    a.encode[c] = small ? tables_at<SmallEncode>(tables, tables->small_encode_at) + heads[t].small : nullptr;
    a.pairs[c] = small ? tables_at<PairDecode>(tables, tables->pair_decode_at) + heads[t].small : nullptr;
    a.bytes[c] = small ? tables_at<ByteEncode>(tables, tables->byte_encode_at) + heads[t].small : nullptr;
  }
  plan->pairs = a.pairs;
  plan->bytes = a.bytes;
  plan->table = a.table;
  plan->offset = a.offset;
  plan->escape = a.escape;
  plan->median = a.median;
  plan->step = a.step;
  plan->gain = a.gain;
  plan->shift = a.shift;
  plan->decode = a.decode;
  plan->encode = a.encode;
  if (plan->narrow) fill_lane_runs(a.table, a.lane_decode, a.lane_encode, a.runs, plan);
}

DeviceChannel device_channel(const bince_block_format* format, uint32_t c) {
  const TableHead* heads = tables_at<TableHead>(format->tables, format->tables->heads_at);
  const int32_t* index = tensor_data<const int32_t>(format->table_index);
  const auto value = [c](const bince_tensor* tensor, float otherwise) {
    return tensor ? tensor_data<const float>(tensor)[c] : otherwise;
  };
  const uint32_t t = index ? static_cast<uint32_t>(index[c]) : c;
  const float step = value(format->step, 1.0f);
  return {t,
          static_cast<uint32_t>(heads[t].first),
          heads[t].entries - 1,
          heads[t].offset,
          value(format->median, 0.0f),
          step,
          1.0f / step,
          value(format->shift, 0.0f)};
}

bince_status device_format(const bince_context* context, const bince_block_format* format,
                           const SectionPlan& plan, DeviceFormat* on_device) {
  if (format->struct_size < sizeof *format || !format->uploaded)
    return fail(BINCE_INVALID_ARGUMENT,
                "format.uploaded: expected what bince_blocks_upload filled, received NULL");
  BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, format->uploaded, "format.uploaded"));
  on_device->rules = section_rules(plan);
  on_device->channels = format->channels;
  on_device->host_tables = format->tables;
  on_device->channel_values = static_cast<const DeviceChannel*>(format->uploaded);
  return BINCE_OK;
}

// Of the sections' sizes, at most as many bytes as there are.
bince_status sum_of_sizes(const bince_tensor* section_bytes, uint64_t* bytes) {
  const int64_t* sizes = tensor_data<const int64_t>(section_bytes);
  uint64_t sum = 0;
  for (int64_t i = 0; i < section_bytes->shape[0]; ++i) {
    if (sizes[i] < 0 || static_cast<uint64_t>(sizes[i]) > *bytes - sum)
      return fail(BINCE_INVALID_ARGUMENT, "section_bytes: number %lld: expected 0 to %llu, received %lld",
                  static_cast<long long>(i), static_cast<unsigned long long>(*bytes - sum),
                  static_cast<long long>(sizes[i]));
    sum += static_cast<uint64_t>(sizes[i]);
  }
  *bytes = sum;
  return BINCE_OK;
}

bince_status check_row_count(int64_t rows) {
  if (rows < 0 || rows > int64_t{1} << 40)
    return fail(BINCE_INVALID_ARGUMENT, "rows: expected 0 to 2^40, received %lld",
                static_cast<long long>(rows));
  return BINCE_OK;
}

bince_status check_context(const bince_context* context) {
  return context ? BINCE_OK : fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
}

bince_status check_result(const void* place, const char* name) {
  return place ? BINCE_OK
               : fail(BINCE_INVALID_ARGUMENT, "%s: expected a place for the result, received NULL", name);
}

}  // namespace
}  // namespace bince

using namespace bince;

uint32_t bince_crc32c(uint32_t crc, const void* bytes, size_t count) {
  if (!bytes || count == 0) return crc;
  return best_ops()->coding->crc32c(crc, static_cast<const uint8_t*>(bytes), count);
}

bince_status bince_blocks_bound(const bince_block_format* format, int64_t rows, uint64_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_result(bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  BINCE_RETURN_IF_ERROR(check_row_count(rows));
  *bytes = section_bound(plan_of(nullptr, format), static_cast<uint64_t>(rows));
  return BINCE_OK;
}

bince_status bince_blocks_encode_workspace(const bince_context* context, const bince_block_format* format,
                                           int64_t rows, size_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  BINCE_RETURN_IF_ERROR(check_result(bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  BINCE_RETURN_IF_ERROR(check_row_count(rows));
  const SectionPlan plan = plan_of(context, format);
  if (context->cuda)
    return encode_blocks_workspace_on_device(context, section_rules(plan), format->channels,
                                             static_cast<uint64_t>(rows), false, bytes);
  *bytes = channel_bytes(format->channels) +
           encode_sections_bytes(plan, static_cast<uint64_t>(rows), pool_threads(context->pool));
  return BINCE_OK;
}

bince_status bince_blocks_encode(const bince_context* context, const bince_block_format* format,
                                 const bince_tensor* rows, uint64_t first_block, bince_tensor* sections,
                                 bince_tensor* section_bytes, uint64_t* bytes, double* ideal_bits,
                                 const bince_launch* launch) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  if (!context->cuda) BINCE_RETURN_IF_ERROR(check_result(bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  const DeviceCall scope(context);
  BINCE_RETURN_IF_ERROR(
      check_tensor(rows, "rows", {kFloat32, kInt32}, {-1, static_cast<int64_t>(format->channels)}));
  BINCE_RETURN_IF_ERROR(check_row_count(rows->shape[0]));
  BINCE_RETURN_IF_ERROR(check_tensor(sections, "sections", {kUint8}, {-1}));
  const int64_t n = rows->shape[0];
  const int64_t blocks = (n + format->block_rows - 1) / format->block_rows;
  BINCE_RETURN_IF_ERROR(check_optional(section_bytes, "section_bytes", {kInt64}, {blocks}));
  SectionPlan plan = plan_of(context, format);
  if (context->cuda) {
    EncodeBlocksCall on_device = {};
    BINCE_RETURN_IF_ERROR(device_format(context, format, plan, &on_device.format));
    on_device.rows = tensor_data<const void>(rows);
    on_device.type = same_dtype(rows->dtype, kFloat32) ? kFloatRows : kSymbolRows;
    on_device.row_count = static_cast<uint64_t>(n);
    on_device.first_block = first_block;
    on_device.out = tensor_data<uint8_t>(sections);
    on_device.capacity = static_cast<uint64_t>(sections->shape[0]);
    on_device.section_bytes = tensor_data<int64_t>(section_bytes);
    on_device.bytes = bytes;
    on_device.ideal_bits = ideal_bits;
    return encode_blocks_on_device(context, launch, &on_device);
  }
  const size_t used = channel_bytes(format->channels);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(
      context, launch,
      used + encode_sections_bytes(plan, static_cast<uint64_t>(n), pool_threads(context->pool)), &run));
  fill_channels(format, run.workspace, &plan.channels);
  EncodeSections call = {};
  call.rows = tensor_data<const void>(rows);
  call.type = same_dtype(rows->dtype, kFloat32) ? kFloatRows : kSymbolRows;
  call.row_count = static_cast<uint64_t>(n);
  call.first_block = first_block;
  call.out = tensor_data<uint8_t>(sections);
  call.capacity = static_cast<uint64_t>(sections->shape[0]);
  call.section_bytes = tensor_data<int64_t>(section_bytes);
  call.count_cost = ideal_bits != nullptr;
  const bince_status status = encode_sections(run, used, plan, &call);
  *bytes = call.bytes;
  if (ideal_bits) *ideal_bits = ideal_bits_of(call.cost, call.escape_bytes);
  return status;
}

bince_status bince_blocks_check_rows(const bince_block_format* format, const bince_tensor* rows,
                                     bince_tensor* copy, int64_t* valid) {
  BINCE_RETURN_IF_ERROR(check_result(valid, "valid"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  const int64_t channels = format->channels;
  BINCE_RETURN_IF_ERROR(check_tensor(rows, "rows", {kFloat32, kInt32}, {-1, channels}));
  BINCE_RETURN_IF_ERROR(check_row_count(rows->shape[0]));
  BINCE_RETURN_IF_ERROR(check_optional(copy, "copy", {rows->dtype}, {rows->shape[0], channels}));
  const RowScan scan(format);
  const uint64_t count = static_cast<uint64_t>(rows->shape[0] * channels);
  if (same_dtype(rows->dtype, kFloat32))
    *valid = scan.scan(tensor_data<const float>(rows), count, tensor_data<float>(copy));
  else
    *valid = scan.scan(tensor_data<const int32_t>(rows), count, tensor_data<int32_t>(copy));
  return BINCE_OK;
}

bince_status bince_blocks_scan(const bince_block_format* format, const bince_tensor* sections,
                               uint64_t first_block, bince_tensor* section_bytes, int64_t* blocks,
                               int64_t* rows) {
  BINCE_RETURN_IF_ERROR(check_result(blocks, "blocks"));
  BINCE_RETURN_IF_ERROR(check_result(rows, "rows"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  BINCE_RETURN_IF_ERROR(check_tensor(sections, "sections", {kUint8}, {-1}));
  BINCE_RETURN_IF_ERROR(check_optional(section_bytes, "section_bytes", {kInt64}, {-1}));
  int64_t* sizes = tensor_data<int64_t>(section_bytes);
  const SectionPlan plan = plan_of(nullptr, format);
  const uint8_t* at = tensor_data<const uint8_t>(sections);
  const uint8_t* end = at + sections->shape[0];
  int64_t seen = 0, seen_rows = 0;
  while (at < end) {
    Section s;
    const char* damage = read_section(plan, at, end, &s);
    if (damage)
      return fail(BINCE_CORRUPT_DATA, "block %llu is damaged: %s",
                  static_cast<unsigned long long>(first_block + static_cast<uint64_t>(seen)), damage);
    const uint8_t* next = s.payload + s.payload_bytes;
    if (sizes && seen < section_bytes->shape[0]) sizes[seen] = next - at;
    at = next;
    seen_rows += static_cast<int64_t>(s.rows);
    ++seen;
  }
  *blocks = seen;
  *rows = seen_rows;
  return BINCE_OK;
}

bince_status bince_blocks_decode_workspace(const bince_context* context, const bince_block_format* format,
                                           int64_t blocks, size_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  BINCE_RETURN_IF_ERROR(check_result(bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  if (blocks < 0 || blocks > int64_t{1} << 40)
    return fail(BINCE_INVALID_ARGUMENT, "blocks: expected 0 to 2^40, received %lld",
                static_cast<long long>(blocks));
  if (context->cuda) {
    Workspace workspace;
    carve_decode_room(&workspace, format->channels, static_cast<uint64_t>(blocks), false);
    *bytes = workspace_bytes(context, workspace.used);
    return BINCE_OK;
  }
  *bytes = channel_bytes(format->channels) +
           decode_sections_bytes(plan_of(context, format), pool_threads(context->pool));
  return BINCE_OK;
}

bince_status bince_blocks_decode(const bince_context* context, const bince_block_format* format,
                                 const bince_tensor* sections, const bince_tensor* section_bytes,
                                 uint64_t first_block, bince_tensor* rows, const bince_launch* launch) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  BINCE_RETURN_IF_ERROR(check_format(format));
  const DeviceCall scope(context);
  BINCE_RETURN_IF_ERROR(check_tensor(sections, "sections", {kUint8}, {-1}));
  BINCE_RETURN_IF_ERROR(
      check_tensor(rows, "rows", {kFloat32, kInt32}, {-1, static_cast<int64_t>(format->channels)}));
  if (section_bytes || context->cuda)
    BINCE_RETURN_IF_ERROR(check_tensor(section_bytes, "section_bytes", {kInt64}, {-1}));
  SectionPlan plan = plan_of(context, format);
  const RowType type = same_dtype(rows->dtype, kFloat32) ? kFloatRows : kSymbolRows;
  const uint64_t row_count = static_cast<uint64_t>(rows->shape[0]);
  uint64_t byte_count = static_cast<uint64_t>(sections->shape[0]);
  if (context->cuda) {
    DecodeBlocksCall on_device = {};
    BINCE_RETURN_IF_ERROR(device_format(context, format, plan, &on_device.format));
    on_device.bytes = tensor_data<const uint8_t>(sections);
    on_device.byte_count = byte_count;
    on_device.section_bytes = tensor_data<const int64_t>(section_bytes);
    on_device.blocks = static_cast<uint64_t>(section_bytes->shape[0]);
    on_device.first_block = first_block;
    on_device.rows = tensor_data<void>(rows);
    on_device.type = type;
    on_device.row_count = row_count;
    return decode_blocks_on_device(context, launch, &on_device);
  }
  if (section_bytes) BINCE_RETURN_IF_ERROR(sum_of_sizes(section_bytes, &byte_count));
  const size_t used = channel_bytes(format->channels);
  Run run;
  BINCE_RETURN_IF_ERROR(
      begin_run(context, launch, used + decode_sections_bytes(plan, pool_threads(context->pool)), &run));
  fill_channels(format, run.workspace, &plan.channels);
  const DecodeSections call = {tensor_data<const uint8_t>(sections),
                               byte_count,
                               first_block,
                               tensor_data<void>(rows),
                               type,
                               row_count};
  return decode_sections(run, used, plan, call);
}

bince_status bince_blocks_upload_bytes(const bince_block_format* format, size_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_result(bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_format(format));
  *bytes = aligned_size(size_t{format->channels} * sizeof(DeviceChannel));
  return BINCE_OK;
}

bince_status bince_blocks_upload(bince_context* context, const bince_block_format* format, void* host,
                                 void* device, size_t bytes, void* stream) {
  BINCE_RETURN_IF_ERROR(check_context(context));
  size_t needed;
  BINCE_RETURN_IF_ERROR(bince_blocks_upload_bytes(format, &needed));
  if (!context->cuda)
    return fail(BINCE_UNSUPPORTED, "bince_blocks_upload: expected a CUDA context, received the backend %s",
                context->ops->name);
  const bince_tables* uploaded;
  BINCE_RETURN_IF_ERROR(uploaded_tables(context, format->tables, &uploaded));
  if (!host || !device || bytes < needed)
    return fail(BINCE_BUFFER_TOO_SMALL, "host, device: expected at least %zu bytes each, received %zu",
                needed, host && device ? bytes : size_t{0});
  if (reinterpret_cast<uintptr_t>(host) % 64 != 0 || reinterpret_cast<uintptr_t>(device) % 64 != 0)
    return fail(BINCE_INVALID_ARGUMENT, "host, device: expected 64-byte alignment, received %p and %p", host,
                device);
  BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, device, "device"));
  DeviceChannel* channels = static_cast<DeviceChannel*>(host);
  for (uint32_t c = 0; c < format->channels; ++c) channels[c] = device_channel(format, c);
  return context->cuda->copy(context->device, device, host, needed, CopyKind::kToDevice, stream);
}
