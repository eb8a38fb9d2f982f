// Tables, formats and symbols for the coding tests.
#ifndef BINCE_TEST_NATIVE_CODING_FIXTURE_H_
#define BINCE_TEST_NATIVE_CODING_FIXTURE_H_

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "bince.h"
#include "native/coding/coding_ops.h"
#include "native/core/tensor_check.h"
#include "test/native/device_case.h"

namespace coding_test {

using bince::kFloat32;
using bince::kInt32;
using bince::kInt64;
using bince::kUint8;

struct Tensor {
  int64_t shape[2];
  bince_tensor tensor;
  Tensor(const void* data, bince_dtype dtype, int64_t rows, int64_t columns = -1) : shape{rows, columns} {
    tensor = {const_cast<void*>(data), {BINCE_CPU, 0}, columns < 0 ? 1 : 2, dtype, shape, nullptr, 0};
  }
  Tensor(const Tensor&) = delete;
  operator bince_tensor*() { return &tensor; }
};

// 64-byte aligned memory of exactly this size, so that sanitizers see a step beyond it.
struct Room {
  void* data;
  explicit Room(size_t bytes) : data(std::aligned_alloc(64, (bytes + 63) & ~size_t{63})) {}
  ~Room() { std::free(data); }
  Room(const Room&) = delete;
};

struct Tables {
  std::vector<int32_t> cdf, start = {0}, offset;
  std::vector<char> buffer;
  void add(const std::vector<int32_t>& frequencies, int32_t first) {
    int32_t sum = 0;
    cdf.push_back(0);
    for (const int32_t f : frequencies) cdf.push_back(sum += f);
    start.push_back(static_cast<int32_t>(cdf.size()));
    offset.push_back(first);
  }
  // Prepared tables in `room`, made to measure.
  const bince_tables* prepare(std::unique_ptr<Room>* room) const {
    Tensor c(cdf.data(), kInt32, static_cast<int64_t>(cdf.size()));
    Tensor s(start.data(), kInt32, static_cast<int64_t>(start.size()));
    Tensor o(offset.data(), kInt32, static_cast<int64_t>(offset.size()));
    size_t bytes = 0;
    const bince_tables* tables = nullptr;
    if (bince_tables_bytes(c, s, &bytes) != BINCE_OK) return nullptr;
    *room = std::make_unique<Room>(bytes);
    return bince_tables_prepare(c, s, o, (*room)->data, bytes, &tables) == BINCE_OK ? tables : nullptr;
  }
};

// Bell-shaped tables of the given numbers of entries around symbol 0.
inline Tables bell_tables(const std::vector<int>& sizes) {
  Tables tables;
  for (const int n : sizes) {
    std::vector<double> weights;
    double total = 0;
    for (int i = 0; i < n; ++i) {
      const double z = (i - (n - 2) / 2.0) / (0.7 + n / 7.0);
      weights.push_back(i == n - 1 ? 1e-6 : std::exp(-0.5 * z * z));
      total += weights.back();
    }
    std::vector<int32_t> frequencies;
    int32_t sum = 0;
    for (const double w : weights) {
      frequencies.push_back(1 + static_cast<int32_t>(w / total * (65536 - n)));
      sum += frequencies.back();
    }
    frequencies[static_cast<size_t>((n - 1) / 2)] += 65536 - sum;
    tables.add(frequencies, -((n - 2) / 2));
  }
  return tables;
}

// rows x channels symbols by the tables' own frequencies; a share of `escapes` is anything else.
inline std::vector<int32_t> draw(const Tables& tables, const std::vector<int32_t>& index, int64_t rows,
                                 uint32_t seed, double escapes) {
  std::mt19937 random(seed);
  const size_t channels = index.empty() ? tables.offset.size() : index.size();
  std::vector<int32_t> symbols(static_cast<size_t>(rows) * channels);
  for (size_t i = 0; i < symbols.size(); ++i) {
    const size_t c = i % channels, t = index.empty() ? c : static_cast<size_t>(index[c]);
    const int32_t slot = static_cast<int32_t>(random() % 65536);
    const int32_t* cdf = tables.cdf.data() + tables.start[t];
    const int32_t n = tables.start[t + 1] - tables.start[t] - 1;
    int32_t low = 0, high = n - 2;
    while (low < high) {
      const int32_t middle = (low + high + 1) / 2;
      if (cdf[middle] <= slot)
        low = middle;
      else
        high = middle - 1;
    }
    symbols[i] = tables.offset[t] + low;
    if (random() % 1000000 < escapes * 1e6) {
      symbols[i] = static_cast<int32_t>(random() % 4001) - 2000;
      if (escapes >= 1) symbols[i] = static_cast<int32_t>(random());
    }
  }
  return symbols;
}

struct Format {
  bince_block_format format = {};
  std::unique_ptr<Room> room;
  std::vector<int32_t> index;
  std::unique_ptr<Tensor> tensors[4];

