#include "native/addon/storage.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "native/addon/addon.h"
#include "native/addon/device.h"

namespace bince::addon {
namespace {

constexpr size_t kElementSize[] = {4, 4, 1, 2};
constexpr napi_typedarray_type kArrayTypes[] = {napi_float32_array, napi_int32_array, napi_uint8_array,
                                                napi_uint16_array};
constexpr const char* kArrayNames[] = {"Float32Array", "Int32Array", "Uint8Array", "Uint16Array"};
constexpr const char* kTypeNames[] = {"float32", "int32", "uint8", "bfloat16"};

// Sizes are rounded so that nearly equal ones share blocks: to 64 bytes below 4 KB, else to an eighth of the
// power of two beneath.
size_t rounded_size(size_t bytes) {
  if (bytes <= 64) return 64;
  if (bytes <= 4096) return (bytes + 63) & ~size_t{63};
  size_t power = 4096;
  while (power * 2 <= bytes) power *= 2;
  const size_t grain = power / 8;
  return (bytes + grain - 1) / grain * grain;
}

void release(Storage* storage) {
  storage->data = storage->device_data = nullptr;
  storage->memory.reset();  // a job that still reads it holds another reference
}

void finalize(napi_env, void* data, void*) {
  Storage* storage = static_cast<Storage*>(data);
  storage->magic = 0;
  delete storage;
}

Napi::Value fail(Napi::Env env, bince_status status, const std::string& message) {
  make_error(env, status, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

std::unique_ptr<Storage> allocate_on_host(Napi::Env env, StorageType type, size_t elements) {
  const std::shared_ptr<BlockCache>& cache = addon_data(env).blocks;
  const size_t bytes = elements * element_size(type);
  void* data = cache->take(bytes);
  if (!data) {
    fail(env, BINCE_OUT_OF_MEMORY,
         "out of memory for a tensor of " + std::to_string(bytes) + " bytes; " +
             std::to_string(cache->counts().bytes) + " are in use by others");
    return nullptr;
  }
  auto storage = std::make_unique<Storage>(type, elements);
  storage->data = data;
  storage->memory = std::shared_ptr<void>(data, [cache, bytes](void* block) { cache->give(block, bytes); });
  return storage;
}

// (type, elements, device index or undefined) => handle; the content is undefined.
Napi::Value storage_create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  StorageType type;
  size_t elements = 0;
  if (!read_type(info, &type, &elements)) return env.Undefined();
  std::shared_ptr<DeviceMemory> device;
  if (!info[2].IsUndefined() && !(device = device_memory(env, info[2].ToNumber().Int32Value())))
    return env.Undefined();
  std::unique_ptr<Storage> storage = allocate_storage(env, type, elements, device);
  return storage ? make_handle(env, std::move(storage)) : env.Undefined();
}

Napi::Value storage_release(const Napi::CallbackInfo& info) {
  if (Storage* storage = storage_or_null(info[0])) release(storage);
  return info.Env().Undefined();
}

// The part of a storage that a typed array covers: (handle, first, array).
struct Part {
  Storage* storage = nullptr;
  char* data = nullptr;
  void* array = nullptr;
  size_t bytes = 0;
  // False with an error thrown.
  bool read(const Napi::CallbackInfo& info) {
    storage = storage_anywhere(info[0], "tensor");
    if (!storage) return false;
    const int type = static_cast<int>(storage->type);
    size_t count = 0;
    if (!view_of(info[2], "data", kArrayTypes[type], kArrayNames[type], &array, &count)) return false;
    const double first = info[1].ToNumber().DoubleValue();
    if (!(first >= 0 && first + static_cast<double>(count) <= static_cast<double>(storage->elements))) {
      fail(info.Env(), BINCE_INVALID_ARGUMENT, "data: reaches beyond the tensor");
      return false;
    }
    bytes = count * kElementSize[type];
    data = static_cast<char*>(storage->device ? storage->device_data : storage->data) +
           static_cast<size_t>(first) * kElementSize[type];
    return true;
  }
};

Napi::Value storage_write(const Napi::CallbackInfo& info) {
  Part part;
  if (!part.read(info) || part.bytes == 0) return info.Env().Undefined();
  if (!part.storage->device)
    std::memcpy(part.data, part.array, part.bytes);
  else if (const bince_status status =
               part.storage->device->copy_to_device(part.data, part.array, part.bytes);
           status != BINCE_OK)
    throw_status(info.Env(), status);
  return info.Env().Undefined();
}

Napi::Value storage_read(const Napi::CallbackInfo& info) {
  Part part;
  if (!part.read(info) || part.bytes == 0) return info.Env().Undefined();
  if (!part.storage->device)
    std::memcpy(part.array, part.data, part.bytes);
  else if (const bince_status status = part.storage->device->copy_to_host(part.array, part.data, part.bytes);
           status != BINCE_OK)
    throw_status(info.Env(), status);
  return info.Env().Undefined();
}

class ReadJob : public Job {
 public:
  Part part;
  std::shared_ptr<void> memory;  // should the tensor be disposed of meanwhile
  std::shared_ptr<DeviceMemory> device;
  bince_status run(bince_context*, const int32_t*) override {
    if (part.bytes == 0) return BINCE_OK;
    if (device) return device->copy_to_host(part.array, part.data, part.bytes);
    std::memcpy(part.array, part.data, part.bytes);
    return BINCE_OK;
  }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
};

// storageRead on the job thread.
Napi::Value storage_read_async(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<ReadJob>();
  if (!job->part.read(info)) return info.Env().Undefined();
  job->memory = job->part.storage->memory;
  job->device = job->part.storage->device;
  job->keep(info[2]);
  return submit(info.Env(), std::move(job), info[3]);
}

template <typename Counts>
Napi::Object counts_object(Napi::Env env, const Counts& counts) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("blocks", static_cast<double>(counts.blocks));
  out.Set("bytes", static_cast<double>(counts.bytes));
  out.Set("peak", static_cast<double>(counts.peak));
  out.Set("cached", static_cast<double>(counts.cached));
  return out;
}

// () => {blocks, bytes, peak, cached, devices: [{blocks, bytes, peak, cached}]} of the devices in use
Napi::Value storage_counts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object out = counts_object(env, addon_data(env).blocks->counts());
  Napi::Array devices = Napi::Array::New(env);
  for (const auto& [index, device] : addon_data(env).devices)
    devices.Set(devices.Length(), counts_object(env, device->cache().counts()));
  out.Set("devices", devices);
  return out;
}

Napi::Value storage_trim(const Napi::CallbackInfo& info) {
  AddonData& data = addon_data(info.Env());
  data.blocks->trim();
  data.blocks->reset_peak();
  for (const auto& [index, device] : data.devices) {
    device->cache().trim();
    device->cache().reset_peak();
  }
  return info.Env().Undefined();
}

}  // namespace

