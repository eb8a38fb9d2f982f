#include "test/cusim/cusim_runtime.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "test/cusim/cusim_engine.h"
#include "test/cusim/cusim_fibre.h"

struct cusim_stream {
  int device;
};
struct cusim_event {
  std::chrono::steady_clock::time_point time;
};

namespace {

constexpr int kMultiprocessors = 4;
constexpr size_t kSharedBytes = 227 * 1024, kPlainSharedBytes = 48 * 1024;
constexpr size_t kAlignment = 256;
constexpr int kRuntimeVersion = 13000;
constexpr unsigned char kFresh = 0xff;  // fills memory that nobody has written: floats are not numbers
constexpr unsigned char kCanary = 0xc3;
constexpr size_t kCanaryBytes = kAlignment;  // before and behind every allocation

size_t from_environment(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? static_cast<size_t>(std::strtoull(text, nullptr, 0)) : otherwise;
}

struct Allocation {
  size_t bytes;
  int device;
  bool host;
};

struct Runtime {
  std::mutex mutex;
  std::map<uintptr_t, Allocation> allocations;
  std::map<int, size_t> used;  // bytes by device
  std::set<cudaStream_t> streams;
  std::map<const void*, size_t> shared;  // bytes that a kernel was allowed
};

Runtime& runtime() {
  static Runtime* const instance = new Runtime;
  return *instance;
}

int devices() {
  return static_cast<int>(from_environment("CUSIM_DEVICES", 1));
}
size_t memory_bytes() {
  return from_environment("CUSIM_MEMORY", size_t{4} << 30);
}

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string message;

cudaError_t refuse(cudaError_t error, const std::string& text) {
  cusim::set_error(error, text);
  return error;
}

// The allocation that holds [pointer, pointer + bytes), or null.
const Allocation* find(const void* pointer, size_t bytes) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  auto next = runtime().allocations.upper_bound(address);
  if (next == runtime().allocations.begin()) return nullptr;
  --next;
  const bool inside =
      address + bytes <= next->first + next->second.bytes && address < next->first + next->second.bytes;
  return inside ? &next->second : nullptr;
}

cudaError_t allocate(void** pointer, size_t bytes, bool host) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  size_t& used = runtime().used[current_device];
  if (!host && (bytes > memory_bytes() || used > memory_bytes() - bytes))
    return refuse(cudaErrorMemoryAllocation, "out of memory");
  void* memory = nullptr;
  if (bytes > SIZE_MAX - 2 * kCanaryBytes ||
      posix_memalign(&memory, kAlignment, bytes + 2 * kCanaryBytes) != 0)
    return refuse(cudaErrorMemoryAllocation, "out of memory");
  unsigned char* const begin = static_cast<unsigned char*>(memory) + kCanaryBytes;
  std::memset(begin - kCanaryBytes, kCanary, kCanaryBytes);
  std::memset(begin, kFresh, bytes);
  std::memset(begin + bytes, kCanary, kCanaryBytes);
  cusim::asan_poison(begin - kCanaryBytes, kCanaryBytes);
  cusim::asan_poison(begin + bytes, kCanaryBytes);
  runtime().allocations[reinterpret_cast<uintptr_t>(begin)] = {bytes, current_device, host};
  if (!host) used += bytes;
  *pointer = begin;
  return cudaSuccess;
}

cudaError_t release(void* pointer, bool host) {
  if (!pointer) return cudaSuccess;
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  const auto found = runtime().allocations.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == runtime().allocations.end() || found->second.host != host)
    return refuse(cudaErrorInvalidValue, "not the beginning of an allocation of this kind");
  const Allocation& gone = found->second;
  if (!host) runtime().used[gone.device] -= gone.bytes;
  unsigned char* const begin = static_cast<unsigned char*>(pointer);
  cusim::asan_unpoison(begin - kCanaryBytes, gone.bytes + 2 * kCanaryBytes);
  std::free(begin - kCanaryBytes);
  runtime().allocations.erase(found);
  return cudaSuccess;
}

bool known(cudaStream_t stream) {
  return !stream || runtime().streams.count(stream);
}

cudaError_t check_stream(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  if (!known(stream)) return refuse(cudaErrorInvalidResourceHandle, "no such stream");
  if (stream && stream->device != current_device)
    return refuse(cudaErrorInvalidResourceHandle, "a stream of another device");
  return cudaSuccess;
}

}  // namespace