  Format(const Tables& tables, const std::vector<int32_t>& table_index, uint32_t channels,
         uint32_t block_rows, uint32_t lanes, int32_t coder)
      : index(table_index) {
    format = {sizeof format,         coder,   lanes,   channels, block_rows, 0xabcd,
              tables.prepare(&room), nullptr, nullptr, nullptr,  nullptr,    nullptr};
    if (!index.empty()) {
      tensors[0] = std::make_unique<Tensor>(index.data(), kInt32, channels);
      format.table_index = *tensors[0];
    }
  }
  void set_values(std::vector<float>* median, std::vector<float>* step, std::vector<float>* shift) {
    const auto tensor = [](std::vector<float>* v) {
      return std::make_unique<Tensor>(v->data(), kFloat32, static_cast<int64_t>(v->size()));
    };
    tensors[1] = tensor(median);
    tensors[2] = tensor(step);
    tensors[3] = tensor(shift);
    format.median = *tensors[1];
    format.step = *tensors[2];
    format.shift = *tensors[3];
  }
  operator const bince_block_format*() const { return &format; }
};

inline bool on_device(const bince_context* context) {
  return bince_context_device(context).device_type == BINCE_CUDA;
}

// Prepared tables in the context's memory while it lives; nothing on the CPU.
class UploadedTables {
 public:
  UploadedTables(bince_context* context, const bince_tables* tables) {
    size_t bytes = 0;
    if (!tables || !on_device(context)) return;
    CHECK_OK(bince_tables_upload_bytes(tables, &bytes));
    memory_ = std::make_unique<bince_test::GuardedBytes>(context, bytes);
    CHECK_OK(bince_tables_upload(context, tables, memory_->data(), bytes, bince_context_stream(context)));
  }

 private:
  std::unique_ptr<bince_test::GuardedBytes> memory_;
};

// The same of a format; the CPU takes it as it is.
class UploadedFormat {
 public:
  UploadedFormat(bince_context* context, const Format& format)
      : tables_(context, format.format.tables), format_(format.format) {
    size_t bytes = 0;
    if (!on_device(context) || bince_blocks_upload_bytes(&format_, &bytes) != BINCE_OK) return;
    host_ = std::make_unique<Room>(bytes);
    memory_ = std::make_unique<bince_test::GuardedBytes>(context, bytes);
    CHECK_OK(bince_blocks_upload(context, &format_, host_->data, memory_->data(), bytes,
                                 bince_context_stream(context)));
    format_.uploaded = memory_->data();
  }
  operator const bince_block_format*() const { return &format_; }

