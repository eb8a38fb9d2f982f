// What the addon's files of the coding family share: prepared tables and jobs that keep their memory.
#ifndef BINCE_ADDON_CODING_JOBS_H_
#define BINCE_ADDON_CODING_JOBS_H_

#include <cstring>
#include <mutex>

#include "native/addon/addon.h"
#include "native/addon/device.h"

namespace bince::addon {

inline constexpr bince_dtype kInt32 = {BINCE_INT, 32, 1}, kInt64 = {BINCE_INT, 64, 1},
                             kUint8 = {BINCE_UINT, 8, 1}, kFloat32 = {BINCE_FLOAT, 32, 1};

// A dense tensor of one or two dimensions over memory that someone else keeps.
struct Tensor {
  int64_t shape[2];
  bince_tensor tensor;
  Tensor(const void* data, bince_dtype dtype, int64_t rows, int64_t columns = -1) : shape{rows, columns} {
    tensor = {const_cast<void*>(data), {BINCE_CPU, 0}, columns < 0 ? 1 : 2, dtype, shape, nullptr, 0};
  }
  Tensor(const Tensor&) = delete;
  operator const bince_tensor*() const { return &tensor; }
  operator bince_tensor*() { return &tensor; }
};

// Memory that the calls of one coder hand on to each other: pages that were touched once cost nothing again.
// Calls on the job thread and on the JavaScript thread may overlap; the second then has memory of its own.
class KeptBuffer {
 public:
  AlignedBuffer take(uint64_t bytes) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (kept_.bytes() >= bytes && kept_.data()) return std::move(kept_);
    }
    return AlignedBuffer(bytes);
  }
  void give_back(AlignedBuffer buffer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (buffer.bytes() > kept_.bytes() && buffer.bytes() <= kMostBytes) std::swap(kept_, buffer);
  }

 private:
  static constexpr uint64_t kMostBytes = uint64_t{1} << 30;  // of address space: few of the pages are touched
  std::mutex mutex_;
  AlignedBuffer kept_;
};

// Prepared tables and, for blocks, the format around them.  Shared by the JavaScript value and the jobs that
// use it.
struct Prepared {
  AlignedBuffer buffer;
  const bince_tables* tables = nullptr;
  std::vector<int32_t> table_index;
  std::vector<float> median, step, shift;
  bince_block_format format = {};
  std::unique_ptr<Tensor> index_tensor, median_tensor, step_tensor, shift_tensor;
  KeptBuffer workspaces, outputs;
  // What lies on the device of the last call there; one call at a time.
  std::mutex device_mutex;
  std::shared_ptr<DeviceMemory> device;
  std::shared_ptr<void> device_tables, device_channels;
  AlignedBuffer channel_image;
};
using PreparedRef = std::shared_ptr<Prepared>;

// The native side of a PreparedTables; null, with a JavaScript error, for anything else.
PreparedRef unwrap(Napi::Value value);

// A job that can also run on the JavaScript thread.
class CodingJob : public Job {
 public:
  PreparedRef prepared;
  ~CodingJob() override {
    if (!prepared) return;
    prepared->workspaces.give_back(std::move(workspace_));
    prepared->outputs.give_back(std::move(out_));
  }

 protected:
  // Bounds are far above what is usual, and pages that are not touched cost nothing, up to here.
  static constexpr uint64_t kGenerousBytes = uint64_t{64} << 20;
  AlignedBuffer workspace_;
  AlignedBuffer out_;
  uint64_t bytes_ = 0;  // of the result

  bince_launch launch(size_t bytes, const int32_t* cancel) {
    workspace_ = prepared->workspaces.take(bytes);
    return {nullptr, workspace_.data(), workspace_.data() ? bytes : 0, cancel};
  }
  // Calls encode(capacity) with room for what is likely, then, if that was too little, for what it said it
  // needs.
  template <typename Encode>
  bince_status with_room(uint64_t bound, uint64_t likely, Encode encode) {
    uint64_t capacity = bound <= kGenerousBytes || likely > bound ? bound : likely;
    for (int attempt = 0;; ++attempt) {
      prepared->outputs.give_back(std::move(out_));
      out_ = prepared->outputs.take(capacity);
      if (!out_.data()) capacity = 0;
      const bince_status status = encode(out_.data(), capacity);
      if (status != BINCE_BUFFER_TOO_SMALL || attempt == 1 || bytes_ <= capacity) return status;
      capacity = bytes_;
    }
  }
};

inline Napi::Value copy_bytes(Napi::Env env, const void* data, size_t bytes) {
  Napi::Uint8Array out = Napi::Uint8Array::New(env, bytes);
  if (bytes) std::memcpy(out.Data(), data, bytes);
  return out;
}

// Runs now, or queues with the cancel flag that is argument `cancel`.
template <typename J>
Napi::Value start(const Napi::CallbackInfo& info, std::unique_ptr<J> job, bool async, size_t cancel) {
  Napi::Env env = info.Env();
  if (async) {
    for (size_t i = 0; i < cancel; ++i) job->keep(info[i]);
    return submit(env, std::move(job), info[cancel]);
  }
  bince_context* context = context_of(env);
  if (!context) return env.Undefined();
  const bince_status status = job->run(context, nullptr);
  if (status == BINCE_OK) return job->result(env);
  throw_status(env, status);
  return env.Undefined();
}

void register_symbols(Napi::Env env, Napi::Object exports);
void register_device_coding(Napi::Env env, Napi::Object exports);

// What encoding gives to JavaScript: sizes and rows of the sections, the sum of their bytes' entropy, and
// `bytes`.
Napi::Value encoded_blocks(Napi::Env env, const std::vector<int64_t>& section_bytes, int64_t row_count,
                           int64_t block_rows, double ideal_bits, Napi::Value bytes);

}  // namespace bince::addon

#endif  // BINCE_ADDON_CODING_JOBS_H_
