#include "native/cuda/device_runtime.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace bince {
namespace {

const CudaHost* cuda_host = nullptr;

bince_status device_count(int32_t* count) {
  int found = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaGetDeviceCount(&found), "cudaGetDeviceCount"));
  *count = found;
  return BINCE_OK;
}

bince_status attribute(int32_t device, cudaDeviceAttr which, int32_t* value) {
  int found = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaDeviceGetAttribute(&found, which, device), "cudaDeviceGetAttribute"));
  *value = found;
  return BINCE_OK;
}

bince_status device_info(int32_t device, bince_cuda_info* info) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  cudaDeviceProp properties;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties"));
  info->device = device;
  std::snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->compute_major = properties.major;
  info->compute_minor = properties.minor;
  info->multiprocessors = properties.multiProcessorCount;
  info->l2_bytes = static_cast<uint64_t>(properties.l2CacheSize);
  int32_t shared = 0;
  BINCE_RETURN_IF_ERROR(attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared));
  info->shared_bytes = static_cast<uint64_t>(shared);
  int version = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaDriverGetVersion(&version), "cudaDriverGetVersion"));
  info->driver_version = version;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaRuntimeGetVersion(&version), "cudaRuntimeGetVersion"));
  info->runtime_version = version;
  size_t free_bytes = 0, total_bytes = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo"));
  info->free_bytes = free_bytes;
  info->total_bytes = total_bytes;
  return BINCE_OK;
}

bince_status allocate(int32_t device, size_t bytes, void** pointer) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  const cudaError_t error = cudaMalloc(pointer, bytes ? bytes : 1);
  if (error != cudaErrorMemoryAllocation) return cuda_status(error, "cudaMalloc");
  (void)cudaGetLastError();
  size_t free_bytes = 0, total_bytes = 0;
  (void)cudaMemGetInfo(&free_bytes, &total_bytes);
  return fail(BINCE_OUT_OF_MEMORY,
              "CUDA device %d is out of memory: %zu bytes were asked for, %zu of %zu are free", device, bytes,
              free_bytes, total_bytes);
}

bince_status release(int32_t device, void* pointer) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaFree(pointer), "cudaFree");
}

bince_status allocate_pinned(int32_t device, size_t bytes, void** pointer) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  const cudaError_t error = cudaMallocHost(pointer, bytes ? bytes : 1);
  if (error != cudaErrorMemoryAllocation) return cuda_status(error, "cudaMallocHost");
  (void)cudaGetLastError();
  return fail(BINCE_OUT_OF_MEMORY, "%zu bytes of pinned memory could not be allocated", bytes);
}

bince_status release_pinned(int32_t device, void* pointer) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaFreeHost(pointer), "cudaFreeHost");
}

bince_status copy(int32_t device, void* to, const void* from, size_t bytes, CopyKind kind, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  const cudaMemcpyKind direction = kind == CopyKind::kToDevice ? cudaMemcpyHostToDevice
                                   : kind == CopyKind::kToHost ? cudaMemcpyDeviceToHost
                                                               : cudaMemcpyDeviceToDevice;
  return cuda_status(cudaMemcpyAsync(to, from, bytes, direction, static_cast<cudaStream_t>(stream)),
                     "cudaMemcpyAsync");
}

bince_status fill(int32_t device, void* pointer, int value, size_t bytes, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaMemsetAsync(pointer, value, bytes, static_cast<cudaStream_t>(stream)),
                     "cudaMemsetAsync");
}

// Every context begins with a stream, so this is where a device that is too old is met.
bince_status create_stream(int32_t device, void** stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  int32_t major = 0, minor = 0;
  BINCE_RETURN_IF_ERROR(attribute(device, cudaDevAttrComputeCapabilityMajor, &major));
  BINCE_RETURN_IF_ERROR(attribute(device, cudaDevAttrComputeCapabilityMinor, &minor));
  if (major < 8)
    return fail(BINCE_UNSUPPORTED,
                "CUDA device %d has compute capability %d.%d; the kernels need 8.0 or later (A100, RTX 30)",
                device, major, minor);
  cudaStream_t created = nullptr;
  BINCE_RETURN_IF_ERROR(
      cuda_status(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"));
  *stream = created;
  return BINCE_OK;
}

bince_status destroy_stream(int32_t device, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaStreamDestroy(static_cast<cudaStream_t>(stream)), "cudaStreamDestroy");
}

bince_status synchronize(int32_t device, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "cudaStreamSynchronize");
}

bince_status create_event(int32_t device, void** event) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  cudaEvent_t created = nullptr;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaEventCreate(&created), "cudaEventCreate"));
  *event = created;
  return BINCE_OK;
}

