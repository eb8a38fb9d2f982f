#include "native/addon/storage.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "native/addon/addon.h"

namespace bince::addon {
namespace {

constexpr uint64_t kStorageMagic = 0x6563'6e69'622d'7473;
constexpr size_t kElementSize[] = {4, 4, 1};
constexpr napi_typedarray_type kArrayTypes[] = {napi_float32_array, napi_int32_array, napi_uint8_array};
constexpr const char* kTypeNames[] = {"Float32Array", "Int32Array", "Uint8Array"};

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
  if (!storage->data) return;
  storage->cache->give(storage->data, storage->elements * kElementSize[static_cast<int>(storage->type)]);
  storage->data = nullptr;
}

void finalize(napi_env, void* data, void*) {
  Storage* storage = static_cast<Storage*>(data);
  release(storage);
  storage->magic = 0;
  delete storage;
}

Napi::Value fail(Napi::Env env, bince_status status, const std::string& message) {
  make_error(env, status, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

// (type, elements) => handle; the content is undefined.
Napi::Value storage_create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int32_t type = info[0].ToNumber().Int32Value();
  const double count = info[1].ToNumber().DoubleValue();
  if (type < 0 || type > 2) return fail(env, BINCE_INVALID_ARGUMENT, "type: expected 0, 1 or 2");
  if (!(count >= 0 && count <= 9007199254740991.0 / 4))
    return fail(env, BINCE_INVALID_ARGUMENT, "elements: expected a count");
  const std::shared_ptr<BlockCache>& cache = addon_data(env).blocks;
  const size_t elements = static_cast<size_t>(count);
  void* data = cache->take(elements * kElementSize[type]);
  if (!data)
    return fail(env, BINCE_OUT_OF_MEMORY,
                "out of memory for a tensor of " + std::to_string(elements * kElementSize[type]) +
                    " bytes; " + std::to_string(cache->counts().bytes) + " are in use by others");
  auto* storage = new Storage{kStorageMagic, cache, static_cast<StorageType>(type), elements, data};
  napi_value handle;
  if (napi_create_external(env, storage, finalize, nullptr, &handle) != napi_ok) {
    finalize(env, storage, nullptr);
    return fail(env, BINCE_INTERNAL, "the handle of a tensor could not be made");
  }
  return Napi::Value(env, handle);
}

Napi::Value storage_release(const Napi::CallbackInfo& info) {
  if (Storage* storage = storage_or_null(info[0])) release(storage);
  return info.Env().Undefined();
}

// The part of a storage that a typed array covers, or null with an error thrown: (handle, first, array).
char* part_of(const Napi::CallbackInfo& info, void** array, size_t* bytes) {
  Storage* storage = storage_of(info[0], "tensor");
  if (!storage) return nullptr;
  const int type = static_cast<int>(storage->type);
  size_t count = 0;
  if (!view_of(info[2], "data", kArrayTypes[type], kTypeNames[type], array, &count)) return nullptr;
  const double first = info[1].ToNumber().DoubleValue();
  if (!(first >= 0 && first + static_cast<double>(count) <= static_cast<double>(storage->elements))) {
    fail(info.Env(), BINCE_INVALID_ARGUMENT, "data: reaches beyond the tensor");
    return nullptr;
  }
  *bytes = count * kElementSize[type];
  return static_cast<char*>(storage->data) + static_cast<size_t>(first) * kElementSize[type];
}

Napi::Value storage_write(const Napi::CallbackInfo& info) {
  void* array = nullptr;
  size_t bytes = 0;
  if (char* part = part_of(info, &array, &bytes)) std::memcpy(part, array, bytes);
  return info.Env().Undefined();
}

Napi::Value storage_read(const Napi::CallbackInfo& info) {
  void* array = nullptr;
  size_t bytes = 0;
  if (char* part = part_of(info, &array, &bytes)) std::memcpy(array, part, bytes);
  return info.Env().Undefined();
}

// () => {tensors, bytes, peak, cached}
Napi::Value storage_counts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const BlockCache::Counts counts = addon_data(env).blocks->counts();
  Napi::Object out = Napi::Object::New(env);
  out.Set("blocks", static_cast<double>(counts.blocks));
  out.Set("bytes", static_cast<double>(counts.bytes));
  out.Set("peak", static_cast<double>(counts.peak));
  out.Set("cached", static_cast<double>(counts.cached));
  return out;
}

Napi::Value storage_trim(const Napi::CallbackInfo& info) {
  addon_data(info.Env()).blocks->trim();
  addon_data(info.Env()).blocks->reset_peak();
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

Storage* storage_or_null(Napi::Value value) {
  if (!value.IsExternal()) return nullptr;
  void* data = nullptr;
  if (napi_get_value_external(value.Env(), value, &data) != napi_ok || !data) return nullptr;
  Storage* storage = static_cast<Storage*>(data);
  return storage->magic == kStorageMagic ? storage : nullptr;
}

Storage* storage_of(Napi::Value value, const char* name) {
  Storage* storage = storage_or_null(value);
  if (!storage) {
    fail(value.Env(), BINCE_INVALID_ARGUMENT, std::string(name) + ": expected the handle of a tensor");
    return nullptr;
  }
  if (!storage->data) {
    fail(value.Env(), BINCE_INVALID_ARGUMENT, std::string(name) + ": this tensor was disposed of");
    return nullptr;
  }
  return storage;
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
  exports.Set("storageCounts", Napi::Function::New(env, storage_counts));
  exports.Set("storageTrim", Napi::Function::New(env, storage_trim));
}

}  // namespace bince::addon
