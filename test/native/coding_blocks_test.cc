// Blocks on every backend: the same bytes, and every backend reads what any of them wrote.
#include <algorithm>
#include <random>

#include "test/native/coding_fixture.h"
#include "test/native/harness.h"

using namespace coding_test;

namespace {

struct Shape {
  int64_t rows;
  uint32_t channels, block_rows, lanes;
  int32_t coder;
};

// On the backends that are named, or all.
void check_all_pairs(const Shape& shape, const Tables& tables, const std::vector<int32_t>& index,
                     double escapes,
                     const std::vector<std::string>& backends = bince_test::available_backends()) {
  Format format(tables, index, shape.channels, shape.block_rows, shape.lanes, shape.coder);
  const std::vector<int32_t> symbols = draw(tables, index, shape.rows, 1, escapes);
  // float32 holds these symbols.
  const bool exact =
      std::all_of(symbols.begin(), symbols.end(), [](int32_t s) { return s > -(1 << 24) && s < 1 << 24; });
  std::vector<uint8_t> first;
  double first_ideal = 0;
  for (const std::string& writer : backends) {
    const bince_test::Context context(writer.c_str(), writer == "ref" ? 1 : 2);
    double ideal = 0;
    const std::vector<uint8_t> bytes = encode(context, format, symbols.data(), kInt32, shape.rows, &ideal);
    if (first.empty()) {
      first = bytes;
      first_ideal = ideal;
    }
    CHECK(bytes == first);
    CHECK_EQ(ideal, first_ideal);
    std::vector<float> values(symbols.begin(), symbols.end());
    if (exact) CHECK(encode(context, format, values.data(), kFloat32, shape.rows, nullptr) == first);
    std::vector<int32_t> back(symbols.size() + 2, 77);
    CHECK_OK(decode(context, format, first, back.data() + 1, kInt32, shape.rows));
    CHECK(std::equal(symbols.begin(), symbols.end(), back.begin() + 1));
    CHECK(back.front() == 77 && back.back() == 77);
  }
}

}  // namespace

TEST(blocks_are_the_same_bytes_from_every_backend) {
  for (const uint32_t channels : {1u, 2u, 7u, 16u, 33u, 512u})
    for (const uint32_t lanes : {1u, 2u, 4u, 8u, 16u, 32u})
      for (const int64_t rows : {1, 31, 32, 33, 65, 300}) {
        if (channels == 512 && lanes != 32) continue;
        std::vector<int> sizes;
        for (uint32_t c = 0; c < channels; ++c) sizes.push_back(2 + static_cast<int>(c * 7 % 31));
        const Tables tables = bell_tables(sizes);
        check_all_pairs({rows, channels, 64, lanes, BINCE_RANS}, tables, {}, 0.01);
      }
}

TEST(blocks_of_every_alphabet) {
  for (const int entries : {2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 64, 65, 300, 65536}) {
    const Tables tables = bell_tables({entries});
    const std::vector<int32_t> index(3, 0);
    check_all_pairs({333, 3, 100, 32, BINCE_RANS}, tables, index, 0.02);
    check_all_pairs({97, 3, 40, 1, BINCE_RANGE}, tables, index, 0.02);
  }
}

// Pairs of channels whose tables are of different kinds, flat ones and ones with most entries in one bucket.
TEST(blocks_of_mixed_alphabets) {
  Tables tables = bell_tables({20, 3, 40, 12, 64, 33, 100, 7, 256, 32, 31, 50});
  for (const int entries : {30, 60, 200}) {
    std::vector<int32_t> peaked(static_cast<size_t>(entries), 1);
    peaked[1] = 65536 - entries + 1;
    tables.add(peaked, -3);
  }
  std::mt19937 random(5);
  for (const uint32_t channels : {1u, 2u, 5u, 24u, 61u})
    for (const uint32_t lanes : {4u, 32u}) {
      std::vector<int32_t> index;
      for (uint32_t c = 0; c < channels; ++c) index.push_back(static_cast<int32_t>(random() % 15));
      check_all_pairs({301, channels, 64, lanes, BINCE_RANS}, tables, index, 0.02);
    }
}

