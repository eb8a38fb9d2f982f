#include "native/coding/coding_device_api.h"

#include "native/coding/block_sections.h"
#include "native/core/context.h"
#include "native/core/cuda_loader.h"
#include "native/core/status.h"

namespace bince {

bince_status device_coding(const bince_context* context, const CodingCudaOps** ops) {
  *ops = cuda_plugin()->coding;
  return *ops ? BINCE_OK : unsupported_call(context, "range coding");
}

bince_status uploaded_tables(const bince_context* context, const bince_tables* tables,
                             const bince_tables** uploaded) {
  *uploaded = tables->uploaded;
  if (tables->uploaded && tables->device == context->device) return BINCE_OK;
  return fail(BINCE_INVALID_ARGUMENT, "tables: expected tables that bince_tables_upload brought to device %d",
              context->device);
}

bince_status check_device_place(const bince_context* context, const void* place, const char* name) {
  if (!place) return BINCE_OK;
  if (reinterpret_cast<uintptr_t>(place) % 8 != 0)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected 8-byte alignment, received %p", name, place);
  return context->cuda->check_pointer(context->device, place, name);
}

bince_status encode_blocks_workspace_on_device(const bince_context* context, const SectionRules& rules,
                                               uint32_t channels, uint64_t rows, bool array, size_t* bytes) {
  Workspace workspace;
  carve_encode_room(&workspace, rules, channels, rows, array);
  *bytes = workspace_bytes(context, workspace.used);
  return BINCE_OK;
}

namespace {

bince_status check_values(uint64_t block_rows, uint32_t channels) {
  if (block_rows <= kMaxDeviceValues / channels) return BINCE_OK;
  return fail(BINCE_UNSUPPORTED,
              "a block of %llu rows of %u channels: expected at most 2^29 values on a CUDA context",
              static_cast<unsigned long long>(block_rows), channels);
}

}  // namespace

bince_status encode_blocks_on_device(const bince_context* context, const bince_launch* launch,
                                     EncodeBlocksCall* call) {
  const CodingCudaOps* ops;
  BINCE_RETURN_IF_ERROR(device_coding(context, &ops));
  DeviceFormat* format = &call->format;
  BINCE_RETURN_IF_ERROR(uploaded_tables(context, format->host_tables, &format->tables));
  BINCE_RETURN_IF_ERROR(check_device_place(context, call->bytes, "bytes"));
  BINCE_RETURN_IF_ERROR(check_device_place(context, call->ideal_bits, "ideal_bits"));
  const uint64_t block_rows =
      call->array || call->row_count < format->rules.block_rows ? call->row_count : format->rules.block_rows;
  BINCE_RETURN_IF_ERROR(check_values(block_rows, format->channels));
  Workspace workspace;
  carve_encode_room(&workspace, format->rules, format->channels, call->row_count, call->array);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, workspace.used, &run));
  return ops->encode_blocks(run, *call);
}

bince_status decode_blocks_on_device(const bince_context* context, const bince_launch* launch,
                                     DecodeBlocksCall* call) {
  const CodingCudaOps* ops;
  BINCE_RETURN_IF_ERROR(device_coding(context, &ops));
  BINCE_RETURN_IF_ERROR(uploaded_tables(context, call->format.host_tables, &call->format.tables));
  if (call->array) BINCE_RETURN_IF_ERROR(check_values(call->row_count, call->format.channels));
  Workspace workspace;
  carve_decode_room(&workspace, call->format.channels, call->blocks, call->array);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, workspace.used, &run));
  return ops->decode_blocks(run, *call);
}

bince_status strings_on_device(const bince_context* context, const bince_launch* launch, bool encode,
                               const bince_tables* tables, StringsCall* call) {
  const CodingCudaOps* ops;
  BINCE_RETURN_IF_ERROR(device_coding(context, &ops));
  BINCE_RETURN_IF_ERROR(uploaded_tables(context, tables, &call->tables));
  BINCE_RETURN_IF_ERROR(check_device_place(context, call->total, "bytes"));
  Workspace workspace;
  carve_strings_room(&workspace, call->strings, call->length, encode);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, workspace.used, &run));
  return encode ? ops->encode_strings(run, *call) : ops->decode_strings(run, *call);
}

namespace {

bince_status check_upload(const bince_context* context, const void* device, size_t given, size_t needed,
                          const char* call) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  if (!context->cuda)
    return fail(BINCE_UNSUPPORTED, "%s: expected a CUDA context, received the backend %s", call,
                context->ops->name);
  if (!device || given < needed)
    return fail(BINCE_BUFFER_TOO_SMALL, "device: expected at least %zu bytes, received %zu", needed,
                device ? given : size_t{0});
  if (reinterpret_cast<uintptr_t>(device) % 64 != 0)
    return fail(BINCE_INVALID_ARGUMENT, "device: expected 64-byte alignment, received %p", device);
  return context->cuda->check_pointer(context->device, device, "device");
}

}  // namespace
}  // namespace bince

using namespace bince;

bince_status bince_tables_upload_bytes(const bince_tables* tables, size_t* bytes) {
  if (!bytes) return fail(BINCE_INVALID_ARGUMENT, "bytes: expected a place for the result, received NULL");
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  *bytes = tables->bytes;
  return BINCE_OK;
}

bince_status bince_tables_upload(bince_context* context, const bince_tables* tables, void* device,
                                 size_t bytes, void* stream) {
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  BINCE_RETURN_IF_ERROR(check_upload(context, device, bytes, tables->bytes, "bince_tables_upload"));
  if (tables->entries > UINT32_MAX)
    return fail(BINCE_UNSUPPORTED, "tables: more than 2^32 entries on a CUDA context");
  // The tables lie in a buffer that the caller gave for writing.
  bince_tables* own = const_cast<bince_tables*>(tables);
  own->uploaded = static_cast<const bince_tables*>(device);
  own->device = context->device;
  return context->cuda->copy(context->device, device, tables, tables->bytes, CopyKind::kToDevice, stream);
}
