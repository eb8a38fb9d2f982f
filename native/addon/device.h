// The environment's CUDA devices: a context and its memory each, made on first use.
#ifndef BINCE_ADDON_DEVICE_H_
#define BINCE_ADDON_DEVICE_H_

#include <napi.h>

#include <memory>
#include <mutex>

#include "bince.h"
#include "native/core/device_cache.h"
#include "native/core/staging.h"

namespace bince::addon {

// Shared by the environment and by every storage on the device, so that it goes with the last of them:
// handles are finalised after the environment's own data.  Used from the JavaScript thread and the job
// thread.
class DeviceMemory : public std::enable_shared_from_this<DeviceMemory> {
 public:
  explicit DeviceMemory(bince_context* context)
      : context_(context), device_(bince_context_device(context)), cache_(context), staging_(context) {}
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  bince_context* context() const { return context_.get(); }
  int32_t index() const { return device_.device_id; }
  bince_device device() const { return device_; }
  void* stream() const { return bince_context_stream(context_.get()); }
  DeviceCache& cache() { return cache_; }

  // A block that goes back to the cache with its last reference; null with bince_last_error() if memory ran
  // out, even after the kept blocks were freed.
  std::shared_ptr<void> block(size_t bytes);

  // On the context's stream; the host's side is filled or free when they return.
  bince_status copy_to_device(void* to, const void* from, size_t bytes);
  bince_status copy_to_host(void* to, const void* from, size_t bytes);
  // Queued.
  bince_status copy_on_device(void* to, const void* from, size_t bytes);

 private:
  struct Destroy {
    void operator()(bince_context* context) const { bince_context_destroy(context); }
  };
  std::unique_ptr<bince_context, Destroy> context_;  // first: the others end before it
  bince_device device_;
  DeviceCache cache_;
  Staging staging_;
};

// The device of this index, or null with a JavaScript error thrown.
std::shared_ptr<DeviceMemory> device_memory(Napi::Env env, int32_t index);

}  // namespace bince::addon

#endif  // BINCE_ADDON_DEVICE_H_
