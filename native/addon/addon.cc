#include "native/addon/addon.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "native/addon/device.h"
#include "native/addon/job_thread.h"
#include "native/addon/storage.h"

namespace bince::addon {

AddonData::~AddonData() {
  bince_context_destroy(context);
}

AddonData& addon_data(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

bince_context* context_of(Napi::Env env) {
  AddonData& data = addon_data(env);
  if (!data.context) {
    const char* backend = std::getenv("BINCE_BACKEND");
    if (backend && std::strcmp(backend, "cuda") == 0) {
      make_error(env, BINCE_UNSUPPORTED,
                 "BINCE_BACKEND: expected a backend of the CPU, received 'cuda'; tensors choose their device "
                 "by .to('cuda')")
          .ThrowAsJavaScriptException();
      return nullptr;
    }
    const bince_status status = bince_context_create(nullptr, &data.context);
    if (status != BINCE_OK) throw_status(env, status);
  }
  return data.context;
}

Napi::Error make_error(Napi::Env env, bince_status status, const std::string& message) {
  AddonData& data = addon_data(env);
  const Napi::String code = Napi::String::New(env, bince_status_name(status));
  if (!data.make_error.IsEmpty()) {
    const Napi::Value made = data.make_error.Call({code, Napi::String::New(env, message)});
    if (made.IsObject()) return Napi::Error(env, made);
  }
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  return error;
}

void throw_status(Napi::Env env, bince_status status) {
  make_error(env, status, bince_last_error()).ThrowAsJavaScriptException();
}

AlignedBuffer::AlignedBuffer(size_t bytes) {
  const size_t rounded = (bytes + 63) & ~size_t{63};
  data_ = std::aligned_alloc(64, rounded ? rounded : 64);
  bytes_ = data_ ? rounded : 0;
}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  std::free(data_);
}

bool view_of(Napi::Value value, const char* name, napi_typedarray_type type, const char* type_name,
             void** data, size_t* size) {
  Napi::Env env = value.Env();
  napi_typedarray_type received = napi_int8_array;
  // One question where the answer is what it is nearly always.
  const bool is_array =
      napi_get_typedarray_info(env, value, &received, size, data, nullptr, nullptr) == napi_ok;
  if (is_array && received == type) return true;
  *data = nullptr;
  *size = 0;
  if (value.IsUndefined() || value.IsNull()) return true;
  if (!is_array && storage_or_null(value)) {
    const Storage* storage = storage_of(value, name);
    if (!storage) return false;
    constexpr napi_typedarray_type kTypes[kStorageTypes] = {napi_float32_array, napi_int32_array,
                                                            napi_uint8_array, napi_uint16_array};
    if (kTypes[static_cast<int>(storage->type)] == type) {
      *data = storage->data;
      *size = storage->elements;
      return true;
    }
  }
  make_error(env, BINCE_INVALID_ARGUMENT, std::string(name) + ": expected a " + type_name)
      .ThrowAsJavaScriptException();
  return false;
}

namespace {

Napi::Value set_error_factory(const Napi::CallbackInfo& info) {
  addon_data(info.Env()).make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

// () => {version, abi, backend, threads, backends, cpu}
Napi::Value describe(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bince_context* context = context_of(env);
  if (!context) return env.Undefined();
  Napi::Object out = Napi::Object::New(env);
  out.Set("version", bince_version());
  out.Set("abi", bince_abi_version());
  out.Set("backend", bince_context_backend(context));
  out.Set("threads", bince_context_threads(context));
  out.Set("backends", bince_available_backends());
  out.Set("cpu", bince_cpu_features());
  return out;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  AddonData* data = new AddonData;
  env.SetInstanceData(data);
  data->jobs = std::make_unique<JobThread>(env);
  data->blocks = std::make_shared<BlockCache>();
  exports.Set("setErrorFactory", Napi::Function::New(env, set_error_factory));
  exports.Set("describe", Napi::Function::New(env, describe));
  register_contrastive(env, exports);
  register_entropy(env, exports);
  register_coding(env, exports);
  register_dense(env, exports);
  register_tensor(env, exports);
  register_augment(env, exports);
  register_storage(env, exports);
  register_device(env, exports);
  register_dlpack(env, exports);
  return exports;
}

}  // namespace
}  // namespace bince::addon

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return bince::addon::init(env, exports);
}

NODE_API_MODULE(bince, init_addon)
