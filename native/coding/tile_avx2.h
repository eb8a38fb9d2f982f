// One row group's entries as bytes: row-major [32 rows][C16], and as the tile that the coders read,
// [C16][32 lanes].  C16 is C rounded up to 16.  Only for files of the AVX2 target.
#ifndef BINCE_CODING_TILE_AVX2_H_
#define BINCE_CODING_TILE_AVX2_H_

#include <immintrin.h>

#include "native/coding/coding_ops.h"

namespace bince {
namespace {

inline uint32_t padded_channels(uint32_t channels) {
  return (channels + 15) & ~uint32_t{15};
}

// Two 16x16 transposes of bytes, one in each 128-bit half: byte i of r[j] goes to byte j of r[i].
inline void transpose_16x16(__m256i r[16]) {
  for (int round = 0; round < 4; ++round) {
    __m256i a[16];
    for (int i = 0; i < 8; ++i) {
      a[2 * i] = _mm256_unpacklo_epi8(r[i], r[i + 8]);
      a[2 * i + 1] = _mm256_unpackhi_epi8(r[i], r[i + 8]);
    }
    for (int i = 0; i < 16; ++i) r[i] = a[i];
  }
}

// tile -> bytes [32][C16]
inline void rows_of_tile(const uint8_t* tile, uint32_t padded, uint8_t* bytes) {
  for (uint32_t c = 0; c < padded; c += 16) {
    __m256i r[16];
    for (uint32_t i = 0; i < 16; ++i)
      r[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(tile + size_t{c + i} * 32));
    transpose_16x16(r);
    for (uint32_t j = 0; j < 16; ++j) {
      uint8_t* at = bytes + size_t{padded} * j + c;
      _mm_store_si128(reinterpret_cast<__m128i*>(at), _mm256_castsi256_si128(r[j]));
      _mm_store_si128(reinterpret_cast<__m128i*>(at + size_t{padded} * 16),
                      _mm256_extracti128_si256(r[j], 1));
    }
  }
}

// bytes [32][C16] -> tile
inline void tile_of_rows(const uint8_t* bytes, uint32_t padded, uint8_t* tile) {
  for (uint32_t c = 0; c < padded; c += 16) {
    __m256i r[16];
    for (uint32_t j = 0; j < 16; ++j) {
      const uint8_t* at = bytes + size_t{padded} * j + c;
      const __m128i low = _mm_load_si128(reinterpret_cast<const __m128i*>(at));
      const __m128i high = _mm_load_si128(reinterpret_cast<const __m128i*>(at + size_t{padded} * 16));
      r[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    }
    transpose_16x16(r);
    for (uint32_t i = 0; i < 16; ++i)
      _mm256_store_si256(reinterpret_cast<__m256i*>(tile + size_t{c + i} * 32), r[i]);
  }
}

// All ones in the first `channels - c` of 8 numbers.
inline __m256i channels_left(uint32_t channels, uint32_t c) {
  const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(channels - c)), number);
}

inline __m256i load_ints(const void* at) {
  return _mm256_load_si256(static_cast<const __m256i*>(at));
}

// 8 values from channel c on, as bits: ((offset + entry + median) * step) + shift, or offset + entry.  What
// is read beyond the last channel lies behind it in the workspace.
template <RowType Type>
inline __m256i values_of(const ChannelPlan& plan, const uint8_t* entries, uint32_t c) {
  const __m256i numbers =
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(entries + c)));
  const __m256i symbols =
      _mm256_add_epi32(numbers, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plan.offset + c)));
  if (Type == kSymbolRows) return symbols;
  __m256 x = _mm256_add_ps(_mm256_cvtepi32_ps(symbols), _mm256_loadu_ps(plan.median + c));
  x = _mm256_mul_ps(x, _mm256_loadu_ps(plan.step + c));
  return _mm256_castps_si256(_mm256_add_ps(x, _mm256_loadu_ps(plan.shift + c)));
}

// The first `rows` rows of bytes [32][C16] -> rows of float32 or int32.  Past the caches whole vectors go to
// memory that nobody fetched before; what is left at a row's ends takes the usual way.
template <RowType Type, bool PastCaches>
inline void write_rows(const ChannelPlan& plan, const uint8_t* bytes, uint32_t rows, void* out) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  for (uint32_t row = 0; row < rows; ++row) {
    const uint8_t* entries = bytes + size_t{row} * padded;
    int32_t* at = static_cast<int32_t*>(out) + size_t{row} * C;
    uint32_t c = 0;
    if (PastCaches) {
      const uint32_t lead = static_cast<uint32_t>(-reinterpret_cast<uintptr_t>(at) % 32 / 4);
      c = lead < C ? lead : C;
      _mm256_maskstore_epi32(at, channels_left(c, 0), values_of<Type>(plan, entries, 0));
    }
    for (; c + 8 <= C; c += 8) {
      __m256i* to = reinterpret_cast<__m256i*>(at + c);
      if (PastCaches)
        _mm256_stream_si256(to, values_of<Type>(plan, entries, c));
      else
        _mm256_storeu_si256(to, values_of<Type>(plan, entries, c));
    }
    if (c < C) _mm256_maskstore_epi32(at + c, channels_left(C, c), values_of<Type>(plan, entries, c));
  }
}

