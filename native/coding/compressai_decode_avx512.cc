// CompressAI's strings: the decoder of compressai_lanes_avx512.h.  Entries come by gathers, so tables of any
// size and tables by the symbol take the same path; tables of at most 32 entries are searched in registers
// where all strings stand at the same one.
#include "native/coding/compressai_lanes_avx512.h"

namespace bince {
namespace {

inline __m256i low_halves(__m512i v) {
  return _mm512_cvtepi64_epi32(v);
}

// What a step of the decoder looks up beside the states: a vector a channel, or tiles where tables differ.
struct DecodeTables {
  StringTile offset, escape, first, bucket;  // `bucket`: where its table's buckets begin
};

// One channel of the tile as a step sees it.
template <bool Shared>
struct DecodeChannel {
  const SmallDecode* small;   // Shared: its table's, or null
  const DecodeEntry* decode;  // Shared: its table's
  const uint16_t* bucket;     // likewise
  uint32_t escape;
  int32_t offset;
  const DecodeTables* tables;
  int64_t c;

  __m256i part(const StringTile& tile, int v) const { return load_part(tile, c, v); }
};

// The ends of the lanes' strings.
template <int V>
struct Ends {
  __m512i at[V];
};

// The next two words of every lane; 0 for those behind the end, which no sound string takes.
template <int V>
inline void renew(Lanes<V>* lanes, const Ends<V>& ends) {
  for (int v = 0; v < V; ++v) {
    const __m512i at = lanes->at[v], left = _mm512_sub_epi64(ends.at[v], at);
    const __mmask8 two = _mm512_cmpge_epi64_mask(left, _mm512_set1_epi64(8));
    __m512i words;
    if (__builtin_expect(two == 0xff, 1)) {
      words = _mm512_i64gather_epi64(at, nullptr, 1);
    } else {
      const __mmask8 one = _mm512_cmpeq_epi64_mask(left, _mm512_set1_epi64(4));
      words = _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), two, at, nullptr, 1);
      const __m256i last = _mm512_mask_i64gather_epi32(_mm256_setzero_si256(), one, at, nullptr, 1);
      words = _mm512_or_si512(words, _mm512_cvtepu32_epi64(last));
    }
    lanes->words[v] = swap_words(words);
  }
}

// Entries of the lanes `far`, whose slots lie behind the entry after `entry`: a binary search in the bucket.
template <bool Shared>
__attribute__((noinline)) void find_far(const DecodeEntry* decode, __m256i first, __mmask8 far, __m256i slot,
                                        __m256i high, __m256i* entry, __m512i* found) {
  const int* base = reinterpret_cast<const int*>(decode);
  const __m256i one = _mm256_set1_epi32(1);
  __m256i low = _mm256_add_epi32(*entry, one);
  const auto entry_at = [&](__mmask8 mask, __m256i at) {
    if (!Shared) at = _mm256_add_epi32(at, first);
    return _mm256_mmask_i32gather_epi32(_mm256_setzero_si256(), mask, at, base, 4);
  };
  for (;;) {
    const __mmask8 open = _mm256_mask_cmplt_epu32_mask(far, low, high);
    if (!open) break;
    const __m256i middle = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(low, high), one), 1);
    const __m256i start = _mm256_and_si256(entry_at(open, middle), _mm256_set1_epi32(0xffff));
    const __mmask8 reached = _mm256_mask_cmple_epu32_mask(open, start, slot);
    low = _mm256_mask_mov_epi32(low, reached, middle);
    high = _mm256_mask_sub_epi32(high, static_cast<__mmask8>(open & ~reached), middle, one);
  }
  *entry = _mm256_mask_mov_epi32(*entry, far, low);
  *found = _mm512_mask_mov_epi64(*found, far, _mm512_cvtepu32_epi64(entry_at(far, low)));
}

// The state behind an entry, and a word where it fell too low.
template <int V>
inline void advance(Lanes<V>* lanes, int v, __m512i frequency, __m512i rest) {
  const __m512i quotient = _mm512_srli_epi64(lanes->x[v], 16);
  const __m512i x = _mm512_add_epi64(_mm512_mullo_epi64(frequency, quotient), rest);
  const __mmask8 due = _mm512_cmplt_epi64_mask(x, _mm512_set1_epi64(static_cast<long long>(kStringStateLow)));
  lanes->x[v] = _mm512_mask_shldi_epi64(x, due, x, lanes->words[v], 32);
  lanes->words[v] = _mm512_mask_slli_epi64(lanes->words[v], due, lanes->words[v], 32);
  lanes->at[v] = _mm512_mask_add_epi64(lanes->at[v], due, lanes->at[v], _mm512_set1_epi64(4));
}

