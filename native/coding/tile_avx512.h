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

// GCC 12's own header starts results from a variable that it does not set.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include "native/coding/coding_ops.h"

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

// `bytes` beyond a pointer, which may be outside of what it points into: as a number, and only to be fetched.
inline const char* address(const void* base, size_t bytes) {
  return reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(base) + bytes);
}

// The first `rows` rows of bytes [32][C16] -> float32 rows: ((offset + entry + median) * step) + shift.
inline void dequantize_rows(const ChannelPlan& plan, const uint8_t* bytes, uint32_t rows, float* out) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t c = 0; c < C; c += 16) {
      const __m128i entries =
          _mm_load_si128(reinterpret_cast<const __m128i*>(bytes + size_t{row} * padded + c));
      const __m512i symbols =
          _mm512_add_epi32(_mm512_cvtepu8_epi32(entries), _mm512_load_si512(plan.offset + c));
      __m512 x = _mm512_add_ps(_mm512_cvtepi32_ps(symbols), _mm512_load_ps(plan.median + c));
      x = _mm512_mul_ps(x, _mm512_load_ps(plan.step + c));
      x = _mm512_add_ps(x, _mm512_load_ps(plan.shift + c));
      __builtin_prefetch(address(out, 4 * ((size_t{plan.lanes} + row) * C + c)), 1, 2);
      _mm512_mask_storeu_ps(out + size_t{row} * C + c, channels_left(C, c), x);
    }
  }
}

// As dequantize_rows, to int32 symbols.
inline void symbol_rows(const ChannelPlan& plan, const uint8_t* bytes, uint32_t rows, int32_t* out) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t c = 0; c < C; c += 16) {
      const __m128i entries =
          _mm_load_si128(reinterpret_cast<const __m128i*>(bytes + size_t{row} * padded + c));
      const __m512i symbols =
          _mm512_add_epi32(_mm512_cvtepu8_epi32(entries), _mm512_load_si512(plan.offset + c));
      _mm512_mask_storeu_epi32(out + size_t{row} * C + c, channels_left(C, c), symbols);
    }
  }
}

// What entries_of_rows() saw.
struct RowsSeen {
  bool escapes;  // some entry is an escape
  bool invalid;  // some value cannot be quantised
};

// float32 values or int32 symbols -> bytes [32][C16]; rows beyond `rows` stay as they are.
//
// The next group lies before this one, where hardware does not look ahead: it is fetched here (a prefetch of
// an address outside the rows does nothing).
template <RowType Type>
inline RowsSeen entries_of_rows(const ChannelPlan& plan, const void* rows_in, uint32_t rows, uint8_t* bytes) {
  const uint32_t C = plan.channels, padded = padded_channels(C);
  __m512i largest = _mm512_setzero_si512();  // of |symbol|, unsigned
  __m512i beyond = _mm512_set1_epi32(-1);    // of entry - escape: 0 for an escape, else below
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t c = 0; c < C; c += 16) {
      const __mmask16 inside = channels_left(C, c);
      const size_t at = size_t{row} * C + c;
      _mm_prefetch(address(rows_in, (at - size_t{plan.lanes} * C) * 4), _MM_HINT_T1);
      __m512i symbols;
      if (Type == kFloatRows) {
        const __m512 x = _mm512_maskz_loadu_ps(inside, static_cast<const float*>(rows_in) + at);
        __m512 y =
            _mm512_mul_ps(_mm512_sub_ps(x, _mm512_load_ps(plan.shift + c)), _mm512_load_ps(plan.gain + c));
        y = _mm512_sub_ps(y, _mm512_load_ps(plan.median + c));
        symbols = _mm512_cvt_roundps_epi32(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        largest = _mm512_mask_max_epu32(largest, inside, largest, _mm512_abs_epi32(symbols));
      } else {
        symbols = _mm512_maskz_loadu_epi32(inside, static_cast<const int32_t*>(rows_in) + at);
      }
      const __m512i escape = _mm512_load_si512(plan.escape + c);
      const __m512i v = _mm512_sub_epi32(symbols, _mm512_load_si512(plan.offset + c));
      const __m512i entries = _mm512_min_epu32(v, escape);
      beyond = _mm512_mask_max_epi32(beyond, inside, beyond, _mm512_sub_epi32(entries, escape));
      _mm_store_si128(reinterpret_cast<__m128i*>(bytes + size_t{row} * padded + c),
                      _mm512_cvtepi32_epi8(entries));
    }
  }
  return {_mm512_cmpeq_epi32_mask(beyond, _mm512_setzero_si512()) != 0,
          _mm512_cmpge_epu32_mask(largest, _mm512_set1_epi32(1 << 30)) != 0};
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILE_AVX512_H_
