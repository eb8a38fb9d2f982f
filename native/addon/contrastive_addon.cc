// The contrastive family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include <vector>

#include "native/addon/addon.h"
#include "native/addon/device.h"
#include "native/addon/storage.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

// The thread's workspace, kept between calls: at most a little over 64 MB, whose pages would otherwise be
// fetched from the system anew by every call.
class ThreadWorkspace {
 public:
  ~ThreadWorkspace() { std::free(data_); }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // 64-byte aligned room, or null if memory ran out.
  void* room(size_t bytes) {
    if (bytes <= bytes_) return data_;
    std::free(data_);
    const size_t unit = bytes >= kHugePage ? kHugePage : 64;
    bytes_ = (bytes + unit - 1) / unit * unit;
    data_ = std::aligned_alloc(unit, bytes_);
    if (!data_) bytes_ = 0;
    if (data_ && unit == kHugePage) madvise(data_, bytes_, MADV_HUGEPAGE);
    return data_;
  }

 private:
  static constexpr size_t kHugePage = size_t{1} << 21;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Positions in the array of numbers that comes first; lib/kernels/contrastive.ts has the same list.
enum Number {
  kDenominator,
  kFlags,
  kScale,
  kBias,
  kClip,
  kRegularizer,
  kNegativeLogWeight,
  kThreshold,
  kGradLoss,
  kRows,
  kKeys,
  kQueued,
  kDim,
  kGradScale,  // 1: dscale is wanted
  kGradBias,
  kGradQ,  // of packed calls alone
  kGradK,
  kNumbers
};

// Positions of the other arguments.
enum Argument {
  kNumberArray,
  kQ,
  kK,
  kQueue,
  kPositive,
  kRowGroup,
  kColumnGroup,
  kRowId,
  kColumnId,
  kRowWeight,
  kColumnWeight,
  kScalars,  // Float32Array(4): loss, regularizer, dscale, dbias
  kRowLoss,
  kRowLse,
  kColumnLoss,
  kColumnLse,
  kDq,
  kDk,
  kCancel,
  kArguments
};

constexpr bince_dtype kFloat32 = {BINCE_FLOAT, 32, 1};
constexpr bince_dtype kBfloat16 = {BINCE_BFLOAT, 16, 1};
constexpr bince_dtype kInt32 = {BINCE_INT, 32, 1};
constexpr int kSlots = kArguments + 4;  // the scalars have a slot each

// A call's arguments, copied out of V8.  Not movable: the structs point into it.
struct Call {
  bince_contrastive problem;
  bince_contrastive_results results;
  bince_tensor tensors[kSlots];
  int64_t shapes[kSlots][2];
  bool backward = false;

  bool read(const Napi::CallbackInfo& info);
  // Reads the arguments of a packed call, see contrastive_packed_sync().
  bool read_packed(const Napi::CallbackInfo& info);
  // Holds the memory of tensors, which may be disposed of while the call waits for its turn.
  void hold(const Napi::CallbackInfo& info);
  bince_status run(bince_context* context, const int32_t* cancel);