// The slots of up to four vectors in 16 bits each: string k of vector First + v is number 4 * k + v.
template <int V, int First>
inline __m512i pack_slots(const Lanes<V>& lanes) {
  __m512i slots = _mm512_slli_epi64(lanes.x[First], 48);
  for (int v = First + 1; v < First + 4; ++v) slots = _mm512_shrdi_epi64(slots, lanes.x[v < V ? v : 0], 16);
  return slots;
}

inline __m512i unpack(__m512i packed, int v) {
  const __m512i number = _mm512_set1_epi64(0xffff);
  if (v == 0) return _mm512_and_si512(packed, number);
  const __m512i down = _mm512_srli_epi64(packed, 16 * v);
  return v == 3 ? down : _mm512_and_si512(down, number);
}

// Vectors one after the other, as a tile has them.
inline __m512i in_order(__m512i packed) {
  alignas(64) static const uint16_t kFrom[32] = {0, 4, 8,  12, 16, 20, 24, 28, 1, 5, 9,  13, 17, 21, 25, 29,
                                                 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kFrom), packed);
}

// Takes one symbol of up to 32 strings from one table of at most 32 entries, in registers: a binary search of
// all slots at once.  Returns the lanes that met an escape.
template <int V, int First>
inline uint32_t take_small(const SmallDecode& table, uint32_t escape, int32_t offset, Lanes<V>* lanes,
                           uint32_t* symbols) {
  constexpr int kEnd = First + 4 < V ? First + 4 : V;
  const __m512i slots = pack_slots<V, First>(*lanes), below = _mm512_load_si512(table.below);
  __m512i entry = _mm512_setzero_si512();
  for (int step = kSmallEntries / 2; step > 0; step >>= 1) {
    const __m512i candidate = _mm512_or_si512(entry, _mm512_set1_epi16(static_cast<short>(step)));
    const __mmask32 reached = _mm512_cmpgt_epu16_mask(slots, _mm512_permutexvar_epi16(candidate, below));
    entry = _mm512_mask_mov_epi16(entry, reached, candidate);
  }
  const __m512i frequency = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.frequency));
  const __m512i start = _mm512_permutexvar_epi16(entry, _mm512_load_si512(table.start));
  const __m512i rest = _mm512_sub_epi16(slots, start);
  for (int v = First; v < kEnd; ++v)
    advance<V>(lanes, v, unpack(frequency, v - First), unpack(rest, v - First));
  const __m512i ordered = in_order(entry), first = _mm512_set1_epi32(offset);
  const __m256i low = _mm512_castsi512_si256(ordered), high = _mm512_extracti64x4_epi64(ordered, 1);
  symbols += kVectorStrings * First;
  _mm512_store_si512(symbols, _mm512_add_epi32(_mm512_cvtepu16_epi32(low), first));
  if (kEnd - First > 2)
    _mm512_store_si512(symbols + 16, _mm512_add_epi32(_mm512_cvtepu16_epi32(high), first));
  const uint32_t met = _mm512_cmpeq_epi16_mask(ordered, _mm512_set1_epi16(static_cast<short>(escape))) &
                       static_cast<uint32_t>(all_lanes<kEnd - First>());
  return in_register(met);
}

// Takes one symbol of 8 strings; returns the lanes that met an escape.
template <int V, bool Shared>
inline __mmask8 take(const DecodeChannel<Shared>& channel, Lanes<V>* lanes, int v, uint32_t* symbols) {
  const __m512i number = _mm512_set1_epi64(0xffff);
  const __m256i number_32 = _mm256_set1_epi32(0xffff);
  const __m512i x = lanes->x[v], slot = _mm512_and_si512(x, number);
  // Its bucket's first entry, and behind it the next bucket's.
  __m512i bucket = _mm512_srli_epi64(slot, 8);
  __m256i first = _mm256_setzero_si256();
  if (!Shared) {
    bucket = _mm512_add_epi64(bucket, _mm512_cvtepu32_epi64(channel.part(channel.tables->bucket, v)));
    first = channel.part(channel.tables->first, v);
  }
  const __m256i range = _mm512_i64gather_epi32(bucket, reinterpret_cast<const int*>(channel.bucket), 2);
  __m256i entry = _mm256_and_si256(range, number_32);
  // That entry and the one behind it: four numbers of 16 bits.
  const __m256i place = Shared ? entry : _mm256_add_epi32(entry, first);
  __m512i found = _mm512_i32gather_epi64(place, reinterpret_cast<const long long*>(channel.decode), 4);
  const __m512i end = _mm512_add_epi64(_mm512_and_si512(found, number),
                                       _mm512_and_si512(_mm512_srli_epi64(found, 16), number));
  const __mmask8 behind = _mm512_cmpge_epi64_mask(slot, end);
  found = _mm512_mask_srli_epi64(found, behind, found, 32);
  entry = _mm256_mask_add_epi32(entry, behind, entry, _mm256_set1_epi32(1));
  __m512i rest = _mm512_sub_epi64(slot, _mm512_and_si512(found, number));
  __m512i frequency = _mm512_maskz_srli_epi32(0x5555, found, 16);
  const __mmask8 far = _mm512_cmpge_epi64_mask(rest, frequency);
  if (__builtin_expect(far != 0, 0)) {
    find_far<Shared>(channel.decode, first, far, low_halves(slot), _mm256_srli_epi32(range, 16), &entry,
                     &found);
    rest = _mm512_sub_epi64(slot, _mm512_and_si512(found, number));
    frequency = _mm512_maskz_srli_epi32(0x5555, found, 16);
  }
  advance<V>(lanes, v, frequency, rest);
  __m256i offset, escape;
  if (Shared) {
    offset = _mm256_set1_epi32(channel.offset);
    escape = _mm256_set1_epi32(static_cast<int>(channel.escape));
  } else {
    offset = channel.part(channel.tables->offset, v);
    escape = channel.part(channel.tables->escape, v);
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(symbols), _mm256_add_epi32(entry, offset));
  return _mm256_cmpeq_epi32_mask(entry, escape);
}

