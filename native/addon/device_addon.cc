// CUDA devices from JavaScript: what there is, and tensors' memory on them.
#include <cstring>
#include <vector>

#include "native/addon/addon.h"
#include "native/addon/device.h"
#include "native/addon/storage.h"
#include "native/core/context.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

Napi::Value fail(Napi::Env env, const std::string& message) {
  make_error(env, BINCE_INVALID_ARGUMENT, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

// 13020 is CUDA 13.2.
std::string version_name(int32_t version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// () => the number of devices, or the reason why there are none
Napi::Value cuda_count(const Napi::CallbackInfo& info) {
  int32_t count = 0;
  if (bince_cuda_device_count(&count) != BINCE_OK) return Napi::String::New(info.Env(), bince_last_error());
  return Napi::Number::New(info.Env(), count);
}

// (index) => what lib/device calls a CudaDevice
Napi::Value cuda_device(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_cuda_info found = {};
  found.struct_size = sizeof found;
  const bince_status status = bince_cuda_device_info(info[0].ToNumber().Int32Value(), &found);
  if (status != BINCE_OK) {
    throw_status(env, status);
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("index", found.device);
  out.Set("name", found.name);
  out.Set("computeCapability",
          std::to_string(found.compute_major) + "." + std::to_string(found.compute_minor));
  out.Set("multiprocessors", found.multiprocessors);
  out.Set("totalBytes", static_cast<double>(found.total_bytes));
  out.Set("freeBytes", static_cast<double>(found.free_bytes));
  out.Set("driver", version_name(found.driver_version));
  out.Set("runtime", version_name(found.runtime_version));
  return out;
}

// Copies from one device to another go through the host.
bince_status copy_across(const Storage& to, char* target, const Storage& from, const char* source,
                         size_t bytes) {
  std::unique_ptr<char[]> host(new (std::nothrow) char[bytes]);
  if (!host) return bince::fail(BINCE_OUT_OF_MEMORY, "out of memory for a copy of %zu bytes", bytes);
  const bince_status status = from.device->copy_to_host(host.get(), source, bytes);
  return status == BINCE_OK ? to.device->copy_to_device(target, host.get(), bytes) : status;
}

bince_status copy(const Storage& to, size_t to_first, const Storage& from, size_t from_first, size_t bytes) {
  char* target = static_cast<char*>(to.device ? to.device_data : to.data) + to_first;
  const char* source = static_cast<const char*>(from.device ? from.device_data : from.data) + from_first;
  if (bytes == 0) return BINCE_OK;
  if (from.device && to.device)
    return from.device == to.device ? to.device->copy_on_device(target, source, bytes)
                                    : copy_across(to, target, from, source, bytes);
  if (to.device) return to.device->copy_to_device(target, source, bytes);
  if (from.device) return from.device->copy_to_host(target, source, bytes);
  std::memmove(target, source, bytes);
  return BINCE_OK;
}

// (from, fromFirst, to, toFirst, count): elements of one type, wherever the two lie.
Napi::Value storage_copy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Storage* from = storage_anywhere(info[0], "from");
  const Storage* to = from ? storage_anywhere(info[2], "to") : nullptr;
  if (!to) return env.Undefined();
  if (from->type != to->type)
    return fail(env,
                std::string("to: expected ") + type_name(from->type) + ", received " + type_name(to->type));
  const double from_first = info[1].ToNumber().DoubleValue(), to_first = info[3].ToNumber().DoubleValue(),
               count = info[4].ToNumber().DoubleValue();
  if (!(from_first >= 0 && to_first >= 0 && count >= 0 &&
        from_first + count <= static_cast<double>(from->elements) &&
        to_first + count <= static_cast<double>(to->elements)))
    return fail(env, "count: reaches beyond a tensor");
  const size_t size = element_size(from->type);
  const bince_status status = copy(*to, static_cast<size_t>(to_first) * size, *from,
                                   static_cast<size_t>(from_first) * size, static_cast<size_t>(count) * size);
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// (handle) => the address on the device, as a bigint
Napi::Value storage_pointer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Storage* storage = storage_anywhere(info[0], "tensor");
  if (!storage) return env.Undefined();
  if (!storage->device)
    return fail(env, "devicePointer: expected a tensor on a device, received one on the CPU");
  // What is queued for the tensor must have been done before others read it.
  const bince_status status = bince_stream_synchronize(storage->device->context(), storage->device->stream());
  if (status != BINCE_OK) {
    throw_status(env, status);
    return env.Undefined();
  }
  return Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(storage->device_data)));
}

bince_status check_borrowed(const DeviceMemory& device, uintptr_t address, size_t bytes, size_t alignment) {
  if (address == 0) return bince::fail(BINCE_INVALID_ARGUMENT, "pointer: expected an address, received 0");
  if (address % alignment != 0)
    return bince::fail(BINCE_INVALID_ARGUMENT, "pointer: expected alignment to %zu bytes, received 0x%zx",
                       alignment, static_cast<size_t>(address));
  if (bytes > UINTPTR_MAX - address)
    return bince::fail(BINCE_INVALID_ARGUMENT, "pointer: %zu bytes from 0x%zx do not fit the address space",
                       bytes, static_cast<size_t>(address));
  const CudaRuntime& cuda = *device.context()->cuda;
  BINCE_RETURN_IF_ERROR(
      cuda.check_pointer(device.index(), reinterpret_cast<const void*>(address), "pointer"));
  if (bytes < 2) return BINCE_OK;
  return cuda.check_pointer(device.index(), reinterpret_cast<const void*>(address + bytes - 1),
                            "pointer: its last byte");
}

// (type, elements, device index, address as a bigint) => a handle of memory that stays its owner's
Napi::Value storage_borrow(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  StorageType type;
  size_t elements = 0;
  if (!read_type(info, &type, &elements)) return env.Undefined();
  bool lossless = false;
  const uint64_t address = info[3].IsBigInt() ? info[3].As<Napi::BigInt>().Uint64Value(&lossless) : 0;
  if (!lossless) return fail(env, "pointer: expected a bigint of 64 bits");
  const std::shared_ptr<DeviceMemory> device = device_memory(env, info[2].ToNumber().Int32Value());
  if (!device) return env.Undefined();
  auto storage = std::make_unique<Storage>(type, elements);
  const bince_status status = check_borrowed(*device, address, storage->bytes(), element_size(type));
  if (status != BINCE_OK) {
    throw_status(env, status);
    return env.Undefined();
  }
  storage->device_data = reinterpret_cast<void*>(address);
  // After dispose() the owner may use the memory again, so what is queued on it comes first.
  storage->memory = std::shared_ptr<void>(storage->device_data, [device](void*) {
    (void)bince_stream_synchronize(device->context(), device->stream());
  });
  storage->device = device;
  return make_handle(env, std::move(storage));
}

}  // namespace

