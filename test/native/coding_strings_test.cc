// CompressAI's strings on every backend of the CPU: the reference's bytes, symbols and complaints.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "test/native/coding_fixture.h"
#include "test/native/harness.h"

using namespace coding_test;

namespace {

struct Case {
  const bince_tables* tables = nullptr;
  int64_t rows = 0, length = 0;
  bool shared = true;
  std::vector<int32_t> indexes, symbols;

  const int32_t* index_of(int64_t row) const { return indexes.data() + (shared ? 0 : row * length); }
};

struct Strings {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> sizes;
};

// Tables of every kind: with one boundary in a bucket and with 256, narrow and wide, and lopsided ones.
const Tables& all_tables() {
  static const Tables tables = [] {
    Tables t = bell_tables({2, 5, 17, 31, 32, 33, 200, 256, 257, 3000});
    t.add({65535, 1}, 3);
    t.add({1, 65535}, -3);
    t.add(std::vector<int32_t>(65536, 1), -30000);
    t.add({1, 1, 1, 65531, 1, 1}, INT32_MAX - 5);
    t.add({1, 65534, 1}, INT32_MIN);
    return t;
  }();
  return tables;
}

const bince_tables* prepared_tables() {
  static std::unique_ptr<Room> room;
  static const bince_tables* const prepared = all_tables().prepare(&room);
  return prepared;
}

// A symbol by its table's frequencies, or one that needs an escape of any number of nibbles.
int32_t draw_symbol(const Tables& tables, int32_t table, double escapes, std::mt19937* random) {
  const int64_t offset = tables.offset[static_cast<size_t>(table)];
  const int32_t* cdf = tables.cdf.data() + tables.start[static_cast<size_t>(table)];
  const int32_t n =
      tables.start[static_cast<size_t>(table) + 1] - tables.start[static_cast<size_t>(table)] - 1;
  if ((*random)() % 1000000 < escapes * 1e6) {
    const int64_t far = static_cast<int64_t>((*random)() >> (6 + (*random)() % 26));
    const int64_t symbol = (*random)() % 2 ? offset - 1 - far : offset + n - 1 + far;
    if (symbol >= INT32_MIN && symbol <= INT32_MAX) return static_cast<int32_t>(symbol);
  }
  const int32_t slot = static_cast<int32_t>((*random)() % 65536);
  const int32_t entry = static_cast<int32_t>(std::upper_bound(cdf, cdf + n, slot) - cdf) - 1;
  return static_cast<int32_t>(offset + std::min(entry, n - 2));
}

Case make_case(int64_t rows, int64_t length, bool shared, double escapes, uint32_t seed) {
  Case c;
  c.tables = prepared_tables();
  c.rows = rows;
  c.length = length;
  c.shared = shared;
  std::mt19937 random(seed);
  for (int64_t i = 0; i < (shared ? length : rows * length); ++i)
    c.indexes.push_back(static_cast<int32_t>(random() % all_tables().offset.size()));
  for (int64_t i = 0; i < rows * length; ++i)
    c.symbols.push_back(draw_symbol(all_tables(), c.index_of(i / length)[i % length], escapes, &random));
  return c;
}

bince_status try_encode_strings(bince_context* context, const Case& c, Strings* out) {
  size_t workspace = 0;
  uint64_t bound = 0, bytes = 0;
  CHECK_OK(bince_compressai_workspace(context, c.rows, c.length, &workspace));
  CHECK_OK(bince_compressai_bound(c.rows, c.length, &bound));
  const Room work(workspace);
  const bince_launch launch = {nullptr, work.data, workspace, nullptr};
  out->bytes.assign(bound, 0xee);
  out->sizes.assign(static_cast<size_t>(c.rows), -1);
  Tensor symbols(c.symbols.data(), kInt32, c.rows, c.length);
  Tensor indexes(c.indexes.data(), kInt32, c.shared ? c.length : c.rows, c.shared ? -1 : c.length);
  Tensor strings(out->bytes.data(), kUint8, static_cast<int64_t>(bound)),
      sizes(out->sizes.data(), kInt64, c.rows);
  const bince_status status =
      bince_compressai_encode(context, c.tables, symbols, indexes, strings, sizes, &bytes, &launch);
  if (status == BINCE_OK) out->bytes.resize(bytes);
  return status;
}

// Memory whose end is the end of what may be read.
class Guarded {
 public:
  explicit Guarded(const std::vector<uint8_t>& bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = (bytes.size() + page - 1) / page * page + page;
    base_ =
        static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    data = base_ + (size_ - page - bytes.size());
    if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
    mprotect(base_ + (size_ - page), page, PROT_NONE);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded&) = delete;
  char* data;