// Takes one symbol of every string; returns the lanes that met an escape.
template <int V, bool Shared>
inline uint64_t take_channel(const DecodeChannel<Shared>& channel, Lanes<V>* lanes, uint32_t* symbols) {
  uint64_t escaped = 0;
  if (Shared && channel.small) {
    escaped = take_small<V, 0>(*channel.small, channel.escape, channel.offset, lanes, symbols);
    if (V <= 4) return escaped;
    constexpr int kFirst = V <= 4 ? 0 : 4;
    return escaped |
           uint64_t{take_small<V, kFirst>(*channel.small, channel.escape, channel.offset, lanes, symbols)}
               << 32;
  }
  for (int v = 0; v < V; ++v)
    escaped |= uint64_t{in_register(take<V, Shared>(channel, lanes, v, symbols + kVectorStrings * v)) & 0xff}
               << (kVectorStrings * v);
  return escaped;
}

// The escapes of one channel, lane by lane.  False where one is damaged.
template <int V>
__attribute__((noinline)) bool take_escapes(const Group& group, int64_t i, uint64_t escaped,
                                            Spilled<V>* lanes, uint32_t* symbols) {
  for (; escaped; escaped &= escaped - 1) {
    const int lane = __builtin_ctzll(escaped);
    const StringJob& job = group.job(lane);
    StringReader reader = {lanes->x[lane], reinterpret_cast<const uint8_t*>(lanes->at[lane]), job.end};
    int32_t symbol;
    if (take_string_escape(&reader, table_view(group.tables, job.indexes[i]), &symbol) != StringDamage::kNone)
      return false;
    lanes->x[lane] = reader.x;
    lanes->at[lane] = reinterpret_cast<uint64_t>(reader.at);
    symbols[lane] = static_cast<uint32_t>(symbol);
  }
  return true;
}

template <int V>
inline void stage_tables(const Group& group, int64_t first, int channels, DecodeTables* tables) {
  for (int half = 0; half < (V + 1) / 2; ++half) {
    __m512i index[16];
    load_channels<Part::kIndexes>(group, half, first, channels, index);
    for (int c = 0; c < channels; ++c) {
      const Heads heads = gather_heads(group.tables, index[c]);
      _mm512_store_si512(&tables->offset.at[c][16 * half], heads.offset);
      _mm512_store_si512(&tables->escape.at[c][16 * half], heads.escape);
      _mm512_store_si512(&tables->first.at[c][16 * half], heads.first);
      _mm512_store_si512(&tables->bucket.at[c][16 * half],
                         _mm512_mullo_epi32(index[c], _mm512_set1_epi32(kBuckets + 1)));
    }
  }
}

template <int V>
inline void store_symbols(const Group& group, int64_t first, int channels, const StringTile& tile) {
  for (int half = 0; half < (V + 1) / 2; ++half) {
    __m512i r[16];
    for (int c = 0; c < 16; ++c) r[c] = _mm512_load_si512(&tile.at[c][16 * half]);
    transpose_16x16(r);
    const int rows = group.count - 16 * half < 16 ? group.count - 16 * half : 16;
    for (int k = 0; k < rows; ++k)
      _mm512_mask_storeu_epi32(group.jobs[16 * half + k].symbols + first, first_channels(channels), r[k]);
  }
}

