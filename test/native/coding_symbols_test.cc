// Plain arrays, the streaming range coder, CompressAI's strings and prepared tables through the C ABI.
#include <algorithm>
#include <random>

#include "test/native/coding_fixture.h"
#include "test/native/harness.h"

using namespace coding_test;

namespace {

struct Array {
  Tables tables;
  std::unique_ptr<Room> room;
  const bince_tables* prepared = nullptr;
  std::vector<int32_t> indexes, symbols;
};

// `count` symbols with a table of its own each, a few of them escapes.
Array mixed_array(size_t count, uint32_t seed) {
  Array a;
  a.tables = bell_tables({2, 5, 17, 31, 32, 33, 200, 3000});
  a.tables.add({65535, 1}, 3);
  a.tables.add({1, 65535}, -3);
  a.prepared = a.tables.prepare(&a.room);
  std::mt19937 random(seed);
  for (size_t i = 0; i < count; ++i) {
    a.indexes.push_back(static_cast<int32_t>(random() % a.tables.offset.size()));
    const int32_t n = a.tables.start[a.indexes[i] + 1] - a.tables.start[a.indexes[i]] - 2;
    a.symbols.push_back(a.tables.offset[a.indexes[i]] +
                        static_cast<int32_t>(random() % static_cast<uint32_t>(n)));
    if (random() % 50 == 0) a.symbols[i] = static_cast<int32_t>(random());
  }
  if (count > 2) {
    a.symbols[0] = INT32_MIN;
    a.symbols[1] = INT32_MAX;
  }
  return a;
}

bince_status encode_symbols_on_device(bince_context* context, const Array& a, bool use_indexes, int32_t coder,
                                      uint32_t lanes, size_t workspace, std::vector<uint8_t>* coded) {
  const UploadedTables uploaded(context, a.prepared);
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<int32_t> symbols(context, a.symbols, 1), indexes(context, a.indexes, 1);
  bince_test::DeviceArray<uint8_t> out(context, coded->size(), 1);
  bince_test::DeviceArray<uint64_t> bytes(context, size_t{1});
  const bince_status status =
      bince_symbols_encode(context, a.prepared, coder, lanes, symbols.tensor(),
                           use_indexes ? indexes.tensor() : nullptr, out.tensor(), bytes.data(), launch);
  if (status != BINCE_OK) return status;
  const bince_status result = launch.finish();
  *coded = out.read();
  coded->resize(result == BINCE_OK ? bytes.read()[0] : 0);
  return result;
}

bince_status code_symbols(bince_context* context, const Array& a, bool use_indexes, int32_t coder,
                          uint32_t lanes, std::vector<uint8_t>* coded) {
  const int64_t count = static_cast<int64_t>(a.symbols.size());
  size_t workspace = 0;
  uint64_t bytes = 0;
  CHECK_OK(bince_symbols_encode_workspace(context, a.prepared, count, &workspace));
  CHECK_OK(bince_symbols_bound(count, &bytes));
  coded->resize(bytes);
  if (on_device(context))
    return encode_symbols_on_device(context, a, use_indexes, coder, lanes, workspace, coded);
  const Room room(workspace);
  const bince_launch launch = {nullptr, room.data, workspace, nullptr};
  Tensor symbols(a.symbols.data(), kInt32, count), indexes(a.indexes.data(), kInt32, count);
  Tensor out(coded->data(), kUint8, static_cast<int64_t>(coded->size()));
  bince_tensor* index = use_indexes ? static_cast<bince_tensor*>(indexes) : nullptr;
  const bince_status status =
      bince_symbols_encode(context, a.prepared, coder, lanes, symbols, index, out, &bytes, &launch);
  coded->resize(status == BINCE_OK ? bytes : 0);
  return status;
}

bince_status decode_symbols_on_device(bince_context* context, const Array& a, bool use_indexes, int32_t coder,
                                      uint32_t lanes, size_t workspace, const std::vector<uint8_t>& coded,
                                      std::vector<int32_t>* back) {
  const UploadedTables uploaded(context, a.prepared);
  const bince_test::DeviceLaunch launch(context, workspace);
  bince_test::DeviceArray<uint8_t> bytes(context, coded, 1);
  bince_test::DeviceArray<int32_t> symbols(context, a.symbols.size()), indexes(context, a.indexes);
  const bince_status status =
      bince_symbols_decode(context, a.prepared, coder, lanes, bytes.tensor(),
                           use_indexes ? indexes.tensor() : nullptr, symbols.tensor(), launch);
  if (status != BINCE_OK) return status;
  const bince_status result = launch.finish();
  *back = symbols.read();
  return result;
}

bince_status decode_symbols(bince_context* context, const Array& a, bool use_indexes, int32_t coder,
                            uint32_t lanes, const std::vector<uint8_t>& coded, std::vector<int32_t>* back) {
  back->assign(a.symbols.size(), 0);
  const int64_t count = static_cast<int64_t>(a.symbols.size());
  size_t workspace = 0;
  CHECK_OK(bince_symbols_decode_workspace(context, a.prepared, &workspace));
  if (on_device(context))
    return decode_symbols_on_device(context, a, use_indexes, coder, lanes, workspace, coded, back);
  const Room room(workspace);
  const bince_launch launch = {nullptr, room.data, workspace, nullptr};
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[coded.size()]);
  if (!coded.empty()) std::memcpy(exact.get(), coded.data(), coded.size());
  Tensor bytes(exact.get(), kUint8, static_cast<int64_t>(coded.size()));
  Tensor indexes(a.indexes.data(), kInt32, count), symbols(back->data(), kInt32, count);
  return bince_symbols_decode(context, a.prepared, coder, lanes, bytes,
                              use_indexes ? static_cast<bince_tensor*>(indexes) : nullptr, symbols, &launch);
}

}  // namespace

