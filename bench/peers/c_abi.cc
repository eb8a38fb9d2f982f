// The C ABI of libbince.so, called without JavaScript in between: what the calls from JavaScript are compared
// with, and contexts of chosen backends in one process.  An addon of its own, so that both sides share
// process, memory and processor.
#include <dlfcn.h>
#include <node_api.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bince.h"

namespace {

struct Abi {
  decltype(&bince_last_error) last_error;
  decltype(&bince_context_create) context_create;
  decltype(&bince_context_destroy) context_destroy;
  decltype(&bince_contrastive_init) contrastive_init;
  decltype(&bince_contrastive_workspace) contrastive_workspace;
  decltype(&bince_contrastive_forward_backward) contrastive_forward_backward;
  decltype(&bince_tables_bytes) tables_bytes;
  decltype(&bince_tables_prepare) tables_prepare;
  decltype(&bince_blocks_decode_workspace) blocks_decode_workspace;
  decltype(&bince_blocks_decode) blocks_decode;
  decltype(&bince_compressai_workspace) compressai_workspace;
  decltype(&bince_compressai_decode) compressai_decode;
} abi;

constexpr bince_dtype kFloat32 = {BINCE_FLOAT, 32, 1}, kBfloat16 = {BINCE_BFLOAT, 16, 1},
                      kInt32 = {BINCE_INT, 32, 1}, kInt64 = {BINCE_INT, 64, 1}, kUint8 = {BINCE_UINT, 8, 1};

struct Tensor {
  int64_t shape[2] = {0, 0};
  bince_tensor tensor = {};
  void set(void* data, bince_dtype dtype, int64_t rows, int64_t columns = -1) {
    shape[0] = rows;
    shape[1] = columns;
    tensor = {data, {BINCE_CPU, 0}, columns < 0 ? 1 : 2, dtype, shape, nullptr, 0};
  }
};

struct Freed {
  void operator()(void* data) const { std::free(data); }
};
using Memory = std::unique_ptr<void, Freed>;

Memory aligned(size_t bytes) {
  return Memory(std::aligned_alloc(64, (bytes + 64) / 64 * 64));
}

// A call that can be repeated.
class Case {
 public:
  virtual ~Case() = default;
  virtual bince_status run() = 0;
};

class Contrastive : public Case {
 public:
  ~Contrastive() override { abi.context_destroy(context_); }
  bince_status open(const char* backend, int32_t threads, const float* q, const float* k, int64_t rows,
                    int64_t dim, uint32_t flags, float scale) {
    const bince_context_options options = {sizeof options, threads, backend, 0};
    if (const bince_status status = abi.context_create(&options, &context_)) return status;
    q_.assign(q, q + rows * dim);
    k_.assign(k, k + rows * dim);
    const bool symmetric = flags & BINCE_CONTRASTIVE_SYMMETRIC;
    abi.contrastive_init(&problem_);
    problem_.flags = flags;
    problem_.scale = scale;
    tensors_[0].set(q_.data(), kFloat32, rows, dim);
    tensors_[1].set(k_.data(), kFloat32, rows, dim);
    problem_.q = &tensors_[0].tensor;
    problem_.k = &tensors_[1].tensor;
    results_.struct_size = sizeof results_;
    const bince_tensor** const scalars[] = {&results_.loss, &results_.regularizer, &results_.dscale,
                                            &results_.dbias};
    const bince_tensor** const lines[] = {&results_.row_loss, &results_.row_lse, &results_.column_loss,
                                          &results_.column_lse};
    const bince_tensor** const matrices[] = {&results_.dq, &results_.dk};
    for (const auto& result : scalars) output(result, 1);
    for (int i = 0; i < (symmetric ? 4 : 2); ++i) output(lines[i], rows);
    for (const auto& result : matrices) output(result, rows, dim);
    size_t bytes = 0;
    const bince_status status =
        abi.contrastive_workspace(context_, &problem_, BINCE_CONTRASTIVE_FORWARD_BACKWARD, &bytes);
    workspace_ = aligned(bytes);
    launch_ = {nullptr, workspace_.get(), bytes, nullptr};
    return status;
  }
  bince_status run() override {
    return abi.contrastive_forward_backward(context_, &problem_, &results_, &launch_);
  }

