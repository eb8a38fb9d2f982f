// The memory of tensors: blocks outside the JavaScript heap, held by a handle (a napi external).
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
#include <vector>

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

enum class StorageType : int32_t { kFloat32 = 0, kInt32 = 1, kUint8 = 2 };

struct Storage {
  uint64_t magic;  // kStorageMagic: what tells a handle of ours from another external
  std::shared_ptr<BlockCache> cache;
  StorageType type;
  size_t elements;
  void* data;  // null after release
};

// The storage of a handle, or null with a JavaScript error thrown that names the argument: not a handle, or a
// tensor that was disposed of.
Storage* storage_of(Napi::Value value, const char* name);
// The same without an error, for values that may be something else.
Storage* storage_or_null(Napi::Value value);

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