 private:
  char* base_;
  size_t size_;
};

// Symbols with a sentinel before and behind them.
bince_status try_decode_strings(bince_context* context, const Case& c, const Strings& coded,
                                std::vector<int32_t>* symbols) {
  const Guarded bytes(coded.bytes);
  size_t workspace = 0;
  CHECK_OK(bince_compressai_workspace(context, c.rows, 0, &workspace));
  const Room work(workspace);
  const bince_launch launch = {nullptr, work.data, workspace, nullptr};
  const size_t count = static_cast<size_t>(c.rows * c.length);
  std::vector<int32_t> room(count + 2, -987654321);
  Tensor strings(bytes.data, kUint8, static_cast<int64_t>(coded.bytes.size()));
  Tensor sizes(coded.sizes.data(), kInt64, c.rows);
  Tensor indexes(c.indexes.data(), kInt32, c.shared ? c.length : c.rows, c.shared ? -1 : c.length);
  Tensor result(room.data() + 1, kInt32, c.rows, c.length);
  const bince_status status =
      bince_compressai_decode(context, c.tables, strings, sizes, indexes, result, &launch);
  CHECK_EQ(room.front(), -987654321);
  CHECK_EQ(room.back(), -987654321);
  symbols->assign(room.begin() + 1, room.end() - 1);
  return status;
}

struct Contexts {
  std::vector<std::unique_ptr<bince_test::Context>> all;  // the reference first
  Contexts() {
    std::vector<std::string> names = bince_test::cpu_backends();
    std::reverse(names.begin(), names.end());
    for (const std::string& name : names)
      all.push_back(std::make_unique<bince_test::Context>(name.c_str(), 1));
    CHECK(names[0] == "ref");
  }
};

// The same bytes from each backend, and symbols from each.
void check_case(const Contexts& contexts, const Case& c) {
  Strings expected;
  for (const auto& context : contexts.all) {
    Strings strings;
    CHECK_OK(try_encode_strings(*context, c, &strings));
    if (context == contexts.all[0]) expected = strings;
    CHECK(strings.bytes == expected.bytes);
    CHECK(strings.sizes == expected.sizes);
    std::vector<int32_t> symbols;
    CHECK_OK(try_decode_strings(*context, c, expected, &symbols));
    CHECK(symbols == c.symbols);
  }
}

struct Outcome {
  bince_status status;
  std::string words;
  std::vector<int32_t> symbols;  // of a call that succeeded
};

Outcome decoded(bince_context* context, const Case& c, const Strings& strings) {
  Outcome outcome;
  outcome.status = try_decode_strings(context, c, strings, &outcome.symbols);
  if (outcome.status == BINCE_OK) return outcome;
  outcome.words = bince_last_error();
  outcome.symbols.clear();
  return outcome;
}

// Every backend says of these strings what the reference says.
Outcome check_outcome(const Contexts& contexts, const Case& c, const Strings& strings) {
  const Outcome expected = decoded(*contexts.all[0], c, strings);
  for (size_t i = 1; i < contexts.all.size(); ++i) {
    const Outcome outcome = decoded(*contexts.all[i], c, strings);
    CHECK_EQ(outcome.status, expected.status);
    CHECK(outcome.words == expected.words);
    CHECK(outcome.symbols == expected.symbols);
  }
  return expected;
}

}  // namespace

TEST(strings_are_the_same_from_every_backend) {
  const Contexts contexts;
  uint32_t seed = 0;
  for (int64_t rows = 1; rows <= 40; ++rows)
    for (const int64_t length : {0, 1, 2, 3, 4, 5, 15, 16, 17, 33, 101})
      for (const bool shared : {true, false})
        check_case(contexts, make_case(rows, length, shared, 0.02, ++seed));
  check_case(contexts, make_case(130, 257, true, 0, 1001));
  check_case(contexts, make_case(130, 257, false, 0.3, 1002));
  check_case(contexts, make_case(32, 64, false, 1, 1003));
}