BlockCache::~BlockCache() {
  trim_locked();
}

void* BlockCache::take(size_t bytes) {
  const size_t size = rounded_size(bytes);
  if (size < bytes) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = nullptr;
  std::vector<void*>& kept = free_[size];
  if (!kept.empty()) {
    block = kept.back();
    kept.pop_back();
    counts_.cached -= static_cast<int64_t>(size);
  } else {
    block = std::aligned_alloc(64, size);
    if (!block) {
      trim_locked();
      block = std::aligned_alloc(64, size);
    }
  }
  if (!block) return nullptr;
  counts_.blocks += 1;
  counts_.bytes += static_cast<int64_t>(size);
  counts_.peak = std::max(counts_.peak, counts_.bytes);
  return block;
}

void BlockCache::give(void* block, size_t bytes) {
  const size_t size = rounded_size(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  counts_.blocks -= 1;
  counts_.bytes -= static_cast<int64_t>(size);
  free_[size].push_back(block);
  counts_.cached += static_cast<int64_t>(size);
}

void BlockCache::trim_locked() {
  for (auto& [size, blocks] : free_)
    for (void* block : blocks) std::free(block);
  free_.clear();
  counts_.cached = 0;
}

void BlockCache::trim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  trim_locked();
}

BlockCache::Counts BlockCache::counts() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

void BlockCache::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  counts_.peak = counts_.bytes;
}

size_t element_size(StorageType type) {
  return kElementSize[static_cast<int>(type)];
}

const char* type_name(StorageType type) {
  return kTypeNames[static_cast<int>(type)];
}

