// Tensors in and out as DLPack's managed tensors, without a copy.
//
// A capsule is an external whose value is a pointer to a slot, and the slot a pointer to a DLManagedTensor.
// Whoever takes the tensor over sets the slot to null (as Python's capsules are renamed to "used_dltensor")
// and calls the deleter when done, once.  A capsule that nobody took calls it when it is collected.  The
// external has the type tag kCapsuleTag, without which it is not opened.
#include <vector>

#include "native/addon/addon.h"
#include "native/addon/device.h"
#include "native/addon/storage.h"
#include "native/core/context.h"
#include "native/core/dlpack.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

constexpr napi_type_tag kCapsuleTag = {0x6474'656e'736f'7200, 0x6269'6e63'6531'0000};

struct Capsule {
  bince_dlpack* managed;  // the slot: null once taken over
};

// Keeps the memory of an exported tensor.
struct Export {
  bince_dlpack managed;
  std::shared_ptr<void> memory;
  std::shared_ptr<DeviceMemory> device;
  std::vector<int64_t> shape;
};

void delete_export(bince_dlpack* managed) {
  delete static_cast<Export*>(managed->manager);
}

void give_up(bince_dlpack* managed) {
  if (managed->deleter) managed->deleter(managed);
}

void finalize_capsule(napi_env, void* data, void*) {
  Capsule* capsule = static_cast<Capsule*>(data);
  if (capsule->managed) give_up(capsule->managed);
  delete capsule;
}

Napi::Value throw_last(Napi::Env env, bince_status status) {
  throw_status(env, status);
  return env.Undefined();
}

// Shape and memory of the tensor; false with an error thrown where they do not fit.
bool fill_export(const Napi::CallbackInfo& info, const Storage& storage, Export* out) {
  View<double> shape;
  if (!read_view(info[1], "shape", &shape)) return false;
  double elements = 1;
  for (size_t axis = 0; axis < shape.size; ++axis) {
    out->shape.push_back(static_cast<int64_t>(shape.data[axis]));
    elements *= shape.data[axis];
  }
  if (elements != static_cast<double>(storage.elements)) {
    make_error(info.Env(), BINCE_INVALID_ARGUMENT, "shape: does not fit the tensor")
        .ThrowAsJavaScriptException();
    return false;
  }
  out->memory = storage.memory;
  out->device = storage.device;
  const bince_device device = storage.device ? storage.device->device() : bince_device{BINCE_CPU, 0};
  out->managed = {{storage.device ? storage.device_data : storage.data, device,
                   static_cast<int32_t>(shape.size), dtype_of(storage.type), out->shape.data(), nullptr, 0},
                  out,
                  delete_export};
  return true;
}

// (handle, shape as Float64Array) => capsule
Napi::Value dlpack_export(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Storage* storage = storage_anywhere(info[0], "tensor");
  if (!storage) return env.Undefined();
  auto exported = std::make_unique<Export>();
  if (!fill_export(info, *storage, exported.get())) return env.Undefined();
  // The other framework works on a stream of its own.
  if (storage->device)
    if (const bince_status status =
            bince_stream_synchronize(storage->device->context(), storage->device->stream());
        status != BINCE_OK)
      return throw_last(env, status);
  auto capsule = std::make_unique<Capsule>(Capsule{&exported->managed});
  napi_value external;
  if (napi_create_external(env, capsule.get(), finalize_capsule, nullptr, &external) != napi_ok)
    return throw_last(env, bince::fail(BINCE_INTERNAL, "the capsule could not be made"));
  (void)capsule.release();
  (void)exported.release();
  if (napi_type_tag_object(env, external, &kCapsuleTag) != napi_ok)
    return throw_last(env, bince::fail(BINCE_INTERNAL, "the capsule could not be tagged"));
  return Napi::Value(env, external);
}