// Rows of more than a call leaves in the caches, off the alignment of vectors.
TEST(many_rows_are_written_past_the_caches) {
  std::vector<int> sizes;
  for (int c = 0; c < 515; ++c) sizes.push_back(2 + c % 31);
  for (const size_t channels : {512, 515}) {
    sizes.resize(channels, 9);
    check_all_pairs({2100, static_cast<uint32_t>(channels), 512, 32, BINCE_RANS}, bell_tables(sizes), {},
                    0.001, bince_test::cpu_backends());
  }
}

// Wherever rows begin within a line: every value is there, and nothing beside them is touched.
TEST(rows_past_the_caches_at_every_alignment) {
  struct {
    uint32_t channels, lanes;
  } const shapes[] = {{7, 8}, {16, 32}, {48, 4}, {48, 32}, {512, 32}, {515, 32}};
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const auto& [channels, lanes] : shapes) {
    std::vector<int> sizes;
    std::vector<float> median(channels), step(channels), shift(channels);
    for (uint32_t c = 0; c < channels; ++c) {
      sizes.push_back(2 + static_cast<int>(c % 31));
      median[c] = uniform(random);
      step[c] = 0.01f + std::fabs(uniform(random));
      shift[c] = 10 * uniform(random);
    }
    const Tables tables = bell_tables(sizes);
    const int64_t rows = (4 << 20) / 4 / channels + 37;
    Format format(tables, {}, channels, 300, lanes, BINCE_RANS);
    format.set_values(&median, &step, &shift);
    const std::vector<int32_t> symbols = draw(tables, {}, rows, 3, 0.001);
    const size_t count = symbols.size();
    const bince_test::Context plain("ref", 2);
    const std::vector<uint8_t> bytes = encode(plain, format, symbols.data(), kInt32, rows, nullptr);
    std::vector<float> values(count);
    CHECK_OK(decode(plain, format, bytes, values.data(), kFloat32, rows));
    for (const std::string& backend : bince_test::cpu_backends()) {
      const bince_test::Context context(backend.c_str(), 2);
      for (const size_t lead : {0, 1, 4, 8, 12, 15}) {
        std::vector<int32_t> integers(count + 64, 77);
        std::vector<float> floats(count + 64, 77);
        const auto place = [&](const void* at) {
          return lead + (64 - reinterpret_cast<uintptr_t>(at) % 64) / 4;
        };
        const size_t first = place(integers.data()), second = place(floats.data());
        CHECK_OK(decode(context, format, bytes, &integers[first], kInt32, rows));
        CHECK(std::memcmp(symbols.data(), &integers[first], count * 4) == 0);
        CHECK_OK(decode(context, format, bytes, &floats[second], kFloat32, rows));
        CHECK(std::memcmp(values.data(), &floats[second], count * 4) == 0);
        const auto untouched = [](const auto& all, size_t from, size_t to) {
          return std::all_of(&all[from], &all[to], [](auto x) { return x == 77; });
        };
        CHECK(untouched(integers, 0, first) && untouched(integers, first + count, count + 63));
        CHECK(untouched(floats, 0, second) && untouched(floats, second + count, count + 63));
      }
    }
  }
}

TEST(blocks_of_escapes_alone_and_of_degenerate_tables) {
  Tables tables;
  tables.add({1, 65535}, 0);
  tables.add({65535, 1}, -1);
  tables.add({65534, 1, 1}, INT32_MIN);
  tables.add({1, 1, 65534}, INT32_MAX - 2);
  const std::vector<int32_t> index = {0, 1, 2, 3, 1};
  for (const double escapes : {0.0, 0.5, 1.0})
    for (const uint32_t lanes : {1u, 8u, 32u})
      check_all_pairs({517, 5, 128, lanes, BINCE_RANS}, tables, index, escapes);
}

