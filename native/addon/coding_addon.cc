// The coding family as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <cstring>

#include "native/addon/addon.h"

namespace bince::addon {
namespace {

constexpr bince_dtype kInt32 = {BINCE_INT, 32, 1}, kInt64 = {BINCE_INT, 64, 1}, kUint8 = {BINCE_UINT, 8, 1},
                      kFloat32 = {BINCE_FLOAT, 32, 1};

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

// Prepared tables and, for blocks, the format around them.  Shared by the JavaScript value and the jobs that
// use it.
struct Prepared {
  AlignedBuffer buffer;
  const bince_tables* tables = nullptr;
  std::vector<int32_t> table_index;
  std::vector<float> median, step, shift;
  bince_block_format format = {};
  std::unique_ptr<Tensor> index_tensor, median_tensor, step_tensor, shift_tensor;
};
using PreparedRef = std::shared_ptr<Prepared>;

Napi::Value wrap(Napi::Env env, PreparedRef prepared) {
  return Napi::External<PreparedRef>::New(env, new PreparedRef(std::move(prepared)),
                                          [](Napi::Env, PreparedRef* ref) { delete ref; });
}

PreparedRef unwrap(Napi::Value value) {
  if (value.IsExternal()) return *value.As<Napi::External<PreparedRef>>().Data();
  make_error(value.Env(), BINCE_INVALID_ARGUMENT, "tables: expected prepared tables")
      .ThrowAsJavaScriptException();
  return nullptr;
}

// The first three arguments of a call: cdf, start, offset.
PreparedRef prepare(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  View<int32_t> cdf, start, offset;
  if (!read_view(info[0], "tables.cdf", &cdf) || !read_view(info[1], "tables.start", &start) ||
      !read_view(info[2], "tables.offset", &offset))
    return nullptr;
  const Tensor cdf_tensor(cdf.data, kInt32, static_cast<int64_t>(cdf.size));
  const Tensor start_tensor(start.data, kInt32, static_cast<int64_t>(start.size));
  const Tensor offset_tensor(offset.data, kInt32, static_cast<int64_t>(offset.size));
  size_t bytes = 0;
  bince_status status = bince_tables_bytes(cdf_tensor, start_tensor, &bytes);
  PreparedRef prepared = std::make_shared<Prepared>();
  if (status == BINCE_OK) {
    prepared->buffer = AlignedBuffer(bytes);
    if (!prepared->buffer.data()) {
      make_error(env, BINCE_OUT_OF_MEMORY, "no memory for " + std::to_string(bytes) + " bytes of tables")
          .ThrowAsJavaScriptException();
      return nullptr;
    }
    status = bince_tables_prepare(cdf_tensor, start_tensor, offset_tensor, prepared->buffer.data(), bytes,
                                  &prepared->tables);
  }
  if (status == BINCE_OK) return prepared;
  throw_status(env, status);
  return nullptr;
}

// (cdf, start, offset) => prepared tables
Napi::Value coding_tables(const Napi::CallbackInfo& info) {
  PreparedRef prepared = prepare(info);
  return prepared ? wrap(info.Env(), prepared) : info.Env().Undefined();
}

template <typename T>
bool copy_vector(Napi::Value value, const char* name, bince_dtype dtype, std::vector<T>* copy,
                 std::unique_ptr<Tensor>* tensor) {
  View<T> view;
  if (!read_view(value, name, &view)) return false;
  if (!view.data && view.size == 0 && (value.IsUndefined() || value.IsNull())) return true;
  copy->assign(view.data, view.data + view.size);
  *tensor = std::make_unique<Tensor>(copy->data(), dtype, static_cast<int64_t>(copy->size()));
  return true;
}

// (cdf, start, offset, tableIndex, median, step, shift, channels, blockRows, lanes, coder, headerCrc) =>
// format
Napi::Value coding_format(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  PreparedRef prepared = prepare(info);
  if (!prepared) return env.Undefined();
  Prepared& p = *prepared;
  if (!copy_vector(info[3], "tableIndex", kInt32, &p.table_index, &p.index_tensor) ||
      !copy_vector(info[4], "median", kFloat32, &p.median, &p.median_tensor) ||
      !copy_vector(info[5], "step", kFloat32, &p.step, &p.step_tensor) ||
      !copy_vector(info[6], "shift", kFloat32, &p.shift, &p.shift_tensor))
    return env.Undefined();
  p.format.struct_size = sizeof p.format;
  p.format.coder = info[10].ToNumber().Int32Value();
  p.format.lanes = info[9].ToNumber().Uint32Value();
  p.format.channels = info[7].ToNumber().Uint32Value();
  p.format.block_rows = info[8].ToNumber().Uint32Value();
  p.format.header_crc = info[11].ToNumber().Uint32Value();
  p.format.tables = p.tables;
  p.format.table_index = p.index_tensor ? &p.index_tensor->tensor : nullptr;
  p.format.median = p.median_tensor ? &p.median_tensor->tensor : nullptr;
  p.format.step = p.step_tensor ? &p.step_tensor->tensor : nullptr;
  p.format.shift = p.shift_tensor ? &p.shift_tensor->tensor : nullptr;
  uint64_t bound;
  const bince_status status = bince_blocks_bound(&p.format, 0, &bound);  // checks the format
  if (status == BINCE_OK) return wrap(env, prepared);
  throw_status(env, status);
  return env.Undefined();
}

// --- jobs: each can also run on the JavaScript thread ---

class CodingJob : public Job {
 protected:
  // Bounds are far above what is usual, and pages that are not touched cost nothing, up to here.
  static constexpr uint64_t kGenerousBytes = uint64_t{64} << 20;
  AlignedBuffer workspace_;
  bince_launch launch(size_t bytes, const int32_t* cancel) {
    workspace_ = AlignedBuffer(bytes);
    return {nullptr, workspace_.data(), workspace_.data() ? bytes : 0, cancel};
  }
  // Calls encode(capacity) with room for what is likely, then, if that was too little, for what it said it
  // needs.
  template <typename Encode>
  bince_status with_room(uint64_t bound, uint64_t likely, AlignedBuffer* out, const uint64_t* needed,
                         Encode encode) {
    uint64_t capacity = bound <= kGenerousBytes || likely > bound ? bound : likely;
    for (int attempt = 0;; ++attempt) {
      *out = AlignedBuffer(capacity);
      const bince_status status = encode(capacity);
      if (status != BINCE_BUFFER_TOO_SMALL || attempt == 1 || *needed <= capacity) return status;
      capacity = *needed;
    }
  }
};

Napi::Value copy_bytes(Napi::Env env, const void* data, size_t bytes) {
  Napi::Uint8Array out = Napi::Uint8Array::New(env, bytes);
  if (bytes) std::memcpy(out.Data(), data, bytes);
  return out;
}

class BlocksEncode : public CodingJob {
 public:
  PreparedRef prepared;
  const void* rows = nullptr;
  bool symbols = false;
  int64_t row_count = 0;
  uint64_t first_block = 0;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    const bince_block_format* format = &prepared->format;
    size_t needed;
    uint64_t bound;
    bince_status status = bince_blocks_encode_workspace(context, format, row_count, &needed);
    if (status == BINCE_OK) status = bince_blocks_bound(format, row_count, &bound);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor input(rows, symbols ? kInt32 : kFloat32, row_count, format->channels);
    section_bytes_.resize(static_cast<size_t>((row_count + format->block_rows - 1) / format->block_rows));
    Tensor sizes(section_bytes_.data(), kInt64, static_cast<int64_t>(section_bytes_.size()));
    const uint64_t likely =
        CodingJob::kGenerousBytes + 2 * static_cast<uint64_t>(row_count) * format->channels;
    return with_room(bound, likely, &out_, &bytes_, [&](uint64_t capacity) {
      Tensor sections(out_.data(), kUint8, static_cast<int64_t>(capacity));
      return bince_blocks_encode(context, format, input, first_block, sections, sizes, &bytes_, &ideal_bits_,
                                 &call);
    });
  }

