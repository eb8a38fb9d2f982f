// What blocks and strings on a device meet beyond the cases that all backends share: tables that do not fit
// shared memory, indexes out of range, sizes that lie, and damage that the checksum does not see.
#include <algorithm>
#include <random>

#include "native/coding/rans.h"
#include "test/native/coding_fixture.h"
#include "test/native/harness.h"

using namespace coding_test;

namespace {

bool has_device() {
  const std::vector<std::string>& all = bince_test::available_backends();
  return std::find(all.begin(), all.end(), "cuda") != all.end();
}

#define NEED_DEVICE() \
  if (!has_device()) SKIP("no CUDA backend")

// The device's sections are the reference's, and each reads them.
void check_against_reference(const Format& format, const std::vector<int32_t>& symbols, int64_t rows) {
  const bince_test::Context device("cuda"), reference("ref");
  double ideal = 0, expected_ideal = 0;
  const std::vector<uint8_t> expected =
      encode(reference, format, symbols.data(), kInt32, rows, &expected_ideal);
  CHECK(encode(device, format, symbols.data(), kInt32, rows, &ideal) == expected);
  CHECK_EQ(ideal, expected_ideal);
  std::vector<int32_t> back(symbols.size());
  CHECK_OK(decode(device, format, expected, back.data(), kInt32, rows));
  CHECK(back == symbols);
}

// One string's worth of symbols for each row, with escapes.
std::vector<int32_t> wild(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> symbols(count);
  for (int32_t& s : symbols) {
    s = static_cast<int32_t>(random() % 9) - 4;
    if (random() % 40 == 0) s = static_cast<int32_t>(random() % 2000001) - 1000000;
  }
  return symbols;
}

struct Strings {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> sizes;
};

bince_status encode_strings(bince_context* context, const bince_tables* tables, std::vector<int32_t> symbols,
                            const std::vector<int32_t>& indexes, int64_t B, Strings* coded) {
  const int64_t L = static_cast<int64_t>(symbols.size()) / B;
  const UploadedTables uploaded(context, tables);
  size_t workspace = 0;
  uint64_t bound = 0;
  CHECK_OK(bince_compressai_workspace(context, B, L, &workspace));
  CHECK_OK(bince_compressai_bound(B, L, &bound));
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<int32_t> in(context, symbols), index(context, indexes);
  bince_test::DeviceArray<uint8_t> strings(context, bound, 1);
  bince_test::DeviceArray<int64_t> lengths(context, static_cast<size_t>(B));
  bince_test::DeviceArray<uint64_t> bytes(context, size_t{1});
  bince_tensor* index_tensor = indexes.size() == symbols.size() ? index.tensor({B, L}) : index.tensor({L});
  bince_status status = bince_compressai_encode(context, tables, in.tensor({B, L}), index_tensor,
                                                strings.tensor(), lengths.tensor(), bytes.data(), launch);
  if (status == BINCE_OK) status = launch.finish();
  if (status != BINCE_OK) return status;
  coded->bytes = strings.read();
  coded->bytes.resize(bytes.read()[0]);
  coded->sizes = lengths.read();
  return BINCE_OK;
}

bince_status decode_strings(bince_context* context, const bince_tables* tables, const Strings& coded,
                            const std::vector<int32_t>& indexes, int64_t B, int64_t L,
                            std::vector<int32_t>* symbols) {
  const UploadedTables uploaded(context, tables);
  size_t workspace = 0;
  CHECK_OK(bince_compressai_workspace(context, B, L, &workspace));
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<int32_t> out(context, static_cast<size_t>(B * L)), index(context, indexes);
  bince_test::DeviceArray<uint8_t> strings(context, coded.bytes);
  bince_test::DeviceArray<int64_t> lengths(context, coded.sizes);
  bince_tensor* index_tensor =
      static_cast<int64_t>(indexes.size()) == B * L ? index.tensor({B, L}) : index.tensor({L});
  bince_status status = bince_compressai_decode(context, tables, strings.tensor(), lengths.tensor(),
                                                index_tensor, out.tensor({B, L}), launch);
  if (status == BINCE_OK) status = launch.finish();
  *symbols = out.read();
  return status;
}

}  // namespace