Capsule* capsule_of(Napi::Value value) {
  bool tagged = false;
  void* data = nullptr;
  if (!value.IsExternal() ||
      napi_check_object_type_tag(value.Env(), value, &kCapsuleTag, &tagged) != napi_ok || !tagged ||
      napi_get_value_external(value.Env(), value, &data) != napi_ok) {
    make_error(value.Env(), BINCE_INVALID_ARGUMENT,
               "dlpack: expected a capsule (an external with the type tag of bince's DLPack capsules)")
        .ThrowAsJavaScriptException();
    return nullptr;
  }
  return static_cast<Capsule*>(data);
}

StorageType storage_type(bince_dtype dtype) {
  int32_t type = 0;
  for (; type < kStorageTypes - 1; ++type) {
    const bince_dtype each = dtype_of(static_cast<StorageType>(type));
    if (each.code == dtype.code && each.bits == dtype.bits) break;
  }
  return static_cast<StorageType>(type);
}

// A storage on the memory of the view, which the tensor's deleter frees; null with an error thrown.
std::unique_ptr<Storage> take_over(Napi::Env env, const DlpackView& view, bince_dlpack* managed) {
  std::shared_ptr<DeviceMemory> device;
  if (view.device.device_type == BINCE_CUDA && !(device = device_memory(env, view.device.device_id)))
    return nullptr;
  const StorageType type = storage_type(view.dtype);
  if (view.elements == 0) {
    std::unique_ptr<Storage> empty = allocate_storage(env, type, 0, device);
    if (empty) give_up(managed);
    return empty;
  }
  if (device)
    if (const bince_status status =
            device->context()->cuda->check_pointer(device->index(), view.data, "dlpack: data");
        status != BINCE_OK) {
      throw_status(env, status);
      return nullptr;
    }
  auto storage = std::make_unique<Storage>(type, view.elements);
  (device ? storage->device_data : storage->data) = view.data;
  storage->device = device;
  // Its owner may use the memory again as soon as it is given up, so what is queued on it comes first.
  storage->memory = std::shared_ptr<void>(view.data, [managed, device](void*) {
    if (device) (void)bince_stream_synchronize(device->context(), device->stream());
    give_up(managed);
  });
  return storage;
}

// (capsule) => {handle, type, device: index or undefined, shape}; the capsule is then empty.  A tensor that
// is refused stays in its capsule.
Napi::Value dlpack_import(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Capsule* capsule = capsule_of(info[0]);
  if (!capsule) return env.Undefined();
  if (!capsule->managed)
    return throw_last(env, bince::fail(BINCE_INVALID_ARGUMENT,
                                       "dlpack: this capsule was used already; each can be taken over once"));
  DlpackView view;
  if (const bince_status status = read_dlpack(capsule->managed, &view); status != BINCE_OK)
    return throw_last(env, status);
  Napi::Object out = Napi::Object::New(env);
  Napi::Array shape = Napi::Array::New(env, static_cast<size_t>(view.ndim));
  for (int32_t axis = 0; axis < view.ndim; ++axis)
    shape.Set(static_cast<uint32_t>(axis), static_cast<double>(view.shape[axis]));
  out.Set("shape", shape);
  out.Set("type", static_cast<int32_t>(storage_type(view.dtype)));
  if (view.device.device_type == BINCE_CUDA) out.Set("device", view.device.device_id);
  std::unique_ptr<Storage> storage = take_over(env, view, capsule->managed);
  if (!storage) return env.Undefined();
  capsule->managed = nullptr;
  const Napi::Value handle = make_handle(env, std::move(storage));
  out.Set("handle", handle);
  return handle.IsExternal() ? static_cast<Napi::Value>(out) : env.Undefined();
}

}  // namespace

void register_dlpack(Napi::Env env, Napi::Object exports) {
  exports.Set("dlpackExport", Napi::Function::New(env, dlpack_export));
  exports.Set("dlpackImport", Napi::Function::New(env, dlpack_import));
}

}  // namespace bince::addon
