// What libbince_cuda.so offers to the core, which opens it at run time (native/core/cuda_loader.cc).
//
// The plugin exports one function, bince_cuda_plugin; everything else in it is hidden.  Both sides are built
// from one checkout: kCudaPluginVersion (plugin_version.h) changes with every struct that crosses, the
// families' argument structs included, and a plugin of another version is refused.
#ifndef BINCE_CUDA_CUDA_PLUGIN_H_
#define BINCE_CUDA_CUDA_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#include "bince.h"

namespace bince {

struct ContrastiveOps;
struct EntropyOps;
struct CodingCudaOps;

// What the core gives to the plugin.
struct CudaHost {
  uint32_t version;                                             // kCudaPluginVersion
  bince_status (*fail)(bince_status status, const char* text);  // sets bince_last_error()
};

enum class CopyKind { kToDevice, kToHost, kOnDevice };

// The CUDA runtime, behind status codes.  A stream or an event is an opaque pointer; a null stream is the
// legacy default stream.  Failures name the runtime's call and its error.
struct CudaRuntime {
  bince_status (*device_count)(int32_t* count);
  bince_status (*device_info)(int32_t device, bince_cuda_info* info);
  bince_status (*allocate)(int32_t device, size_t bytes, void** pointer);
  bince_status (*release)(int32_t device, void* pointer);
  bince_status (*allocate_pinned)(int32_t device, size_t bytes, void** pointer);
  bince_status (*release_pinned)(int32_t device, void* pointer);
  // Asynchronous where the host's side is pinned.
  bince_status (*copy)(int32_t device, void* to, const void* from, size_t bytes, CopyKind kind, void* stream);
  bince_status (*fill)(int32_t device, void* pointer, int value, size_t bytes, void* stream);
  bince_status (*create_stream)(int32_t device, void** stream);
  bince_status (*destroy_stream)(int32_t device, void* stream);
  bince_status (*synchronize)(int32_t device, void* stream);
  bince_status (*create_event)(int32_t device, void** event);
  bince_status (*destroy_event)(int32_t device, void* event);
  bince_status (*record_event)(int32_t device, void* event, void* stream);
  bince_status (*wait_event)(int32_t device, void* event, void* stream);  // the stream waits
  bince_status (*synchronize_event)(int32_t device, void* event);         // the host waits
  bince_status (*elapsed)(int32_t device, void* first, void* second, float* milliseconds);
  // BINCE_INVALID_ARGUMENT unless `pointer` lies in the memory of `device` (or is managed).
  bince_status (*check_pointer)(int32_t device, const void* pointer, const char* name);
  // What other frameworks left as the thread's device is put back by every call.
};

struct CudaPlugin {
  uint32_t version;  // kCudaPluginVersion
  const char* name;  // "cuda", or "cusim" for the simulator
  CudaRuntime runtime;
  const ContrastiveOps* contrastive;  // null: not in this build
  const EntropyOps* entropy;
  const CodingCudaOps* coding;
};

}  // namespace bince

// Returns null, with the reason in host->fail's text, where there is no device or its driver is too old.
extern "C" BINCE_API const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost* host);

#endif  // BINCE_CUDA_CUDA_PLUGIN_H_