template <bool Shared>
inline DecodeChannel<Shared> channel_of(const Group& group, const DecodeTables& staged, int64_t i,
                                        int64_t c) {
  if (Shared) {
    const uint32_t index = group.jobs[0].indexes[i];
    const TableView table = table_view(group.tables, index);
    const int32_t place = tables_at<TableHead>(group.tables, group.tables->heads_at)[index].small;
    const SmallDecode* small =
        place < 0 ? nullptr : tables_at<SmallDecode>(group.tables, group.tables->small_decode_at) + place;
    return {small, table.decode, table.bucket, table.escape, table.offset, &staged, c};
  }
  const bince_tables* t = group.tables;
  return {
      nullptr, tables_at<DecodeEntry>(t, t->decode_at), tables_at<uint16_t>(t, t->buckets_at), 0, 0, &staged,
      c};
}

// False where one of them is damaged.
template <int V>
inline bool start_lanes(const Group& group, Lanes<V>* lanes, Ends<V>* ends) {
  Spilled<V> scalar;
  alignas(64) uint64_t end[kVectorStrings * V];
  for (int lane = 0; lane < V * kVectorStrings; ++lane) {
    const StringJob& job = group.job(lane);
    StringReader reader;
    if (start_string(job.begin, job.end, &reader) != StringDamage::kNone) return false;
    scalar.x[lane] = reader.x;
    scalar.at[lane] = reinterpret_cast<uint64_t>(reader.at);
    end[lane] = reinterpret_cast<uint64_t>(reader.end);
  }
  reload<V>(scalar, lanes);
  for (int v = 0; v < V; ++v) ends->at[v] = _mm512_load_si512(&end[kVectorStrings * v]);
  return true;
}

// All words of sound strings are used, and nothing but them: a lane that ran beyond its end stays beyond.
template <int V>
inline bool all_ended(const Lanes<V>& lanes, const Ends<V>& ends) {
  __mmask8 sound = 0xff;
  for (int v = 0; v < V; ++v)
    sound &= _mm512_cmpeq_epi64_mask(lanes.x[v], _mm512_set1_epi64(static_cast<long long>(kStringStateLow))) &
             _mm512_cmpeq_epi64_mask(lanes.at[v], ends.at[v]);
  return sound == 0xff;
}

// Decodes a group; false where one of its strings is damaged, and some symbols may be written then.
template <int V, bool Shared>
bool decode_group(const Group& group) {
  Lanes<V> lanes;
  Ends<V> ends;
  StringTile tile;
  DecodeTables staged;
  if (!start_lanes<V>(group, &lanes, &ends)) return false;
  for (int64_t first = 0; first < group.length; first += kTileChannels) {
    const int64_t left = group.length - first;
    const int channels = left < kTileChannels ? static_cast<int>(left) : kTileChannels;
    if (!Shared) stage_tables<V>(group, first, channels, &staged);
    for (int c = 0; c < channels; ++c) {
      if (c % kTwoWordSymbols == 0) renew<V>(&lanes, ends);
      const DecodeChannel<Shared> channel = channel_of<Shared>(group, staged, first + c, c);
      const uint64_t escaped = take_channel<V, Shared>(channel, &lanes, tile.at[c]);
      if (__builtin_expect(escaped != 0, 0)) {
        Spilled<V> scalar;
        spill<V>(lanes, &scalar);
        if (!take_escapes<V>(group, first + c, escaped, &scalar, tile.at[c])) return false;
        reload<V>(scalar, &lanes);
        renew<V>(&lanes, ends);
      }
    }
    store_symbols<V>(group, first, channels, tile);
  }
  return all_ended<V>(lanes, ends);
}

template <int V>
bool decode_vectors(const Group& group) {
  return group.shared_indexes ? decode_group<V, true>(group) : decode_group<V, false>(group);
}

bool decode_strings(const Group& group) {
  switch ((group.count + kVectorStrings - 1) / kVectorStrings) {
    case 1:
      return decode_vectors<1>(group);
    case 2:
      return decode_vectors<2>(group);
    case 3:
      return decode_vectors<3>(group);
    case 4:
      return decode_vectors<4>(group);
    default:
      return decode_group<8, true>(group);
  }
}

void decode_strings_avx512(const bince_tables* tables, StringJob* jobs, int count) {
  const bool shared = group_of(tables, jobs, count).shared_indexes;
  for (int taken; count > 0; jobs += taken, count -= taken) {
    // Where every string looks up its own tables, gathers are the limit, and 32 strings reach it.
    taken = strings_of_group(count, shared ? 64 : 32);
    if (taken < kFewestStrings || !within_reach(tables) || !decode_strings(group_of(tables, jobs, taken))) {
      decode_strings_ref(tables, jobs, taken);
      continue;
    }
    for (int i = 0; i < taken; ++i) {
      jobs[i].failed_at = jobs[i].length;
      jobs[i].damage = nullptr;
    }
  }
}

}  // namespace
}  // namespace bince

void bince::coding_fill_string_decoder_avx512(CodingOps* ops) {
  ops->decode_strings = decode_strings_avx512;
}
