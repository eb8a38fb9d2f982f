// Blocks of rows that lie on a device: float32 tensors to sections in host memory and back.  Latents stay
// where they are; the coded bytes, a fraction of them, cross the bus.
#include <limits>

#include "native/addon/coding_jobs.h"
#include "native/addon/storage.h"
#include "native/core/status.h"

namespace bince::addon {
namespace {

// A tensor of the device's memory.
struct DeviceTensor {
  int64_t shape[2];
  bince_tensor tensor;
  DeviceTensor(const DeviceMemory& device, void* data, bince_dtype dtype, int64_t rows, int64_t columns = -1)
      : shape{rows, columns} {
    tensor = {data, device.device(), columns < 0 ? 1 : 2, dtype, shape, nullptr, 0};
  }
  DeviceTensor(const DeviceTensor&) = delete;
  operator bince_tensor*() { return &tensor; }
};

// Rows [first, first + count) of a float32 tensor [n, channels].
struct DeviceRows {
  std::shared_ptr<DeviceMemory> device;
  std::shared_ptr<void> memory;  // the tensor's, kept alive
  float* data = nullptr;
  int64_t count = 0;
};

bool read_device_rows(const Napi::CallbackInfo& info, size_t at, uint32_t channels, DeviceRows* rows) {
  Storage* storage = storage_anywhere(info[at], "rows");
  if (!storage) return false;
  const double first = info[at + 1].ToNumber().DoubleValue(), count = info[at + 2].ToNumber().DoubleValue();
  std::string wrong;
  if (!storage->device || storage->type != StorageType::kFloat32)
    wrong = "rows: expected a float32 tensor on a device, received " + std::string(type_name(storage->type)) +
            " on " + place_of(*storage);
  else if (!(first >= 0 && count >= 0 &&
             (first + count) * channels <= static_cast<double>(storage->elements)))
    wrong = "rows: reach beyond the tensor";
  if (!wrong.empty()) {
    make_error(info.Env(), BINCE_INVALID_ARGUMENT, wrong).ThrowAsJavaScriptException();
    return false;
  }
  rows->device = storage->device;
  rows->memory = storage->memory;
  rows->data = static_cast<float*>(storage->device_data) + static_cast<size_t>(first) * channels;
  rows->count = static_cast<int64_t>(count);
  return true;
}

bince_status take(DeviceMemory& device, size_t bytes, std::shared_ptr<void>* block) {
  *block = device.block(bytes);
  return *block ? BINCE_OK : BINCE_OUT_OF_MEMORY;
}

// A call on a device.  It holds the format's mutex while it runs: there is one copy of the tables at a time.
class DeviceJob : public Job {
 public:
  PreparedRef prepared;
  DeviceRows rows;
  uint64_t first_block = 0;

 protected:
  bince_block_format format_ = {};

  // The format on the rows' device, once.
  bince_status bring_format() {
    Prepared& p = *prepared;
    DeviceMemory& device = *rows.device;
    if (p.device != rows.device) {
      p.device = nullptr;
      size_t table_bytes, channel_bytes;
      BINCE_RETURN_IF_ERROR(bince_tables_upload_bytes(p.tables, &table_bytes));
      BINCE_RETURN_IF_ERROR(bince_blocks_upload_bytes(&p.format, &channel_bytes));
      BINCE_RETURN_IF_ERROR(take(device, table_bytes, &p.device_tables));
      BINCE_RETURN_IF_ERROR(take(device, channel_bytes, &p.device_channels));
      p.channel_image = AlignedBuffer(channel_bytes);
      BINCE_RETURN_IF_ERROR(bince_tables_upload(device.context(), p.tables, p.device_tables.get(),
                                                table_bytes, device.stream()));
      BINCE_RETURN_IF_ERROR(bince_blocks_upload(device.context(), &p.format, p.channel_image.data(),
                                                p.device_channels.get(), channel_bytes, device.stream()));
      p.device = rows.device;
    }
    format_ = p.format;
    format_.uploaded = p.device_channels.get();
    return BINCE_OK;
  }
};

// Host memory for the sections: the caller's or our own.
class DeviceEncode : public DeviceJob {
 public:
  View<uint8_t> given;
  bool count_ideal = true;