TEST(blocks_of_4096_rows_of_512_channels) {
  std::vector<int> sizes;
  for (int c = 0; c < 512; ++c) sizes.push_back(12 + c % 11);
  const Tables tables = bell_tables(sizes);
  for (const int64_t rows : {4095, 4097})
    check_all_pairs({rows, 512, 1024, 32, BINCE_RANS}, tables, {}, 0.0001, bince_test::cpu_backends());
  for (const int64_t rows : {1, 33, 130})
    check_all_pairs({rows, 512, 64, 32, BINCE_RANS}, tables, {}, 0.0001);
  const Tables seven = bell_tables({12, 13, 14, 15, 16, 17, 18});
  for (const int64_t rows : {4095, 4096, 4097})
    check_all_pairs({rows, 7, 4096, 32, BINCE_RANS}, seven, {}, 0.001);
}

TEST(values_are_quantised_alike) {
  const uint32_t C = 35;
  std::vector<int> sizes(C, 20);
  const Tables tables = bell_tables(sizes);
  Format format(tables, {}, C, 64, 32, BINCE_RANS);
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> median(C), step(C), shift(C), rows(200 * C);
  for (uint32_t c = 0; c < C; ++c) {
    median[c] = uniform(random);
    step[c] = 0.01f + std::fabs(uniform(random));
    shift[c] = 10 * uniform(random);
  }
  for (float& x : rows) x = 40 * uniform(random);
  for (uint32_t c = 0; c < C; ++c)
    rows[c] = (static_cast<float>(c) - 10.5f) * step[c] + shift[c];  // ties, near enough
  format.set_values(&median, &step, &shift);
  std::vector<uint8_t> first;
  std::vector<float> first_values;
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str());
    const std::vector<uint8_t> bytes = encode(context, format, rows.data(), kFloat32, 200, nullptr);
    std::vector<float> values(rows.size());
    CHECK_OK(decode(context, format, bytes, values.data(), kFloat32, 200));
    if (first.empty()) {
      first = bytes;
      first_values = values;
    }
    CHECK(bytes == first);
    CHECK(std::memcmp(values.data(), first_values.data(), values.size() * 4) == 0);
  }
}

TEST(values_that_cannot_be_coded_are_named) {
  const Tables tables = bell_tables(std::vector<int>(5, 9));
  Format format(tables, {}, 5, 64, 32, BINCE_RANS);
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str(), 2);
    for (const float bad : {NAN, INFINITY, -INFINITY, 1073741824.0f, -1073741824.0f}) {
      std::vector<float> rows(5 * 700, 1.0f);
      rows[5 * 333 + 4] = bad;
      rows[5 * 600] = bad;
      std::vector<uint8_t> out(1 << 20);
      CHECK_EQ(try_encode(context, format, rows.data(), kFloat32, 700, &out, nullptr), BINCE_INVALID_VALUE);
      const char* place = on_device(context) ? "element 1669 " : "row 333, channel 4";
      CHECK(std::strstr(bince_last_error(), place) != nullptr);
    }
  }
}

// Blocks of a task side by side, a short one or several bad ones among them.
TEST(the_first_value_that_cannot_be_coded_is_named_by_any_number_of_threads) {
  const Tables tables = bell_tables(std::vector<int>(4, 9));
  struct {
    uint32_t block_rows;
    int64_t rows, first, second;
  } const cases[] = {{100, 400, 99, 399}, {100, 389, 130, 388}, {128, 512, 0, 383}, {128, 500, 200, 490}};
  for (const auto& each : cases) {
    Format format(tables, {}, 4, each.block_rows, 32, BINCE_RANS);
    std::vector<float> rows(static_cast<size_t>(each.rows) * 4, 1.0f);
    for (const int64_t row : {each.first, each.second}) rows[static_cast<size_t>(row) * 4 + 1] = NAN;
    const std::string place = "row " + std::to_string(each.first) + ", channel 1:";
    for (const std::string& name : bince_test::available_backends()) {
      for (const int threads : {1, 2, 5}) {
        const bince_test::Context context(name.c_str(), threads);
        if (on_device(context)) continue;  // names elements; see above
        std::vector<uint8_t> out(1 << 20);
        CHECK_EQ(try_encode(context, format, rows.data(), kFloat32, each.rows, &out, nullptr),
                 BINCE_INVALID_VALUE);
        if (!std::strstr(bince_last_error(), place.c_str()))
          bince_test::report(__FILE__, __LINE__, name + ": " + bince_last_error());
      }
    }
  }
}