 private:
  bool read_numbers(const Napi::CallbackInfo& info);
  bool read_inputs(const Napi::CallbackInfo& info);
  // scalars: 4 floats
  void place_scalars(float* scalars);
  // The argument at the slot, which is undefined where it is beyond the end.
  napi_value argument(const Napi::CallbackInfo& info, int slot) const;
  const bince_tensor* tensor(int slot, void* data, bince_dtype dtype, int ndim, int64_t rows, int64_t dim);
  const bince_tensor* device_tensor(const Napi::Value& value, int slot, const char* name, bince_dtype dtype,
                                    int ndim, int64_t rows, int64_t dim, bool* ok);
  bince_status start(bince_context* context, const bince_launch& launch);
  bince_status run_on_device(const int32_t* cancel);
  // Reads an optional typed array of exactly rows * dim elements; *ok turns false with an exception pending.
  const bince_tensor* matrix(const Napi::CallbackInfo& info, int slot, const char* name, int64_t rows,
                             bool input, bool* ok);
  template <typename T>
  const bince_tensor* vector(const Napi::CallbackInfo& info, int slot, const char* name, bince_dtype dtype,
                             int64_t rows, bool* ok);
  int64_t rows_ = 0, keys_ = 0, queued_ = 0, dim_ = 0;
  bool grad_scale_ = false, grad_bias_ = false, grad_q_ = false, grad_k_ = false;
  bool packed_ = false;
  std::shared_ptr<DeviceMemory> device_;      // where q lies, and the call runs; null: the CPU
  std::vector<int> copied_;                   // on a device: slots whose tensor is in host memory
  std::vector<std::shared_ptr<void>> holds_;  // see hold()
};

bool fail(Napi::Env env, const std::string& message) {
  make_error(env, BINCE_INVALID_ARGUMENT, message).ThrowAsJavaScriptException();
  return false;
}

bool wrong_length(Napi::Env env, const char* name, int64_t expected, size_t received) {
  return fail(env, std::string(name) + ": expected " + std::to_string(expected) + " elements, received " +
                       std::to_string(received));
}

const bince_tensor* Call::tensor(int slot, void* data, bince_dtype dtype, int ndim, int64_t rows,
                                 int64_t dim) {
  shapes[slot][0] = rows;
  shapes[slot][1] = dim;
  tensors[slot] = {data, {BINCE_CPU, 0}, ndim, dtype, shapes[slot], nullptr, 0};
  if (device_) copied_.push_back(slot);
  return &tensors[slot];
}

std::string dtype_and_place(const Storage& storage) {
  return std::string(type_name(storage.type)) + " on " + place_of(storage);
}

// The tensor of a handle, which must lie where q does.
const bince_tensor* Call::device_tensor(const Napi::Value& value, int slot, const char* name,
                                        bince_dtype dtype, int ndim, int64_t rows, int64_t dim, bool* ok) {
  const Storage* storage = storage_anywhere(value, name);
  *ok = storage != nullptr;
  if (!storage) return nullptr;
  if (storage->device != device_)
    *ok = fail(value.Env(), std::string(name) + ": expected a tensor on " +
                                (device_ ? "cuda:" + std::to_string(device_->index()) : "the CPU") +
                                " as q, received " + dtype_and_place(*storage));
  else if (const bince_dtype received = dtype_of(storage->type);
           received.code != dtype.code || received.bits != dtype.bits)
    *ok = fail(value.Env(),
               std::string(name) + ": expected another type, received " + dtype_and_place(*storage));
  else if (storage->elements != static_cast<size_t>(rows) * static_cast<size_t>(dim))
    *ok = wrong_length(value.Env(), name, rows * dim, storage->elements);
  if (!*ok) return nullptr;
  if (!device_) return tensor(slot, storage->data, dtype, ndim, rows, dim);
  shapes[slot][0] = rows;
  shapes[slot][1] = dim;
  tensors[slot] = {storage->device_data, device_->device(), ndim, dtype, shapes[slot], nullptr, 0};
  return &tensors[slot];
}

napi_value Call::argument(const Napi::CallbackInfo& info, int slot) const {
  const size_t position = static_cast<size_t>(packed_ && slot > kK ? slot + 1 : slot);
  return position < info.Length() ? static_cast<napi_value>(info[position]) : nullptr;
}

// Asks N-API once: reading a typed array is most of what a small call costs.
const bince_tensor* Call::matrix(const Napi::CallbackInfo& info, int slot, const char* name, int64_t rows,
                                 bool input, bool* ok) {
  const napi_value given = argument(info, slot);
  if (!*ok || !given) return nullptr;
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  size_t size = 0;
  const bool is_array =
      napi_get_typedarray_info(info.Env(), given, &type, &size, &data, nullptr, nullptr) == napi_ok;
  if (!is_array) {
    const Napi::Value value(info.Env(), given);
    if (value.IsUndefined() || value.IsNull()) return nullptr;
    if (value.IsExternal()) {
      const Storage* storage = storage_or_null(value);
      const bool halves = input && storage && storage->type == StorageType::kBfloat16;
      return device_tensor(value, slot, name, halves ? kBfloat16 : kFloat32, 2, rows, dim_, ok);
    }
  }
  const bool bfloat16 = input && type == napi_uint16_array;
  if (!is_array || !(bfloat16 || type == napi_float32_array))
    *ok =
        fail(info.Env(), std::string(name) + ": expected a Float32Array" + (input ? " or Uint16Array" : ""));
  else if (size != static_cast<size_t>(rows) * static_cast<size_t>(dim_))
    *ok = wrong_length(info.Env(), name, rows * dim_, size);
  return *ok ? tensor(slot, data, bfloat16 ? kBfloat16 : kFloat32, 2, rows, dim_) : nullptr;
}

template <typename T>
const bince_tensor* Call::vector(const Napi::CallbackInfo& info, int slot, const char* name,
                                 bince_dtype dtype, int64_t rows, bool* ok) {
  const napi_value given = argument(info, slot);
  if (!*ok || !given) return nullptr;
  const Napi::Value value(info.Env(), given);
  if (value.IsUndefined() || value.IsNull()) return nullptr;
  if (device_ && value.IsExternal()) return device_tensor(value, slot, name, dtype, 1, rows, 1, ok);
  View<T> view;
  *ok = read_view(value, name, &view);
  if (*ok && view.size != static_cast<size_t>(rows)) *ok = wrong_length(info.Env(), name, rows, view.size);
  return *ok ? tensor(slot, view.data, dtype, 1, rows, 1) : nullptr;
}

bool Call::read_numbers(const Napi::CallbackInfo& info) {
  View<double> numbers;
  if (!read_view(info[kNumberArray], "numbers", &numbers)) return false;
  if (numbers.size != kNumbers) return wrong_length(info.Env(), "numbers", kNumbers, numbers.size);
  const double* n = numbers.data;
  for (int i : {kRows, kKeys, kQueued, kDim})
    if (!(n[i] >= 0 && n[i] <= 2147483647.0)) return fail(info.Env(), "rows, columns or dim: out of range");
  bince_contrastive_init(&problem);
  problem.denominator = static_cast<uint32_t>(n[kDenominator]);
  problem.flags = static_cast<uint32_t>(n[kFlags]);
  problem.scale = static_cast<float>(n[kScale]);
  problem.bias = static_cast<float>(n[kBias]);
  problem.clip = static_cast<float>(n[kClip]);
  problem.regularizer = static_cast<float>(n[kRegularizer]);
  problem.negative_log_weight = static_cast<float>(n[kNegativeLogWeight]);
  problem.threshold = static_cast<float>(n[kThreshold]);
  problem.grad_loss = static_cast<float>(n[kGradLoss]);
  rows_ = static_cast<int64_t>(n[kRows]);
  keys_ = static_cast<int64_t>(n[kKeys]);
  queued_ = static_cast<int64_t>(n[kQueued]);
  dim_ = static_cast<int64_t>(n[kDim]);
  grad_scale_ = n[kGradScale] != 0;
  grad_bias_ = n[kGradBias] != 0;
  grad_q_ = n[kGradQ] != 0;
  grad_k_ = n[kGradK] != 0;
  results = {};
  results.struct_size = sizeof results;
  return true;
}

void Call::place_scalars(float* scalars) {
  results.loss = tensor(kArguments, scalars, kFloat32, 1, 1, 1);
  results.regularizer = tensor(kArguments + 1, scalars + 1, kFloat32, 1, 1, 1);
  if (grad_scale_) results.dscale = tensor(kArguments + 2, scalars + 2, kFloat32, 1, 1, 1);
  if (grad_bias_) results.dbias = tensor(kArguments + 3, scalars + 3, kFloat32, 1, 1, 1);
}

bool Call::read_inputs(const Napi::CallbackInfo& info) {
  const int64_t columns = keys_ + queued_;
  bool ok = true;
  problem.q = matrix(info, kQ, "q", rows_, true, &ok);
  problem.k = matrix(info, kK, "k", keys_, true, &ok);
  problem.queue = matrix(info, kQueue, "queue", queued_, true, &ok);
  problem.positive = vector<int32_t>(info, kPositive, "positive", kInt32, rows_, &ok);
  problem.row_group = vector<int32_t>(info, kRowGroup, "groups.rows", kInt32, rows_, &ok);
  problem.column_group = vector<int32_t>(info, kColumnGroup, "groups.columns", kInt32, columns, &ok);
  problem.row_id = vector<int32_t>(info, kRowId, "ids.rows", kInt32, rows_, &ok);
  problem.column_id = vector<int32_t>(info, kColumnId, "ids.columns", kInt32, columns, &ok);
  problem.row_weight = vector<float>(info, kRowWeight, "rowWeight", kFloat32, rows_, &ok);
  problem.column_weight = vector<float>(info, kColumnWeight, "columnWeight", kFloat32, columns, &ok);
  return ok;
}

bool Call::read(const Napi::CallbackInfo& info) {
  if (const Storage* q = storage_or_null(info[kQ])) device_ = q->device;
  if (!read_numbers(info)) return false;
  View<float> scalars;
  if (!read_view(info[kScalars], "scalars", &scalars)) return false;
  if (scalars.size != 4) return wrong_length(info.Env(), "scalars", 4, scalars.size);
  place_scalars(scalars.data);
  const int64_t columns = keys_ + queued_;
  bool ok = read_inputs(info);
  results.row_loss = vector<float>(info, kRowLoss, "rowLoss", kFloat32, rows_, &ok);
  results.row_lse = vector<float>(info, kRowLse, "rowLse", kFloat32, rows_, &ok);
  results.column_loss = vector<float>(info, kColumnLoss, "columnLoss", kFloat32, columns, &ok);
  results.column_lse = vector<float>(info, kColumnLse, "columnLse", kFloat32, columns, &ok);
  results.dq = matrix(info, kDq, "dq", rows_, false, &ok);
  results.dk = matrix(info, kDk, "dk", keys_, false, &ok);
  backward = results.dq || results.dk || results.dscale || results.dbias;
  return ok;
}

bool Call::read_packed(const Napi::CallbackInfo& info) {
  packed_ = true;
  View<float> room;
  if (!read_numbers(info) || !read_view(info[kK + 1], "results", &room) || !read_inputs(info)) return false;
  const bool sigmoid = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  const bool symmetric = problem.flags & BINCE_CONTRASTIVE_SYMMETRIC;
  const int64_t columns = keys_ + queued_;
  const struct {
    int slot;
    const bince_tensor** result;
    bool wanted;
    int64_t rows, dim;
  } parts[] = {{kRowLoss, &results.row_loss, true, rows_, 1},
               {kRowLse, &results.row_lse, !sigmoid, rows_, 1},
               {kColumnLoss, &results.column_loss, symmetric, columns, 1},
               {kColumnLse, &results.column_lse, symmetric, columns, 1},
               {kDq, &results.dq, grad_q_, rows_, dim_},
               {kDk, &results.dk, grad_k_, keys_, dim_}};
  int64_t needed = 4;
  for (const auto& part : parts) needed += part.wanted ? part.rows * part.dim : 0;
  if (room.size != static_cast<size_t>(needed)) return wrong_length(info.Env(), "results", needed, room.size);
  place_scalars(room.data);
  float* next = room.data + 4;
  for (const auto& part : parts) {
    if (!part.wanted) continue;
    *part.result =
        tensor(part.slot, next, kFloat32, part.dim == 1 && part.slot < kDq ? 1 : 2, part.rows, part.dim);
    next += part.rows * part.dim;
  }
  backward = results.dq || results.dk || results.dscale || results.dbias;
  return true;
}

void Call::hold(const Napi::CallbackInfo& info) {
  for (size_t i = kQ; i < kCancel; ++i)
    if (const Storage* storage = storage_or_null(info[i])) holds_.push_back(storage->memory);
}

bince_status Call::start(bince_context* context, const bince_launch& launch) {
  return backward ? bince_contrastive_forward_backward(context, &problem, &results, &launch)
                  : bince_contrastive_forward(context, &problem, &results, &launch);
}

bince_status Call::run(bince_context* context, const int32_t* cancel) {
  if (device_) return run_on_device(cancel);
  static thread_local ThreadWorkspace workspace;
  // Most calls have the size of the last one, or a smaller one; the call itself tells where that is too
  // little.
  bince_status status = BINCE_BUFFER_TOO_SMALL;
  if (workspace.data()) status = start(context, {nullptr, workspace.data(), workspace.bytes(), cancel});
  if (status != BINCE_BUFFER_TOO_SMALL) return status;
  size_t bytes = 0;
  status = bince_contrastive_workspace(
      context, &problem, backward ? BINCE_CONTRASTIVE_FORWARD_BACKWARD : BINCE_CONTRASTIVE_FORWARD, &bytes);
  if (status != BINCE_OK) return status;
  // Without memory the call below says how much it needs.
  return start(context, {nullptr, workspace.room(bytes), bytes, cancel});
}

// What lies in host memory (labels, weights, the scalars) goes to the device and back; the call is over when
// this returns.
bince_status Call::run_on_device(const int32_t* cancel) {
  struct Copy {
    int slot;
    void* host;
    size_t bytes;
    std::shared_ptr<void> block;
  };
  std::vector<Copy> copies;
  for (const int slot : copied_) {
    bince_tensor& tensor = tensors[slot];
    const size_t bytes =
        static_cast<size_t>(tensor.shape[0]) * static_cast<size_t>(tensor.shape[1]) * (tensor.dtype.bits / 8);
    copies.push_back({slot, tensor.data, bytes, device_->block(bytes)});
    if (!copies.back().block) return BINCE_OUT_OF_MEMORY;
    tensor.data = copies.back().block.get();
    tensor.device = device_->device();
    if (slot < kScalars)
      BINCE_RETURN_IF_ERROR(device_->copy_to_device(tensor.data, copies.back().host, bytes));
  }
  bince_context* context = device_->context();
  size_t bytes = 0;
  BINCE_RETURN_IF_ERROR(bince_contrastive_workspace(
      context, &problem, backward ? BINCE_CONTRASTIVE_FORWARD_BACKWARD : BINCE_CONTRASTIVE_FORWARD, &bytes));
  const std::shared_ptr<void> workspace = device_->block(bytes);
  if (!workspace) return BINCE_OUT_OF_MEMORY;
  const bince_launch launch = {device_->stream(), workspace.get(), bytes, cancel};
  const bince_status status = start(context, launch);
  if (status != BINCE_OK) {
    // What was queued before a cancellation still runs, perhaps on memory that is not ours.
    (void)bince_stream_synchronize(context, device_->stream());
    return status;
  }
  BINCE_RETURN_IF_ERROR(bince_finish(context, &launch));
  for (const Copy& each : copies)
    if (each.slot >= kScalars)
      BINCE_RETURN_IF_ERROR(device_->copy_to_host(each.host, each.block.get(), each.bytes));
  return BINCE_OK;
}

class ContrastiveJob : public Job {
 public:
  Call call;
  bince_status run(bince_context* context, const int32_t* cancel) override {
    return call.run(context, cancel);
  }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
};

// contrastiveSync(...arguments of enum Argument, without the cancel flag): fills the result arrays.
Napi::Value contrastive_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  Call call;
  if (!context || !call.read(info)) return env.Undefined();
  const bince_status status = call.run(context, nullptr);
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// contrastivePackedSync(numbers, q, k, results, then the arguments from queue to columnWeight, of which the
// last may be left out): fills `results`, a Float32Array of exactly the results wanted, one after the other:
// loss, regularizer, dscale, dbias, then rowLoss, rowLse, columnLoss, columnLse, dq, dk.  Small calls are
// mostly arguments.
Napi::Value contrastive_packed_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bince_context* context = context_of(env);
  Call call;
  if (!context || !call.read_packed(info)) return env.Undefined();
  const bince_status status = call.run(context, nullptr);
  if (status != BINCE_OK) throw_status(env, status);
  return Napi::Value();
}

Napi::Value contrastive_async(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<ContrastiveJob>();
  if (!job->call.read(info)) return info.Env().Undefined();
  job->call.hold(info);
  for (size_t i = kQ; i < kCancel; ++i) job->keep(info[i]);
  return submit(info.Env(), std::move(job), info[kCancel]);
}

}  // namespace

void register_contrastive(Napi::Env env, Napi::Object exports) {
  exports.Set("contrastiveSync", Napi::Function::New(env, contrastive_sync));
  exports.Set("contrastivePackedSync", Napi::Function::New(env, contrastive_packed_sync));
  exports.Set("contrastiveAsync", Napi::Function::New(env, contrastive_async));
}

}  // namespace bince::addon