  bince_status run(bince_context*, const int32_t*) override {
    const std::lock_guard<std::mutex> lock(prepared->device_mutex);
    BINCE_RETURN_IF_ERROR(bring_format());
    DeviceMemory& device = *rows.device;
    uint64_t bound;
    BINCE_RETURN_IF_ERROR(bince_blocks_bound(&format_, rows.count, &bound));
    const int64_t blocks = (rows.count + format_.block_rows - 1) / format_.block_rows;
    section_bytes_.resize(static_cast<size_t>(blocks));
    // 16 bits a symbol are plenty; where they are not, the device says what is needed.
    const uint64_t likely =
        2 * static_cast<uint64_t>(rows.count) * format_.channels + 256 * static_cast<uint64_t>(blocks) + 4096;
    uint64_t capacity = likely < bound ? likely : bound;
    std::shared_ptr<void> sections;
    bince_status status = encode(blocks, capacity, &sections);
    if (status == BINCE_BUFFER_TOO_SMALL && bytes_ > capacity) status = encode(blocks, bytes_, &sections);
    if (status != BINCE_OK) return status;
    in_given_ = bytes_ <= given.size;
    if (!in_given_) out_ = AlignedBuffer(bytes_);
    void* to = in_given_ ? static_cast<void*>(given.data) : out_.data();
    if (bytes_ > 0 && !to)
      return fail(BINCE_OUT_OF_MEMORY, "out of memory for %llu coded bytes",
                  static_cast<unsigned long long>(bytes_));
    return device.copy_to_host(to, sections.get(), bytes_);
  }

  Napi::Value result(Napi::Env env) override {
    const Napi::Value bytes = in_given_
                                  ? Napi::Number::New(env, static_cast<double>(bytes_)).As<Napi::Value>()
                                  : copy_bytes(env, out_.data(), bytes_);
    return encoded_blocks(env, section_bytes_, rows.count, format_.block_rows, ideal_bits_, bytes);
  }

 private:
  struct Totals {
    uint64_t bytes;
    double ideal_bits;
  };
  AlignedBuffer out_;
  std::vector<int64_t> section_bytes_;
  uint64_t bytes_ = 0;
  double ideal_bits_ = std::numeric_limits<double>::quiet_NaN();  // if not counted
  bool in_given_ = false;

  bince_status encode(int64_t blocks, uint64_t capacity, std::shared_ptr<void>* sections) {
    DeviceMemory& device = *rows.device;
    size_t needed;
    BINCE_RETURN_IF_ERROR(bince_blocks_encode_workspace(device.context(), &format_, rows.count, &needed));
    std::shared_ptr<void> workspace, sizes, totals;
    BINCE_RETURN_IF_ERROR(take(device, needed, &workspace));
    BINCE_RETURN_IF_ERROR(take(device, capacity, sections));
    BINCE_RETURN_IF_ERROR(take(device, section_bytes_.size() * sizeof(int64_t), &sizes));
    BINCE_RETURN_IF_ERROR(take(device, sizeof(Totals), &totals));
    const bince_launch launch = {device.stream(), workspace.get(), needed, nullptr};
    DeviceTensor input(device, rows.data, kFloat32, rows.count, format_.channels);
    DeviceTensor output(device, sections->get(), kUint8, static_cast<int64_t>(capacity));
    DeviceTensor section_sizes(device, sizes.get(), kInt64, blocks);
    Totals* places = static_cast<Totals*>(totals.get());
    BINCE_RETURN_IF_ERROR(bince_blocks_encode(device.context(), &format_, input, first_block, output,
                                              section_sizes, &places->bytes,
                                              count_ideal ? &places->ideal_bits : nullptr, &launch));
    const bince_status status = bince_finish(device.context(), &launch);
    if (status != BINCE_OK && status != BINCE_BUFFER_TOO_SMALL) return status;
    Totals found;
    const bince_status copied = device.copy_to_host(&found, places, sizeof found);
    if (copied != BINCE_OK) return copied;
    bytes_ = found.bytes;
    if (count_ideal) ideal_bits_ = found.ideal_bits;
    if (status != BINCE_OK) return status;
    return device.copy_to_host(section_bytes_.data(), sizes.get(), section_bytes_.size() * sizeof(int64_t));
  }
};

class DeviceDecode : public DeviceJob {
 public:
  View<uint8_t> bytes;
  std::vector<int64_t> section_bytes;