DeviceMemory::~DeviceMemory() = default;

std::shared_ptr<void> DeviceMemory::block(size_t bytes) {
  void* data = cache_.take(bytes);
  if (!data) return nullptr;
  return std::shared_ptr<void>(
      data, [self = shared_from_this(), bytes](void* block) { self->cache_.give(block, bytes); });
}

bince_status DeviceMemory::copy_to_device(void* to, const void* from, size_t bytes) {
  return staging_.copy_to_device(to, from, bytes);
}

bince_status DeviceMemory::copy_to_host(void* to, const void* from, size_t bytes) {
  return staging_.copy_to_host(to, from, bytes);
}

bince_status DeviceMemory::copy_on_device(void* to, const void* from, size_t bytes) {
  return bince_copy_on_device(context_.get(), to, from, bytes, stream());
}

std::shared_ptr<DeviceMemory> device_memory(Napi::Env env, int32_t index) {
  std::map<int32_t, std::shared_ptr<DeviceMemory>>& devices = addon_data(env).devices;
  const auto found = devices.find(index);
  if (found != devices.end()) return found->second;
  // One thread: what runs on the device needs no others.
  const bince_context_options options = {sizeof(bince_context_options), 1, "cuda", index};
  bince_context* context = nullptr;
  const bince_status status = bince_context_create(&options, &context);
  if (status != BINCE_OK) {
    throw_status(env, status);
    return nullptr;
  }
  return devices[index] = std::make_shared<DeviceMemory>(context);
}

void register_device(Napi::Env env, Napi::Object exports) {
  exports.Set("cudaCount", Napi::Function::New(env, cuda_count));
  exports.Set("cudaDevice", Napi::Function::New(env, cuda_device));
  exports.Set("storageCopy", Napi::Function::New(env, storage_copy));
  exports.Set("storagePointer", Napi::Function::New(env, storage_pointer));
  exports.Set("storageBorrow", Napi::Function::New(env, storage_borrow));
}

}  // namespace bince::addon
