// One row group's entries as bytes: row-major [32 rows][C16], and as the tile that the coders read, one
// 512-bit vector for a pair of channels: [C16 / 2][32 lanes] of 16 bits, the even channel in the low byte.
// C16 is C rounded up to 16.
//
//   row-major   row l: c0 c1 c2 c3 ...            tile   pair 0: (c0 c1) of lanes 0 1 2 ... 31
//                                                        pair 1: (c2 c3) of lanes 0 1 2 ... 31
//
// Only for files of the AVX-512 target.
#ifndef BINCE_CODING_TILE_AVX512_H_
#define BINCE_CODING_TILE_AVX512_H_

#include "native/coding/coding_ops.h"
#include "native/coding/intrinsics_avx512.h"

namespace bince {
namespace {

inline uint32_t padded_channels(uint32_t channels) {
  return (channels + 15) & ~uint32_t{15};
}

// Eight 8x8 transposes of 16-bit numbers side by side, one in each of the four 128-bit quarters: number i
// of r[j] goes to number j of r[i].
inline void transpose_8x8(__m512i r[8]) {
  __m512i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm512_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
  for (int h = 0; h < 2; ++h) {
    for (int i = 0; i < 2; ++i) {
      b[4 * h + 2 * i] = _mm512_unpacklo_epi32(a[4 * h + i], a[4 * h + 2 + i]);
      b[4 * h + 2 * i + 1] = _mm512_unpackhi_epi32(a[4 * h + i], a[4 * h + 2 + i]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    r[2 * i] = _mm512_unpacklo_epi64(b[i], b[4 + i]);
    r[2 * i + 1] = _mm512_unpackhi_epi64(b[i], b[4 + i]);
  }
}

// tile -> bytes [32][C16]
inline void rows_of_tile(const uint8_t* tile, uint32_t padded, uint8_t* bytes) {
  for (uint32_t c = 0; c < padded; c += 16) {
    __m512i r[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm512_load_si512(tile + (size_t{c} / 2 + i) * 64);
    transpose_8x8(r);
    for (int j = 0; j < 8; ++j) {
      uint8_t* at = bytes + size_t{padded} * j + c;
      const size_t eight = size_t{padded} * 8;
      _mm_store_si128(reinterpret_cast<__m128i*>(at), _mm512_castsi512_si128(r[j]));
      _mm_store_si128(reinterpret_cast<__m128i*>(at + eight), _mm512_extracti32x4_epi32(r[j], 1));
      _mm_store_si128(reinterpret_cast<__m128i*>(at + 2 * eight), _mm512_extracti32x4_epi32(r[j], 2));
      _mm_store_si128(reinterpret_cast<__m128i*>(at + 3 * eight), _mm512_extracti32x4_epi32(r[j], 3));
    }
  }
}

// bytes [32][C16] -> tile
inline void tile_of_rows(const uint8_t* bytes, uint32_t padded, uint8_t* tile) {
  for (uint32_t c = 0; c < padded; c += 16) {
    __m512i r[8];
    for (int j = 0; j < 8; ++j) {
      const uint8_t* at = bytes + size_t{padded} * j + c;
      const size_t eight = size_t{padded} * 8;
      const auto quarter = [&](size_t q) {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(at + q * eight));
      };
      __m512i v = _mm512_castsi128_si512(quarter(0));
      v = _mm512_inserti32x4(v, quarter(1), 1);
      v = _mm512_inserti32x4(v, quarter(2), 2);
      r[j] = _mm512_inserti32x4(v, quarter(3), 3);
    }
    transpose_8x8(r);
    for (int i = 0; i < 8; ++i) _mm512_store_si512(tile + (size_t{c} / 2 + i) * 64, r[i]);
  }
}

// The lanes of channel c as 16-bit numbers.
inline __m512i tile_channel(const uint8_t* tile, uint32_t c) {
  const __m512i pair = _mm512_load_si512(tile + size_t{c} / 2 * 64);
  return (c & 1) ? _mm512_srli_epi16(pair, 8) : _mm512_and_si512(pair, _mm512_set1_epi16(255));
}

inline __mmask16 channels_left(uint32_t channels, uint32_t c) {
  const uint32_t left = channels - c;
  return static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
}

// Of 16 channels, those of the mask.
struct Dequantiser {
  __mmask16 inside;
  __m512i offset;
  __m512 median, step, shift;
  Dequantiser(const ChannelPlan& plan, uint32_t c, __mmask16 mask)
      : inside(mask),
        offset(_mm512_maskz_loadu_epi32(mask, plan.offset + c)),
        median(_mm512_maskz_loadu_ps(mask, plan.median + c)),
        step(_mm512_maskz_loadu_ps(mask, plan.step + c)),
        shift(_mm512_maskz_loadu_ps(mask, plan.shift + c)) {}

  // As bits: ((offset + entry + median) * step) + shift, or offset + entry.
  template <RowType Type>
  __m512i values(const uint8_t* entries) const {
    const __m512i numbers = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(inside, entries));
    const __m512i symbols = _mm512_add_epi32(numbers, offset);
    if (Type == kSymbolRows) return symbols;
    const __m512 x = _mm512_add_ps(_mm512_cvtepi32_ps(symbols), median);
    return _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(x, step), shift));
  }
};

// `count` channels of a row from c on, of bytes -> float32 or int32.
template <RowType Type>
inline void write_some(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                       int32_t* out) {
  for (uint32_t i = 0; i < count; i += 16) {
    const __mmask16 inside = channels_left(count, i);
    _mm512_mask_storeu_epi32(out + i, inside, Dequantiser(plan, c + i, inside).values<Type>(entries + i));
  }
}

// `count` channels, a multiple of 16, of `Rows` rows from c on, which share a channel's numbers.  Past the
// caches whole lines go to memory that nobody fetched before.
template <RowType Type, bool PastCaches, int Rows>
inline void write_lines(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                        int32_t* out) {
  const size_t padded = padded_channels(plan.channels);
  for (uint32_t i = 0; i < count; i += 16) {
    const Dequantiser dequantiser(plan, c + i, 0xffff);
    for (size_t row = 0; row < Rows; ++row) {
      const __m512i values = dequantiser.values<Type>(entries + row * padded + i);
      int32_t* at = out + row * plan.channels + i;
      if (PastCaches)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(at), values);
      else
        _mm512_storeu_si512(at, values);
    }
  }
}

