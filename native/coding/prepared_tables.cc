// Checks integer tables and lays out what the coders look up.
#include <cmath>

#include "native/coding/block_sections.h"
#include "native/coding/prepared_tables.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "native/core/workspace.h"

namespace bince {
namespace {

constexpr int64_t kMaxTables = 1 << 20;
constexpr int64_t kMaxEntries = 65536;

struct Counts {
  uint64_t tables, entries;
  uint64_t small;   // tables of at most kSmallEntries
  uint64_t medium;  // tables of at most kMediumEntries, if some are not small
};

// Places of the arrays; the same code sizes and fills.
struct Layout {
  bince_tables header;
  size_t bytes;
};

size_t place(size_t* used, uint64_t count, size_t size) {
  const size_t at = *used;
  *used += aligned_size(count * size);
  return at;
}

Layout lay_out(const Counts& counts) {
  const uint64_t tables = counts.tables, entries = counts.entries;
  Layout layout = {};
  bince_tables& h = layout.header;
  size_t used = aligned_size(sizeof(bince_tables));
  h.heads_at = place(&used, tables, sizeof(TableHead));
  h.decode_at = place(&used, entries, sizeof(DecodeEntry));
  h.encode_at = place(&used, entries, sizeof(EncodeEntry));
  h.costs_at = place(&used, entries, sizeof(uint32_t));
  h.buckets_at = place(&used, tables * (kBuckets + 1), sizeof(uint16_t));
  h.narrow_at = place(&used, tables * kBuckets, sizeof(uint8_t));
  h.small_decode_at = place(&used, counts.small, sizeof(SmallDecode));
  h.small_encode_at = place(&used, counts.small, sizeof(SmallEncode));
  h.lane32_at = place(&used, counts.small, sizeof(LaneDecode<kSmallEntries>));
  h.lane64_at = place(&used, counts.medium, sizeof(LaneDecode<kMediumEntries>));
  h.lane_encode_at = place(&used, counts.medium, sizeof(LaneEncode));
  h.pair_decode_at = place(&used, counts.small, sizeof(PairDecode));
  h.byte_encode_at = place(&used, counts.small, sizeof(ByteEncode));
  h.divide_at = place(&used, entries, sizeof(LaneDivide));
  h.bytes = used;
  h.tables = static_cast<uint32_t>(tables);
  h.entries = entries;
  layout.bytes = used;
  return layout;
}

bince_status check_table(const int32_t* cdf, int64_t numbers, int64_t index) {
  const long long t = index;
  if (numbers < 3 || numbers > kMaxEntries + 1)
    return fail(BINCE_INVALID_ARGUMENT, "tables: table %lld: expected 2 to 65536 entries, received %lld", t,
                static_cast<long long>(numbers - 1));
  if (cdf[0] != 0 || cdf[numbers - 1] != 65536)
    return fail(BINCE_INVALID_ARGUMENT,
                "tables: table %lld: expected numbers from 0 to 65536, received %d to %d", t, cdf[0],
                cdf[numbers - 1]);
  for (int64_t i = 1; i < numbers; ++i)
    if (cdf[i] <= cdf[i - 1])
      return fail(
          BINCE_INVALID_ARGUMENT,
          "tables: table %lld: expected numbers that rise strictly, received %d then %d at entry %lld", t,
          cdf[i - 1], cdf[i], static_cast<long long>(i - 1));
  return BINCE_OK;
}

// Checks everything and counts.
bince_status check_tables(const bince_tensor* cdf, const bince_tensor* start, Counts* counts) {
  BINCE_RETURN_IF_ERROR(check_tensor(cdf, "tables.cdf", {kInt32}, {-1}));
  BINCE_RETURN_IF_ERROR(check_tensor(start, "tables.start", {kInt32}, {-1}));
  const int64_t T = start->shape[0] - 1, numbers = cdf->shape[0];
  if (T < 1 || T > kMaxTables)
    return fail(BINCE_INVALID_ARGUMENT, "tables.start: expected 2 to %lld numbers, received %lld",
                static_cast<long long>(kMaxTables + 1), static_cast<long long>(T + 1));
  const int32_t* at = tensor_data<const int32_t>(start);
  const int32_t* values = tensor_data<const int32_t>(cdf);
  *counts = {static_cast<uint64_t>(T), static_cast<uint64_t>(numbers - T), 0, 0};
  if (at[0] != 0 || at[T] != numbers)
    return fail(BINCE_INVALID_ARGUMENT, "tables.start: expected 0 to %lld, received %d to %d",
                static_cast<long long>(numbers), at[0], at[T]);
  for (int64_t t = 0; t < T; ++t) {
    if (at[t + 1] < at[t] || at[t + 1] > numbers)
      return fail(BINCE_INVALID_ARGUMENT,
                  "tables.start: expected rising numbers up to %lld, received %d then %d",
                  static_cast<long long>(numbers), at[t], at[t + 1]);
    BINCE_RETURN_IF_ERROR(check_table(values + at[t], at[t + 1] - at[t], t));
    counts->small += at[t + 1] - at[t] - 1 <= kSmallEntries ? 1 : 0;
    counts->medium += at[t + 1] - at[t] - 1 <= kMediumEntries ? 1 : 0;
  }
  if (counts->medium == counts->small) counts->medium = 0;
  return BINCE_OK;
}

EncodeEntry encode_entry(uint32_t start, uint32_t frequency) {
  uint32_t shift = 0;
  while ((1u << shift) < frequency) ++shift;
  const unsigned __int128 power = static_cast<unsigned __int128>(1) << (63 + shift);
  return {static_cast<uint64_t>((power + frequency - 1) / frequency), static_cast<uint16_t>(start),
          static_cast<uint16_t>(frequency), shift};
}

// -log2(frequency / 65536) in 2^-25 bits, at most 2^29.
uint32_t entry_cost(uint32_t frequency) {
  return static_cast<uint32_t>(
      std::lround((16.0 - std::log2(static_cast<double>(frequency))) * (1 << kCostBits)));
}

template <typename T>
T* writable(bince_tables* tables, uint64_t at) {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(tables) + at);
}

LaneDivide lane_divide(uint32_t frequency) {
  uint32_t shift = 0;
  while (!((frequency << shift) & 0x8000)) ++shift;
  return {static_cast<uint16_t>(0xffffffffu / (frequency << shift) - 0x10000), static_cast<uint16_t>(shift)};
}

void fill_small(const TableView& table, SmallDecode* decode, SmallEncode* encode) {
  *decode = {};
  *encode = {};
  for (uint32_t j = 0; j < kSmallEntries; ++j) {
    decode->below[j] = 0xffff;
    encode->frequency[j] = 1;  // so that lanes without a symbol divide by something
    encode->shift[j] = 15;
    encode->power[j] = 1 << 15;
  }
  for (uint32_t j = 0; j < table.entries; ++j) {
    const uint32_t start = table.decode[j].start, frequency = table.decode[j].frequency;
    if (j > 0) decode->below[j] = static_cast<uint16_t>(start - 1);
    decode->frequency[j] = encode->frequency[j] = static_cast<uint16_t>(frequency);
    decode->start[j] = encode->start[j] = static_cast<uint16_t>(start);
    encode->shift[j] = table.divide[j].shift;
    encode->power[j] = static_cast<uint16_t>(1u << encode->shift[j]);
    encode->reciprocal[j] = table.divide[j].reciprocal;
    encode->cost_high[j] = static_cast<uint16_t>(table.cost[j] >> 15);
    encode->cost_low[j] = static_cast<uint16_t>(table.cost[j] & 0x7fff);
  }
}

template <int Entries>
void put_word(uint8_t* words, uint32_t j, uint32_t value) {
  words[j] = static_cast<uint8_t>(value);
  words[Entries + j] = static_cast<uint8_t>(value >> 8);
}

template <int Entries>
void fill_lanes(const TableView& table, LaneDecode<Entries>* decode) {
  *decode = {};
  const uint32_t n = table.entries;
  for (uint32_t j = 0; j < static_cast<uint32_t>(Entries); ++j) {
    put_word<Entries>(decode->frequency, j, j < n ? table.decode[j].frequency : 1);
    put_word<Entries>(decode->start, j, j < n ? table.decode[j].start : 0);
    for (uint32_t s = 0; 1u << s < static_cast<uint32_t>(Entries); ++s) {
      const uint32_t next = j + (1u << s);
      put_word<Entries>(decode->below[s], j, next < n ? table.decode[next].start - 1u : 65535);
    }
  }
  for (uint32_t b = 0; b < 64; ++b) {
    decode->first[b] = static_cast<uint8_t>(find_entry(table.decode, table.bucket, 1024 * b));
    const uint32_t last = find_entry(table.decode, table.bucket, 1024 * b + 1023);
    while ((last - decode->first[b]) >> decode->steps) ++decode->steps;
  }
}

void fill_lane_encode(const TableView& table, LaneEncode* encode) {
  *encode = {};
  for (uint32_t j = 0; j < kMediumEntries; ++j) {
    const bool inside = j < table.entries;  // else: lanes without a symbol divide by 1
    put_word<kMediumEntries>(encode->frequency, j, inside ? table.decode[j].frequency : 1);
    put_word<kMediumEntries>(encode->start, j, inside ? table.decode[j].start : 0);
    put_word<kMediumEntries>(encode->reciprocal, j, inside ? table.divide[j].reciprocal : 0);
    put_word<kMediumEntries>(encode->shift, j, inside ? table.divide[j].shift : 15);
  }
}

void fill_pairs(const TableView& table, PairDecode* decode) {
  *decode = {};
  const uint32_t n = table.entries;
  const auto begin = [&](uint32_t j) { return j < n ? uint32_t{table.decode[j].start} : 65536u; };
  for (uint32_t level = 0; level < 4; ++level)
    for (uint32_t g = 0; g < 8; ++g) {
      const uint32_t entry = (level == 0 ? 16 : (32 >> level) * g + (16 >> level));
      decode->below[level][g] = static_cast<uint16_t>((begin(entry) - 1) ^ 0x8000);
    }
  for (uint32_t g = 0; g < 16 && 2 * g < n; ++g) {
    const uint32_t first = table.decode[2 * g].frequency;
    const uint32_t second = 2 * g + 1 < n ? table.decode[2 * g + 1].frequency : first;
    for (int byte = 0; byte < 2; ++byte) {
      decode->start[byte][g] = static_cast<uint8_t>(begin(2 * g) >> (8 * byte));
      decode->frequency[byte][g] = static_cast<uint8_t>(first >> (8 * byte));
      decode->turn[byte][g] = static_cast<uint8_t>((first ^ second) >> (8 * byte));
    }
  }
}

void fill_bytes(const SmallEncode& from, const TableView& table, ByteEncode* encode) {
  for (uint32_t j = 0; j < kSmallEntries; ++j) {
    for (int byte = 0; byte < 2; ++byte) {
      encode->frequency[byte][j] = static_cast<uint8_t>(from.frequency[j] >> (8 * byte));
      encode->start[byte][j] = static_cast<uint8_t>(from.start[j] >> (8 * byte));
      encode->reciprocal[byte][j] = static_cast<uint8_t>(from.reciprocal[j] >> (8 * byte));
      encode->power[byte][j] = static_cast<uint8_t>(from.power[j] >> (8 * byte));
    }
    const uint32_t cost = j < table.entries ? table.cost[j] : 0;
    for (int byte = 0; byte < 4; ++byte) encode->cost[byte][j] = static_cast<uint8_t>(cost >> (8 * byte));
  }
}

// The forms for vectors.
void fill_vectors(bince_tables* tables, uint32_t index) {
  const TableView table = table_view(tables, index);
  const TableHead& head = tables_at<TableHead>(tables, tables->heads_at)[index];
  if (head.small >= 0) {
    fill_small(table, writable<SmallDecode>(tables, tables->small_decode_at) + head.small,
               writable<SmallEncode>(tables, tables->small_encode_at) + head.small);
    fill_lanes(table, writable<LaneDecode<kSmallEntries>>(tables, tables->lane32_at) + head.small);
    fill_pairs(table, writable<PairDecode>(tables, tables->pair_decode_at) + head.small);
    fill_bytes(tables_at<SmallEncode>(tables, tables->small_encode_at)[head.small], table,
               writable<ByteEncode>(tables, tables->byte_encode_at) + head.small);
  }
  if (head.medium >= 0) {
    fill_lanes(table, writable<LaneDecode<kMediumEntries>>(tables, tables->lane64_at) + head.medium);
    fill_lane_encode(table, writable<LaneEncode>(tables, tables->lane_encode_at) + head.medium);
  }
}

void fill_table(bince_tables* tables, const int32_t* cdf, uint32_t index) {
  TableHead* head = writable<TableHead>(tables, tables->heads_at) + index;
  DecodeEntry* decode = writable<DecodeEntry>(tables, tables->decode_at) + head->first;
  EncodeEntry* encode = writable<EncodeEntry>(tables, tables->encode_at) + head->first;
  uint32_t* costs = writable<uint32_t>(tables, tables->costs_at) + head->first;
  LaneDivide* divide = writable<LaneDivide>(tables, tables->divide_at) + head->first;
  uint16_t* bucket = writable<uint16_t>(tables, tables->buckets_at) + uint64_t{index} * (kBuckets + 1);
  head->least_cost = UINT32_MAX;
  for (uint32_t j = 0; j < head->entries; ++j) {
    const uint32_t frequency = static_cast<uint32_t>(cdf[j + 1] - cdf[j]);
    decode[j] = {static_cast<uint16_t>(cdf[j]), static_cast<uint16_t>(frequency)};
    encode[j] = encode_entry(static_cast<uint32_t>(cdf[j]), frequency);
    costs[j] = entry_cost(frequency);
    divide[j] = lane_divide(frequency);
    if (costs[j] < head->least_cost) head->least_cost = costs[j];
  }
  uint32_t entry = 0;
  for (int32_t b = 0; b < kBuckets; ++b) {
    while (cdf[entry + 1] <= b * 256) ++entry;
    bucket[b] = static_cast<uint16_t>(entry);
  }
  bucket[kBuckets] = static_cast<uint16_t>(head->entries - 1);
  uint8_t* narrow = writable<uint8_t>(tables, tables->narrow_at) + uint64_t{index} * kBuckets;
  for (int32_t b = 0; b < kBuckets; ++b)
    narrow[b] = head->entries <= kNarrowEntries ? static_cast<uint8_t>(bucket[b]) : 0;
}

}  // namespace

