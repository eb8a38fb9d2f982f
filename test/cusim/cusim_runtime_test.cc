// The simulated runtime: memory, devices, launches that no device takes, and what environment variables
// change.
#include <cstdlib>
#include <string>
#include <vector>

#include "native/cuda/language.cuh"
#include "test/native/harness.h"

namespace {

struct Variable {
  const char* name;
  Variable(const char* name, const char* value) : name(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name); }
};

bool last_message_has(const char* text) {
  return cusim::last_message().find(text) != std::string::npos;
}

TEST(memory_is_known_by_address) {
  void *memory = nullptr, *pinned = nullptr;
  CHECK(cudaMalloc(&memory, 1000) == cudaSuccess);
  CHECK(cudaMallocHost(&pinned, 100) == cudaSuccess);
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory) % 256, 0u);
  cudaPointerAttributes attributes;
  CHECK(cudaPointerGetAttributes(&attributes, static_cast<char*>(memory) + 999) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == 0);
  CHECK(cudaPointerGetAttributes(&attributes, static_cast<char*>(memory) + 1000) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);
  CHECK(cudaPointerGetAttributes(&attributes, pinned) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeHost);
  CHECK(cudaPointerGetAttributes(&attributes, &attributes) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);
  CHECK(cudaFree(pinned) == cudaErrorInvalidValue);
  CHECK(cudaFree(memory) == cudaSuccess);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  (void)cudaGetLastError();
}

TEST(copies_check_which_memory_they_are_given) {
  char host[64] = "from the host";
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 64) == cudaSuccess);
  CHECK(cudaMemcpyAsync(memory, host, 64, cudaMemcpyHostToDevice, nullptr) == cudaSuccess);
  char back[64] = "";
  CHECK(cudaMemcpyAsync(back, memory, 64, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  CHECK(std::string(back) == host);
  CHECK(cudaMemcpyAsync(memory, host, 65, cudaMemcpyHostToDevice, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(back, host, 64, cudaMemcpyDeviceToHost, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(memory, host, 64, cudaMemcpyDeviceToDevice, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(host, 0, 64, nullptr) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(memory, 0, 64, nullptr) == cudaSuccess);
  CHECK(cudaFree(memory) == cudaSuccess);
  (void)cudaGetLastError();
}

TEST(memory_ends) {
  const Variable limit("CUSIM_MEMORY", "10000");
  size_t free_bytes = 0, total = 0;
  void *first = nullptr, *second = nullptr;
  CHECK(cudaMalloc(&first, 6000) == cudaSuccess);
  CHECK(cudaMemGetInfo(&free_bytes, &total) == cudaSuccess);
  CHECK_EQ(free_bytes, 4000u);
  CHECK_EQ(total, 10000u);
  CHECK(cudaMalloc(&second, 4001) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaMalloc(&second, 4000) == cudaSuccess);
  CHECK(cudaFree(first) == cudaSuccess);
  CHECK(cudaFree(second) == cudaSuccess);
}

TEST(devices) {
  int count = 0, version = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK_EQ(count, 1);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  const Variable devices("CUSIM_DEVICES", "2");
  const Variable driver("CUSIM_DRIVER", "12040");
  CHECK(cudaSetDevice(1) == cudaSuccess);
  CHECK(cudaDriverGetVersion(&version) == cudaSuccess);
  CHECK_EQ(version, 12040);
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  CHECK(cudaMalloc(&memory, 8) == cudaSuccess);
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK(cudaSetDevice(0) == cudaSuccess);
  cudaPointerAttributes attributes;
  CHECK(cudaPointerGetAttributes(&attributes, memory) == cudaSuccess);
  CHECK_EQ(attributes.device, 1);
  CHECK(cudaMemsetAsync(memory, 0, 8, stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  CHECK(cudaFree(memory) == cudaSuccess);
  (void)cudaGetLastError();
  {
    const Variable none("CUSIM_DEVICES", "0");
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
  }
  (void)cudaGetLastError();
}

__global__ void count_kernel(int* count) {
  atomicAdd(count, 1);
}

TEST(launches_that_no_device_takes) {
  int count = 0;
  const auto error = [&](dim3 grid, dim3 block, size_t shared) {
    BINCE_LAUNCH(count_kernel, grid, block, shared, nullptr, &count);
    return cudaGetLastError();
  };
  CHECK(error(0, 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(last_message_has("count_kernel: a grid of 0 x 1 x 1"));
  CHECK(error(dim3(1, 65536), 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(error(dim3(1, 1, 65536), 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(error(1, 1025, 0) == cudaErrorInvalidConfiguration);
  CHECK(error(1, dim3(32, 33), 0) == cudaErrorInvalidConfiguration);
  CHECK(error(1, dim3(1, 1, 65), 0) == cudaErrorInvalidConfiguration);
  CHECK(error(1, dim3(1, 0), 0) == cudaErrorInvalidConfiguration);
  CHECK(error(1, 1, 48 * 1024 + 1) == cudaErrorInvalidValue);
  CHECK_EQ(count, 0);
  const void* const kernel = reinterpret_cast<const void*>(count_kernel);
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024 + 1) ==
        cudaErrorInvalidValue);
  (void)cudaGetLastError();
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024) == cudaSuccess);
  CHECK(error(1, 1, 227 * 1024) == cudaSuccess);
  CHECK(error(65535, 1, 0) == cudaSuccess);
  CHECK(error(dim3(1, 65535), 1, 0) == cudaSuccess);
  CHECK_EQ(count, 1 + 2 * 65535);
}

TEST(error_strings_carry_the_message) {
  BINCE_LAUNCH(count_kernel, 1, 2000, 0, nullptr, nullptr);
  const cudaError_t error = cudaGetLastError();
  CHECK(std::string(cudaGetErrorName(error)) == "cudaErrorInvalidConfiguration");
  CHECK(std::string(cudaGetErrorString(error)) == "count_kernel: a block of 2000 x 1 x 1");
}

TEST(events_and_properties) {
  cudaEvent_t first = nullptr, second = nullptr;
  CHECK(cudaEventCreate(&first) == cudaSuccess && cudaEventCreate(&second) == cudaSuccess);
  CHECK(cudaEventRecord(first, nullptr) == cudaSuccess && cudaEventRecord(second, nullptr) == cudaSuccess);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, first, second) == cudaSuccess);
  CHECK(milliseconds >= 0);
  CHECK(cudaEventDestroy(first) == cudaSuccess && cudaEventDestroy(second) == cudaSuccess);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK(std::string(properties.name) == "bince CUDA simulator");
  int shared = 0;
  CHECK(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
  CHECK_EQ(shared, 227 * 1024);
}

}  // namespace