 private:
  UploadedTables tables_;
  bince_block_format format_;
  std::unique_ptr<Room> host_;
  std::unique_ptr<bince_test::GuardedBytes> memory_;
};

template <typename T>
std::vector<T> copy_of(const void* data, size_t count) {
  const T* begin = static_cast<const T*>(data);
  return count ? std::vector<T>(begin, begin + count) : std::vector<T>();
}

// try_encode and decode on a device: `T` is float or int32_t.
template <typename T>
bince_status encode_on_device(bince_context* context, const Format& format, const void* rows, int64_t count,
                              std::vector<uint8_t>* out, double* ideal, uint64_t* needed) {
  const int64_t C = format.format.channels, B = format.format.block_rows;
  const UploadedFormat uploaded(context, format);
  size_t workspace = 0;
  CHECK_OK(bince_blocks_encode_workspace(context, uploaded, count, &workspace));
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<T> input(context, copy_of<T>(rows, static_cast<size_t>(count * C)), 1);
  bince_test::DeviceArray<uint8_t> sections(context, out->size(), 3);
  bince_test::DeviceArray<int64_t> sizes(context, static_cast<size_t>((count + B - 1) / B));
  bince_test::DeviceArray<uint64_t> bytes(context, size_t{1});
  bince_test::DeviceArray<double> bits(context, size_t{1});
  const bince_status status =
      bince_blocks_encode(context, uploaded, input.tensor({count, C}), 5, sections.tensor(), sizes.tensor(),
                          bytes.data(), ideal ? bits.data() : nullptr, launch);
  if (status != BINCE_OK) return status;
  const bince_status result = launch.finish();
  const uint64_t total = bytes.read()[0];
  uint64_t sum = 0;
  for (const int64_t size : sizes.read()) sum += static_cast<uint64_t>(size);
  CHECK_EQ(sum, total);
  if (needed) *needed = total;
  if (result != BINCE_OK) return result;
  if (ideal) *ideal = bits.read()[0];
  *out = sections.read();
  out->resize(total);
  return BINCE_OK;
}

template <typename T>
bince_status decode_on_device(bince_context* context, const Format& format, const std::vector<uint8_t>& bytes,
                              void* rows, int64_t count) {
  // The sizes that the headers tell; with damage in them, one section and the rest.
  const size_t most = bytes.size() / 7 + 1;
  std::vector<int64_t> sizes(most);
  int64_t blocks = 0, seen = 0;
  Tensor host(bytes.data(), kUint8, static_cast<int64_t>(bytes.size()));
  Tensor host_sizes(sizes.data(), kInt64, static_cast<int64_t>(most));
  const bince_status scanned = bince_blocks_scan(format, host, 5, host_sizes, &blocks, &seen);
  if (scanned != BINCE_OK) {
    blocks = 0;
    int64_t left = static_cast<int64_t>(bytes.size());
    while (blocks < static_cast<int64_t>(most) && sizes[static_cast<size_t>(blocks)] > 0)
      left -= sizes[static_cast<size_t>(blocks++)];
    if (left > 0) sizes[static_cast<size_t>(blocks++)] = left;
  }
  sizes.resize(static_cast<size_t>(blocks));
  const UploadedFormat uploaded(context, format);
  size_t workspace = 0;
  CHECK_OK(bince_blocks_decode_workspace(context, uploaded, blocks, &workspace));
  const bince_test::DeviceLaunch launch(context, workspace);
  const size_t values = static_cast<size_t>(count) * format.format.channels;
  bince_test::DeviceArray<uint8_t> sections(context, bytes, 1);
  bince_test::DeviceArray<int64_t> section_bytes(context, sizes);
  bince_test::DeviceArray<T> out(context, values, 1);
  const bince_status status =
      bince_blocks_decode(context, uploaded, sections.tensor(), section_bytes.tensor(), 5,
                          out.tensor({count, format.format.channels}), launch);
  if (status != BINCE_OK) return status;
  const bince_status result = launch.finish();
  const std::vector<T> read = out.read();
  if (values) std::memcpy(rows, read.data(), values * sizeof(T));
  return result;
}

inline bince_status try_encode(bince_context* context, const Format& format, const void* rows,
                               bince_dtype dtype, int64_t count, std::vector<uint8_t>* out, double* ideal,
                               uint64_t* needed = nullptr) {
  if (on_device(context))
    return dtype.code == BINCE_FLOAT
               ? encode_on_device<float>(context, format, rows, count, out, ideal, needed)
               : encode_on_device<int32_t>(context, format, rows, count, out, ideal, needed);
  size_t workspace = 0;
  const bince_status status = bince_blocks_encode_workspace(context, format, count, &workspace);
  if (status != BINCE_OK) return status;
  const Room room(workspace);
  const bince_launch launch = {nullptr, room.data, workspace, nullptr};
  Tensor input(rows, dtype, count, format.format.channels);
  Tensor sections(out->data(), kUint8, static_cast<int64_t>(out->size()));
  uint64_t bytes = 0;
  const bince_status result =
      bince_blocks_encode(context, format, input, 5, sections, nullptr, &bytes, ideal, &launch);
  if (result == BINCE_OK) out->resize(bytes);
  if (needed) *needed = bytes;
  return result;
}

inline std::vector<uint8_t> encode(bince_context* context, const Format& format, const void* rows,
                                   bince_dtype dtype, int64_t count, double* ideal) {
  uint64_t bound = 0;
  bince_blocks_bound(format, count, &bound);
  std::vector<uint8_t> out(bound);
  const bince_status status = try_encode(context, format, rows, dtype, count, &out, ideal);
  if (status != BINCE_OK) std::printf("    encode: %s\n", bince_last_error());
  return out;
}

inline bince_status decode(bince_context* context, const Format& format, const std::vector<uint8_t>& bytes,
                           void* rows, bince_dtype dtype, int64_t count) {
  if (on_device(context))
    return dtype.code == BINCE_FLOAT ? decode_on_device<float>(context, format, bytes, rows, count)
                                     : decode_on_device<int32_t>(context, format, bytes, rows, count);
  size_t workspace = 0;
  const bince_status status = bince_blocks_decode_workspace(context, format, 0, &workspace);
  if (status != BINCE_OK) return status;
  const Room room(workspace);
  const bince_launch launch = {nullptr, room.data, workspace, nullptr};
  // A copy of exactly this size, so that sanitizers see a step beyond it.
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  Tensor sections(exact.get(), kUint8, static_cast<int64_t>(bytes.size()));
  Tensor out(rows, dtype, count, format.format.channels);
  return bince_blocks_decode(context, format, sections, nullptr, 5, out, &launch);
}

inline uint32_t bitwise_crc(uint32_t crc, const uint8_t* bytes, size_t count) {
  crc = ~crc;
  for (size_t i = 0; i < count; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
  }
  return ~crc;
}

// Of the one section of a full block: its payload and escape bytes, read from its header.
struct Header {
  uint64_t escape_bytes = 0, payload_bytes = 0;
  size_t crc_at = 0;
};
inline Header read_header(const std::vector<uint8_t>& section) {
  Header h;
  size_t at = 1;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      value |= uint64_t{section[at] & 127u} << shift;
      if (section[at++] < 128) return value;
    }
  };
  if (section[0] & 1) varint();
  if (section[0] & 2) h.escape_bytes = varint();
  h.payload_bytes = varint();
  h.crc_at = at;
  return h;
}
inline size_t section_payload(const std::vector<uint8_t>& section) {
  return read_header(section).payload_bytes;
}
inline void refit_checksum(const Format& format, std::vector<uint8_t>* section, uint32_t rows) {
  const Header h = read_header(*section);
  const uint32_t head[6] = {format.format.header_crc,
                            5,
                            0,
                            rows,
                            static_cast<uint32_t>(h.payload_bytes),
                            static_cast<uint32_t>(h.escape_bytes)};
  uint32_t crc = bince_crc32c(0, head, sizeof head);
  crc = bince_crc32c(crc, section->data() + h.crc_at + 4, h.payload_bytes);
  std::memcpy(section->data() + h.crc_at, &crc, 4);
}

}  // namespace coding_test

#endif  // BINCE_TEST_NATIVE_CODING_FIXTURE_H_
