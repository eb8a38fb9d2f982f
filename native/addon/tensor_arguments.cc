#include "native/addon/tensor_arguments.h"

#include <cmath>

namespace bince::addon {

void Arguments::fail(const std::string& message) const {
  throw make_error(env(), BINCE_INVALID_ARGUMENT, message);
}

void Arguments::fail_size(const char* name, int64_t expected, size_t received) const {
  fail(std::string(name) + ": expected " + std::to_string(expected) + " elements, received " +
       std::to_string(received));
}

double Arguments::number(const char* name) {
  double value = 0;
  if (napi_get_value_double(env(), next(), &value) != napi_ok)
    fail(std::string(name) + ": expected a number");
  return value;
}

bool Arguments::flag() {
  return next().ToBoolean().Value();
}

int64_t Arguments::whole(const char* name, int64_t lowest, int64_t highest) {
  const double value = number(name);
  if (!(value >= static_cast<double>(lowest) && value <= static_cast<double>(highest) &&
        value == std::floor(value))) {
    const std::string range = highest > int64_t{1} << 50
                                  ? std::string("from ") + std::to_string(lowest)
                                  : std::to_string(lowest) + " to " + std::to_string(highest);
    fail(std::string(name) + ": expected a whole number " + range + ", received " +
         Napi::Number::New(env(), value).ToString().Utf8Value());
  }
  return static_cast<int64_t>(value);
}

uint64_t Arguments::seed() {
  const auto low = static_cast<uint64_t>(whole("seedLow", 0, UINT32_MAX));
  return low | static_cast<uint64_t>(whole("seedHigh", 0, UINT32_MAX)) << 32;
}

bool Arguments::skip_undefined() {
  const Napi::Value value = info_[next_];
  if (!value.IsUndefined() && !value.IsNull()) return false;
  ++next_;
  return true;
}

const Storage& Arguments::storage(const char* name) {
  const Storage* storage = storage_of(next(), name);
  if (!storage) throw Napi::Error::New(env());  // takes the pending error
  return *storage;
}

View<int32_t> Arguments::integers(const char* name, size_t lowest, size_t highest) {
  View<int32_t> view;
  if (!read_view(next(), name, &view)) throw Napi::Error::New(env());
  if (view.size < lowest || view.size > highest) {
    std::string expected = std::to_string(lowest);
    if (highest > lowest) expected += " to " + std::to_string(highest);
    fail(std::string(name) + ": expected " + expected + " integers, received " + std::to_string(view.size));
  }
  return view;
}

int64_t product(const Arguments& arguments, std::initializer_list<int64_t> sizes) {
  int64_t elements = 1;
  for (const int64_t size : sizes)
    if (__builtin_mul_overflow(elements, size, &elements) || elements > int64_t{1} << 52)
      arguments.fail("sizes: their product is beyond any tensor");
  return elements;
}

namespace {

bince_context* context_or_throw(Napi::Env env) {
  bince_context* context = context_of(env);
  if (!context) throw Napi::Error::New(env);  // takes the pending error
  return context;
}

}  // namespace

TensorCall::TensorCall(const Arguments& arguments, size_t workspace_bytes)
    : env_(arguments.env()), context_(context_or_throw(env_)), scratch_(env_, workspace_bytes) {
  if (!scratch_.data())
    throw make_error(env_, BINCE_OUT_OF_MEMORY,
                     "out of memory for " + std::to_string(workspace_bytes) + " bytes of scratch");
  run_ = {context_->pool, scratch_.data(), nullptr};
}

void TensorCall::lacks(const char* name) const {
  throw make_error(env_, BINCE_UNSUPPORTED,
                   std::string(name) + ": the backend " + context_->ops->name + " lacks this operation");
}

void register_tensor(Napi::Env env, Napi::Object exports) {
  register_tensor_elementwise(env, exports);
  register_tensor_reductions(env, exports);
  register_tensor_normalization(env, exports);
  register_tensor_images(env, exports);
  register_tensor_optimizers(env, exports);
}

}  // namespace bince::addon
