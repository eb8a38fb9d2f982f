// The CUDA runtime behind status codes, for the host's side of kernels.
#ifndef BINCE_CUDA_DEVICE_RUNTIME_H_
#define BINCE_CUDA_DEVICE_RUNTIME_H_

#include "bince.h"
#include "native/core/status.h"
#include "native/cuda/cuda_plugin.h"
#include "native/cuda/language.cuh"

namespace bince {

// BINCE_OK for cudaSuccess, else the status and "<call>: <the runtime's words>".
bince_status cuda_status(cudaError_t error, const char* call);

// Of the launches since the last look; `kernel` names them.
bince_status launch_status(const char* kernel);

// Lets a kernel use more dynamic shared memory than 48 KiB.  BINCE_UNSUPPORTED names the sizes where the
// device has less.
bince_status allow_shared(const void* kernel, size_t bytes, const char* name);

// The current device while it lives, and what was current before it afterwards.
class DeviceScope {
 public:
  explicit DeviceScope(int32_t device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  bince_status status() const { return status_; }

 private:
  int before_ = 0;
  bool changed_ = false;
  bince_status status_ = BINCE_OK;
};

// Of the current device; asked for once a device.
int multiprocessors();

CudaRuntime cuda_runtime_table();
void set_cuda_host(const CudaHost* host);

}  // namespace bince

#endif  // BINCE_CUDA_DEVICE_RUNTIME_H_
