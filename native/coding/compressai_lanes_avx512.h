// CompressAI's strings with lane = string: what both directions share.  8 states of 64 bits in a vector, one
// to eight vectors side by side to hide the latency of their chains; tiles of 16 channels x 64 strings,
// turned from and to rows.
//
// Words: every lane has its own stream.  Four symbols move at most two words of 32 bits, so a lane keeps two
// words in a register, and every four symbols one gather (or scatter) of 64 bits at the lanes' own addresses
// renews them.  Escapes are rare: such a lane takes the scalar steps for them.  Whatever is wrong with a
// string sends the whole group to the reference, which tells what and where.
#ifndef BINCE_CODING_COMPRESSAI_LANES_AVX512_H_
#define BINCE_CODING_COMPRESSAI_LANES_AVX512_H_

#include "native/coding/compressai.h"
#include "native/coding/intrinsics_avx512.h"

namespace bince {
namespace {

enum { kTileChannels = 16, kVectorStrings = 8 };

// [channel of the tile][string of the group]
struct alignas(64) StringTile {
  uint32_t at[kTileChannels][kStringsAtOnce];
};

// The strings of a group, and lanes beyond them that do again what string 0 does: they read and write the
// same bytes, so nothing needs a mask.
struct Group {
  const bince_tables* tables;
  StringJob* jobs;
  int count;
  int64_t length;
  bool shared_indexes;

  StringJob& job(int lane) const { return jobs[lane < count ? lane : 0]; }
};

// Two words at most are taken or put in so many symbols: after a word the state is at least 2^47 (or,
// encoding, below it), and a symbol moves it by at most 2^16.
enum { kTwoWordSymbols = 4 };

template <int V>
struct Lanes {
  __m512i x[V];   // states
  __m512i at[V];  // addresses: of the next word to read, or of the last one written
  __m512i
      words[V];  // decoding: the next two words, the first on top; encoding: the last two, the last on top
};

// A mask in a general register: GCC 12 may widen one that it spilled to 64 bits with what lies beside it.
inline uint32_t in_register(uint32_t mask) {
  __asm__("" : "+r"(mask));
  return mask;
}

template <int V>
constexpr uint64_t all_lanes() {
  return ~uint64_t{0} >> (64 - kVectorStrings * V);
}

// States and addresses by the lane, for scalar steps.
template <int V>
struct alignas(64) Spilled {
  uint64_t x[kVectorStrings * V];
  uint64_t at[kVectorStrings * V];
};

template <int V>
inline void spill(const Lanes<V>& lanes, Spilled<V>* out) {
  for (int v = 0; v < V; ++v) {
    _mm512_store_si512(&out->x[kVectorStrings * v], lanes.x[v]);
    _mm512_store_si512(&out->at[kVectorStrings * v], lanes.at[v]);
  }
}

template <int V>
inline void reload(const Spilled<V>& from, Lanes<V>* lanes) {
  for (int v = 0; v < V; ++v) {
    lanes->x[v] = _mm512_load_si512(&from.x[kVectorStrings * v]);
    lanes->at[v] = _mm512_load_si512(&from.at[kVectorStrings * v]);
  }
}

// Number j of r[i] goes to number i of r[j].
inline void transpose_16x16(__m512i r[16]) {
  __m512i a[16], b[16];
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
  // Quarter q of b[4 * i + j] holds number 4 * q + j of r[4 * i] to r[4 * i + 3].
  for (int j = 0; j < 4; ++j) {
    const __m512i even = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88),
                  odd = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
    const __m512i even_2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
    const __m512i odd_2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    r[j] = _mm512_shuffle_i32x4(even, even_2, 0x88);
    r[8 + j] = _mm512_shuffle_i32x4(even, even_2, 0xdd);
    r[4 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0x88);
    r[12 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0xdd);
  }
}

inline __mmask16 first_channels(int channels) {
  return static_cast<__mmask16>((1u << channels) - 1);
}

enum class Part { kSymbols, kIndexes };

// The encoder comes to the 16 channels before `first` next, or to the last ones of the next group's rows, and
// hardware does not look ahead that way.  A prefetch of an address outside the symbols does nothing.
inline void prefetch_before(const Group& group, int half, int64_t first) {
  const int64_t next = first > 0 ? first - kTileChannels : (group.count + 1) * group.length - kTileChannels;
  for (int k = 0; k < 16; ++k) {
    const uintptr_t row = reinterpret_cast<uintptr_t>(group.job(16 * half + k).symbols);
    _mm_prefetch(reinterpret_cast<const char*>(row + static_cast<uintptr_t>(4 * next)), _MM_HINT_T0);
  }
}

// Channels [first, first + channels) of 16 of the group's strings, `half` 0 or 1, as one vector a channel.
template <Part part>
inline void load_channels(const Group& group, int half, int64_t first, int channels, __m512i r[16]) {
  for (int k = 0; k < 16; ++k) {
    const StringJob& job = group.job(16 * half + k);
    const void* row = part == Part::kSymbols ? static_cast<const void*>(job.symbols + first)
                                             : static_cast<const void*>(job.indexes + first);
    r[k] = _mm512_maskz_loadu_epi32(first_channels(channels), row);
  }
  transpose_16x16(r);
}

// Looked up for 16 strings each with a table of its own.
struct Heads {
  __m512i offset, escape, first;
};

inline Heads gather_heads(const bince_tables* tables, __m512i index) {
  static_assert(sizeof(TableHead) % 4 == 0, "so that a step of gathers is 4 bytes");
  const char* heads = tables_at<char>(tables, tables->heads_at);
  const __m512i at = _mm512_mullo_epi32(index, _mm512_set1_epi32(sizeof(TableHead) / 4));
  const __m512i entries = _mm512_i32gather_epi32(at, heads + offsetof(TableHead, entries), 4);
  return {_mm512_i32gather_epi32(at, heads + offsetof(TableHead, offset), 4),
          _mm512_sub_epi32(entries, _mm512_set1_epi32(1)),
          _mm512_i32gather_epi32(at, heads + offsetof(TableHead, first), 4)};
}

// Gathers take numbers of 31 bits: twice an entry's, and a table's times the words of its head and its
// buckets.  The low half of TableHead::first is then all of it.
inline bool within_reach(const bince_tables* tables) {
  return tables->entries < uint64_t{1} << 29;
}

inline Group group_of(const bince_tables* tables, StringJob* jobs, int count) {
  bool shared = true;
  for (int i = 1; i < count; ++i) shared = shared && jobs[i].indexes == jobs[0].indexes;
  return {tables, jobs, count, jobs[0].length, shared};
}

inline __m512i swap_words(__m512i words) {
  return _mm512_rol_epi64(words, 32);
}

inline __m256i load_part(const StringTile& tile, int64_t c, int v) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(&tile.at[c][kVectorStrings * v]));
}

// Strings that go together best, of so many that are left.
inline int strings_of_group(int left, int most) {
  return left > most ? most : left > 32 && left <= 48 ? 32 : left;
}

// Fewer strings than these are faster one by one.
enum { kFewestStrings = 3 };

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_COMPRESSAI_LANES_AVX512_H_