namespace cusim {

void set_error(cudaError_t error, const std::string& text) {
  last_error = error;
  message = text;
}

const std::string& last_message() {
  return message;
}

#if defined(__SANITIZE_ADDRESS__)
std::string check_allocations() {
  return "";  // the canaries are poisoned
}
#else
std::string check_allocations() {
  static const std::string canary(kCanaryBytes, static_cast<char>(kCanary));
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  for (const auto& [address, allocation] : runtime().allocations) {
    unsigned char* const begin = reinterpret_cast<unsigned char*>(address);
    for (unsigned char* place : {begin - kCanaryBytes, begin + allocation.bytes}) {
      if (std::memcmp(place, canary.data(), kCanaryBytes) == 0) continue;
      std::memset(place, kCanary, kCanaryBytes);
      return "memory was written right " + std::string(place < begin ? "before" : "behind") +
             " an allocation of " + std::to_string(allocation.bytes) + " bytes";
    }
  }
  return "";
}
#endif

cudaError_t check_launch(const Launch& launch) {
  const std::string name = launch.name;
  const auto text = [](dim3 d) {
    return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
  };
  const dim3 grid = launch.grid, block = launch.block;
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return refuse(cudaErrorInvalidConfiguration, name + ": a grid of " + text(grid));
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (!threads || threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
    return refuse(cudaErrorInvalidConfiguration, name + ": a block of " + text(block));
  {
    const std::lock_guard<std::mutex> lock(runtime().mutex);
    const auto allowed = runtime().shared.find(launch.kernel);
    const size_t most = allowed == runtime().shared.end() ? kPlainSharedBytes : allowed->second;
    if (launch.shared_bytes > most)
      return refuse(cudaErrorInvalidValue, name + ": " + std::to_string(launch.shared_bytes) +
                                               " bytes of shared memory, allowed are " +
                                               std::to_string(most));
  }
  return check_stream(launch.stream);
}

}  // namespace cusim

cudaError_t cudaGetDeviceCount(int* count) {
  *count = devices();
  return *count ? cudaSuccess : refuse(cudaErrorNoDevice, "no device");
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= devices()) return refuse(cudaErrorInvalidDevice, "no such device");
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device < 0 || device >= devices()) return refuse(cudaErrorInvalidDevice, "no such device");
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(kSharedBytes);
      return cudaSuccess;
  }
  return refuse(cudaErrorInvalidValue, "an attribute that is not simulated");
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= devices()) return refuse(cudaErrorInvalidDevice, "no such device");
  *properties = {"bince CUDA simulator", 9, 0, kMultiprocessors, 1 << 20};
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(from_environment("CUSIM_DRIVER", kRuntimeVersion));
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  *total_bytes = memory_bytes();
  const size_t used = runtime().used[current_device];
  *free_bytes = *total_bytes > used ? *total_bytes - used : 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return allocate(pointer, bytes, false);
}
cudaError_t cudaFree(void* pointer) {
  return release(pointer, false);
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  return allocate(pointer, bytes, true);
}
cudaError_t cudaFreeHost(void* pointer) {
  return release(pointer, true);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const cudaError_t bad_stream = check_stream(stream);
  if (bad_stream != cudaSuccess) return bad_stream;
  if (!bytes) return cudaSuccess;
  {
    const std::lock_guard<std::mutex> lock(runtime().mutex);
    const auto on_device = [&](const void* pointer) {
      const Allocation* found = find(pointer, bytes);
      return found && !found->host;
    };
    if (on_device(to) != (kind != cudaMemcpyDeviceToHost) ||
        on_device(from) != (kind != cudaMemcpyHostToDevice))
      return refuse(cudaErrorInvalidValue,
                    "cudaMemcpyAsync: a pointer to the wrong memory, or out of its bounds");
  }
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  const cudaError_t bad_stream = check_stream(stream);
  if (bad_stream != cudaSuccess) return bad_stream;
  if (!bytes) return cudaSuccess;
  {
    const std::lock_guard<std::mutex> lock(runtime().mutex);
    const Allocation* found = find(pointer, bytes);
    if (!found || found->host)
      return refuse(cudaErrorInvalidValue, "cudaMemsetAsync: not memory of a device, or out of its bounds");
  }
  std::memset(pointer, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  *stream = new cusim_stream{current_device};
  runtime().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  if (!runtime().streams.erase(stream)) return refuse(cudaErrorInvalidResourceHandle, "no such stream");
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  return known(stream) ? cudaSuccess : refuse(cudaErrorInvalidResourceHandle, "no such stream");
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned) {
  return cudaStreamSynchronize(stream);
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new cusim_event{};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->time = std::chrono::steady_clock::now();
  return check_stream(stream);
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first, cudaEvent_t second) {
  *milliseconds = std::chrono::duration<float, std::milli>(second->time - first->time).count();
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  const Allocation* found = find(pointer, 1);
  *attributes = {cudaMemoryTypeUnregistered, -1};
  if (found) *attributes = {found->host ? cudaMemoryTypeHost : cudaMemoryTypeDevice, found->device};
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard<std::mutex> lock(runtime().mutex);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<size_t>(value) > kSharedBytes)
    return refuse(cudaErrorInvalidValue, "cudaFuncSetAttribute: more shared memory than a block can have");
  runtime().shared[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    default:
      return message.c_str();
  }
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
  }
  return "unknown";
}
