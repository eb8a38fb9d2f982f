// CompressAI's strings: the encoder of compressai_lanes_avx512.h.  Entries come by gathers, so tables of any
// size and tables by the symbol take the same path.
#include "native/coding/compressai_lanes_avx512.h"

namespace bince {
namespace {

// One tile of entries to put: their places, and the strings that escape.
struct EncodeTile {
  StringTile place;  // twice the entry's number among all tables'
  uint64_t escaped[kTileChannels];
};

// The last two words of every lane go to memory: of those that are there already the same bytes again.
template <int V>
inline void flush(const Lanes<V>& lanes) {
  for (int v = 0; v < V; ++v) _mm512_i64scatter_epi64(nullptr, lanes.at[v], swap_words(lanes.words[v]), 1);
}

// x div f or one less, for 0 < x < f 2^47.  All roundings are downwards and together below 3 2^-52 of a
// quotient below 2^47, so that is all they cost; the reciprocal is too large by 2^-63 of itself at most,
// which is less than 1 / f in the quotient and cannot carry it to the next number.
inline __m512i divide_down(__m512i x, __m512i reciprocal, __m512i info) {
  const __m512d wide = _mm512_cvt_roundepi64_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  // 1 / f as a double: the reciprocal's top 53 bits, the first of which adds one to the exponent 1022 -
  // shift.
  const __m512i bias = _mm512_set1_epi64(1022LL << 52);
  const __m512i exponent = _mm512_sub_epi64(bias, _mm512_maskz_slli_epi32(0xaaaa, info, 20));
  const __m512i inverse = _mm512_add_epi64(_mm512_srli_epi64(reciprocal, 11), exponent);
  const __m512d quotient =
      _mm512_mul_round_pd(wide, _mm512_castsi512_pd(inverse), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  return _mm512_cvttpd_epi64(quotient);
}

// Puts one entry of 8 strings.
template <int V>
inline void put(const long long* encode, __m256i place, Lanes<V>* lanes, int v) {
  const __m512i reciprocal = _mm512_i32gather_epi64(place, encode, 8);
  const __m512i info = _mm512_i32gather_epi64(place, encode + 1, 8);  // start, frequency, shift
  const __m512i frequency = _mm512_maskz_srli_epi32(0x5555, info, 16);
  const __m512i start = _mm512_and_si512(info, _mm512_set1_epi64(0xffff));
  __m512i x = lanes->x[v];
  const __mmask8 due = _mm512_cmpge_epi64_mask(x, _mm512_slli_epi64(frequency, 47));
  lanes->words[v] = _mm512_mask_shrdi_epi64(lanes->words[v], due, lanes->words[v], x, 32);
  lanes->at[v] = _mm512_mask_sub_epi64(lanes->at[v], due, lanes->at[v], _mm512_set1_epi64(4));
  x = _mm512_mask_srli_epi64(x, due, x, 32);
  const __m512i quotient = divide_down(x, reciprocal, info);
  const __m512i rest = _mm512_maskz_sub_epi32(0x5555, x, _mm512_mul_epu32(quotient, frequency));
  const __mmask8 more = _mm512_cmpge_epi64_mask(rest, frequency);
  const __m512i next = _mm512_add_epi64(_mm512_slli_epi64(quotient, 16), _mm512_add_epi64(rest, start));
  lanes->x[v] =
      _mm512_mask_add_epi64(next, more, next, _mm512_sub_epi64(_mm512_set1_epi64(65536), frequency));
}

// The tokens of one channel's escapes, lane by lane.  False where one is too large for a string.
template <int V>
__attribute__((noinline)) bool put_escapes(const Group& group, int64_t i, uint64_t escaped,
                                           Spilled<V>* lanes) {
  for (; escaped; escaped &= escaped - 1) {
    const int lane = __builtin_ctzll(escaped);
    const StringJob& job = group.job(lane);
    const TableView table = table_view(group.tables, job.indexes[i]);
    const uint64_t raw = escape_value(int64_t{job.symbols[i]} - table.offset, table.escape);
    if (raw >= kMaxStringEscape) return false;
    uint8_t* words = reinterpret_cast<uint8_t*>(lanes->at[lane]);
    put_string_escape(raw, &lanes->x[lane], &words);
    lanes->at[lane] = reinterpret_cast<uint64_t>(words);
  }
  return true;
}

template <int V>
inline void stage_entries(const Group& group, int64_t first, int channels, EncodeTile* tile) {
  for (int c = 0; c < kTileChannels; ++c) tile->escaped[c] = 0;
  for (int half = 0; half < (V + 1) / 2; ++half) {
    __m512i symbols[16], index[16];
    load_channels<Part::kSymbols>(group, half, first, channels, symbols);
    prefetch_before(group, half, first);
    if (!group.shared_indexes) load_channels<Part::kIndexes>(group, half, first, channels, index);
    for (int c = 0; c < channels; ++c) {
      Heads heads;
      if (group.shared_indexes) {
        const TableHead& head =
            tables_at<TableHead>(group.tables, group.tables->heads_at)[group.jobs[0].indexes[first + c]];
        heads = {_mm512_set1_epi32(head.offset), _mm512_set1_epi32(static_cast<int>(head.entries - 1)),
                 _mm512_set1_epi32(static_cast<int>(head.first))};
      } else {
        heads = gather_heads(group.tables, index[c]);
      }
      const __m512i entry = _mm512_min_epu32(_mm512_sub_epi32(symbols[c], heads.offset), heads.escape);
      const uint64_t escaped = _mm512_cmpeq_epi32_mask(entry, heads.escape);
      tile->escaped[c] |= escaped << (16 * half);
      _mm512_store_si512(&tile->place.at[c][16 * half],
                         _mm512_slli_epi32(_mm512_add_epi32(entry, heads.first), 1));
    }
  }
}

// Encodes a group; false where a symbol is too far outside its table.
template <int V>
bool encode_group(const Group& group) {
  Lanes<V> lanes;
  EncodeTile tile;
  const long long* encode = tables_at<long long>(group.tables, group.tables->encode_at);
  for (int v = 0; v < V; ++v) {
    alignas(64) uint64_t at[kVectorStrings];
    for (int k = 0; k < kVectorStrings; ++k)
      at[k] = reinterpret_cast<uint64_t>(group.job(kVectorStrings * v + k).end);
    lanes.x[v] = _mm512_set1_epi64(static_cast<long long>(kStringStateLow));
    lanes.at[v] = _mm512_load_si512(at);
    lanes.words[v] = _mm512_setzero_si512();
  }
  for (int64_t behind = group.length; behind > 0;) {
    const int channels = static_cast<int>((behind - 1) % kTileChannels) + 1;
    const int64_t first = behind - channels;
    stage_entries<V>(group, first, channels, &tile);
    for (int c = channels; c-- > 0;) {
      const uint64_t escaped = tile.escaped[c] & all_lanes<V>();
      if (__builtin_expect(escaped != 0, 0)) {
        Spilled<V> scalar;
        flush<V>(lanes);
        spill<V>(lanes, &scalar);
        if (!put_escapes<V>(group, first + c, escaped, &scalar)) return false;
        reload<V>(scalar, &lanes);
        for (int v = 0; v < V; ++v)
          lanes.words[v] = swap_words(_mm512_i64gather_epi64(lanes.at[v], nullptr, 1));
      }
      for (int v = 0; v < V; ++v) put<V>(encode, load_part(tile.place, c, v), &lanes, v);
      if (c % kTwoWordSymbols == 0) flush<V>(lanes);
    }
    behind = first;
  }
  flush<V>(lanes);
  Spilled<V> scalar;
  spill<V>(lanes, &scalar);
  for (int i = 0; i < group.count; ++i) {
    group.jobs[i].begin = put_string_state(scalar.x[i], reinterpret_cast<uint8_t*>(scalar.at[i]));
    group.jobs[i].damage = nullptr;
  }
  return true;
}

bool encode_strings(const Group& group) {
  switch ((group.count + kVectorStrings - 1) / kVectorStrings) {
    case 1:
      return encode_group<1>(group);
    case 2:
      return encode_group<2>(group);
    case 3:
      return encode_group<3>(group);
    default:
      return encode_group<4>(group);
  }
}

void encode_strings_avx512(const bince_tables* tables, StringJob* jobs, int count) {
  for (int taken; count > 0; jobs += taken, count -= taken) {
    taken = strings_of_group(count, 32);
    if (taken < kFewestStrings || !within_reach(tables) || !encode_strings(group_of(tables, jobs, taken)))
      encode_strings_ref(tables, jobs, taken);
  }
}

}  // namespace
}  // namespace bince

void bince::coding_fill_string_encoder_avx512(CodingOps* ops) {
  ops->encode_strings = encode_strings_avx512;
}
