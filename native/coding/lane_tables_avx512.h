// Tables in registers and in memory, as 32 lanes look them up.  A way finds the entries of 32 slots with
// their frequencies and starts.  vpermb is one operation where vpermw is two, so tables are bytes, and an
// entry that looks a 16-bit number up stands in both bytes of its lane.
//
// Only for files of the AVX-512 target.
#ifndef BINCE_CODING_LANE_TABLES_AVX512_H_
#define BINCE_CODING_LANE_TABLES_AVX512_H_

#include "native/coding/tile_avx512.h"

namespace bince {
namespace {

// The entry is in the low byte, and in the bits `High` of the high byte.
struct Found {
  __m512i entry, frequency, start;
};

inline __m512i set_words(int value) {
  return _mm512_set1_epi16(static_cast<short>(value));
}

// The upper 6 bits of each lane as both of its bytes; bits 6 and 7 of a byte mean nothing.
inline __m512i buckets_of(__m512i slot) {
  return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x3a3a2a2a1a1a0a0a), slot);
}

// Tables of at most 32 entries: 64 bytes, one register.
template <int Steps>
struct SmallWay {
  enum { kHigh = 0x1f00 };
  const LaneDecode<kSmallEntries>& table;
  SmallWay(const ChannelPlan& plan, uint32_t c)
      : table(*static_cast<const LaneDecode<kSmallEntries>*>(plan.lane_decode[c])) {}

  static __m512i look_up(__m512i entry, const uint8_t* bytes) {
    return _mm512_permutexvar_epi8(entry, _mm512_load_si512(bytes));
  }
  Found find(__m512i slot) const {
    __m512i entry = _mm512_or_si512(look_up(buckets_of(slot), table.first), set_words(0x2000));
    for (int s = Steps - 1; s >= 0; --s) {
      const __mmask32 above = _mm512_cmpgt_epu16_mask(slot, look_up(entry, table.below[s]));
      entry = _mm512_mask_add_epi16(entry, above, entry, set_words(0x101 << s));
    }
    return {entry, look_up(entry, table.frequency), look_up(entry, table.start)};
  }
};

inline __m512i look_up_128(__m512i entry, const uint8_t* bytes) {
  return _mm512_permutex2var_epi8(_mm512_load_si512(bytes), entry, _mm512_load_si512(bytes + 64));
}

// Tables of at most 64 entries: 128 bytes, two registers.
template <int Steps>
struct MediumWay {
  enum { kHigh = 0x3f00 };
  const LaneDecode<kMediumEntries>& table;
  MediumWay(const ChannelPlan& plan, uint32_t c)
      : table(*static_cast<const LaneDecode<kMediumEntries>*>(plan.lane_decode[c])) {}

  Found find(__m512i slot) const {
    __m512i entry = _mm512_permutexvar_epi8(buckets_of(slot), _mm512_load_si512(table.first));
    entry = _mm512_or_si512(entry, set_words(0x4000));
    for (int s = Steps - 1; s >= 0; --s) {
      const __mmask32 above = _mm512_cmpgt_epu16_mask(slot, look_up_128(entry, table.below[s]));
      entry = _mm512_mask_add_epi16(entry, above, entry, set_words(0x101 << s));
    }
    return {entry, look_up_128(entry, table.frequency), look_up_128(entry, table.start)};
  }
};

// The 16-bit numbers of lanes 0 to 15 and 16 to 31 as 32-bit numbers.
inline __m512i widened(__m512i v, int half) {
  return _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(v, 1) : _mm512_castsi512_si256(v));
}

// The lower (0) or upper (1) halves of the 32-bit numbers of lanes 0 to 15 and 16 to 31.
inline __m512i narrowed(const __m512i v[2], int upper) {
  const __m512i lanes = _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30,
                                         28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return _mm512_permutex2var_epi16(v[0], _mm512_add_epi16(lanes, set_words(upper)), v[1]);
}

inline __m512i gathered(const void* numbers, __m512i index) {
  return _mm512_i32gather_epi32(index, numbers, 4);
}

// Any table: buckets of 256 slots, and entries fetched from memory.
struct LargeWay {
  enum { kHigh = 0xff00 };
  TableView table;
  LargeWay(const ChannelPlan& plan, uint32_t c) : table(table_view(plan.tables, plan.table[c])) {}

