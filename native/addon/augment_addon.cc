// The augmentation family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <memory>

#include "native/addon/addon.h"
#include "native/addon/storage.h"
#include "native/augment/augment_run.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

int64_t integer(Napi::Value value) {
  return value.As<Napi::Number>().Int64Value();
}
int32_t small(Napi::Value value) {
  return value.As<Napi::Number>().Int32Value();
}
uint32_t word(Napi::Value value) {
  return value.As<Napi::Number>().Uint32Value();
}

bool is_floats(Napi::Value value) {
  if (value.IsTypedArray()) return value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  const Storage* storage = storage_or_null(value);
  return storage && storage->type == StorageType::kFloat32;
}

bool check_elements(Napi::Env env, const char* name, size_t received, int64_t expected) {
  if (static_cast<int64_t>(received) == expected) return true;
  make_error(env, BINCE_INVALID_ARGUMENT,
             std::string(name) + ": expected " + std::to_string(expected) + " elements, received " +
                 std::to_string(received))
      .ThrowAsJavaScriptException();
  return false;
}

// (count, rows, H, W, C, images, indexes, keys, seedLow, seedHigh, epoch, view, steps, out[, cancel])
constexpr int kArguments = 14;

struct AugmentJob : Job {
  AugmentBatch batch = {};
  std::vector<Step> steps;

  bool read(const Napi::CallbackInfo& info);
  bince_status run(bince_context* context, const int32_t* cancel) override;
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  bool read_images(Napi::Value images);
};

bool AugmentJob::read_images(Napi::Value images) {
  size_t size = 0;
  if (is_floats(images)) {
    View<float> view;
    if (!read_view(images, "images", &view)) return false;
    batch.floats = view.data;
    size = view.size;
  } else {
    View<uint8_t> view;
    if (!read_view(images, "images", &view)) return false;
    batch.bytes = view.data;
    size = view.size;
  }
  return check_elements(images.Env(), "images", size,
                        batch.rows * batch.height * batch.width * batch.channels);
}

bool AugmentJob::read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  batch.count = integer(info[0]);
  batch.rows = integer(info[1]);
  batch.height = small(info[2]);
  batch.width = small(info[3]);
  batch.channels = small(info[4]);
  View<int32_t> indexes, keys;
  View<double> records;
  View<float> out;
  if (!read_view(info[6], "indexes", &indexes) || !read_view(info[7], "keys", &keys) ||
      !read_view(info[12], "steps", &records) || !read_view(info[13], "out", &out))
    return false;
  batch.seed = word(info[8]) | uint64_t{word(info[9])} << 32;
  batch.epoch = word(info[10]);
  batch.view = word(info[11]);
  batch.indexes = indexes.data;
  batch.keys = keys.data;
  batch.out = out.data;
  batch.step_count = static_cast<int32_t>(records.size / kStepNumbers);
  if (!check_elements(env, "steps", records.size, int64_t{batch.step_count} * kStepNumbers) ||
      (indexes.data && !check_elements(env, "indexes", indexes.size, batch.count)) ||
      (keys.data && !check_elements(env, "keys", keys.size, batch.count)))
    return false;
  steps.resize(static_cast<size_t>(batch.step_count));
  const bince_status status = check_augment(records.data, steps.data(), &batch);
  if (status != BINCE_OK) {
    throw_status(env, status);
    return false;
  }
  return read_images(info[5]) &&
         check_elements(env, "out", out.size,
                        batch.count * batch.out_height * batch.out_width * batch.channels);
}

bince_status AugmentJob::run(bince_context* context, const int32_t* cancel) {
  const size_t bytes = augment_workspace(context, batch);
  const AlignedBuffer workspace(bytes);
  if (!workspace.data())
    return fail(BINCE_OUT_OF_MEMORY, "a workspace of %zu bytes could not be allocated", bytes);
  const bince_launch launch = {nullptr, workspace.data(), workspace.bytes(), cancel};
  return augment(context, batch, &launch);
}

Napi::Value augment_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  AugmentJob job;
  if (!context || !job.read(info)) return env.Undefined();
  const bince_status status = job.run(context, nullptr);
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

Napi::Value augment_async(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<AugmentJob>();
  if (!job->read(info)) return info.Env().Undefined();
  for (int i = 0; i < kArguments; ++i)
    if (info[i].IsTypedArray() || info[i].IsExternal()) job->keep(info[i]);
  return submit(info.Env(), std::move(job), info[kArguments]);
}

}  // namespace

void register_augment(Napi::Env env, Napi::Object exports) {
  exports.Set("augmentSync", Napi::Function::New(env, augment_sync, "augmentSync"));
  exports.Set("augmentAsync", Napi::Function::New(env, augment_async, "augmentAsync"));
}

}  // namespace bince::addon
