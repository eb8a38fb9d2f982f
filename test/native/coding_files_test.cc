// Files of docs/FORMAT.md on every backend of every architecture: those of test/golden/bince decode to their
// rows and come out of the encoder again, and a larger stream has the checksum that it had where it was first
// written.
#include "native/coding/escape.h"
#include "test/native/coding_fixture.h"
#include "test/native/golden_json.h"

using namespace coding_test;
using bince_test::Json;

namespace {

std::vector<uint8_t> read_file(const std::string& name) {
  std::ifstream file(std::string(BINCE_GOLDEN_DIR) + "/bince/" + name, std::ios::binary);
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(file), {});
}

// Takes numbers from the front of sound bytes.
struct Bytes {
  const uint8_t* at;
  const uint8_t* end;
  uint32_t number(int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<uint32_t>(*at++) << (8 * i);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    CHECK(bince::read_varint(&at, end, &value));
    return value;
  }
  std::vector<float> floats(uint32_t count) {
    std::vector<float> values(count);
    std::memcpy(values.data(), at, count * sizeof(float));
    at += count * sizeof(float);
    return values;
  }
};

// Whole sections of blocks without a gap.
struct SectionRun {
  uint64_t first_block;
  std::vector<uint8_t> bytes;
};

struct File {
  bool symbols;  // the rows are int32
  std::unique_ptr<Format> format;
  std::vector<float> median, step, shift;
  std::vector<SectionRun> runs;
};

void read_header(Bytes payload, uint32_t crc, File* file) {
  CHECK_EQ(payload.number(2), 1u);
  const int32_t coder = static_cast<int32_t>(payload.number(1));
  const uint32_t lanes = 1u << payload.number(1), channels = payload.number(4),
                 block_rows = payload.number(4);
  file->symbols = payload.number(1) == 0;
  const uint32_t flags = payload.number(1);
  payload.number(2);
  const uint32_t table_count = payload.number(4), json_bytes = payload.number(4);
  payload.number(4);
  payload.number(4);
  payload.at += json_bytes;
  Tables tables;
  for (uint32_t t = 0; t < table_count; ++t) {
    const uint64_t entries = payload.varint(), zigzag = payload.varint();
    std::vector<int32_t> frequencies;
    for (uint64_t e = 0; e < entries; ++e) frequencies.push_back(static_cast<int32_t>(payload.varint()));
    const int32_t half = static_cast<int32_t>(zigzag / 2);
    tables.add(frequencies, (zigzag & 1) ? -half - 1 : half);
  }
  std::vector<int32_t> index;
  if (flags & 8)
    for (uint32_t c = 0; c < channels; ++c) index.push_back(static_cast<int32_t>(payload.varint()));
  file->format = std::make_unique<Format>(tables, index, channels, block_rows, lanes, coder);
  file->format->format.header_crc = crc;
  file->median = (flags & 1) ? payload.floats(channels) : std::vector<float>(channels, 0.0f);
  file->step = (flags & 2) ? payload.floats(channels) : std::vector<float>(channels, 1.0f);
  file->shift = (flags & 4) ? payload.floats(channels) : std::vector<float>(channels, 0.0f);
  file->format->set_values(&file->median, &file->step, &file->shift);
  CHECK(payload.at == payload.end);
}

// The bytes of the section at the front, more than there are where it was cut off.
uint64_t section_bytes(Bytes rest) {
  const uint8_t* const begin = rest.at;
  const uint32_t tag = rest.number(1);
  if (tag & 1 && tag != 0x49) rest.varint();
  if (tag & 2) rest.varint();
  const uint64_t payload = rest.varint();
  return static_cast<uint64_t>(rest.at - begin) + 4 + payload;
}

File read(const std::vector<uint8_t>& bytes) {
  File file;
  Bytes rest = {bytes.data() + 8, bytes.data() + bytes.size()};
  const uint32_t length = rest.number(4), crc = rest.number(4);
  CHECK_EQ(bince_crc32c(0, rest.at, length), crc);
  read_header({rest.at, rest.at + length}, crc, &file);
  rest.at += length;
  uint64_t block = 0;
  for (bool gap = true; rest.at < rest.end;) {
    const uint64_t count = section_bytes(rest);
    if (count > static_cast<uint64_t>(rest.end - rest.at)) break;
    if (*rest.at == 0x49) {
      rest.at += count + 28;  // and the trailer
      gap = true;
      continue;
    }
    if (gap) file.runs.push_back({block, {}});
    gap = false;
    file.runs.back().bytes.insert(file.runs.back().bytes.end(), rest.at, rest.at + count);
    rest.at += count;
    ++block;
  }
  return file;
}