bince_dtype dtype_of(StorageType type) {
  constexpr bince_dtype kTypes[] = {
      {BINCE_FLOAT, 32, 1}, {BINCE_INT, 32, 1}, {BINCE_UINT, 8, 1}, {BINCE_BFLOAT, 16, 1}};
  return kTypes[static_cast<int>(type)];
}

bool read_type(const Napi::CallbackInfo& info, StorageType* type, size_t* elements) {
  const int32_t code = info[0].ToNumber().Int32Value();
  const double count = info[1].ToNumber().DoubleValue();
  if (code < 0 || code >= kStorageTypes) {
    fail(info.Env(), BINCE_INVALID_ARGUMENT, "type: expected 0 to 3");
    return false;
  }
  if (!(count >= 0 && count <= 9007199254740991.0 / 4)) {
    fail(info.Env(), BINCE_INVALID_ARGUMENT, "elements: expected a count");
    return false;
  }
  *type = static_cast<StorageType>(code);
  *elements = static_cast<size_t>(count);
  return true;
}

Napi::Value make_handle(Napi::Env env, std::unique_ptr<Storage> storage) {
  napi_value handle;
  if (napi_create_external(env, storage.get(), finalize, nullptr, &handle) != napi_ok)
    return fail(env, BINCE_INTERNAL, "the handle of a tensor could not be made");
  (void)storage.release();  // the finalizer deletes it
  return Napi::Value(env, handle);
}

std::unique_ptr<Storage> allocate_storage(Napi::Env env, StorageType type, size_t elements,
                                          const std::shared_ptr<DeviceMemory>& device) {
  if (!device) return allocate_on_host(env, type, elements);
  auto storage = std::make_unique<Storage>(type, elements);
  storage->memory = device->block(storage->bytes());
  if (!storage->memory) {
    throw_status(env, BINCE_OUT_OF_MEMORY);
    return nullptr;
  }
  storage->device_data = storage->memory.get();
  storage->device = device;
  return storage;
}

std::string place_of(const Storage& storage) {
  return storage.device ? "cuda:" + std::to_string(storage.device->index()) : "the CPU";
}

Storage* storage_or_null(Napi::Value value) {
  if (!value.IsExternal()) return nullptr;
  void* data = nullptr;
  if (napi_get_value_external(value.Env(), value, &data) != napi_ok || !data) return nullptr;
  Storage* storage = static_cast<Storage*>(data);
  return storage->magic == Storage::kMagic ? storage : nullptr;
}

Storage* storage_anywhere(Napi::Value value, const char* name) {
  Storage* storage = storage_or_null(value);
  if (!storage) {
    fail(value.Env(), BINCE_INVALID_ARGUMENT, std::string(name) + ": expected the handle of a tensor");
    return nullptr;
  }
  if (storage->released()) {
    fail(value.Env(), BINCE_INVALID_ARGUMENT, std::string(name) + ": this tensor was disposed of");
    return nullptr;
  }
  return storage;
}

Storage* storage_of(Napi::Value value, const char* name) {
  Storage* storage = storage_anywhere(value, name);
  if (!storage || !storage->device) return storage;
  fail(value.Env(), BINCE_UNSUPPORTED,
       std::string(name) + ": the tensor is on " + place_of(*storage) +
           ", and this operation has no CUDA kernel; move the tensor with .to('cpu')");
  return nullptr;
}

Scratch::Scratch(Napi::Env env, size_t bytes)
    : cache_(addon_data(env).blocks), bytes_(bytes), data_(static_cast<char*>(cache_->take(bytes))) {}

Scratch::~Scratch() {
  if (data_) cache_->give(data_, bytes_);
}

void register_storage(Napi::Env env, Napi::Object exports) {
  exports.Set("storageCreate", Napi::Function::New(env, storage_create));
  exports.Set("storageRelease", Napi::Function::New(env, storage_release));
  exports.Set("storageWrite", Napi::Function::New(env, storage_write));
  exports.Set("storageRead", Napi::Function::New(env, storage_read));
  exports.Set("storageReadAsync", Napi::Function::New(env, storage_read_async));
  exports.Set("storageCounts", Napi::Function::New(env, storage_counts));
  exports.Set("storageTrim", Napi::Function::New(env, storage_trim));
}

}  // namespace bince::addon