// 16 numbers to a line past the caches.
inline void write_line(const int32_t* numbers, int32_t* line) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(line), _mm512_loadu_si512(numbers));
}

enum { kWritesPastCaches = 1 };

// Other threads see what was written past the caches before anything that is written from here on.
inline void finish_stores() {
  _mm_sfence();
}

// Of 16 channels.
struct Quantiser {
  __m512 shift, gain, median;
  __m512i offset, escape;
  Quantiser(const ChannelPlan& plan, uint32_t c)
      : shift(_mm512_load_ps(plan.shift + c)),
        gain(_mm512_load_ps(plan.gain + c)),
        median(_mm512_load_ps(plan.median + c)),
        offset(_mm512_load_si512(plan.offset + c)),
        escape(_mm512_load_si512(plan.escape + c)) {}

  template <RowType Type>
  __m512i symbols(const void* rows, size_t at, __mmask16 inside) const {
    if (Type == kSymbolRows) return _mm512_maskz_loadu_epi32(inside, static_cast<const int32_t*>(rows) + at);
    const __m512 x = _mm512_maskz_loadu_ps(inside, static_cast<const float*>(rows) + at);
    const __m512 y = _mm512_sub_ps(_mm512_mul_ps(_mm512_sub_ps(x, shift), gain), median);
    return _mm512_cvt_roundps_epi32(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
};

// 16 channels of `Rows` rows; a sign in the result tells that some entry is an escape.
template <RowType Type, int Rows>
inline __m512i quantise(const Quantiser& quantiser, const void* rows, size_t at, size_t channels,
                        __mmask16 inside, uint8_t* bytes, size_t padded) {
  __m512i escapes = _mm512_setzero_si512();
  for (size_t row = 0; row < Rows; ++row) {
    const __m512i symbols = quantiser.symbols<Type>(rows, at + row * channels, inside);
    const __m512i v = _mm512_maskz_sub_epi32(inside, symbols, quantiser.offset);
    const __m512i entries = _mm512_min_epu32(v, quantiser.escape);
    // escapes | v | ~(v - escape)
    escapes = _mm512_ternarylogic_epi32(escapes, v, _mm512_sub_epi32(v, quantiser.escape), 0xfd);
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes + row * padded), _mm512_cvtepi32_epi8(entries));
  }
  return escapes;
}

// Whether `Rows` rows have an escape, with their entries in bytes; what cannot be quantised becomes -2^31.
// Meanwhile half of the lines of the rows at `ahead` are fetched.
template <RowType Type, int Rows>
inline bool quantise_rows(const ChannelPlan& plan, const void* rows, size_t at, const char* ahead,
                          uint8_t* bytes) {
  const uint32_t C = plan.channels;
  const size_t padded = padded_channels(C);
  __m512i escapes = _mm512_setzero_si512();
  uint32_t c = 0;
  for (; c + 16 <= C; c += 16) {
    for (size_t i = 0; ahead && i < Rows / 2; ++i)
      _mm_prefetch(ahead + at * 2 + (size_t{c} / 16 * (Rows / 2) + i) * 64, _MM_HINT_T1);
    const __m512i seen = quantise<Type, Rows>(Quantiser(plan, c), rows, at + c, C, 0xffff, bytes + c, padded);
    escapes = _mm512_or_si512(escapes, seen);
  }
  if (c < C) {
    const __mmask16 inside = channels_left(C, c);
    const __m512i seen = quantise<Type, Rows>(Quantiser(plan, c), rows, at + c, C, inside, bytes + c, padded);
    escapes = _mm512_or_si512(escapes, seen);
  }
  return _mm512_movepi32_mask(escapes) != 0;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILE_AVX512_H_