  Napi::Value result(Napi::Env env) override {
    const size_t blocks = section_bytes_.size();
    Napi::Float64Array sizes = Napi::Float64Array::New(env, blocks);
    Napi::Uint32Array counts = Napi::Uint32Array::New(env, blocks);
    const int64_t block_rows = prepared->format.block_rows;
    for (size_t b = 0; b < blocks; ++b) {
      const int64_t left = row_count - static_cast<int64_t>(b) * block_rows;
      sizes[b] = static_cast<double>(section_bytes_[b]);
      counts[b] = static_cast<uint32_t>(left < block_rows ? left : block_rows);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("bytes", copy_bytes(env, out_.data(), bytes_));
    out.Set("sectionBytes", sizes);
    out.Set("sectionRows", counts);
    out.Set("idealBits", ideal_bits_);
    return out;
  }

 private:
  AlignedBuffer out_;
  uint64_t bytes_ = 0;
  double ideal_bits_ = 0;
  std::vector<int64_t> section_bytes_;
};

class BlocksDecode : public CodingJob {
 public:
  PreparedRef prepared;
  View<uint8_t> bytes;
  uint64_t first_block = 0;
  bool symbols = false;
  void* rows = nullptr;
  int64_t row_count = 0;
  Napi::ObjectReference kept_output;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    size_t needed;
    const bince_status status = bince_blocks_decode_workspace(context, &prepared->format, &needed);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor sections(bytes.data, kUint8, static_cast<int64_t>(bytes.size));
    Tensor out(rows, symbols ? kInt32 : kFloat32, row_count, prepared->format.channels);
    return bince_blocks_decode(context, &prepared->format, sections, first_block, out, &call);
  }

