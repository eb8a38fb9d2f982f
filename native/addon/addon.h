// The addon's own state, one per environment (main thread or worker): no globals.
//
// Long calls run as Jobs on one native thread of the environment (not libuv's pool, which file reads need),
// in the order they were submitted, and settle a promise.  Each takes a cancel flag, an Int32Array of one
// element that JavaScript sets when an AbortSignal fires.
#ifndef BINCE_ADDON_ADDON_H_
#define BINCE_ADDON_ADDON_H_

#include <napi.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bince.h"

namespace bince::addon {

class BlockCache;
class DeviceMemory;
class JobThread;

struct AddonData {
  bince_context* context = nullptr;
  std::unique_ptr<JobThread> jobs;
  std::shared_ptr<BlockCache> blocks;  // shared with the handles, which may outlive this
  std::map<int32_t, std::shared_ptr<DeviceMemory>> devices;  // CUDA devices in use, shared likewise
  Napi::FunctionReference make_error;                        // (code, message) => Error, set by lib/native.ts
  ~AddonData();
};

AddonData& addon_data(Napi::Env env);

// The environment's context on the CPU, created on first use; throws a JavaScript error and returns null on
// failure.  Those of devices are in device.h.
bince_context* context_of(Napi::Env env);

// A JavaScript error with the status's name as `code`.
Napi::Error make_error(Napi::Env env, bince_status status, const std::string& message);
// Throws it for the calling thread's bince_last_error().
void throw_status(Napi::Env env, bince_status status);

// A 64-byte aligned block that lives as long as the call.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);  // data() is null if memory ran out
  AlignedBuffer(AlignedBuffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// One long call.  The constructor runs on the JavaScript thread: it checks arguments, copies every value out
// of V8 and keep()s the typed arrays and tensors whose memory run() uses.  run() runs on the job thread and
// must not touch V8.
class Job {
 public:
  virtual ~Job() = default;
  // On the job thread.  `cancel` may be null.
  virtual bince_status run(bince_context* context, const int32_t* cancel) = 0;
  // On the JavaScript thread after a successful run.
  virtual Napi::Value result(Napi::Env env) = 0;

  void keep(Napi::Value value) {
    if (value.IsObject() || value.IsExternal()) kept_.push_back(Napi::Reference<Napi::Value>::New(value, 1));
  }

 private:
  std::vector<Napi::Reference<Napi::Value>> kept_;
};

// Queues the job and returns its promise.  `cancel` is an Int32Array of one element, or undefined.
Napi::Value submit(Napi::Env env, std::unique_ptr<Job> job, Napi::Value cancel);

// A view of a typed array argument; data is null when the argument is undefined or null.
template <typename T>
struct View {
  T* data = nullptr;
  size_t size = 0;
};

template <typename T>
struct ArrayType;
template <>
struct ArrayType<float> {
  static constexpr napi_typedarray_type kType = napi_float32_array;
  static constexpr const char* kName = "Float32Array";
};
template <>
struct ArrayType<double> {
  static constexpr napi_typedarray_type kType = napi_float64_array;
  static constexpr const char* kName = "Float64Array";
};
template <>
struct ArrayType<int32_t> {
  static constexpr napi_typedarray_type kType = napi_int32_array;
  static constexpr const char* kName = "Int32Array";
};
template <>
struct ArrayType<uint32_t> {
  static constexpr napi_typedarray_type kType = napi_uint32_array;
  static constexpr const char* kName = "Uint32Array";
};
template <>
struct ArrayType<uint16_t> {
  static constexpr napi_typedarray_type kType = napi_uint16_array;
  static constexpr const char* kName = "Uint16Array";
};
template <>
struct ArrayType<uint8_t> {
  static constexpr napi_typedarray_type kType = napi_uint8_array;
  static constexpr const char* kName = "Uint8Array";
};

bool view_of(Napi::Value value, const char* name, napi_typedarray_type type, const char* type_name,
             void** data, size_t* size);

// Reads argument `value` as a typed array of T, or as the handle of a tensor of T (storage.h).  Throws a
// JavaScript error that names the argument and returns false when it is something else.  undefined and null
// give an empty view.
template <typename T>
bool read_view(Napi::Value value, const char* name, View<T>* view) {
  void* data = nullptr;
  if (!view_of(value, name, ArrayType<T>::kType, ArrayType<T>::kName, &data, &view->size)) return false;
  view->data = static_cast<T*>(data);
  return true;
}

void register_contrastive(Napi::Env env, Napi::Object exports);
void register_entropy(Napi::Env env, Napi::Object exports);
void register_coding(Napi::Env env, Napi::Object exports);
void register_dense(Napi::Env env, Napi::Object exports);
void register_tensor(Napi::Env env, Napi::Object exports);
void register_augment(Napi::Env env, Napi::Object exports);
void register_device(Napi::Env env, Napi::Object exports);
void register_dlpack(Napi::Env env, Napi::Object exports);

}  // namespace bince::addon

#endif  // BINCE_ADDON_ADDON_H_