 private:
  void output(const bince_tensor** result, int64_t rows, int64_t columns = -1) {
    outputs_.emplace_back(static_cast<size_t>(rows * (columns < 0 ? 1 : columns)));
    Tensor& tensor = tensors_[outputs_.size() + 1];
    tensor.set(outputs_.back().data(), kFloat32, rows, columns);
    *result = &tensor.tensor;
  }
  bince_context* context_ = nullptr;
  std::vector<float> q_, k_;
  std::vector<std::vector<float>> outputs_;
  Tensor tensors_[12];
  bince_contrastive problem_;
  bince_contrastive_results results_ = {};
  Memory workspace_;
  bince_launch launch_;
};

// Tables for the two decoders; every array is copied.
class Coded : public Case {
 public:
  ~Coded() override { abi.context_destroy(context_); }
  bince_status open(const std::vector<int32_t>& cdf, const std::vector<int32_t>& start,
                    const std::vector<int32_t>& offset, const std::vector<uint8_t>& bytes) {
    const bince_context_options options = {sizeof options, 1, nullptr, 0};
    if (const bince_status status = abi.context_create(&options, &context_)) return status;
    cdf_ = cdf, start_ = start, offset_ = offset, bytes_ = bytes;
    cdf_tensor_.set(cdf_.data(), kInt32, static_cast<int64_t>(cdf_.size()));
    start_tensor_.set(start_.data(), kInt32, static_cast<int64_t>(start_.size()));
    offset_tensor_.set(offset_.data(), kInt32, static_cast<int64_t>(offset_.size()));
    bytes_tensor_.set(bytes_.data(), kUint8, static_cast<int64_t>(bytes_.size()));
    size_t room = 0;
    if (const bince_status status = abi.tables_bytes(&cdf_tensor_.tensor, &start_tensor_.tensor, &room))
      return status;
    tables_memory_ = aligned(room);
    return abi.tables_prepare(&cdf_tensor_.tensor, &start_tensor_.tensor, &offset_tensor_.tensor,
                              tables_memory_.get(), room, &tables_);
  }

 protected:
  bince_context* context_ = nullptr;
  std::vector<int32_t> cdf_, start_, offset_;
  std::vector<uint8_t> bytes_;
  Tensor cdf_tensor_, start_tensor_, offset_tensor_, bytes_tensor_, out_tensor_;
  Memory tables_memory_, workspace_;
  const bince_tables* tables_ = nullptr;
  bince_launch launch_ = {};
};

class BlockDecode : public Coded {
 public:
  bince_status prepare(uint32_t channels, uint32_t block_rows, uint32_t lanes, int64_t rows) {
    format_.struct_size = sizeof format_;
    format_.coder = BINCE_RANS;
    format_.lanes = lanes;
    format_.channels = channels;
    format_.block_rows = block_rows;
    format_.tables = tables_;
    out_.resize(static_cast<size_t>(rows * channels));
    out_tensor_.set(out_.data(), kFloat32, rows, channels);
    size_t room = 0;
    const bince_status status = abi.blocks_decode_workspace(context_, &format_, 0, &room);
    workspace_ = aligned(room);
    launch_ = {nullptr, workspace_.get(), room, nullptr};
    return status;
  }
  bince_status run() override {
    return abi.blocks_decode(context_, &format_, &bytes_tensor_.tensor, nullptr, 0, &out_tensor_.tensor,
                             &launch_);
  }

