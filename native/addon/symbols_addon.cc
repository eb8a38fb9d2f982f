// Plain arrays, CompressAI's strings and the streaming range coder as seen from JavaScript: argument checks
// and buffers, no arithmetic.
#include "native/addon/coding_jobs.h"

namespace bince::addon {
namespace {

class SymbolsEncode : public CodingJob {
 public:
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
    return with_room(bound, bound, [&](void* room, uint64_t capacity) {
      Tensor coded(room, kUint8, static_cast<int64_t>(capacity));
      return bince_symbols_encode(context, prepared->tables, coder, lanes, values,
                                  indexes.data ? &index.tensor : nullptr, coded, &bytes_, &call);
    });
  }
  Napi::Value result(Napi::Env env) override { return copy_bytes(env, out_.data(), bytes_); }
};

class SymbolsDecode : public CodingJob {
 public:
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
    return with_room(bound, bound, [&](void* room, uint64_t capacity) {
      Tensor out(room, kUint8, static_cast<int64_t>(capacity));
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
  std::vector<int64_t> string_bytes_;
};

class StringsDecode : public CodingJob {
 public:
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

// (tables, bytes, sizes, indexes, length, out or undefined[, cancel])
template <bool async>
Napi::Value strings_decode(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<StringsDecode>();
  View<double> sizes;
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_view(info[1], "bytes", &job->bytes) || !read_view(info[2], "sizes", &sizes) ||
      !read_view(info[3], "indexes", &job->indexes))
    return info.Env().Undefined();
  for (size_t s = 0; s < sizes.size; ++s) job->string_bytes.push_back(static_cast<int64_t>(sizes.data[s]));
  const size_t count = sizes.size * static_cast<size_t>(info[4].ToNumber().Int64Value());
  if (info[5].IsUndefined()) {
    Napi::Int32Array out = Napi::Int32Array::New(info.Env(), count);
    job->out = {out.Data(), count};
    job->kept_output = Napi::Persistent(out.As<Napi::Object>());
  } else {
    if (!read_view(info[5], "out", &job->out)) return info.Env().Undefined();
    if (job->out.size != count) {
      make_error(
          info.Env(), BINCE_INVALID_ARGUMENT,
          "out: expected " + std::to_string(count) + " symbols, received " + std::to_string(job->out.size))
          .ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    job->kept_output = Napi::Persistent(info[5].As<Napi::Object>());
  }
  return start(info, std::move(job), async, 6);
}

// --- the range coder symbol by symbol ---

struct StreamEncoder {
  PreparedRef prepared;
  AlignedBuffer buffer;
  bince_range_encoder encoder;
};

struct StreamDecoder {
  PreparedRef prepared;
  std::vector<uint8_t> bytes;
  bince_range_decoder decoder;
};

template <typename Stream>
Napi::Value wrap_stream(Napi::Env env, std::unique_ptr<Stream> stream) {
  return Napi::External<Stream>::New(env, stream.release(), [](Napi::Env, Stream* done) { delete done; });
}

template <typename Stream>
Stream* stream_of(Napi::Value value) {
  return value.As<Napi::External<Stream>>().Data();
}

// Nothing, or the error of the status.
Napi::Value done(Napi::Env env, bince_status status) {
  if (status != BINCE_OK) throw_status(env, status);
  return env.Undefined();
}

// (tables) => encoder
Napi::Value range_encoder(const Napi::CallbackInfo& info) {
  auto stream = std::make_unique<StreamEncoder>();
  stream->prepared = unwrap(info[0]);
  if (!stream->prepared) return info.Env().Undefined();
  stream->buffer = AlignedBuffer(256);
  const bince_status status = bince_range_encoder_init(&stream->encoder, stream->prepared->tables,
                                                       stream->buffer.data(), stream->buffer.bytes());
  return status == BINCE_OK ? wrap_stream(info.Env(), std::move(stream)) : done(info.Env(), status);
}

// (encoder, table, symbol)
Napi::Value range_put(const Napi::CallbackInfo& info) {
  StreamEncoder* stream = stream_of<StreamEncoder>(info[0]);
  const uint32_t table = info[1].ToNumber().Uint32Value();
  const int32_t symbol = info[2].ToNumber().Int32Value();
  bince_status status = bince_range_encoder_put(&stream->encoder, table, symbol);
  if (status == BINCE_BUFFER_TOO_SMALL) {
    AlignedBuffer larger(2 * stream->buffer.bytes());
    if (larger.data()) {
      std::memcpy(larger.data(), stream->buffer.data(), stream->buffer.bytes());
      status = bince_range_encoder_move(&stream->encoder, larger.data(), larger.bytes());
      if (status == BINCE_OK) {
        stream->buffer = std::move(larger);
        status = bince_range_encoder_put(&stream->encoder, table, symbol);
      }
    }
  }
  return done(info.Env(), status);
}

// (encoder) => bytes; the encoder has ended
Napi::Value range_encoder_finish(const Napi::CallbackInfo& info) {
  StreamEncoder* stream = stream_of<StreamEncoder>(info[0]);
  size_t bytes = 0;
  const bince_status status = bince_range_encoder_finish(&stream->encoder, &bytes);
  return status == BINCE_OK ? copy_bytes(info.Env(), stream->buffer.data(), bytes) : done(info.Env(), status);
}

// (tables, bytes) => decoder of a copy of the bytes
Napi::Value range_decoder(const Napi::CallbackInfo& info) {
  auto stream = std::make_unique<StreamDecoder>();
  View<uint8_t> bytes;
  stream->prepared = unwrap(info[0]);
  if (!stream->prepared || !read_view(info[1], "bytes", &bytes)) return info.Env().Undefined();
  stream->bytes.assign(bytes.data, bytes.data + bytes.size);
  const bince_status status = bince_range_decoder_init(&stream->decoder, stream->prepared->tables,
                                                       stream->bytes.data(), stream->bytes.size());
  return status == BINCE_OK ? wrap_stream(info.Env(), std::move(stream)) : done(info.Env(), status);
}

// (decoder, table) => symbol
Napi::Value range_get(const Napi::CallbackInfo& info) {
  int32_t symbol = 0;
  const bince_status status = bince_range_decoder_get(&stream_of<StreamDecoder>(info[0])->decoder,
                                                      info[1].ToNumber().Uint32Value(), &symbol);
  return status == BINCE_OK ? Napi::Number::New(info.Env(), symbol) : done(info.Env(), status);
}

// (decoder)
Napi::Value range_decoder_finish(const Napi::CallbackInfo& info) {
  return done(info.Env(), bince_range_decoder_finish(&stream_of<StreamDecoder>(info[0])->decoder));
}

}  // namespace

void register_symbols(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("symbolsEncodeSync", symbols_encode<false>);
  add("symbolsEncodeAsync", symbols_encode<true>);
  add("symbolsDecodeSync", symbols_decode<false>);
  add("symbolsDecodeAsync", symbols_decode<true>);
  add("stringsEncodeSync", strings_encode<false>);
  add("stringsEncodeAsync", strings_encode<true>);
  add("stringsDecodeSync", strings_decode<false>);
  add("stringsDecodeAsync", strings_decode<true>);
  add("rangeEncoder", range_encoder);
  add("rangePut", range_put);
  add("rangeEncoderFinish", range_encoder_finish);
  add("rangeDecoder", range_decoder);
  add("rangeGet", range_get);
  add("rangeDecoderFinish", range_decoder_finish);
}

}  // namespace bince::addon