TEST(arrays_come_back_on_every_backend) {
  for (const size_t count : {0, 1, 2, 31, 32, 33, 5000}) {
    const Array a = mixed_array(count, static_cast<uint32_t>(count));
    for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
      for (const uint32_t lanes : {1u, 4u, 32u}) {
        if (coder == BINCE_RANGE && lanes > 1) continue;
        std::vector<uint8_t> first, coded;
        for (const std::string& name : bince_test::available_backends()) {
          const bince_test::Context context(name.c_str());
          CHECK_OK(code_symbols(context, a, true, coder, lanes, &coded));
          if (first.empty()) first = coded;
          CHECK(coded == first);
          std::vector<int32_t> back;
          CHECK_OK(decode_symbols(context, a, true, coder, lanes, first, &back));
          CHECK(back == a.symbols);
        }
      }
    }
  }
}

TEST(arrays_without_indexes_are_rows_of_all_tables) {
  Array a = mixed_array(0, 1);
  a.symbols = draw(a.tables, {}, 100, 3, 0.01);
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str()), reference("ref");
    for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
      for (const uint32_t lanes : {1u, 32u}) {
        if (coder == BINCE_RANGE && lanes > 1) continue;
        std::vector<uint8_t> coded, expected;
        std::vector<int32_t> back;
        CHECK_OK(code_symbols(context, a, false, coder, lanes, &coded));
        CHECK_OK(code_symbols(reference, a, false, coder, lanes, &expected));
        CHECK(coded == expected);
        CHECK_OK(decode_symbols(context, a, false, coder, lanes, coded, &back));
        CHECK(back == a.symbols);
      }
    }
    Array odd = mixed_array(0, 1);
    odd.symbols = {1, 2, 3};
    std::vector<uint8_t> coded;
    CHECK_EQ(code_symbols(context, odd, false, BINCE_RANS, 1, &coded), BINCE_INVALID_ARGUMENT);
  }
}

TEST(damaged_arrays_never_crash) {
  for (const std::string& name : {std::string("ref"), bince_test::available_backends().back()}) {
    const bince_test::Context context(name.c_str());
    const bool slow = on_device(context);
    const Array a = mixed_array(slow ? 40 : 300, 9);
    std::mt19937 random(2);
    for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
      const uint32_t lanes = coder == BINCE_RANS && slow ? 8 : 1;
      std::vector<uint8_t> coded;
      CHECK_OK(code_symbols(context, a, true, coder, lanes, &coded));
      std::vector<int32_t> back;
      for (size_t length = 0; length < coded.size(); ++length) {
        const std::vector<uint8_t> cut(coded.begin(), coded.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK_EQ(decode_symbols(context, a, true, coder, lanes, cut, &back), BINCE_CORRUPT_DATA);
      }
      for (int round = 0; round < (slow ? 100 : 500); ++round) {
        std::vector<uint8_t> bad = coded;
        bad[random() % bad.size()] ^= static_cast<uint8_t>(1 + random() % 255);
        const bince_status status = decode_symbols(context, a, true, coder, lanes, bad, &back);
        CHECK(status == BINCE_OK || status == BINCE_CORRUPT_DATA);
      }
    }
  }
}