  bince_status run(bince_context*, const int32_t*) override {
    const std::lock_guard<std::mutex> lock(prepared->device_mutex);
    BINCE_RETURN_IF_ERROR(bring_format());
    DeviceMemory& device = *rows.device;
    const int64_t blocks = static_cast<int64_t>(section_bytes.size());
    size_t needed;
    BINCE_RETURN_IF_ERROR(bince_blocks_decode_workspace(device.context(), &format_, blocks, &needed));
    std::shared_ptr<void> workspace, sections, sizes;
    BINCE_RETURN_IF_ERROR(take(device, needed, &workspace));
    BINCE_RETURN_IF_ERROR(take(device, bytes.size, &sections));
    BINCE_RETURN_IF_ERROR(take(device, section_bytes.size() * sizeof(int64_t), &sizes));
    BINCE_RETURN_IF_ERROR(device.copy_to_device(sections.get(), bytes.data, bytes.size));
    BINCE_RETURN_IF_ERROR(
        device.copy_to_device(sizes.get(), section_bytes.data(), section_bytes.size() * sizeof(int64_t)));
    const bince_launch launch = {device.stream(), workspace.get(), needed, nullptr};
    DeviceTensor input(device, sections.get(), kUint8, static_cast<int64_t>(bytes.size));
    DeviceTensor section_sizes(device, sizes.get(), kInt64, blocks);
    DeviceTensor output(device, rows.data, kFloat32, rows.count, format_.channels);
    BINCE_RETURN_IF_ERROR(
        bince_blocks_decode(device.context(), &format_, input, section_sizes, first_block, output, &launch));
    return bince_finish(device.context(), &launch);
  }

  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
};

// (format, handle, firstRow, rows, firstBlock, out, idealBits, cancel)
Napi::Value blocks_encode_device(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<DeviceEncode>();
  job->prepared = unwrap(info[0]);
  if (!job->prepared || !read_device_rows(info, 1, job->prepared->format.channels, &job->rows) ||
      !read_view(info[5], "out", &job->given))
    return info.Env().Undefined();
  job->first_block = static_cast<uint64_t>(info[4].ToNumber().Int64Value());
  job->count_ideal = info[6].ToBoolean();
  job->keep(info[0]);
  job->keep(info[1]);
  job->keep(info[5]);
  return submit(info.Env(), std::move(job), info[7]);
}

// (format, handle, firstRow, rows, firstBlock, bytes, sectionBytes, cancel)
Napi::Value blocks_decode_device(const Napi::CallbackInfo& info) {
  auto job = std::make_unique<DeviceDecode>();
  job->prepared = unwrap(info[0]);
  View<double> sizes;
  if (!job->prepared || !read_device_rows(info, 1, job->prepared->format.channels, &job->rows) ||
      !read_view(info[5], "bytes", &job->bytes) || !read_view(info[6], "sectionBytes", &sizes))
    return info.Env().Undefined();
  job->first_block = static_cast<uint64_t>(info[4].ToNumber().Int64Value());
  for (size_t i = 0; i < sizes.size; ++i) job->section_bytes.push_back(static_cast<int64_t>(sizes.data[i]));
  job->keep(info[0]);
  job->keep(info[1]);
  job->keep(info[5]);
  return submit(info.Env(), std::move(job), info[7]);
}

}  // namespace

void register_device_coding(Napi::Env env, Napi::Object exports) {
  exports.Set("blocksEncodeDevice", Napi::Function::New(env, blocks_encode_device, "blocksEncodeDevice"));
  exports.Set("blocksDecodeDevice", Napi::Function::New(env, blocks_decode_device, "blocksDecodeDevice"));
}

}  // namespace bince::addon
