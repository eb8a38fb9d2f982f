#include "native/core/device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "native/core/context.h"
#include "native/core/cuda_loader.h"
#include "native/core/device_report.h"
#include "native/core/status.h"

namespace bince {
namespace {

struct Sentence {
  Offence offence;
  bince_status status;
  const char* format;  // one %lld: the index
};

constexpr Sentence kSentences[] = {
    {Offence::kPositiveOutOfRange, BINCE_INVALID_VALUE, "positive: row %lld holds no column of k and not -1"},
    {Offence::kRowWeight, BINCE_INVALID_VALUE, "row_weight: row %lld holds no finite weight >= 0"},
    {Offence::kColumnWeight, BINCE_INVALID_VALUE, "column_weight: row %lld holds no finite weight >= 0"},
    {Offence::kQueryNotFinite, BINCE_INVALID_VALUE, "q: row %lld holds NaN or infinity"},
    {Offence::kKeyNotFinite, BINCE_INVALID_VALUE, "k: row %lld holds NaN or infinity"},
    {Offence::kQueueNotFinite, BINCE_INVALID_VALUE, "queue: row %lld holds NaN or infinity"},
    {Offence::kQueryNorm, BINCE_INVALID_VALUE,
     "q: row %lld is too long or too short for cosine similarity on CUDA, which takes 2^-50 to 2^50"},
    {Offence::kKeyNorm, BINCE_INVALID_VALUE,
     "k: row %lld is too long or too short for cosine similarity on CUDA, which takes 2^-50 to 2^50"},
    {Offence::kQueueNorm, BINCE_INVALID_VALUE,
     "queue: row %lld is too long or too short for cosine similarity on CUDA, which takes 2^-50 to 2^50"},
    {Offence::kRowLoss, BINCE_INVALID_VALUE,
     "row %lld: its loss is not finite: the scores leave the range of float32"},
    {Offence::kColumnLoss, BINCE_INVALID_VALUE,
     "column %lld: its loss is not finite: the scores leave the range of float32"},
    {Offence::kLoss, BINCE_INVALID_VALUE, "loss is not finite: the scores leave the range of float32"},
    {Offence::kScaleGradient, BINCE_INVALID_VALUE,
     "dscale is not finite: the scores leave the range of float32"},
    {Offence::kBiasGradient, BINCE_INVALID_VALUE,
     "dbias is not finite: the scores leave the range of float32"},
    {Offence::kParameters, BINCE_INVALID_VALUE, "params: channel %lld holds NaN or infinity"},
    {Offence::kChannelScale, BINCE_INVALID_VALUE,
     "log_gain, shift or medians: channel %lld holds NaN or infinity"},
    {Offence::kValueNotFinite, BINCE_INVALID_VALUE,
     "x: row %lld holds NaN or infinity, or overflows after scale and shift"},
    {Offence::kGaussianMean, BINCE_INVALID_VALUE, "mean: row %lld holds NaN or infinity"},
    {Offence::kGaussianScale, BINCE_INVALID_VALUE, "scale: row %lld holds NaN or infinity"},
    {Offence::kGaussianValue, BINCE_INVALID_VALUE,
     "y: row %lld holds NaN or infinity, or its distance from the mean overflows"},
    {Offence::kLikelihoodCotangent, BINCE_INVALID_VALUE, "dlikelihood: row %lld holds NaN or infinity"},
    {Offence::kBitsCotangent, BINCE_INVALID_VALUE, "dbits_per_row: row %lld holds NaN or infinity"},
    {Offence::kNetwork, BINCE_INVALID_VALUE,
     "params: the network of channel %lld or its gradient overflows at the values given"},
    {Offence::kUnquantizable, BINCE_INVALID_VALUE,
     "rows: element %lld is not finite or its symbol is not below 2^30"},
    {Offence::kIndexOutOfRange, BINCE_INVALID_VALUE, "indexes: element %lld names no table"},
    {Offence::kBlockChecksum, BINCE_CORRUPT_DATA, "block %lld: the checksum does not fit its bytes"},
    {Offence::kBlockCutShort, BINCE_CORRUPT_DATA, "block %lld ends early"},
    {Offence::kBlockState, BINCE_CORRUPT_DATA, "block %lld: the coder does not end where it began"},
    {Offence::kBlockEscape, BINCE_CORRUPT_DATA, "block %lld: an escape that no encoder writes"},
    {Offence::kBlockHeader, BINCE_CORRUPT_DATA, "block %lld: its header does not fit the format"},
    {Offence::kString, BINCE_CORRUPT_DATA, "string %lld does not decode"},
    {Offence::kStringSymbol, BINCE_INVALID_VALUE,
     "symbols: element %lld is too far outside its table for a CompressAI string"},
    {Offence::kBlockRows, BINCE_INVALID_ARGUMENT,
     "rows: expected room for the %lld rows of the sections, received another number"},
    {Offence::kOutputTooSmall, BINCE_BUFFER_TOO_SMALL, "output: expected at least %lld bytes"},
};

bince_status need_context(const bince_context* context) {
  return context ? BINCE_OK : fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
}

bince_status out_of_host_memory(size_t bytes) {
  return fail(BINCE_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", bytes);
}

bince_status allocate_on_host(size_t bytes, void** pointer) {
  *pointer = std::aligned_alloc(64, (bytes + 63) / 64 * 64 + (bytes == 0 ? 64 : 0));
  return *pointer ? BINCE_OK : out_of_host_memory(bytes);
}

// What device memory and pinned memory have in common.
bince_status allocate(bince_context* context, size_t bytes, void** pointer,
                      bince_status (*CudaRuntime::*how)(int32_t, size_t, void**)) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  if (!pointer)
    return fail(BINCE_INVALID_ARGUMENT, "pointer: expected a place for the result, received NULL");
  *pointer = nullptr;
  if (bytes > PTRDIFF_MAX - 4096) return out_of_host_memory(bytes);  // so that sizes can be rounded up
  return context->cuda ? (context->cuda->*how)(context->device, bytes, pointer)
                       : allocate_on_host(bytes, pointer);
}

bince_status copy(bince_context* context, void* to, const void* from, size_t bytes, CopyKind kind,
                  void* stream) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  if (bytes == 0) return BINCE_OK;
  if (!to || !from)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected a pointer, received NULL", to ? "from" : "to");
  if (!context->cuda) {
    std::memmove(to, from, bytes);
    return BINCE_OK;
  }
  if (kind != CopyKind::kToHost)
    BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, to, "to"));
  if (kind != CopyKind::kToDevice)
    BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, from, "from"));
  return context->cuda->copy(context->device, to, from, bytes, kind, stream);
}

}  // namespace