TEST(a_stream_is_the_array_symbol_by_symbol) {
  const Array a = mixed_array(2000, 4);
  const bince_test::Context context("ref");
  std::vector<uint8_t> coded, buffer(16), moved;
  CHECK_OK(code_symbols(context, a, true, BINCE_RANGE, 1, &coded));
  bince_range_encoder encoder;
  CHECK_OK(bince_range_encoder_init(&encoder, a.prepared, buffer.data(), buffer.size()));
  for (size_t i = 0; i < a.symbols.size();) {
    const bince_status status =
        bince_range_encoder_put(&encoder, static_cast<uint32_t>(a.indexes[i]), a.symbols[i]);
    if (status == BINCE_OK) {
      ++i;
      continue;
    }
    CHECK_EQ(status, BINCE_BUFFER_TOO_SMALL);
    moved = buffer;
    moved.resize(2 * buffer.size());
    CHECK_OK(bince_range_encoder_move(&encoder, moved.data(), moved.size()));
    buffer.swap(moved);
  }
  size_t bytes = 0;
  CHECK_OK(bince_range_encoder_finish(&encoder, &bytes));
  CHECK_EQ(bytes, coded.size());
  CHECK(std::equal(coded.begin(), coded.end(), buffer.begin()));
  bince_range_decoder decoder;
  CHECK_OK(bince_range_decoder_init(&decoder, a.prepared, coded.data(), coded.size()));
  for (size_t i = 0; i < a.symbols.size(); ++i) {
    int32_t symbol = 0;
    CHECK_OK(bince_range_decoder_get(&decoder, static_cast<uint32_t>(a.indexes[i]), &symbol));
    CHECK_EQ(symbol, a.symbols[i]);
  }
  CHECK_OK(bince_range_decoder_finish(&decoder));
  CHECK_EQ(bince_range_encoder_put(&encoder, 99, 0), BINCE_INVALID_ARGUMENT);
}

TEST(a_carry_runs_through_many_words) {
  // Entry 65535 of flat tables pushes `low` to the top without a word that stays below 0xffff.
  Tables tables;
  tables.add(std::vector<int32_t>(65536, 1), 0);
  tables.add({65535, 1}, 0);
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  std::vector<uint8_t> buffer(1000);
  for (int tail = 0; tail < 40; ++tail) {
    bince_range_encoder encoder;
    CHECK_OK(bince_range_encoder_init(&encoder, prepared, buffer.data(), buffer.size()));
    std::vector<int32_t> symbols = {5};
    symbols.insert(symbols.end(), 30, 65534);
    symbols.insert(symbols.end(), static_cast<size_t>(tail), 0);
    for (size_t i = 0; i < symbols.size(); ++i)
      CHECK_OK(bince_range_encoder_put(&encoder, i <= 30 ? 0u : 1u, symbols[i]));
    size_t bytes = 0;
    CHECK_OK(bince_range_encoder_finish(&encoder, &bytes));
    bince_range_decoder decoder;
    CHECK_OK(bince_range_decoder_init(&decoder, prepared, buffer.data(), bytes));
    for (size_t i = 0; i < symbols.size(); ++i) {
      int32_t symbol = -1;
      CHECK_OK(bince_range_decoder_get(&decoder, i <= 30 ? 0u : 1u, &symbol));
      CHECK_EQ(symbol, symbols[i]);
    }
    CHECK_OK(bince_range_decoder_finish(&decoder));
  }
}

