// The C ABI's calls on a CUDA context: the last checks, and what the plugin's slots take.
#ifndef BINCE_CODING_CODING_DEVICE_API_H_
#define BINCE_CODING_CODING_DEVICE_API_H_

#include "bince.h"
#include "native/coding/coding_cuda.h"

namespace bince {

// Values that a block or an array may have on a device, whose kernels count its words in 32 bits.
inline constexpr uint64_t kMaxDeviceValues = uint64_t{1} << 29;

// The tables' copy on the context's device.
bince_status uploaded_tables(const bince_context* context, const bince_tables* tables,
                             const bince_tables** uploaded);

// A result's place in the device's memory, or null where it is optional.
bince_status check_device_place(const bince_context* context, const void* place, const char* name);

// The slots, or BINCE_UNSUPPORTED where the plugin was built without them.
bince_status device_coding(const bince_context* context, const CodingCudaOps** ops);

bince_status encode_blocks_workspace_on_device(const bince_context* context, const SectionRules& rules,
                                               uint32_t channels, uint64_t rows, bool array, size_t* bytes);
// call.format.tables, rules and the tensors' pointers are filled; the launch is checked here.
bince_status encode_blocks_on_device(const bince_context* context, const bince_launch* launch,
                                     EncodeBlocksCall* call);
bince_status decode_blocks_on_device(const bince_context* context, const bince_launch* launch,
                                     DecodeBlocksCall* call);
bince_status strings_on_device(const bince_context* context, const bince_launch* launch, bool encode,
                               const bince_tables* tables, StringsCall* call);

}  // namespace bince

#endif  // BINCE_CODING_CODING_DEVICE_API_H_
