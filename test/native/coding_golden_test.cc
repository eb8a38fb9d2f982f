// CompressAI's own strings (test/golden/compressai_strings.json) on every backend.
#include "test/native/coding_fixture.h"
#include "test/native/golden_json.h"

using namespace coding_test;
using bince_test::DeviceArray;
using bince_test::Json;
using bince_test::values_of;

namespace {

// From rows that are padded to the longest.
Tables unpadded(const Json& inputs) {
  const std::vector<int32_t> cdf = values_of<int32_t>(inputs["quantized_cdf"]);
  const std::vector<int32_t> length = values_of<int32_t>(inputs["cdf_length"]);
  const size_t width = static_cast<size_t>(bince_test::size_of(inputs["quantized_cdf"], 1));
  Tables tables;
  tables.offset = values_of<int32_t>(inputs["offset"]);
  for (size_t t = 0; t < length.size(); ++t) {
    const auto row = cdf.begin() + static_cast<std::ptrdiff_t>(t * width);
    tables.cdf.insert(tables.cdf.end(), row, row + length[t]);
    tables.start.push_back(static_cast<int32_t>(tables.cdf.size()));
  }
  return tables;
}

std::vector<uint8_t> from_hex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::strtol(hex.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

// One string a row of symbols [rows][channels][inner]; a symbol's table is its channel's.
void check_strings(bince_context* context, const Json& golden) {
  const Json& given = golden["inputs"]["symbols"];
  const int64_t rows = bince_test::size_of(given, 0), channels = bince_test::size_of(given, 1);
  const int64_t length = channels * bince_test::size_of(given, 2);
  const std::vector<int32_t> symbols = values_of<int32_t>(given);
  std::vector<int32_t> index(static_cast<size_t>(length));
  for (size_t i = 0; i < index.size(); ++i)
    index[i] = static_cast<int32_t>(i) / static_cast<int32_t>(length / channels);
  std::vector<uint8_t> expected;
  std::vector<int64_t> expected_bytes;
  for (const Json& string : golden["expected"]["strings_hex"].items) {
    const std::vector<uint8_t> bytes = from_hex(string.text);
    expected.insert(expected.end(), bytes.begin(), bytes.end());
    expected_bytes.push_back(static_cast<int64_t>(bytes.size()));
  }
  CHECK_EQ(static_cast<int64_t>(expected_bytes.size()), rows);
  const Tables tables = unpadded(golden["inputs"]);
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  CHECK(prepared != nullptr);
  const UploadedTables uploaded(context, prepared);
  size_t workspace = 0;
  uint64_t bound = 0;
  CHECK_OK(bince_compressai_workspace(context, rows, length, &workspace));
  CHECK_OK(bince_compressai_bound(rows, length, &bound));
  const bince_test::DeviceLaunch launch(context, workspace);
  DeviceArray<int32_t> in(context, symbols), indexes(context, index), back(context, symbols.size());
  DeviceArray<uint8_t> strings(context, static_cast<size_t>(bound));
  DeviceArray<int64_t> sizes(context, static_cast<size_t>(rows));
  DeviceArray<uint64_t> bytes(context, size_t{1});
  CHECK_OK(bince_compressai_encode(context, prepared, in.tensor({rows, length}), indexes.tensor(),
                                   strings.tensor(), sizes.tensor(), bytes.data(), launch));
  CHECK_OK(launch.finish());
  std::vector<uint8_t> written = strings.read();
  CHECK_EQ(bytes.read()[0], expected.size());
  written.resize(expected.size());
  CHECK(written == expected);
  CHECK(sizes.read() == expected_bytes);
  DeviceArray<uint8_t> golden_strings(context, expected);
  CHECK_OK(bince_compressai_decode(context, prepared, golden_strings.tensor(), sizes.tensor(),
                                   indexes.tensor(), back.tensor({rows, length}), launch));
  CHECK_OK(launch.finish());
  CHECK(back.read() == symbols);
}

}  // namespace

TEST(strings_of_an_entropy_bottleneck_are_the_originals) {
  const Json file = bince_test::read_golden("compressai_strings");
  int cases = 0;
  for (const Json& golden : file["cases"].items) {
    if (!golden["inputs"].has("symbols")) continue;
    ++cases;
    for (const std::string& name : bince_test::available_backends()) {
      const bince_test::Context context(name.c_str(), 1);
      check_strings(context, golden);
    }
  }
  CHECK_EQ(cases, 3);
}