TEST(strings_are_those_of_the_worked_example) {
  Tables tables;
  tables.add({32, 1310, 13106, 36044, 13106, 1926, 1, 11}, -3);
  tables.add({62086, 3448, 1, 1}, -1);
  std::unique_ptr<Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  const std::vector<int32_t> one = {0, 0, -2, 1, 5, 0, -9, 1, 3, 0, 100, 2, 0, -1, 123456, 0};
  const uint8_t expected[32] = {0xad, 0x40, 0x1d, 0x0a, 0x03, 0x00, 0x00, 0x00, 0xd8, 0x02, 0xad,
                                0xfc, 0x21, 0xb0, 0xf9, 0x06, 0xeb, 0xff, 0x4f, 0xff, 0xd2, 0xf3,
                                0x0a, 0x81, 0xff, 0xff, 0x20, 0x64, 0x85, 0x47, 0x3c, 0xa6};
  std::vector<int32_t> index;
  for (int i = 0; i < 16; ++i) index.push_back(i % 2);
  for (const int64_t B : {1, 3, 4, 5, 9}) {
    std::vector<int32_t> symbols;
    for (int64_t b = 0; b < B; ++b) symbols.insert(symbols.end(), one.begin(), one.end());
    for (const std::string& name : bince_test::available_backends()) {
      const bince_test::Context context(name.c_str(), 2);
      const UploadedTables uploaded(context, prepared);
      size_t workspace = 0;
      CHECK_OK(bince_compressai_workspace(context, B, 16, &workspace));
      const bince_test::DeviceLaunch launch(context, workspace);
      bince_test::DeviceArray<int32_t> in(context, symbols), indexes(context, index),
          back(context, symbols.size());
      bince_test::DeviceArray<uint8_t> strings(context, static_cast<size_t>(32 * B), 1);
      bince_test::DeviceArray<int64_t> lengths(context, static_cast<size_t>(B));
      bince_test::DeviceArray<uint64_t> bytes(context, size_t{1});
      const auto decode = [&] {
        const bince_status status =
            bince_compressai_decode(context, prepared, strings.tensor(), lengths.tensor(), indexes.tensor(),
                                    back.tensor({B, 16}), launch);
        return status == BINCE_OK ? launch.finish() : status;
      };
      CHECK_OK(bince_compressai_encode(context, prepared, in.tensor({B, 16}), indexes.tensor(),
                                       strings.tensor(), lengths.tensor(), bytes.data(), launch));
      CHECK_OK(launch.finish());
      std::vector<uint8_t> out = strings.read();
      CHECK_EQ(bytes.read()[0], out.size());
      for (int64_t b = 0; b < B; ++b) CHECK(std::memcmp(out.data() + 32 * b, expected, 32) == 0);
      CHECK_OK(decode());
      CHECK(back.read() == symbols);
      out[static_cast<size_t>(32 * (B - 1)) + 31] ^= 1;
      strings.write(out);
      CHECK_EQ(decode(), BINCE_CORRUPT_DATA);
      const std::string named = "string " + std::to_string(B - 1);
      CHECK(std::strstr(bince_last_error(), named.c_str()) != nullptr);
    }
  }
}

TEST(long_arrays_end_when_they_are_cancelled) {
  Array a = mixed_array(300000, 3);
  for (const std::string& name : bince_test::cpu_backends()) {
    const bince_test::Context context(name.c_str(), 1);
    for (const int32_t coder : {BINCE_RANS, BINCE_RANGE}) {
      std::vector<uint8_t> coded;
      CHECK_OK(code_symbols(context, a, true, coder, 1, &coded));
      const int64_t count = static_cast<int64_t>(a.symbols.size());
      size_t workspace = 0;
      uint64_t bytes = 0;
      CHECK_OK(bince_symbols_encode_workspace(context, a.prepared, count, &workspace));
      const Room room(workspace);
      const int32_t cancel = 1;
      const bince_launch launch = {nullptr, room.data, workspace, &cancel};
      std::vector<int32_t> back(a.symbols.size(), -7);
      Tensor symbols(a.symbols.data(), kInt32, count), indexes(a.indexes.data(), kInt32, count);
      Tensor out(coded.data(), kUint8, static_cast<int64_t>(coded.size()));
      Tensor result(back.data(), kInt32, count);
      CHECK_EQ(bince_symbols_decode(context, a.prepared, coder, 1, out, indexes, result, &launch),
               BINCE_CANCELLED);
      CHECK_EQ(back.back(), -7);
      CHECK_EQ(bince_symbols_encode(context, a.prepared, coder, 1, symbols, indexes, out, &bytes, &launch),
               BINCE_CANCELLED);
    }
  }
}

TEST(wrong_tables_are_refused_with_words) {
  const auto status_of = [](const std::vector<int32_t>& cdf, const std::vector<int32_t>& start) {
    Tensor c(cdf.data(), kInt32, static_cast<int64_t>(cdf.size()));
    Tensor s(start.data(), kInt32, static_cast<int64_t>(start.size()));
    size_t bytes = 0;
    return bince_tables_bytes(c, s, &bytes);
  };
  CHECK_OK(status_of({0, 1, 65536}, {0, 3}));
  CHECK_EQ(status_of({0, 65536}, {0, 2}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 5, 65536}, {0, 4}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({1, 5, 65536}, {0, 3}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 65535}, {0, 3}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 65536}, {0, 4}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 65536}, {0}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 65536}, {0, 2, 3}), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(status_of({0, 5, 65536}, {0, 5, 3}), BINCE_INVALID_ARGUMENT);
  alignas(64) static char nothing[256] = {};
  bince_range_encoder encoder;
  CHECK_EQ(bince_range_encoder_init(&encoder, reinterpret_cast<bince_tables*>(nothing), nothing, 2),
           BINCE_INVALID_ARGUMENT);
}