TEST(tables_beyond_shared_memory_are_read_where_they_are) {
  NEED_DEVICE();
  std::vector<int> sizes;
  for (int c = 0; c < 1500; ++c) sizes.push_back(c % 700 == 650 ? 400 : 2 + c % 60);
  const Tables tables = bell_tables(sizes);
  // Channels that all lie in shared memory, some of them, and none.
  for (const int first : {0, 600, 1400}) {
    std::vector<int32_t> index(97);
    for (size_t c = 0; c < index.size(); ++c) index[c] = first + static_cast<int32_t>(c);
    const Format format(tables, index, 97, 40, 32, BINCE_RANS);
    check_against_reference(format, draw(tables, index, 75, 3, 0.01), 75);
  }
  const Format format(tables, {}, 1500, 4, 4, BINCE_RANS);
  check_against_reference(format, draw(tables, {}, 7, 4, 0.01), 7);
}

TEST(many_blocks_on_a_device) {
  NEED_DEVICE();
  const Tables tables = bell_tables({5, 9, 17});
  for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
    const uint32_t lanes = coder == BINCE_RANS ? 2 : 1;
    const Format format(tables, {}, 3, 2, lanes, coder);
    check_against_reference(format, draw(tables, {}, 2500, 5, 0.01), 2500);
    check_against_reference(format, {}, 0);
  }
}

TEST(every_byte_of_a_section_counts) {
  NEED_DEVICE();
  const Tables tables = bell_tables({9, 20, 3});
  const bince_test::Context device("cuda"), reference("ref");
  for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
    Format format(tables, {}, 3, 16, coder == BINCE_RANS ? 8 : 1, coder);
    const std::vector<int32_t> symbols = draw(tables, {}, 16, 3, 0.1);
    const std::vector<uint8_t> whole = encode(reference, format, symbols.data(), kInt32, 16, nullptr);
    std::vector<int32_t> back(symbols.size()), expected(symbols.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      std::vector<uint8_t> bad = whole;
      bad[i] ^= static_cast<uint8_t>(1 << i % 8);
      CHECK_EQ(decode(device, format, bad, back.data(), kInt32, 16), BINCE_CORRUPT_DATA);
      CHECK(std::strstr(bince_last_error(), "block 5") != nullptr);
      const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(i));
      const bince_status status = decode(device, format, cut, back.data(), kInt32, 16);
      CHECK(i == 0 ? status == BINCE_INVALID_ARGUMENT : status == BINCE_CORRUPT_DATA);
      // The checksum made to fit: the coder finds it, or both decode the same.
      if (i < whole.size() - section_payload(whole)) continue;
      refit_checksum(format, &bad, 16);
      const bince_status found = decode(device, format, bad, back.data(), kInt32, 16);
      CHECK_EQ(found, decode(reference, format, bad, expected.data(), kInt32, 16));
      if (found == BINCE_OK) CHECK(back == expected);
    }
  }
}

TEST(sizes_that_lie_are_refused) {
  NEED_DEVICE();
  const Tables tables = bell_tables({9});
  const Format format(tables, {}, 1, 8, 4, BINCE_RANS);
  const bince_test::Context context("cuda");
  const std::vector<int32_t> symbols = draw(tables, {}, 24, 3, 0);
  const std::vector<uint8_t> whole = encode(context, format, symbols.data(), kInt32, 24, nullptr);
  const UploadedFormat uploaded(context, format);
  std::vector<int64_t> sizes(3);
  Tensor host(whole.data(), kUint8, static_cast<int64_t>(whole.size())), host_sizes(sizes.data(), kInt64, 3);
  int64_t blocks = 0, rows = 0;
  CHECK_OK(bince_blocks_scan(format, host, 5, host_sizes, &blocks, &rows));
  CHECK_EQ(blocks, 3);
  const auto status_of = [&](const std::vector<int64_t>& given, int64_t count) {
    size_t workspace = 0;
    CHECK_OK(
        bince_blocks_decode_workspace(context, uploaded, static_cast<int64_t>(given.size()), &workspace));
    const bince_test::DeviceLaunch launch(context, workspace);
    bince_test::DeviceArray<uint8_t> sections(context, whole);
    bince_test::DeviceArray<int64_t> section_bytes(context, given);
    bince_test::DeviceArray<int32_t> out(context, static_cast<size_t>(count));
    CHECK_OK(bince_blocks_decode(context, uploaded, sections.tensor(), section_bytes.tensor(), 5,
                                 out.tensor({count, 1}), launch));
    return launch.finish();
  };
  CHECK_OK(status_of(sizes, 24));
  CHECK_EQ(status_of(sizes, 25), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "24 rows") != nullptr);
  CHECK_EQ(status_of(sizes, 23), BINCE_CORRUPT_DATA);
  CHECK_EQ(status_of({sizes[0], -1, sizes[2]}, 24), BINCE_CORRUPT_DATA);
  CHECK_EQ(status_of({sizes[0], sizes[1] + 1, sizes[2]}, 24), BINCE_CORRUPT_DATA);
  CHECK_EQ(status_of({sizes[0], INT64_MAX, sizes[2]}, 24), BINCE_CORRUPT_DATA);
  CHECK(std::strstr(bince_last_error(), "block 6") != nullptr);
  CHECK_EQ(status_of({sizes[0], sizes[1]}, 24), BINCE_INVALID_ARGUMENT);
  // Bytes behind the sections are not looked at.
  CHECK_OK(status_of({sizes[0], sizes[1]}, 16));
}

