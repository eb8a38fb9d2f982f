// Prepared tables: what the coders look up, laid out in one buffer that the caller owns.
//
// All places are offsets from the buffer's start, so the buffer may be copied to another 64-byte aligned
// place or to a device.  A table has n entries, 2 to 65536, the last of which is the escape; frequencies are
// 1 to 65535 and sum to 65536.
//
//   bince_tables | TableHead[T] | per entry: DecodeEntry, EncodeEntry, cost | per table: first entry by
//   bucket
//                | per table: the same in bytes, if it has at most 256 entries
//                | per table of at most 32 entries: SmallDecode, SmallEncode, LaneDecode<32>,
//                  PairDecode, ByteEncode
//                | where a table has 33 to 64 entries, per table of at most 64: LaneDecode<64>, LaneEncode
//                | per entry: LaneDivide
#ifndef BINCE_CODING_PREPARED_TABLES_H_
#define BINCE_CODING_PREPARED_TABLES_H_

#include <stdint.h>

#include "native/core/inline.h"

namespace bince {

// Tables up to this size have vector forms: one 512-bit register holds a 16-bit number for every entry.
// Two such registers hold kMediumEntries; entries of at most kNarrowEntries are bytes.
enum { kSmallEntries = 32, kMediumEntries = 64, kNarrowEntries = 256, kBuckets = 256 };
enum { kCostBits = 25, kLanes = 32 };

struct TableHead {
  uint32_t entries;  // n
  int32_t offset;    // the symbol of entry 0
  uint64_t first;    // its first entry in the per-entry arrays
  int32_t small;     // its place among the small tables, or -1
  int32_t medium;    // its place among those of at most kMediumEntries, or -1
  uint32_t least_cost;
};

struct DecodeEntry {
  uint16_t start;
  uint16_t frequency;
};

// x div frequency = (reciprocal * 2x) div 2^(64 + shift), exactly, for x < 2^63: shift = ceil(log2
// frequency), reciprocal = ceil(2^(63 + shift) / frequency) (Alverson, "Integer division using reciprocals",
// 1991).
struct EncodeEntry {
  uint64_t reciprocal;
  uint16_t start;
  uint16_t frequency;
  uint32_t shift;
};

// below[j] = start of entry j minus 1, for 1 <= j < n; 65535 beyond: slot > below[j] tells entries >= j.
struct alignas(64) SmallDecode {
  uint16_t below[kSmallEntries];
  uint16_t frequency[kSmallEntries];
  uint16_t start[kSmallEntries];
};

// For x = hi * 2^16 + lo < frequency * 2^16 in halves of 16 bits: d = frequency << shift has its top bit set
// and reciprocal = (2^32 - 1) div d - 2^16 (Moeller and Granlund, "Improved division by invariant integers",
// 2011). The cost in 2^-25 bits is cost_high * 2^15 + cost_low, both below 2^15: products of signed pairs
// stay exact.
struct LaneDivide {
  uint16_t reciprocal, shift;
};
struct alignas(64) SmallEncode {
  uint16_t frequency[kSmallEntries];
  uint16_t start[kSmallEntries];
  uint16_t reciprocal[kSmallEntries];
  uint16_t shift[kSmallEntries];
  uint16_t power[kSmallEntries];  // 2^shift
  uint16_t cost_high[kSmallEntries];
  uint16_t cost_low[kSmallEntries];
};

// For look-ups of bytes in registers: a 16-bit number of entry j is its low byte at j and its high byte at
// Entries + j.  first[b] is the entry at slot 1024 b; `steps` halvings lead from there to the entry of any
// slot of its bucket, where below[s][j] is the start of entry j + 2^s minus 1, or 65535 where there is no
// such entry.
template <int Entries>
struct alignas(64) LaneDecode {
  uint8_t first[64];
  uint8_t frequency[2 * Entries];
  uint8_t start[2 * Entries];
  uint8_t below[Entries == kSmallEntries ? 5 : 6][2 * Entries];
  uint8_t steps;
};

// Small tables for look-ups among 16 bytes.  Entries go in pairs: a search by `below` (of entries 16; 16 g +
// 8; 8 g + 4; 4 g + 2; each start minus 1, or 65535, with its top bit turned for comparisons with signs) ends
// at the pair g of entries 2 g and 2 g + 1.  `start` and `frequency` are those of the first, `turn` is what
// turns its frequency into the second's; low bytes, then high bytes.
struct alignas(64) PairDecode {
  uint16_t below[4][8];
  uint8_t start[2][16];
  uint8_t frequency[2][16];
  uint8_t turn[2][16];
};

// Bytes of entry j as in SmallEncode: low ones, then high ones; the cost's from the lowest up.
struct alignas(64) ByteEncode {
  uint8_t frequency[2][kSmallEntries];
  uint8_t start[2][kSmallEntries];
  uint8_t reciprocal[2][kSmallEntries];
  uint8_t power[2][kSmallEntries];
  uint8_t cost[4][kSmallEntries];
};

struct alignas(64) LaneEncode {
  uint8_t frequency[2 * kMediumEntries];
  uint8_t start[2 * kMediumEntries];
  uint8_t reciprocal[2 * kMediumEntries];
  uint8_t shift[2 * kMediumEntries];
};

}  // namespace bince