// A run's rows, appended to `rows`, and its bytes once more out of them.
template <typename T>
void check_run(bince_context* context, const File& file, const SectionRun& run, bince_dtype dtype,
               std::vector<T>* rows) {
  const Format& format = *file.format;
  const int64_t C = format.format.channels;
  Tensor sections(run.bytes.data(), kUint8, static_cast<int64_t>(run.bytes.size()));
  int64_t blocks = 0, count = 0;
  CHECK_OK(bince_blocks_scan(format, sections, run.first_block, nullptr, &blocks, &count));
  size_t decoding = 0, encoding = 0;
  CHECK_OK(bince_blocks_decode_workspace(context, format, blocks, &decoding));
  CHECK_OK(bince_blocks_encode_workspace(context, format, count, &encoding));
  const Room room(decoding > encoding ? decoding : encoding);
  const bince_launch launch = {nullptr, room.data, decoding > encoding ? decoding : encoding, nullptr};
  std::vector<T> values(static_cast<size_t>(count * C));
  Tensor out(values.data(), dtype, count, C);
  CHECK_OK(bince_blocks_decode(context, format, sections, nullptr, run.first_block, out, &launch));
  uint64_t bound = 0, bytes = 0;
  CHECK_OK(bince_blocks_bound(format, count, &bound));
  std::vector<uint8_t> again(bound);
  Tensor written(again.data(), kUint8, static_cast<int64_t>(bound));
  CHECK_OK(
      bince_blocks_encode(context, format, out, run.first_block, written, nullptr, &bytes, nullptr, &launch));
  again.resize(bytes);
  CHECK(again == run.bytes);
  rows->insert(rows->end(), values.begin(), values.end());
}

template <typename T>
void check_file(bince_context* context, const File& file, bince_dtype dtype, const std::vector<T>& expected) {
  std::vector<T> rows;
  for (const SectionRun& run : file.runs) check_run(context, file, run, dtype, &rows);
  CHECK(rows == expected);
}

// The CPU's; devices have their own suite of these files.
std::vector<std::string> backends() {
  std::vector<std::string> names;
  for (const std::string& name : bince_test::available_backends())
    if (name != "cuda") names.push_back(name);
  return names;
}

// Bell-like, by integers alone, so that every machine makes the same.
Tables integer_tables(uint32_t count) {
  Tables tables;
  for (uint32_t t = 0; t < count; ++t) {
    const int32_t n = 2 + static_cast<int32_t>(t * 11 % 31);
    std::vector<int32_t> weights, frequencies;
    int32_t total = 0, sum = 0;
    for (int32_t e = 0; e < n; ++e) {
      const int32_t distance = std::abs(2 * e - n + 2);
      weights.push_back(1 + 4096 / (1 + distance * distance));
      total += weights.back();
    }
    for (const int32_t w : weights) {
      frequencies.push_back(1 + static_cast<int32_t>(int64_t{w} * (65536 - n) / total));
      sum += frequencies.back();
    }
    frequencies[static_cast<size_t>((n - 1) / 2)] += 65536 - sum;
    tables.add(frequencies, -n / 2);
  }
  return tables;
}

}  // namespace

TEST(golden_files_decode_and_are_written_again) {
  const Json list = bince_test::read_golden("bince/rows");
  CHECK_EQ(list.items.size(), size_t{11});
  for (const Json& golden : list.items) {
    const File file = read(read_file(golden["file"].text));
    CHECK_EQ(file.symbols, golden["dtype"].text == "int32");
    for (const std::string& name : backends()) {
      const bince_test::Context context(name.c_str(), 2);
      if (file.symbols)
        check_file(context, file, kInt32, bince_test::values_of<int32_t>(golden));
      else
        check_file(context, file, kFloat32, bince_test::values_of<float>(golden));
    }
  }
}

TEST(streams_are_the_same_bytes_on_every_architecture) {
  const Tables tables = integer_tables(101);
  std::vector<float> median(101), step(101), shift(101);
  for (size_t c = 0; c < 101; ++c) {
    median[c] = static_cast<float>(c % 7) / 8 - 0.375f;
    step[c] = static_cast<float>(1 + c % 13) / 9;
    shift[c] = static_cast<float>(c % 17) / 3 - 2;
  }
  const struct {
    uint32_t lanes;
    int32_t coder;
    uint32_t crc;
  } streams[] = {{32, BINCE_RANS, 0x47bc702eu}, {8, BINCE_RANS, 0xa0af0f7eu}, {1, BINCE_RANGE, 0x7cc55637u}};
  for (const auto& stream : streams) {
    Format format(tables, {}, 101, 70, stream.lanes, stream.coder);
    format.set_values(&median, &step, &shift);
    const std::vector<int32_t> symbols = draw(tables, {}, 333, 9, 0.003);
    for (const std::string& name : backends()) {
      const bince_test::Context context(name.c_str(), 2);
      const std::vector<uint8_t> bytes = encode(context, format, symbols.data(), kInt32, 333, nullptr);
      CHECK_EQ(bince_crc32c(0, bytes.data(), bytes.size()), stream.crc);
      std::vector<float> values(symbols.size());
      CHECK_OK(decode(context, format, bytes, values.data(), kFloat32, 333));
      CHECK(encode(context, format, values.data(), kFloat32, 333, nullptr) == bytes);
      CHECK_EQ(bince_crc32c(0, values.data(), values.size() * sizeof(float)), 0xa6d9a54bu);
    }
  }
}