bince_status check_prepared(const bince_tables* tables) {
  if (!tables || reinterpret_cast<uintptr_t>(tables) % 64 != 0 || tables->magic != kTablesMagic)
    return fail(BINCE_INVALID_ARGUMENT, "tables: expected what bince_tables_prepare made");
  return BINCE_OK;
}

}  // namespace bince

using namespace bince;

bince_status bince_tables_bytes(const bince_tensor* cdf, const bince_tensor* start, size_t* bytes) {
  if (!bytes) return fail(BINCE_INVALID_ARGUMENT, "bytes: expected a place for the result, received NULL");
  Counts counts;
  BINCE_RETURN_IF_ERROR(check_tables(cdf, start, &counts));
  *bytes = lay_out(counts).bytes;
  return BINCE_OK;
}

bince_status bince_tables_prepare(const bince_tensor* cdf, const bince_tensor* start,
                                  const bince_tensor* offset, void* buffer, size_t buffer_bytes,
                                  const bince_tables** prepared) {
  if (!prepared)
    return fail(BINCE_INVALID_ARGUMENT, "prepared: expected a place for the result, received NULL");
  *prepared = nullptr;
  Counts counts;
  BINCE_RETURN_IF_ERROR(check_tables(cdf, start, &counts));
  BINCE_RETURN_IF_ERROR(
      check_tensor(offset, "tables.offset", {kInt32}, {static_cast<int64_t>(counts.tables)}));
  const Layout layout = lay_out(counts);
  if (!buffer || buffer_bytes < layout.bytes)
    return fail(BINCE_BUFFER_TOO_SMALL, "buffer: expected at least %zu bytes, received %zu", layout.bytes,
                buffer ? buffer_bytes : size_t{0});
  if (reinterpret_cast<uintptr_t>(buffer) % 64 != 0)
    return fail(BINCE_INVALID_ARGUMENT, "buffer: expected 64-byte alignment, received %p", buffer);
  bince_tables* tables = static_cast<bince_tables*>(buffer);
  *tables = layout.header;
  tables->magic = 0;  // until all is well
  tables->uploaded = nullptr;
  const int32_t* values = tensor_data<const int32_t>(cdf);
  const int32_t* at = tensor_data<const int32_t>(start);
  const int32_t* offsets = tensor_data<const int32_t>(offset);
  TableHead* heads = writable<TableHead>(tables, tables->heads_at);
  uint64_t first = 0;
  int32_t small = 0, medium = 0;
  for (uint32_t t = 0; t < counts.tables; ++t) {
    const uint32_t n = static_cast<uint32_t>(at[t + 1] - at[t] - 1);
    if (int64_t{offsets[t]} + n - 1 > INT32_MAX)
      return fail(BINCE_INVALID_ARGUMENT, "tables.offset: table %u: symbols up to %lld do not fit 32 bits", t,
                  static_cast<long long>(int64_t{offsets[t]} + n - 1));
    heads[t] = {n,
                offsets[t],
                first,
                n <= kSmallEntries ? small++ : -1,
                counts.medium && n <= kMediumEntries ? medium++ : -1,
                0};
    if (n > tables->largest) tables->largest = n;
    first += n;
    fill_table(tables, values + at[t], t);
    fill_vectors(tables, t);
  }
  tables->magic = kTablesMagic;
  *prepared = tables;
  return BINCE_OK;
}