TEST(escapes_of_single_strings_disturb_no_others) {
  const Contexts contexts;
  for (const int64_t rows : {3, 8, 9, 31, 32}) {
    Case c = make_case(rows, 40, true, 0, 7);
    for (int64_t i = 0; i < c.length; ++i) c.indexes[static_cast<size_t>(i)] = static_cast<int32_t>(i % 4);
    for (size_t i = 0; i < c.symbols.size(); ++i) c.symbols[i] = 0;
    for (const int64_t row : {int64_t{0}, rows / 2, rows - 1})
      for (const int64_t i : {0, 1, 3, 15, 16, 39})
        for (const int32_t symbol : {-9, 100, 123456, (1 << 27) - 1, -(1 << 27)}) {
          Case one = c;
          one.symbols[static_cast<size_t>(row * c.length + i)] = symbol;
          check_case(contexts, one);
        }
  }
}

TEST(every_kind_of_frequency_divides_exactly) {
  const Contexts contexts;
  Tables tables;
  for (int32_t f = 1; f < 65535; f += 7) tables.add({f, 65535 - f, 1}, 0);
  std::unique_ptr<Room> room;
  Case c;
  c.tables = tables.prepare(&room);
  c.rows = 9;
  c.length = static_cast<int64_t>(tables.offset.size());
  for (int64_t i = 0; i < c.length; ++i) c.indexes.push_back(static_cast<int32_t>(i));
  std::mt19937 random(3);
  for (int64_t i = 0; i < c.rows * c.length; ++i) c.symbols.push_back(static_cast<int32_t>(random() % 2));
  check_case(contexts, c);
}

TEST(a_symbol_too_far_outside_is_named_alike) {
  const Contexts contexts;
  for (const int64_t rows : {1, 5, 8, 33}) {
    Case c = make_case(rows, 20, true, 0.01, 11);
    for (int32_t& index : c.indexes) index = 1;
    for (int32_t& symbol : c.symbols) symbol = 0;
    for (const int64_t row : {int64_t{0}, rows - 1})
      for (const int64_t i : {0, 7, 19}) {
        Case one = c;
        one.symbols[static_cast<size_t>(row * c.length + i)] = 1 << 28;
        one.symbols[static_cast<size_t>(row * c.length + 19)] = INT32_MIN;
        const std::string named = "string " + std::to_string(row) + ", symbol " + std::to_string(i);
        for (const auto& context : contexts.all) {
          Strings strings;
          CHECK_EQ(try_encode_strings(*context, one, &strings), BINCE_INVALID_VALUE);
          CHECK(std::strstr(bince_last_error(), named.c_str()) != nullptr);
        }
      }
  }
}

TEST(damage_is_named_alike) {
  const Contexts contexts;
  int refused = 0, tried = 0;
  for (const bool shared : {true, false}) {
    const Case c = make_case(11, 21, shared, 0.05, 5);
    Strings sound;
    CHECK_OK(try_encode_strings(*contexts.all[0], c, &sound));
    const auto check = [&](const Strings& strings) {
      ++tried;
      refused += check_outcome(contexts, c, strings).status == BINCE_CORRUPT_DATA;
    };
    for (size_t at = 0; at < sound.bytes.size(); ++at)
      for (const int flip : {1, 0x80, 0xff}) {
        Strings strings = sound;
        strings.bytes[at] = static_cast<uint8_t>(strings.bytes[at] ^ flip);
        check(strings);
      }
    size_t end = 0;
    for (size_t s = 0; s < sound.sizes.size(); ++s) {
      end += static_cast<size_t>(sound.sizes[s]);
      for (int64_t less = 1; less <= sound.sizes[s]; ++less) {
        Strings strings = sound;
        strings.sizes[s] -= less;
        strings.bytes.erase(strings.bytes.begin() + static_cast<std::ptrdiff_t>(end) - less,
                            strings.bytes.begin() + static_cast<std::ptrdiff_t>(end));
        check(strings);
      }
      for (const int64_t more : {1, 4, 8}) {
        Strings strings = sound;
        strings.sizes[s] += more;
        strings.bytes.insert(strings.bytes.begin() + static_cast<std::ptrdiff_t>(end),
                             static_cast<size_t>(more), 7);
        check(strings);
      }
    }
  }
  CHECK(refused > tried * 9 / 10);
}