bince_status check_device(int32_t device) {
  int32_t count = 0;
  BINCE_RETURN_IF_ERROR(bince_cuda_device_count(&count));
  if (device < 0 || device >= count)
    return fail(BINCE_INVALID_ARGUMENT, "device: expected 0 to %d, received %d", count - 1, device);
  return BINCE_OK;
}

bince_status report_status(const DeviceReport& report) {
  if (report.first == kNoOffence) return BINCE_OK;
  const uint64_t offence = report.first >> 48;
  const long long index = static_cast<long long>(report.first & ((uint64_t{1} << 48) - 1));
  for (const Sentence& sentence : kSentences) {
    if (static_cast<uint64_t>(sentence.offence) != offence) continue;
    char text[160];
    // Sentences without a place have no conversion; the argument is then ignored.
    std::snprintf(text, sizeof text, sentence.format, index);
    return fail(sentence.status, "%s", text);
  }
  return fail(BINCE_INTERNAL, "the workspace holds no report of a call");
}

}  // namespace bince

using namespace bince;

bince_status bince_cuda_device_count(int32_t* count) {
  if (!count) return fail(BINCE_INVALID_ARGUMENT, "count: expected a place for the result, received NULL");
  *count = 0;
  const CudaPlugin* plugin = cuda_plugin();
  return plugin ? plugin->runtime.device_count(count) : BINCE_UNSUPPORTED;
}

bince_status bince_cuda_device_info(int32_t device, bince_cuda_info* info) {
  if (!info) return fail(BINCE_INVALID_ARGUMENT, "info: expected a place for the result, received NULL");
  if (info->struct_size < sizeof(bince_cuda_info))
    return fail(BINCE_INVALID_ARGUMENT, "info.struct_size: expected %zu, received %u",
                sizeof(bince_cuda_info), info->struct_size);
  BINCE_RETURN_IF_ERROR(check_device(device));
  return cuda_plugin()->runtime.device_info(device, info);
}

bince_device bince_context_device(const bince_context* context) {
  if (context && context->cuda) return {BINCE_CUDA, context->device};
  return {BINCE_CPU, 0};
}

void* bince_context_stream(const bince_context* context) {
  return context ? context->stream : nullptr;
}

bince_status bince_finish(bince_context* context, const bince_launch* launch) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  if (!context->cuda) return BINCE_OK;
  if (!launch || !launch->workspace || launch->workspace_bytes < sizeof(DeviceReport))
    return fail(BINCE_INVALID_ARGUMENT, "launch: expected the launch of the call, with its workspace");
  BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, launch->workspace, "workspace"));
  DeviceReport report = {};
  BINCE_RETURN_IF_ERROR(context->cuda->copy(context->device, &report, launch->workspace, sizeof report,
                                            CopyKind::kToHost, launch->stream));
  BINCE_RETURN_IF_ERROR(context->cuda->synchronize(context->device, launch->stream));
  return report_status(report);
}

bince_status bince_device_allocate(bince_context* context, size_t bytes, void** pointer) {
  return allocate(context, bytes, pointer, &CudaRuntime::allocate);
}

bince_status bince_device_free(bince_context* context, void* pointer) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  if (context->cuda && pointer) return context->cuda->release(context->device, pointer);
  std::free(pointer);
  return BINCE_OK;
}

bince_status bince_pinned_allocate(bince_context* context, size_t bytes, void** pointer) {
  return allocate(context, bytes, pointer, &CudaRuntime::allocate_pinned);
}

bince_status bince_pinned_free(bince_context* context, void* pointer) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  if (context->cuda && pointer) return context->cuda->release_pinned(context->device, pointer);
  std::free(pointer);
  return BINCE_OK;
}

bince_status bince_copy_to_device(bince_context* context, void* device_to, const void* host_from,
                                  size_t bytes, void* stream) {
  return copy(context, device_to, host_from, bytes, CopyKind::kToDevice, stream);
}

bince_status bince_copy_to_host(bince_context* context, void* host_to, const void* device_from, size_t bytes,
                                void* stream) {
  return copy(context, host_to, device_from, bytes, CopyKind::kToHost, stream);
}

bince_status bince_copy_on_device(bince_context* context, void* to, const void* from, size_t bytes,
                                  void* stream) {
  return copy(context, to, from, bytes, CopyKind::kOnDevice, stream);
}

bince_status bince_stream_synchronize(bince_context* context, void* stream) {
  BINCE_RETURN_IF_ERROR(need_context(context));
  return context->cuda ? context->cuda->synchronize(context->device, stream) : BINCE_OK;
}