  // The lanes whose slot is outside the fetched entry.
  static __mmask16 outside(__m512i slot, __m512i packed) {
    const __m512i rest = _mm512_sub_epi32(slot, _mm512_and_si512(packed, _mm512_set1_epi32(0xffff)));
    return _mm512_cmpge_epu32_mask(rest, _mm512_srli_epi32(packed, 16));
  }
  // Entries of 16 slots, packed numbers and all.  The bucket's entry or the one behind it is nearly always
  // right; the rest are halvings.
  __m512i find_half(__m512i slot, __m512i* packed) const {
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i bounds = _mm512_i32gather_epi32(_mm512_srli_epi32(slot, 8), table.bucket, 2);
    __m512i low = _mm512_and_si512(bounds, _mm512_set1_epi32(0xffff));
    *packed = gathered(table.decode, low);
    __mmask16 left = outside(slot, *packed);
    low = _mm512_mask_add_epi32(low, left, low, one);
    *packed = _mm512_mask_i32gather_epi32(*packed, left, low, table.decode, 4);
    left = _mm512_mask_cmpge_epu32_mask(
        left, _mm512_sub_epi32(slot, _mm512_and_si512(*packed, _mm512_set1_epi32(0xffff))),
        _mm512_srli_epi32(*packed, 16));
    if (__builtin_expect(left == 0, 1)) return low;
    __m512i high = _mm512_srli_epi32(bounds, 16);
    for (left = _mm512_mask_cmplt_epi32_mask(left, low, high); left;
         left = _mm512_mask_cmplt_epi32_mask(left, low, high)) {
      const __m512i middle = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(low, high), one), 1);
      const __m512i entry = _mm512_mask_i32gather_epi32(*packed, left, middle, table.decode, 4);
      const __m512i start = _mm512_and_si512(entry, _mm512_set1_epi32(0xffff));
      const __mmask16 up = _mm512_mask_cmple_epu32_mask(left, start, slot);
      low = _mm512_mask_mov_epi32(low, up, middle);
      high = _mm512_mask_sub_epi32(high, static_cast<__mmask16>(left & ~up), middle, one);
    }
    *packed = gathered(table.decode, low);
    return low;
  }
  Found find(__m512i slot) const {
    __m512i entries[2], packed[2];
    for (int half = 0; half < 2; ++half) entries[half] = find_half(widened(slot, half), &packed[half]);
    const __m512i entry = narrowed(entries, 0);
    return {_mm512_or_si512(entry, _mm512_slli_epi16(entry, 8)), narrowed(packed, 1), narrowed(packed, 0)};
  }
};

// --- encoding: what a way looks up for 32 entries ---

struct Divisor {
  __m512i frequency, start, reciprocal, shift;
};

struct SmallPut {
  const SmallEncode& table;
  SmallPut(const ChannelPlan& plan, uint32_t c) : table(*plan.encode[c]) {}

  static __m512i look_up(__m512i entry, const uint16_t* words) {
    return _mm512_permutexvar_epi16(entry, _mm512_load_si512(words));
  }
  Divisor divisor(__m512i entry) const {
    return {look_up(entry, table.frequency), look_up(entry, table.start), look_up(entry, table.reciprocal),
            look_up(entry, table.shift)};
  }
};

struct MediumPut {
  const LaneEncode& table;
  MediumPut(const ChannelPlan& plan, uint32_t c) : table(*plan.lane_encode[c]) {}

  Divisor divisor(__m512i entry) const {
    // entry | entry << 8 | 64 << 8
    const __m512i both =
        _mm512_ternarylogic_epi64(entry, _mm512_slli_epi16(entry, 8), set_words(0x4000), 0xfe);
    return {look_up_128(both, table.frequency), look_up_128(both, table.start),
            look_up_128(both, table.reciprocal), look_up_128(both, table.shift)};
  }
};

struct LargePut {
  TableView table;
  LargePut(const ChannelPlan& plan, uint32_t c) : table(table_view(plan.tables, plan.table[c])) {}

  // Lanes without a symbol hold anything.
  __m512i inside(__m512i entry) const {
    return _mm512_min_epu16(entry, set_words(static_cast<int>(table.escape)));
  }
  Divisor divisor(__m512i entry) const {
    __m512i packed[2], divide[2];
    for (int half = 0; half < 2; ++half) {
      const __m512i at = widened(inside(entry), half);
      packed[half] = gathered(table.decode, at);
      divide[half] = gathered(table.divide, at);
    }
    return {narrowed(packed, 1), narrowed(packed, 0), narrowed(divide, 0), narrowed(divide, 1)};
  }
};

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_LANE_TABLES_AVX512_H_
