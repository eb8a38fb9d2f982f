// The memory of tensors: blocks outside the JavaScript heap, on the host or on a device, held by a handle (a
// napi external).
//
// JavaScript frees a block by name (release); the handle's finalizer is the backstop.  Freed blocks are kept
// by size and handed out again, so that a training step, which makes the same tensors every time, asks the
// system for nothing: fresh pages cost more than most of the arithmetic.
#ifndef BINCE_ADDON_STORAGE_H_
#define BINCE_ADDON_STORAGE_H_

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bince.h"

namespace bince::addon {

// 64-byte aligned blocks by size, kept for the next request of the size.  Used from the JavaScript thread and
// the job thread.
class BlockCache {
 public:
  struct Counts {
    int64_t blocks = 0;  // in use
    int64_t bytes = 0;   // in use, as allocated
    int64_t peak = 0;    // the most that were in use at a time
    int64_t cached = 0;  // kept for later
  };

  BlockCache() = default;
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache();

  // Null if memory ran out, even after the kept blocks were given back.
  void* take(size_t bytes);
  void give(void* block, size_t bytes);
  void trim();  // gives the kept blocks back to the system
  Counts counts();
  void reset_peak();

 private:
  void trim_locked();

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // by rounded size
  Counts counts_;
};

enum class StorageType : int32_t { kFloat32 = 0, kInt32 = 1, kUint8 = 2, kBfloat16 = 3 };
constexpr int kStorageTypes = 4;
size_t element_size(StorageType type);
const char* type_name(StorageType type);  // "float32"
bince_dtype dtype_of(StorageType type);

class DeviceMemory;

struct Storage {
  static constexpr uint64_t kMagic = 0x6563'6e69'622d'7473;
  Storage(StorageType its_type, size_t its_elements) : type(its_type), elements(its_elements) {}
  uint64_t magic = kMagic;  // what tells a handle of ours from another external
  StorageType type;
  size_t elements;
  void* data = nullptr;                  // in host memory; null on a device and after release
  void* device_data = nullptr;           // in the device's memory; null on the host and after release
  std::shared_ptr<void> memory;          // keeps either alive: a block of a cache, or another framework's
  std::shared_ptr<DeviceMemory> device;  // null on the host
  bool released() const { return !data && !device_data; }
  size_t bytes() const { return elements * element_size(type); }
};

// Reads a type's code and a count of elements; false with a JavaScript error thrown.
bool read_type(const Napi::CallbackInfo& info, StorageType* type, size_t* elements);
// A handle for the storage, which it owns; throws a JavaScript error and returns undefined on failure.
Napi::Value make_handle(Napi::Env env, std::unique_ptr<Storage> storage);
// A storage of undefined content on a device (null: the host), or null with a JavaScript error thrown.
std::unique_ptr<Storage> allocate_storage(Napi::Env env, StorageType type, size_t elements,
                                          const std::shared_ptr<DeviceMemory>& device);

// The storage of a handle whose elements lie in host memory, or null with a JavaScript error thrown that
// names the argument: not a handle, a tensor that was disposed of, or one on a device.
Storage* storage_of(Napi::Value value, const char* name);
// The same wherever its elements lie.
Storage* storage_anywhere(Napi::Value value, const char* name);
// The same without an error, for values that may be something else.
Storage* storage_or_null(Napi::Value value);
// "the CPU" or "cuda:0", for messages.
std::string place_of(const Storage& storage);

// Room for a call, from the environment's cache; its content is undefined.
class Scratch {
 public:
  Scratch(Napi::Env env, size_t bytes);
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  char* data() const { return data_; }  // null if memory ran out
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<BlockCache> cache_;
  size_t bytes_;
  char* data_;
};

void register_storage(Napi::Env env, Napi::Object exports);

}  // namespace bince::addon

#endif  // BINCE_ADDON_STORAGE_H_