  Napi::Value result(Napi::Env) override { return kept_output.Value(); }
};

class SymbolsEncode : public CodingJob {
 public:
  PreparedRef prepared;
  View<int32_t> symbols, indexes;
  int32_t coder = 0;
  uint32_t lanes = 1;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    const int64_t count = static_cast<int64_t>(symbols.size);
    size_t needed;
    uint64_t bound;
    bince_status status = bince_symbols_encode_workspace(context, prepared->tables, count, &needed);
    if (status == BINCE_OK) status = bince_symbols_bound(count, &bound);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor values(symbols.data, kInt32, count);
    const Tensor index(indexes.data, kInt32, static_cast<int64_t>(indexes.size));
    return with_room(bound, bound, &out_, &bytes_, [&](uint64_t capacity) {
      Tensor coded(out_.data(), kUint8, static_cast<int64_t>(capacity));
      return bince_symbols_encode(context, prepared->tables, coder, lanes, values,
                                  indexes.data ? &index.tensor : nullptr, coded, &bytes_, &call);
    });
  }
  Napi::Value result(Napi::Env env) override { return copy_bytes(env, out_.data(), bytes_); }

 private:
  AlignedBuffer out_;
  uint64_t bytes_ = 0;
};

class SymbolsDecode : public CodingJob {
 public:
  PreparedRef prepared;
  View<uint8_t> bytes;
  View<int32_t> indexes;
  int32_t coder = 0;
  uint32_t lanes = 1;
  View<int32_t> out;
  Napi::ObjectReference kept_output;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    size_t needed;
    const bince_status status = bince_symbols_decode_workspace(context, prepared->tables, &needed);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor coded(bytes.data, kUint8, static_cast<int64_t>(bytes.size));
    const Tensor index(indexes.data, kInt32, static_cast<int64_t>(indexes.size));
    Tensor values(out.data, kInt32, static_cast<int64_t>(out.size));
    return bince_symbols_decode(context, prepared->tables, coder, lanes, coded,
                                indexes.data ? &index.tensor : nullptr, values, &call);
  }
  Napi::Value result(Napi::Env) override { return kept_output.Value(); }
};