TEST(what_was_not_uploaded_is_refused) {
  NEED_DEVICE();
  const Tables tables = bell_tables({9});
  const Format format(tables, {}, 1, 8, 4, BINCE_RANS);
  const bince_test::Context context("cuda"), reference("ref");
  size_t workspace = 0;
  CHECK_OK(bince_blocks_encode_workspace(context, format, 8, &workspace));
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<int32_t> rows(context, size_t{8});
  bince_test::DeviceArray<uint8_t> out(context, size_t{1000});
  bince_block_format given = format.format;
  const auto status_of = [&] {
    return bince_blocks_encode(context, &given, rows.tensor({8, 1}), 0, out.tensor(), nullptr, nullptr,
                               nullptr, launch);
  };
  CHECK_EQ(status_of(), BINCE_INVALID_ARGUMENT);
  given.uploaded = &given;  // the host's
  CHECK_EQ(status_of(), BINCE_INVALID_ARGUMENT);
  given.uploaded = out.data();  // of the device, but the tables are not
  CHECK_EQ(status_of(), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "bince_tables_upload") != nullptr);
  bince_test::GuardedBytes memory(context, 64);
  CHECK_EQ(bince_tables_upload(context, format.format.tables, memory.data(), 64, nullptr),
           BINCE_BUFFER_TOO_SMALL);
  CHECK_EQ(bince_tables_upload(reference, format.format.tables, memory.data(), 64, nullptr),
           BINCE_UNSUPPORTED);
}

TEST(indexes_out_of_range_are_named_on_a_device) {
  NEED_DEVICE();
  const Tables tables = bell_tables({9, 5});
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  const bince_test::Context context("cuda");
  const UploadedTables uploaded(context, prepared);
  std::vector<int32_t> values(70, 0), indexes(70, 1);
  indexes[66] = 2;
  indexes[67] = -1;
  for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
    size_t workspace = 0;
    CHECK_OK(bince_symbols_encode_workspace(context, prepared, 70, &workspace));
    const bince_test::DeviceLaunch launch(context, workspace);
    bince_test::DeviceArray<int32_t> symbols(context, values), index(context, indexes);
    bince_test::DeviceArray<uint8_t> out(context, size_t{2000});
    CHECK_OK(bince_symbols_encode(context, prepared, coder, coder == BINCE_RANS ? 32 : 1, symbols.tensor(),
                                  index.tensor(), out.tensor(), nullptr, launch));
    CHECK_EQ(launch.finish(), BINCE_INVALID_VALUE);
    CHECK(std::strstr(bince_last_error(), "element 66 ") != nullptr);
  }
  Strings coded;
  CHECK_EQ(encode_strings(context, prepared, values, indexes, 7, &coded), BINCE_INVALID_VALUE);
}