bince_status destroy_event(int32_t device, void* event) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaEventDestroy(static_cast<cudaEvent_t>(event)), "cudaEventDestroy");
}

bince_status record_event(int32_t device, void* event, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaEventRecord(static_cast<cudaEvent_t>(event), static_cast<cudaStream_t>(stream)),
                     "cudaEventRecord");
}

bince_status wait_event(int32_t device, void* event, void* stream) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(
      cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), static_cast<cudaEvent_t>(event), 0),
      "cudaStreamWaitEvent");
}

bince_status synchronize_event(int32_t device, void* event) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "cudaEventSynchronize");
}

bince_status elapsed(int32_t device, void* first, void* second, float* milliseconds) {
  const DeviceScope scope(device);
  BINCE_RETURN_IF_ERROR(scope.status());
  return cuda_status(
      cudaEventElapsedTime(milliseconds, static_cast<cudaEvent_t>(first), static_cast<cudaEvent_t>(second)),
      "cudaEventElapsedTime");
}

bince_status check_pointer(int32_t device, const void* pointer, const char* name) {
  const DeviceScope scope(device);  // the runtime opens the thread's current device, which may be another
  BINCE_RETURN_IF_ERROR(scope.status());
  cudaPointerAttributes attributes;
  BINCE_RETURN_IF_ERROR(
      cuda_status(cudaPointerGetAttributes(&attributes, pointer), "cudaPointerGetAttributes"));
  if (attributes.type == cudaMemoryTypeManaged) return BINCE_OK;
  if (attributes.type != cudaMemoryTypeDevice)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected memory of CUDA device %d, received host memory", name,
                device);
  if (attributes.device == device) return BINCE_OK;
  return fail(BINCE_INVALID_ARGUMENT, "%s: expected memory of CUDA device %d, received that of device %d",
              name, device, attributes.device);
}

}  // namespace

// The plugin's own definition of what native/core/status.h declares: messages live in the core.
bince_status fail(bince_status status, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return cuda_host ? cuda_host->fail(status, text) : status;
}

bince_status cuda_status(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return BINCE_OK;
  (void)cudaGetLastError();  // it is told here, not once more by the next launch
  const bince_status status = error == cudaErrorMemoryAllocation ? BINCE_OUT_OF_MEMORY : BINCE_INTERNAL;
  return fail(status, "%s: %s (%s)", call, cudaGetErrorString(error), cudaGetErrorName(error));
}

bince_status launch_status(const char* kernel) {
  return cuda_status(cudaGetLastError(), kernel);
}

bince_status allow_shared(const void* kernel, size_t bytes, const char* name) {
  if (bytes <= 48 * 1024) return BINCE_OK;
  int device = 0, most = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaGetDevice(&device), "cudaGetDevice"));
  BINCE_RETURN_IF_ERROR(attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin, &most));
  if (bytes > static_cast<size_t>(most))
    return fail(BINCE_UNSUPPORTED, "%s needs %zu bytes of shared memory a block, this device has %d", name,
                bytes, most);
  // Always to the same value: the attribute is the kernel's, and another thread may be about to launch it.
  return cuda_status(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most),
                     "cudaFuncSetAttribute");
}

DeviceScope::DeviceScope(int32_t device) {
  status_ = cuda_status(cudaGetDevice(&before_), "cudaGetDevice");
  if (status_ != BINCE_OK || before_ == device) return;
  status_ = cuda_status(cudaSetDevice(device), "cudaSetDevice");
  changed_ = status_ == BINCE_OK;
}

DeviceScope::~DeviceScope() {
  // Where the other device cannot be had any more, its error is not the next launch's.
  if (changed_ && cudaSetDevice(before_) != cudaSuccess) (void)cudaGetLastError();
}

int multiprocessors() {
  constexpr int kDevices = 64;
  static std::atomic<int> counts[kDevices];
  int device = 0, count = 0;
  if (cudaGetDevice(&device) == cudaSuccess) {
    if (device < kDevices && (count = counts[device].load()) > 0) return count;
    if (cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) count = 0;
  }
  if (count <= 0) {
    (void)cudaGetLastError();
    return 1;
  }
  if (device < kDevices) counts[device].store(count);
  return count;
}

void set_cuda_host(const CudaHost* host) {
  cuda_host = host;
}

CudaRuntime cuda_runtime_table() {
  return {device_count,  device_info,  allocate,      release,           allocate_pinned, release_pinned,
          copy,          fill,         create_stream, destroy_stream,    synchronize,     create_event,
          destroy_event, record_event, wait_event,    synchronize_event, elapsed,         check_pointer};
}

}  // namespace bince