TEST(damaged_blocks_are_refused_on_every_backend) {
  const Tables tables = bell_tables({9, 20, 3});
  Format format(tables, {}, 3, 16, 4, BINCE_RANS);
  const std::vector<int32_t> symbols = draw(tables, {}, 40, 3, 0.05);
  std::mt19937 random(11);
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str());
    const std::vector<uint8_t> bytes = encode(context, format, symbols.data(), kInt32, 40, nullptr);
    std::vector<int32_t> back(symbols.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::vector<uint8_t> bad = bytes;
      bad[i] ^= static_cast<uint8_t>(1 + random() % 255);
      const bince_status status = decode(context, format, bad, back.data(), kInt32, 40);
      CHECK(status == BINCE_CORRUPT_DATA || (status == BINCE_OK && back == symbols));
    }
    // Damage that the checksum does not see: the checksum is made to fit.
    for (int round = 0; round < 300; ++round) {
      std::vector<uint8_t> bad = encode(context, format, symbols.data(), kInt32, 16, nullptr);
      const size_t header = bad.size() - section_payload(bad);
      bad[header + random() % (bad.size() - header)] ^= static_cast<uint8_t>(1 + random() % 255);
      refit_checksum(format, &bad, 16);
      const bince_status status = decode(context, format, bad, back.data(), kInt32, 16);
      CHECK(status == BINCE_OK || status == BINCE_CORRUPT_DATA);
    }
  }
}

TEST(small_buffers_are_told_what_is_needed) {
  const Tables tables = bell_tables({9});
  Format format(tables, {}, 1, 64, 1, BINCE_RANS);
  const std::vector<int32_t> symbols = draw(tables, {}, 500, 3, 0.05);
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str());
    const std::vector<uint8_t> whole = encode(context, format, symbols.data(), kInt32, 500, nullptr);
    std::vector<uint8_t> out(whole.size() - 1);
    uint64_t needed = 0;
    CHECK_EQ(try_encode(context, format, symbols.data(), kInt32, 500, &out, nullptr, &needed),
             BINCE_BUFFER_TOO_SMALL);
    CHECK_EQ(needed, whole.size());
    out.resize(needed);
    CHECK_OK(try_encode(context, format, symbols.data(), kInt32, 500, &out, nullptr, &needed));
    CHECK(out == whole);
  }
}

TEST(crc32c_is_castagnoli) {
  const char* digits = "123456789";
  CHECK_EQ(bince_crc32c(0, digits, 9), 0xe3069283u);
  std::vector<uint8_t> bytes(8000);
  std::mt19937 random(5);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  for (const std::string& name : bince_test::cpu_backends()) {
    const bince::CodingOps* ops = bince::ops_named(name.c_str())->coding;
    for (size_t begin = 0; begin < 9; ++begin)
      for (const size_t count : {0, 1, 7, 8, 9, 65, 3071, 3072, 3073, 7000})
        CHECK_EQ(ops->crc32c(3, bytes.data() + begin, count), bitwise_crc(3, bytes.data() + begin, count));
  }
}