 private:
  bince_block_format format_ = {};
  std::vector<float> out_;
};

class StringDecode : public Coded {
 public:
  bince_status prepare(const std::vector<int32_t>& indexes) {
    const int64_t length = static_cast<int64_t>(indexes.size());
    indexes_ = indexes;
    size_ = static_cast<int64_t>(bytes_.size());
    out_.resize(indexes.size());
    index_tensor_.set(indexes_.data(), kInt32, length);
    size_tensor_.set(&size_, kInt64, 1);
    out_tensor_.set(out_.data(), kInt32, 1, length);
    size_t room = 0;
    const bince_status status = abi.compressai_workspace(context_, 1, 0, &room);
    workspace_ = aligned(room);
    launch_ = {nullptr, workspace_.get(), room, nullptr};
    return status;
  }
  bince_status run() override {
    return abi.compressai_decode(context_, tables_, &bytes_tensor_.tensor, &size_tensor_.tensor,
                                 &index_tensor_.tensor, &out_tensor_.tensor, &launch_);
  }

 private:
  std::vector<int32_t> indexes_, out_;
  int64_t size_ = 0;
  Tensor index_tensor_, size_tensor_;
};

// ---- N-API ----

constexpr size_t kMostArguments = 8;

struct Arguments {
  napi_env env;
  napi_value values[kMostArguments] = {};
  Arguments(napi_env env_, napi_callback_info info) : env(env_) {
    size_t count = kMostArguments;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  double number(size_t i) const {
    double value = 0;
    napi_get_value_double(env, values[i], &value);
    return value;
  }
  std::string text(size_t i) const {
    char value[4096] = "";
    size_t size = 0;
    napi_get_value_string_utf8(env, values[i], value, sizeof value, &size);
    return std::string(value, size);
  }
  template <typename T>
  std::vector<T> array(size_t i) const {
    void* data = nullptr;
    size_t size = 0;
    napi_get_typedarray_info(env, values[i], nullptr, &size, &data, nullptr, nullptr);
    const T* first = static_cast<const T*>(data);
    return std::vector<T>(first, first + size);
  }
  napi_value failure(const char* message) const {
    napi_throw_error(env, nullptr, message);
    return nullptr;
  }
  // The case, or the exception of its status.
  napi_value wrap(std::unique_ptr<Case> made, bince_status status) const {
    if (status != BINCE_OK) return failure(abi.last_error());
    napi_value value = nullptr;
    napi_create_external(
        env, made.release(), [](napi_env, void* data, void*) { delete static_cast<Case*>(data); }, nullptr,
        &value);
    return value;
  }
};

template <typename Call>
bool find(void* library, const char* name, Call* call) {
  *call = reinterpret_cast<Call>(dlsym(library, name));
  return *call != nullptr;
}

// (path of libbince.so)
napi_value open_library(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* library = dlopen(arguments.text(0).c_str(), RTLD_NOW | RTLD_LOCAL);
  const bool found = library && find(library, "bince_last_error", &abi.last_error) &&
                     find(library, "bince_context_create", &abi.context_create) &&
                     find(library, "bince_context_destroy", &abi.context_destroy) &&
                     find(library, "bince_contrastive_init", &abi.contrastive_init) &&
                     find(library, "bince_contrastive_workspace", &abi.contrastive_workspace) &&
                     find(library, "bince_contrastive_forward_backward", &abi.contrastive_forward_backward) &&
                     find(library, "bince_tables_bytes", &abi.tables_bytes) &&
                     find(library, "bince_tables_prepare", &abi.tables_prepare) &&
                     find(library, "bince_blocks_decode_workspace", &abi.blocks_decode_workspace) &&
                     find(library, "bince_blocks_decode", &abi.blocks_decode) &&
                     find(library, "bince_compressai_workspace", &abi.compressai_workspace) &&
                     find(library, "bince_compressai_decode", &abi.compressai_decode);
  return found ? nullptr : arguments.failure("libbince.so was not loaded, or lacks a call");
}

// (backend, threads, q, k, dim, flags, scale) => a case: forward + backward with every result
napi_value contrastive(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const std::vector<float> q = arguments.array<float>(2), k = arguments.array<float>(3);
  const int64_t dim = static_cast<int64_t>(arguments.number(4));
  auto made = std::make_unique<Contrastive>();
  const bince_status status =
      made->open(arguments.text(0).c_str(), static_cast<int32_t>(arguments.number(1)), q.data(), k.data(),
                 static_cast<int64_t>(q.size()) / dim, dim, static_cast<uint32_t>(arguments.number(5)),
                 static_cast<float>(arguments.number(6)));
  return arguments.wrap(std::move(made), status);
}

// (backend, rows, columns, dim, bfloat16, flags, call) => bytes of the workspace
napi_value contrastive_workspace(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const std::string backend = arguments.text(0);
  const bince_context_options options = {sizeof options, 1, backend.c_str(), 0};
  bince_context* context = nullptr;
  if (abi.context_create(&options, &context) != BINCE_OK) return arguments.failure(abi.last_error());
  const int64_t dim = static_cast<int64_t>(arguments.number(3));
  const bince_dtype dtype = arguments.number(4) != 0 ? kBfloat16 : kFloat32;
  float never_read = 0;
  Tensor q, k;
  q.set(&never_read, dtype, static_cast<int64_t>(arguments.number(1)), dim);
  k.set(&never_read, dtype, static_cast<int64_t>(arguments.number(2)), dim);
  bince_contrastive problem;
  abi.contrastive_init(&problem);
  problem.flags = static_cast<uint32_t>(arguments.number(5));
  problem.q = &q.tensor;
  problem.k = &k.tensor;
  size_t bytes = 0;
  const bince_status status =
      abi.contrastive_workspace(context, &problem, static_cast<uint32_t>(arguments.number(6)), &bytes);
  abi.context_destroy(context);
  if (status != BINCE_OK) return arguments.failure(abi.last_error());
  napi_value result = nullptr;
  napi_create_double(env, static_cast<double>(bytes), &result);
  return result;
}

// (cdf, start, offset, bytes, channels, blockRows, lanes, rows) => a case
napi_value block_decode(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto made = std::make_unique<BlockDecode>();
  bince_status status = made->open(arguments.array<int32_t>(0), arguments.array<int32_t>(1),
                                   arguments.array<int32_t>(2), arguments.array<uint8_t>(3));
  if (status == BINCE_OK)
    status =
        made->prepare(static_cast<uint32_t>(arguments.number(4)), static_cast<uint32_t>(arguments.number(5)),
                      static_cast<uint32_t>(arguments.number(6)), static_cast<int64_t>(arguments.number(7)));
  return arguments.wrap(std::move(made), status);
}

// (cdf, start, offset, bytes, indexes) => a case: one string
napi_value string_decode(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto made = std::make_unique<StringDecode>();
  bince_status status = made->open(arguments.array<int32_t>(0), arguments.array<int32_t>(1),
                                   arguments.array<int32_t>(2), arguments.array<uint8_t>(3));
  if (status == BINCE_OK) status = made->prepare(arguments.array<int32_t>(4));
  return arguments.wrap(std::move(made), status);
}

// (case, calls) => seconds
napi_value time_calls(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  void* data = nullptr;
  napi_get_value_external(env, arguments.values[0], &data);
  Case* repeated = static_cast<Case*>(data);
  const int calls = static_cast<int>(arguments.number(1));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i)
    if (repeated->run() != BINCE_OK) return arguments.failure(abi.last_error());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  napi_value result = nullptr;
  napi_create_double(env, seconds.count(), &result);
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback call;
  } functions[] = {{"open", open_library},
                   {"contrastive", contrastive},
                   {"contrastiveWorkspace", contrastive_workspace},
                   {"blockDecode", block_decode},
                   {"stringDecode", string_decode},
                   {"seconds", time_calls}};
  for (const auto& function : functions) {
    napi_value value = nullptr;
    napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.call, nullptr, &value);
    napi_set_named_property(env, exports, function.name, value);
  }
  return exports;
}
