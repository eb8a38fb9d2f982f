// Reads the positional arguments of a tensor call. Every reader throws a JavaScript error that names the
// argument, what was expected and what was received.
#ifndef BINCE_ADDON_TENSOR_ARGUMENTS_H_
#define BINCE_ADDON_TENSOR_ARGUMENTS_H_

#include <string>

#include "native/addon/addon.h"
#include "native/addon/storage.h"
#include "native/core/context.h"
#include "native/tensor/tensor_ops.h"

namespace bince::addon {

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  Napi::Env env() const { return info_.Env(); }

  // Any number; NaN for what is none.
  double number(const char* name);
  bool flag();
  // A whole number from `lowest` to `highest`.
  int64_t whole(const char* name, int64_t lowest, int64_t highest);
  int64_t size(const char* name) { return whole(name, 0, int64_t{1} << 52); }
  int64_t positive(const char* name) { return whole(name, 1, int64_t{1} << 52); }
  uint64_t seed();  // two arguments, low and high

  // A tensor of `elements` elements.
  template <typename T>
  T* tensor(const char* name, int64_t elements) {
    const View<T> view = any<T>(name);
    check_size(name, elements, view.size);
    return view.data;
  }
  // The same, or null where the argument is undefined.
  template <typename T>
  T* optional(const char* name, int64_t elements) {
    if (skip_undefined()) return nullptr;
    return tensor<T>(name, elements);
  }
  // A tensor of any size.
  template <typename T>
  View<T> any(const char* name) {
    const Napi::Value value = next();
    View<T> view;
    if (const Storage* storage = storage_or_null(value);
        storage && storage->type == type_of<T>() && storage->data)
      return {static_cast<T*>(storage->data), storage->elements};
    if (value.IsUndefined() || value.IsNull())
      fail(std::string(name) + ": expected a tensor, received undefined");
    if (!read_view(value, name, &view)) throw Napi::Error::New(env());  // takes the pending error
    return view;
  }
  // A handle of any element type.
  const Storage& storage(const char* name);
  // An Int32Array of lowest .. highest elements.
  View<int32_t> integers(const char* name, size_t lowest, size_t highest);

  [[noreturn]] void fail(const std::string& message) const;
  void check_size(const char* name, int64_t expected, size_t received) const {
    if (received != static_cast<size_t>(expected)) fail_size(name, expected, received);
  }

 private:
  template <typename T>
  static constexpr StorageType type_of() {
    return sizeof(T) == 1               ? StorageType::kUint8
           : static_cast<T>(0.5) == T{} ? StorageType::kInt32
                                        : StorageType::kFloat32;
  }
  Napi::Value next() { return info_[next_++]; }
  bool skip_undefined();
  [[noreturn]] void fail_size(const char* name, int64_t expected, size_t received) const;

  const Napi::CallbackInfo& info_;
  size_t next_ = 0;
};

// The product of sizes whose tensor could exist at all; throws otherwise.
int64_t product(const Arguments& arguments, std::initializer_list<int64_t> sizes);

// The environment's backend and threads, and room for a call.
class TensorCall {
 public:
  explicit TensorCall(const Arguments& arguments, size_t workspace_bytes = 0);
  const Run& run() const { return run_; }

  // A slot of the backend's table; throws where the backend lacks it.
  template <typename Slot>
  Slot slot(Slot TensorOps::*member, const char* name) const {
    const Slot found = context_->ops->tensor->*member;
    if (!found) lacks(name);
    return found;
  }

 private:
  [[noreturn]] void lacks(const char* name) const;

  Napi::Env env_;
  bince_context* context_;
  Scratch scratch_;
  Run run_;
};

struct TensorFunction {
  const char* name;
  Napi::Value (*call)(const Napi::CallbackInfo&);
};
template <size_t N>
void export_all(Napi::Env env, Napi::Object exports, const TensorFunction (&functions)[N]) {
  for (const TensorFunction& each : functions)
    exports.Set(each.name, Napi::Function::New(env, each.call, each.name));
}

void register_tensor_elementwise(Napi::Env env, Napi::Object exports);
void register_tensor_reductions(Napi::Env env, Napi::Object exports);
void register_tensor_normalization(Napi::Env env, Napi::Object exports);
void register_tensor_images(Napi::Env env, Napi::Object exports);
void register_tensor_optimizers(Napi::Env env, Napi::Object exports);

}  // namespace bince::addon

#endif  // BINCE_ADDON_TENSOR_ARGUMENTS_H_