// Many symbols, so that they are copied past the caches, from and to anywhere.
TEST(symbols_are_checked_and_copied) {
  const Tables tables = bell_tables({5, 9, 20});
  const Format format(tables, {}, 3, 16, 4, BINCE_RANS);
  constexpr int32_t kMost = (1 << 30) - 1;
  for (const size_t from : {0, 1})
    for (const size_t to : {0, 1, 2, 3})
      for (const size_t bad :
           {size_t{0}, size_t{2}, size_t{1023}, size_t{17000}, size_t{18002}, size_t{18003}}) {
        const size_t count = 18003;
        std::vector<int32_t> symbols(count + from), copy(count + 8, 5);
        for (size_t i = 0; i < count; ++i) symbols[from + i] = i % 2 ? kMost : -kMost;
        for (const int32_t wrong : {kMost + 1, -kMost - 1, INT32_MAX, INT32_MIN}) {
          if (bad < count) symbols[from + bad] = wrong;
          Tensor in(&symbols[from], kInt32, 6001, 3), out(&copy[to], kInt32, 6001, 3);
          int64_t valid = -1;
          CHECK_OK(bince_blocks_check_rows(format, in, out, &valid));
          CHECK_EQ(valid, static_cast<int64_t>(bad));
          CHECK(std::memcmp(&copy[to], &symbols[from], bad * 4) == 0);
          CHECK(std::all_of(&copy[0], &copy[to], [](int32_t x) { return x == 5; }));
          CHECK(std::all_of(&copy[to + count], &copy[count + 7], [](int32_t x) { return x == 5; }));
        }
      }
}

TEST(rows_are_checked_up_to_the_first_bad_value) {
  const Tables tables = bell_tables({5, 9, 20});
  Format format(tables, {}, 3, 16, 4, BINCE_RANS);
  std::vector<float> median = {0, 0.5f, -0.25f}, step = {1, 1e-3f, 100}, shift = {0, 1e5f, -3};
  format.set_values(&median, &step, &shift);
  const float far[3] = {2e9f, 2e6f, 2e11f};
  for (const int64_t rows : {1, 2, 341, 342, 1000, 5471}) {
    const size_t count = static_cast<size_t>(rows) * 3;
    for (const size_t bad : {size_t{0}, size_t{1}, count / 2, count - 1, count}) {
      std::vector<float> values(count, 1000.0f), copy(count + 5, -7.0f);
      const size_t lead = static_cast<size_t>(rows) % 4;
      for (const float wrong : {NAN, -INFINITY, bad < count ? far[bad % 3] : 0}) {
        if (bad < count) values[bad] = wrong;
        Tensor in(values.data(), kFloat32, rows, 3), out(copy.data() + lead, kFloat32, rows, 3);
        int64_t valid = -1;
        CHECK_OK(bince_blocks_check_rows(format, in, out, &valid));
        CHECK_EQ(valid, static_cast<int64_t>(bad));
        CHECK(std::memcmp(copy.data() + lead, values.data(), bad * 4) == 0);
        CHECK_EQ(std::count(copy.begin(), copy.begin() + static_cast<int64_t>(lead), -7.0f),
                 static_cast<int64_t>(lead));
        CHECK_EQ(copy[lead + count], -7.0f);
        CHECK_OK(bince_blocks_check_rows(format, in, nullptr, &valid));
        CHECK_EQ(valid, static_cast<int64_t>(bad));
        // The encoder refuses the same values.
        const bince_test::Context context("ref", 1);
        std::vector<uint8_t> sections(60 * count + 4096);
        CHECK_EQ(try_encode(context, format, values.data(), kFloat32, rows, &sections, nullptr),
                 bad < count ? BINCE_INVALID_VALUE : BINCE_OK);
      }
    }
  }
  std::vector<int32_t> symbols = {1, 2, 3, -(1 << 30), 5, 6};
  std::vector<float> floats(6);
  Tensor in(symbols.data(), kInt32, 2, 3), wrong(floats.data(), kFloat32, 2, 3);
  int64_t valid = -1;
  CHECK_OK(bince_blocks_check_rows(format, in, nullptr, &valid));
  CHECK_EQ(valid, 3);
  CHECK_EQ(bince_blocks_check_rows(format, in, wrong, &valid), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_blocks_check_rows(format, in, nullptr, nullptr), BINCE_INVALID_ARGUMENT);
}