inline void store_values(const ChannelPlan& plan, const uint8_t* bytes, uint32_t rows, RowType type,
                         bool past_caches, void* out) {
  if (type == kSymbolRows && past_caches)
    write_rows<kSymbolRows, true>(plan, bytes, rows, out);
  else if (type == kSymbolRows)
    write_rows<kSymbolRows, false>(plan, bytes, rows, out);
  else if (past_caches)
    write_rows<kFloatRows, true>(plan, bytes, rows, out);
  else
    write_rows<kFloatRows, false>(plan, bytes, rows, out);
}

// Other threads see what was written past the caches before anything that is written from here on.
inline void finish_stores() {
  _mm_sfence();
}

// Of 8 channels.
struct Quantiser {
  __m256 shift, gain, median;
  __m256i offset, escape;
  Quantiser(const ChannelPlan& plan, uint32_t c)
      : shift(_mm256_load_ps(plan.shift + c)),
        gain(_mm256_load_ps(plan.gain + c)),
        median(_mm256_load_ps(plan.median + c)),
        offset(load_ints(plan.offset + c)),
        escape(load_ints(plan.escape + c)) {}

  // The entries of 8 values or symbols; a sign in *escapes tells that some is an escape.
  template <RowType Type, bool Whole>
  __m256i entries(const void* rows, size_t at, __m256i inside, __m256i* escapes) const {
    __m256i symbols;
    if (Type == kSymbolRows) {
      const int32_t* from = static_cast<const int32_t*>(rows) + at;
      symbols = Whole ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                      : _mm256_maskload_epi32(from, inside);
    } else {
      const float* from = static_cast<const float*>(rows) + at;
      const __m256 x = Whole ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, inside);
      const __m256 y = _mm256_sub_ps(_mm256_mul_ps(_mm256_sub_ps(x, shift), gain), median);
      symbols = _mm256_cvtps_epi32(_mm256_round_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    __m256i v = _mm256_sub_epi32(symbols, offset);
    if (!Whole) v = _mm256_and_si256(v, inside);
    const __m256i entry = _mm256_min_epu32(v, escape);
    *escapes = _mm256_or_si256(*escapes, _mm256_cmpeq_epi32(entry, escape));
    return entry;
  }
};

// 16 channels of a row to bytes.
inline void store_bytes(uint8_t* at, __m256i first, __m256i second) {
  // In 128-bit halves: 0-3, 8-11, 4-7, 12-15.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
  _mm_store_si128(reinterpret_cast<__m128i*>(at),
                  _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

// float32 values or int32 symbols -> bytes [32][C16]; rows beyond `rows` stay as they are.  Returns whether
// some entry is an escape; what cannot be quantised becomes -2^31.  Meanwhile the rows at `ahead` are
// fetched.
template <RowType Type>
inline bool entries_of_rows(const ChannelPlan& plan, const void* rows_in, uint32_t rows, const char* ahead,
                            uint8_t* bytes) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  const __m256i all = _mm256_set1_epi32(-1);
  __m256i escapes = _mm256_setzero_si256();
  uint32_t c = 0;
  for (; c + 16 <= C; c += 16) {
    const Quantiser first(plan, c), second(plan, c + 8);
    for (uint32_t row = 0; row < rows; ++row) {
      const size_t at = size_t{row} * C + c;
      if (ahead) _mm_prefetch(ahead + 4 * at, _MM_HINT_T1);
      const __m256i low = first.entries<Type, true>(rows_in, at, all, &escapes);
      const __m256i high = second.entries<Type, true>(rows_in, at + 8, all, &escapes);
      store_bytes(bytes + size_t{row} * padded + c, low, high);
    }
  }
  if (c < C) {
    const Quantiser first(plan, c), second(plan, c + 8);
    const __m256i left = channels_left(C, c), beyond = channels_left(C > c + 8 ? C : c + 8, c + 8);
    for (uint32_t row = 0; row < rows; ++row) {
      const size_t at = size_t{row} * C + c;
      const __m256i low = first.entries<Type, false>(rows_in, at, left, &escapes);
      const __m256i high = second.entries<Type, false>(rows_in, at + 8, beyond, &escapes);
      store_bytes(bytes + size_t{row} * padded + c, low, high);
    }
  }
  return _mm256_movemask_epi8(escapes) != 0;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILE_AVX2_H_