class StringsEncode : public CodingJob {
 public:
  PreparedRef prepared;
  View<int32_t> symbols, indexes;
  int64_t strings = 0;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    const int64_t length = strings ? static_cast<int64_t>(symbols.size) / strings : 0;
    size_t needed;
    uint64_t bound;
    bince_status status = bince_compressai_workspace(context, strings, length, &needed);
    if (status == BINCE_OK) status = bince_compressai_bound(strings, length, &bound);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor values(symbols.data, kInt32, strings, length);
    const bool shared = static_cast<int64_t>(indexes.size) == length;
    const Tensor index(indexes.data, kInt32, shared ? length : strings, shared ? -1 : length);
    string_bytes_.resize(static_cast<size_t>(strings));
    Tensor sizes(string_bytes_.data(), kInt64, strings);
    return with_room(bound, bound, &out_, &bytes_, [&](uint64_t capacity) {
      Tensor out(out_.data(), kUint8, static_cast<int64_t>(capacity));
      return bince_compressai_encode(context, prepared->tables, values, index, out, sizes, &bytes_, &call);
    });
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Float64Array sizes = Napi::Float64Array::New(env, string_bytes_.size());
    for (size_t s = 0; s < string_bytes_.size(); ++s) sizes[s] = static_cast<double>(string_bytes_[s]);
    Napi::Object out = Napi::Object::New(env);
    out.Set("bytes", copy_bytes(env, out_.data(), bytes_));
    out.Set("sizes", sizes);
    return out;
  }

 private:
  AlignedBuffer out_;
  uint64_t bytes_ = 0;
  std::vector<int64_t> string_bytes_;
};

class StringsDecode : public CodingJob {
 public:
  PreparedRef prepared;
  View<uint8_t> bytes;
  View<int32_t> indexes;
  std::vector<int64_t> string_bytes;
  View<int32_t> out;
  Napi::ObjectReference kept_output;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    const int64_t strings = static_cast<int64_t>(string_bytes.size());
    const int64_t length = strings ? static_cast<int64_t>(out.size) / strings : 0;
    size_t needed;
    const bince_status status = bince_compressai_workspace(context, strings, 0, &needed);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor coded(bytes.data, kUint8, static_cast<int64_t>(bytes.size));
    const Tensor sizes(string_bytes.data(), kInt64, strings);
    const bool shared = static_cast<int64_t>(indexes.size) == length;
    const Tensor index(indexes.data, kInt32, shared ? length : strings, shared ? -1 : length);
    Tensor values(out.data, kInt32, strings, length);
    return bince_compressai_decode(context, prepared->tables, coded, sizes, index, values, &call);
  }
  Napi::Value result(Napi::Env) override { return kept_output.Value(); }
};

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

// (format, rows, firstBlock[, cancel])
template <bool async>
Napi::Value blocks_encode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<BlocksEncode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared) return info.Env().Undefined();
  const Napi::TypedArray rows = info[1].As<Napi::TypedArray>();
  job->symbols = info[1].IsTypedArray() && rows.TypedArrayType() == napi_int32_array;
  View<float> values;
  View<int32_t> symbols;
  if (job->symbols ? !read_view(info[1], "rows", &symbols) : !read_view(info[1], "rows", &values))
    return info.Env().Undefined();
  job->rows = job->symbols ? static_cast<void*>(symbols.data) : static_cast<void*>(values.data);
  job->row_count =
      static_cast<int64_t>((job->symbols ? symbols.size : values.size) / job->prepared->format.channels);
  job->first_block = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
  return start(info, std::move(job), async, 3);
}

// (format, bytes, firstBlock, symbols[, cancel])
template <bool async>
Napi::Value blocks_decode(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto job = std::make_unique<BlocksDecode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "bytes", &job->bytes)) return env.Undefined();
  job->first_block = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
  job->symbols = info[3].ToBoolean();
  const Tensor sections(job->bytes.data, kUint8, static_cast<int64_t>(job->bytes.size));
  int64_t blocks;
  const bince_status status =
      bince_blocks_scan(&job->prepared->format, sections, job->first_block, &blocks, &job->row_count);
  if (status != BINCE_OK) {
    throw_status(env, status);
    return env.Undefined();
  }
  const size_t count = static_cast<size_t>(job->row_count) * job->prepared->format.channels;
  if (job->symbols) {
    Napi::Int32Array out = Napi::Int32Array::New(env, count);
    job->rows = out.Data();
    job->kept_output = Napi::Persistent(out.As<Napi::Object>());
  } else {
    Napi::Float32Array out = Napi::Float32Array::New(env, count);
    job->rows = out.Data();
    job->kept_output = Napi::Persistent(out.As<Napi::Object>());
  }
  return start(info, std::move(job), async, 4);
}