struct bince_tables {
  uint64_t magic;  // kTablesMagic once prepared
  uint64_t bytes;
  uint32_t tables;   // T
  uint32_t largest;  // the most entries of any table
  uint64_t entries;  // of all tables
  uint64_t heads_at, decode_at, encode_at, costs_at, buckets_at, narrow_at, small_decode_at, small_encode_at;
  uint64_t lane32_at, lane64_at, lane_encode_at, divide_at, pair_decode_at, byte_encode_at;
  // The copy that bince_tables_upload made last, or null.
  const bince_tables* uploaded;
  int32_t device;  // on which it lies
};

namespace bince {

inline constexpr uint64_t kTablesMagic = 0x31534c4254434e42;

template <typename T>
BINCE_INLINE const T* tables_at(const bince_tables* tables, uint64_t at) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(tables) + at);
}

// One table, ready for lookups.
struct TableView {
  uint32_t entries;
  uint32_t escape;  // m = n - 1
  int32_t offset;
  const DecodeEntry* decode;
  const EncodeEntry* encode;
  const uint32_t* cost;    // of an entry, in 2^-25 bits
  const uint16_t* bucket;  // [257]: the entry at slot 256 * b; the last is m
  const LaneDivide* divide;
};

BINCE_INLINE TableView table_view(const bince_tables* tables, uint32_t index) {
  const TableHead& head = tables_at<TableHead>(tables, tables->heads_at)[index];
  TableView view;
  view.entries = head.entries;
  view.escape = head.entries - 1;
  view.offset = head.offset;
  view.decode = tables_at<DecodeEntry>(tables, tables->decode_at) + head.first;
  view.encode = tables_at<EncodeEntry>(tables, tables->encode_at) + head.first;
  view.cost = tables_at<uint32_t>(tables, tables->costs_at) + head.first;
  view.divide = tables_at<LaneDivide>(tables, tables->divide_at) + head.first;
  view.bucket = tables_at<uint16_t>(tables, tables->buckets_at) + uint64_t{index} * (kBuckets + 1);
  return view;
}

// The entry with start <= slot < start + frequency, slot < 2^16.
BINCE_INLINE uint32_t find_entry(const DecodeEntry* decode, const uint16_t* bucket, uint32_t slot) {
  uint32_t low = bucket[slot >> 8], high = bucket[(slot >> 8) + 1];
  while (high - low > 8) {
    const uint32_t middle = (low + high + 1) / 2;
    if (decode[middle].start <= slot)
      low = middle;
    else
      high = middle - 1;
  }
  // One step without a branch: most buckets hold at most one boundary, and nobody can predict its side.
  const uint32_t next = low + (low < high ? 1 : 0);
  low = decode[next].start <= slot ? next : low;
  while (__builtin_expect(low < high && decode[low + 1].start <= slot, 0)) ++low;
  return low;
}

// A DecodeEntry as one number, start in the low half: what one load fetches.
BINCE_INLINE uint32_t packed_start(uint32_t packed) {
  return packed & 0xffff;
}
BINCE_INLINE uint32_t packed_frequency(uint32_t packed) {
  return packed >> 16;
}
BINCE_INLINE bool packed_holds(uint32_t packed, uint32_t slot) {
  return slot - packed_start(packed) < packed_frequency(packed);
}

// find_entry for tables of at most kNarrowEntries: bucket has a byte for each of the kBuckets, entries are
// packed and one number behind the last may be read.  The bucket's entry and the one behind it, fetched
// together, are nearly always enough.
BINCE_INLINE uint32_t find_packed(const uint32_t* entries, const uint8_t* bucket, uint32_t escape,
                                  uint32_t slot, uint32_t* packed) {
  const uint32_t first = bucket[slot >> 8];
  const uint32_t here = entries[first], behind = entries[first + 1];
  const bool beyond = !packed_holds(here, slot);
  *packed = beyond ? behind : here;
  uint32_t low = first + (beyond ? 1 : 0);
  if (packed_holds(*packed, slot)) return low;
  const uint32_t next = (slot >> 8) + 1;
  uint32_t high = next < kBuckets ? bucket[next] : escape;
  while (low < high) {
    const uint32_t middle = (low + high + 1) / 2;
    if (packed_start(entries[middle]) <= slot)
      low = middle;
    else
      high = middle - 1;
  }
  *packed = entries[low];
  return low;
}

BINCE_INLINE uint64_t divide_by_frequency(uint64_t x, const EncodeEntry& entry) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(entry.reciprocal) * (x << 1)) >> 64) >>
         entry.shift;
}

}  // namespace bince

#endif  // BINCE_CODING_PREPARED_TABLES_H_