TEST(strings_are_the_same_from_every_backend) {
  const Tables tables = bell_tables({5, 17, 33, 300});
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  for (const int64_t B : {1, 7, 70})
    for (const int64_t L : {0, 1, 61}) {
      const std::vector<int32_t> symbols = wild(static_cast<size_t>(B * L), static_cast<uint32_t>(B + L));
      for (const bool shared : {false, true}) {
        std::vector<int32_t> indexes(static_cast<size_t>(shared ? L : B * L));
        for (size_t i = 0; i < indexes.size(); ++i) indexes[i] = static_cast<int32_t>(i * 7 % 4);
        Strings first;
        for (const std::string& name : bince_test::available_backends()) {
          const bince_test::Context context(name.c_str());
          Strings coded;
          CHECK_OK(encode_strings(context, prepared, symbols, indexes, B, &coded));
          if (first.bytes.empty()) first = coded;
          CHECK(coded.bytes == first.bytes && coded.sizes == first.sizes);
          std::vector<int32_t> back;
          CHECK_OK(decode_strings(context, prepared, first, indexes, B, L, &back));
          CHECK(back == symbols);
        }
      }
    }
}

TEST(damaged_strings_are_refused_on_every_backend) {
  const Tables tables = bell_tables({5, 17});
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  const std::vector<int32_t> symbols = wild(3 * 20, 2);
  std::vector<int32_t> indexes(20);
  for (size_t i = 0; i < indexes.size(); ++i) indexes[i] = static_cast<int32_t>(i % 2);
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str());
    Strings whole;
    CHECK_OK(encode_strings(context, prepared, symbols, indexes, 3, &whole));
    std::vector<int32_t> back;
    for (size_t i = 0; i < whole.bytes.size(); ++i) {
      Strings bad = whole;
      bad.bytes[i] ^= 0x10;
      const bince_status status = decode_strings(context, prepared, bad, indexes, 3, 20, &back);
      CHECK(status == BINCE_CORRUPT_DATA || (status == BINCE_OK && back != symbols));
    }
    Strings bad = whole;
    bad.sizes[1] += 4;
    CHECK(decode_strings(context, prepared, bad, indexes, 3, 20, &back) != BINCE_OK);
    bad.sizes[1] = -4;
    CHECK(decode_strings(context, prepared, bad, indexes, 3, 20, &back) != BINCE_OK);
    std::vector<int32_t> far = symbols;
    far[41] = INT32_MAX;
    CHECK_EQ(encode_strings(context, prepared, far, indexes, 3, &bad), BINCE_INVALID_VALUE);
  }
}

TEST(bucket_lookups_agree) {
  const Tables tables = bell_tables({2, 3, 40, 256});
  Tables peaked;
  std::vector<int32_t> frequencies(256, 1);
  frequencies[100] = 65536 - 255;
  peaked.add(frequencies, 0);
  for (const Tables* set : {&tables, static_cast<const Tables*>(&peaked)}) {
    std::unique_ptr<Room> room;
    const bince_tables* prepared = set->prepare(&room);
    for (uint32_t t = 0; t < prepared->tables; ++t) {
      const bince::TableView view = bince::table_view(prepared, t);
      std::vector<uint32_t> packed(view.entries + 1);
      std::memcpy(packed.data(), view.decode, 4 * view.entries);
      const uint8_t* narrow =
          bince::tables_at<uint8_t>(prepared, prepared->narrow_at) + size_t{t} * bince::kBuckets;
      for (uint32_t slot = 0; slot < 65536; ++slot) {
        uint32_t entry = 0;
        const uint32_t found = bince::find_packed(packed.data(), narrow, view.escape, slot, &entry);
        if (found != bince::find_entry(view.decode, view.bucket, slot) || entry != packed[found]) {
          CHECK_EQ(found, bince::find_entry(view.decode, view.bucket, slot));
          break;
        }
      }
    }
  }
}

TEST(quotients_by_multiplication_are_exact) {
  std::mt19937 random(8);
  for (uint32_t f = 1; f < 65536; f += f < 300 ? 1 : 1 + random() % 97) {
    const uint32_t most = static_cast<uint32_t>((uint64_t{f} << 16) - 1), r = bince::rans_reciprocal(f);
    std::vector<uint32_t> states = {0, 1, f - 1, f, f + 1, most, most - 1, most - f, most - f + 1};
    for (int i = 0; i < 50; ++i) states.push_back(random() % most);
    for (const uint32_t x : states)
      if (x <= most) CHECK_EQ(bince::rans_before(x, 3, f, r), (x / f << 16) + x % f + 3);
  }
}