// (tables, symbols, indexes, coder, lanes[, cancel])
template <bool async>
Napi::Value symbols_encode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<SymbolsEncode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "symbols", &job->symbols) ||
      !read_view(info[2], "indexes", &job->indexes))
    return info.Env().Undefined();
  job->coder = info[3].ToNumber().Int32Value();
  job->lanes = info[4].ToNumber().Uint32Value();
  return start(info, std::move(job), async, 5);
}

// (tables, bytes, indexes, coder, lanes, count[, cancel])
template <bool async>
Napi::Value symbols_decode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<SymbolsDecode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "bytes", &job->bytes) ||
      !read_view(info[2], "indexes", &job->indexes))
    return info.Env().Undefined();
  job->coder = info[3].ToNumber().Int32Value();
  job->lanes = info[4].ToNumber().Uint32Value();
  Napi::Int32Array out =
      Napi::Int32Array::New(info.Env(), static_cast<size_t>(info[5].ToNumber().Int64Value()));
  job->out = {out.Data(), out.ElementLength()};
  job->kept_output = Napi::Persistent(out.As<Napi::Object>());
  return start(info, std::move(job), async, 6);
}

// (tables, symbols, indexes, strings[, cancel])
template <bool async>
Napi::Value strings_encode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<StringsEncode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "symbols", &job->symbols) ||
      !read_view(info[2], "indexes", &job->indexes))
    return info.Env().Undefined();
  job->strings = info[3].ToNumber().Int64Value();
  return start(info, std::move(job), async, 4);
}

// (tables, bytes, sizes, indexes, length[, cancel])
template <bool async>
Napi::Value strings_decode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<StringsDecode>();
  View<double> sizes;
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "bytes", &job->bytes) || !read_view(info[2], "sizes", &sizes) ||
      !read_view(info[3], "indexes", &job->indexes))
    return info.Env().Undefined();
  for (size_t s = 0; s < sizes.size; ++s) job->string_bytes.push_back(static_cast<int64_t>(sizes.data[s]));
  const size_t length = static_cast<size_t>(info[4].ToNumber().Int64Value());
  Napi::Int32Array out = Napi::Int32Array::New(info.Env(), sizes.size * length);
  job->out = {out.Data(), out.ElementLength()};
  job->kept_output = Napi::Persistent(out.As<Napi::Object>());
  return start(info, std::move(job), async, 5);
}

// (bytes, seed) => number
Napi::Value crc32c(const Napi::CallbackInfo& info) {
  View<uint8_t> bytes;
  if (!read_view(info[0], "bytes", &bytes)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(),
                           bince_crc32c(info[1].ToNumber().Uint32Value(), bytes.data, bytes.size));
}

}  // namespace

void register_coding(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("codingTables", coding_tables);
  add("codingFormat", coding_format);
  add("crc32c", crc32c);
  add("blocksEncodeSync", blocks_encode<false>);
  add("blocksEncodeAsync", blocks_encode<true>);
  add("blocksDecodeSync", blocks_decode<false>);
  add("blocksDecodeAsync", blocks_decode<true>);
  add("symbolsEncodeSync", symbols_encode<false>);
  add("symbolsEncodeAsync", symbols_encode<true>);
  add("symbolsDecodeSync", symbols_decode<false>);
  add("symbolsDecodeAsync", symbols_decode<true>);
  add("stringsEncodeSync", strings_encode<false>);
  add("stringsEncodeAsync", strings_encode<true>);
  add("stringsDecodeSync", strings_decode<false>);
  add("stringsDecodeAsync", strings_decode<true>);
}

}  // namespace bince::addon
