// Tables and blocks of rows as seen from JavaScript: argument checks and buffers, no arithmetic.
#include <sys/mman.h>

#include <algorithm>
#include <limits>

#include "native/addon/coding_jobs.h"

namespace bince::addon {

PreparedRef unwrap(Napi::Value value) {
  if (value.IsExternal()) return *value.As<Napi::External<PreparedRef>>().Data();
  make_error(value.Env(), BINCE_INVALID_ARGUMENT, "tables: expected prepared tables")
      .ThrowAsJavaScriptException();
  return nullptr;
}

Napi::Value encoded_blocks(Napi::Env env, const std::vector<int64_t>& section_bytes, int64_t row_count,
                           int64_t block_rows, double ideal_bits, Napi::Value bytes) {
  const size_t blocks = section_bytes.size();
  Napi::Float64Array sizes = Napi::Float64Array::New(env, blocks);
  Napi::Uint32Array counts = Napi::Uint32Array::New(env, blocks);
  for (size_t b = 0; b < blocks; ++b) {
    const int64_t left = row_count - static_cast<int64_t>(b) * block_rows;
    sizes[b] = static_cast<double>(section_bytes[b]);
    counts[b] = static_cast<uint32_t>(left < block_rows ? left : block_rows);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("bytes", bytes);
  out.Set("sectionBytes", sizes);
  out.Set("sectionRows", counts);
  out.Set("idealBits", ideal_bits);
  return out;
}

namespace {

// Asks for large pages: a fresh page costs as much as decoding a thousand values, whatever its size.  Only a
// hint.
void prefer_large_pages(void* data, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr uintptr_t kPage = 4096;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) & ~(kPage - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) & ~(kPage - 1);
  if (end > begin && end - begin >= (size_t{4} << 20))
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

Napi::Value wrap(Napi::Env env, PreparedRef prepared) {
  return Napi::External<PreparedRef>::New(env, new PreparedRef(std::move(prepared)),
                                          [](Napi::Env, PreparedRef* ref) { delete ref; });
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

// Coded bytes that wait to be copied into an array of their size.
struct Coded {
  PreparedRef prepared;
  AlignedBuffer buffer;
  uint64_t bytes;
  ~Coded() { prepared->outputs.give_back(std::move(buffer)); }
};
using CodedRef = std::shared_ptr<Coded>;

class BlocksEncode : public CodingJob {
 public:
  const void* rows = nullptr;
  bool symbols = false;
  int64_t row_count = 0;
  uint64_t first_block = 0;
  View<uint8_t> given;  // the caller's memory for the sections, or empty
  bool count_ideal = true;
  bool wait = false;  // a large result is copied by coded_copy

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
    const auto encode = [&](void* out, uint64_t capacity) {
      Tensor sections(out, kUint8, static_cast<int64_t>(capacity));
      return bince_blocks_encode(context, format, input, first_block, sections, sizes, &bytes_,
                                 count_ideal ? &ideal_bits_ : nullptr, &call);
    };
    uint64_t likely = kGenerousBytes + 2 * static_cast<uint64_t>(row_count) * format->channels;
    if (given.data) {
      status = encode(given.data, given.size);
      in_given_ = status == BINCE_OK;
      if (status != BINCE_BUFFER_TOO_SMALL || bytes_ <= given.size) return status;
      likely = bytes_;
    }
    return with_room(bound, likely, encode);
  }

  Napi::Value result(Napi::Env env) override {
    return encoded_blocks(env, section_bytes_, row_count, prepared->format.block_rows, ideal_bits_,
                          coded(env));
  }

 private:
  static constexpr uint64_t kSmallBytes = uint64_t{1} << 18;
  double ideal_bits_ = std::numeric_limits<double>::quiet_NaN();  // if not counted
  bool in_given_ = false;
  std::vector<int64_t> section_bytes_;

  // The bytes, their number where they are in the memory that was given, or where they wait.
  Napi::Value coded(Napi::Env env) {
    if (in_given_) return Napi::Number::New(env, static_cast<double>(bytes_));
    if (!wait || bytes_ <= kSmallBytes) return copy_bytes(env, out_.data(), bytes_);
    Napi::Object waiting = Napi::Object::New(env);
    waiting.Set("size", static_cast<double>(bytes_));
    CodedRef* ref = new CodedRef(new Coded{prepared, std::move(out_), bytes_});
    waiting.Set("coded",
                Napi::External<CodedRef>::New(env, ref, [](Napi::Env, CodedRef* done) { delete done; }));
    return waiting;
  }
};

// Copies what BlocksEncode left: the array's fresh pages are touched on the job thread.
class CodedCopy : public Job {
 public:
  CodedRef coded;
  View<uint8_t> out;
  bince_status run(bince_context*, const int32_t*) override {
    prefer_large_pages(out.data, out.size);
    std::memcpy(out.data, coded->buffer.data(), std::min<size_t>(out.size, coded->bytes));
    return BINCE_OK;
  }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
};

class BlocksDecode : public CodingJob {
 public:
  View<uint8_t> bytes;
  uint64_t first_block = 0;
  bool symbols = false;
  bool fresh = false;  // the output was made for this call
  void* rows = nullptr;
  int64_t row_count = 0;
  Napi::ObjectReference kept_output;

  bince_status run(bince_context* context, const int32_t* cancel) override {
    size_t needed;
    const bince_status status = bince_blocks_decode_workspace(context, &prepared->format, 0, &needed);
    if (status != BINCE_OK) return status;
    const bince_launch call = launch(needed, cancel);
    const Tensor sections(bytes.data, kUint8, static_cast<int64_t>(bytes.size));
    const int64_t channels = prepared->format.channels;
    if (fresh) prefer_large_pages(rows, static_cast<size_t>(row_count * channels) * 4);
    Tensor out(rows, symbols ? kInt32 : kFloat32, row_count, channels);
    return bince_blocks_decode(context, &prepared->format, sections, nullptr, first_block, out, &call);
  }

  Napi::Value result(Napi::Env) override { return kept_output.Value(); }
};

// float32 values or int32 symbols.
struct Rows {
  void* data = nullptr;
  size_t size = 0;
  bool symbols = false;
};

bool read_rows(Napi::Value value, const char* name, Rows* rows) {
  rows->symbols = value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array;
  View<float> values;
  View<int32_t> symbols;
  if (rows->symbols ? !read_view(value, name, &symbols) : !read_view(value, name, &values)) return false;
  rows->data = rows->symbols ? static_cast<void*>(symbols.data) : static_cast<void*>(values.data);
  rows->size = rows->symbols ? symbols.size : values.size;
  return true;
}

// (format, rows, firstBlock, out, idealBits[, cancel]); the asynchronous form leaves large results to
// codedCopyAsync
template <bool async>
Napi::Value blocks_encode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<BlocksEncode>();
  job->prepared = unwrap(info[0]);
  Rows rows;
  if (!job->prepared || !read_rows(info[1], "rows", &rows) || !read_view(info[3], "out", &job->given))
    return info.Env().Undefined();
  job->rows = rows.data;
  job->symbols = rows.symbols;
  job->row_count = static_cast<int64_t>(rows.size / job->prepared->format.channels);
  job->first_block = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
  job->count_ideal = info[4].ToBoolean();
  job->wait = async;
  return start(info, std::move(job), async, 5);
}

// (coded, out[, cancel])
Napi::Value coded_copy(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<CodedCopy>();
  if (!info[0].IsExternal() || !read_view(info[1], "out", &job->out)) return info.Env().Undefined();
  job->coded = *info[0].As<Napi::External<CodedRef>>().Data();
  job->keep(info[1]);
  return submit(info.Env(), std::move(job), info[2]);
}

template <typename Array>
void make_output(Napi::Env env, size_t count, BlocksDecode* job) {
  Array out = Array::New(env, count);
  job->rows = out.Data();
  job->kept_output = Napi::Persistent(out.template As<Napi::Object>());
}

// The rows' place: the caller's array, which must have exactly their size, or a new one.
bool place_output(Napi::Env env, Napi::Value given, size_t count, BlocksDecode* job) {
  if (given.IsUndefined()) {
    job->fresh = true;
    if (job->symbols)
      make_output<Napi::Int32Array>(env, count, job);
    else
      make_output<Napi::Float32Array>(env, count, job);
    return true;
  }
  Rows out;
  if (!read_rows(given, "out", &out)) return false;
  if (out.size != count) {
    make_error(env, BINCE_INVALID_ARGUMENT,
               "out: expected " + std::to_string(count) + " values, received " + std::to_string(out.size))
        .ThrowAsJavaScriptException();
    return false;
  }
  job->rows = out.data;
  job->symbols = out.symbols;
  job->kept_output = Napi::Persistent(given.As<Napi::Object>());
  return true;
}

// (format, bytes, firstBlock, symbols, out[, cancel])
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
  const bince_status status = bince_blocks_scan(&job->prepared->format, sections, job->first_block, nullptr,
                                                &blocks, &job->row_count);
  if (status != BINCE_OK) {
    throw_status(env, status);
    return env.Undefined();
  }
  const size_t count = static_cast<size_t>(job->row_count) * job->prepared->format.channels;
  if (!place_output(env, info[4], count, job.get())) return env.Undefined();
  return start(info, std::move(job), async, 5);
}

// (format, rows, out | undefined) => values that can be coded before the first that cannot, copied to `out`
Napi::Value rows_take(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const PreparedRef prepared = unwrap(info[0]);
  Rows rows, out;
  if (!prepared || !read_rows(info[1], "rows", &rows) || !read_rows(info[2], "out", &out))
    return env.Undefined();
  const int64_t channels = prepared->format.channels;
  const bince_dtype dtype = rows.symbols ? kInt32 : kFloat32;
  const Tensor input(rows.data, dtype, static_cast<int64_t>(rows.size) / channels, channels);
  Tensor copy(out.data, out.symbols ? kInt32 : kFloat32, static_cast<int64_t>(out.size) / channels, channels);
  int64_t taken = 0;
  const bince_status status =
      bince_blocks_check_rows(&prepared->format, input, out.data ? &copy.tensor : nullptr, &taken);
  if (status == BINCE_OK) return Napi::Number::New(env, static_cast<double>(taken));
  throw_status(env, status);
  return env.Undefined();
}

// (array): before its pages are touched
Napi::Value large_pages(const Napi::CallbackInfo& info) {
  Rows rows;
  if (read_rows(info[0], "array", &rows)) prefer_large_pages(rows.data, rows.size * 4);
  return info.Env().Undefined();
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
  register_symbols(env, exports);
  register_device_coding(env, exports);
  add("crc32c", crc32c);
  add("codedCopyAsync", coded_copy);
  add("rowsTake", rows_take);
  add("largePages", large_pages);
  add("blocksEncodeSync", blocks_encode<false>);
  add("blocksEncodeAsync", blocks_encode<true>);
  add("blocksDecodeSync", blocks_decode<false>);
  add("blocksDecodeAsync", blocks_decode<true>);
}

}  // namespace bince::addon
