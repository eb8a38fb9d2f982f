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

// Of 8 channels.  What is read beyond the last channel lies behind it in the workspace.
struct Dequantiser {
  __m256i offset;
  __m256 median, step, shift;
  Dequantiser(const ChannelPlan& plan, uint32_t c)
      : offset(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(plan.offset + c))),
        median(_mm256_loadu_ps(plan.median + c)),
        step(_mm256_loadu_ps(plan.step + c)),
        shift(_mm256_loadu_ps(plan.shift + c)) {}

  // As bits: ((offset + entry + median) * step) + shift, or offset + entry.
  template <RowType Type>
  __m256i values(const uint8_t* entries) const {
    const __m256i numbers = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(entries)));
    const __m256i symbols = _mm256_add_epi32(numbers, offset);
    if (Type == kSymbolRows) return symbols;
    const __m256 x = _mm256_add_ps(_mm256_cvtepi32_ps(symbols), median);
    return _mm256_castps_si256(_mm256_add_ps(_mm256_mul_ps(x, step), shift));
  }
};

// `count` channels of a row from c on, of bytes -> float32 or int32.
template <RowType Type>
inline void write_some(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                       int32_t* out) {
  for (uint32_t i = 0; i < count; i += 8)
    _mm256_maskstore_epi32(out + i, channels_left(count, i),
                           Dequantiser(plan, c + i).values<Type>(entries + i));
}

// `count` channels, a multiple of 16, of `Rows` rows from c on, which share a channel's numbers.  Past the
// caches whole lines go to memory that nobody fetched before, a line's halves one right after the other.
template <RowType Type, bool PastCaches, int Rows>
inline void write_lines(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                        int32_t* out) {
  const size_t padded = padded_channels(plan.channels);
  for (uint32_t i = 0; i < count; i += 16) {
    const Dequantiser first(plan, c + i), second(plan, c + i + 8);
    for (size_t row = 0; row < Rows; ++row) {
      const uint8_t* from = entries + row * padded + i;
      const __m256i low = first.values<Type>(from), high = second.values<Type>(from + 8);
      __m256i* at = reinterpret_cast<__m256i*>(out + row * plan.channels + i);
      if (PastCaches) {
        _mm256_stream_si256(at, low);
        _mm256_stream_si256(at + 1, high);
      } else {
        _mm256_storeu_si256(at, low);
        _mm256_storeu_si256(at + 1, high);
      }
    }
  }
}

// 16 numbers to a line past the caches.
inline void write_line(const int32_t* numbers, int32_t* line) {
  for (int i = 0; i < 16; i += 8)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(line + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers + i)));
}

enum { kWritesPastCaches = 1 };

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

  // The entries of 8 values or symbols.  Values round to even, as the arithmetic before does.
  template <RowType Type, bool Whole>
  __m256i entries(const void* rows, size_t at, __m256i inside) const {
    __m256i symbols;
    if (Type == kSymbolRows) {
      const int32_t* from = static_cast<const int32_t*>(rows) + at;
      symbols = Whole ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                      : _mm256_maskload_epi32(from, inside);
    } else {
      const float* from = static_cast<const float*>(rows) + at;
      const __m256 x = Whole ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, inside);
      symbols = _mm256_cvtps_epi32(_mm256_sub_ps(_mm256_mul_ps(_mm256_sub_ps(x, shift), gain), median));
    }
    __m256i v = _mm256_sub_epi32(symbols, offset);
    if (!Whole) v = _mm256_and_si256(v, inside);
    return _mm256_min_epu32(v, escape);
  }
};

// 16 numbers below 256 as bytes.
inline __m128i bytes_of(__m256i first, __m256i second) {
  // In 128-bit halves: 0-3, 8-11, 4-7, 12-15.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, second), 0xd8);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

// 16 channels of `Rows` rows, all of them or those inside; a byte of *escapes where some entry is an escape.
template <RowType Type, int Rows, bool Whole>
inline void quantise(const ChannelPlan& plan, const void* rows, size_t at, uint32_t c, uint8_t* bytes,
                     __m128i* escapes) {
  const uint32_t C = plan.channels;
  const Quantiser first(plan, c), second(plan, c + 8);
  const __m256i left = channels_left(C, c), beyond = channels_left(C > c + 8 ? C : c + 8, c + 8);
  const __m128i escape = bytes_of(first.escape, second.escape);
  for (size_t row = 0; row < Rows; ++row) {
    const size_t from = at + row * C + c;
    const __m128i entries = bytes_of(first.entries<Type, Whole>(rows, from, left),
                                     second.entries<Type, Whole>(rows, from + 8, beyond));
    *escapes = _mm_or_si128(*escapes, _mm_cmpeq_epi8(entries, escape));
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes + row * padded_channels(C) + c), entries);
  }
}

// Whether `Rows` rows have an escape, with their entries in bytes; what cannot be quantised becomes -2^31.
// Meanwhile half of the lines of the rows at `ahead` are fetched.
template <RowType Type, int Rows>
inline bool quantise_rows(const ChannelPlan& plan, const void* rows, size_t at, const char* ahead,
                          uint8_t* bytes) {
  const uint32_t C = plan.channels;
  __m128i escapes = _mm_setzero_si128();
  uint32_t c = 0;
  for (; c + 16 <= C; c += 16) {
    for (size_t i = 0; ahead && i < Rows / 2; ++i)
      _mm_prefetch(ahead + at * 2 + (size_t{c} / 16 * (Rows / 2) + i) * 64, _MM_HINT_T1);
    quantise<Type, Rows, true>(plan, rows, at, c, bytes, &escapes);
  }
  if (c < C) quantise<Type, Rows, false>(plan, rows, at, c, bytes, &escapes);
  return _mm_movemask_epi8(escapes) != 0;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILE_AVX2_H_
