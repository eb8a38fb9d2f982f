// Rows and tiles as tile_avx512.h describes them, in quarters of eight lanes.  Only for files of the NEON
// target.
#ifndef BINCE_CODING_TILE_NEON_H_
#define BINCE_CODING_TILE_NEON_H_

#include <arm_neon.h>

#include "native/coding/coding_ops.h"

namespace bince {
namespace {

inline uint32_t padded_channels(uint32_t channels) {
  return (channels + 15) & ~uint32_t{15};
}

// The pairs of numbers 2i, 2i + 1 of a and b; `Second`: the second of each pair.
template <bool Second>
inline uint16x8_t pairs_of_16(uint16x8_t a, uint16x8_t b) {
  return Second ? vtrn2q_u16(a, b) : vtrn1q_u16(a, b);
}
template <bool Second>
inline uint16x8_t pairs_of_32(uint16x8_t a, uint16x8_t b) {
  const uint32x4_t x = vreinterpretq_u32_u16(a), y = vreinterpretq_u32_u16(b);
  return vreinterpretq_u16_u32(Second ? vtrn2q_u32(x, y) : vtrn1q_u32(x, y));
}
template <bool Second>
inline uint16x8_t pairs_of_64(uint16x8_t a, uint16x8_t b) {
  const uint64x2_t x = vreinterpretq_u64_u16(a), y = vreinterpretq_u64_u16(b);
  return vreinterpretq_u16_u64(Second ? vtrn2q_u64(x, y) : vtrn1q_u64(x, y));
}

// Number i of r[j] goes to number j of r[i].
inline void transpose_8x8(uint16x8_t r[8]) {
  uint16x8_t a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = pairs_of_16<false>(r[i], r[i + 1]);
    a[i + 1] = pairs_of_16<true>(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {  // b[i + c]: numbers c and c + 4 of r[i] .. r[i + 3]
    b[i] = pairs_of_32<false>(a[i], a[i + 2]);
    b[i + 1] = pairs_of_32<false>(a[i + 1], a[i + 3]);
    b[i + 2] = pairs_of_32<true>(a[i], a[i + 2]);
    b[i + 3] = pairs_of_32<true>(a[i + 1], a[i + 3]);
  }
  for (int c = 0; c < 4; ++c) {
    r[c] = pairs_of_64<false>(b[c], b[4 + c]);
    r[4 + c] = pairs_of_64<true>(b[c], b[4 + c]);
  }
}

// tile -> bytes [32][C16]
inline void rows_of_tile(const uint8_t* tile, uint32_t padded, uint8_t* bytes) {
  for (uint32_t c = 0; c < padded; c += 16) {
    for (uint32_t lane = 0; lane < kLanes; lane += 8) {
      uint16x8_t r[8];
      for (uint32_t i = 0; i < 8; ++i)
        r[i] = vreinterpretq_u16_u8(vld1q_u8(tile + (size_t{c} / 2 + i) * 64 + size_t{lane} * 2));
      transpose_8x8(r);
      for (uint32_t j = 0; j < 8; ++j)
        vst1q_u8(bytes + size_t{padded} * (lane + j) + c, vreinterpretq_u8_u16(r[j]));
    }
  }
}

// bytes [32][C16] -> tile
inline void tile_of_rows(const uint8_t* bytes, uint32_t padded, uint8_t* tile) {
  for (uint32_t c = 0; c < padded; c += 16) {
    for (uint32_t lane = 0; lane < kLanes; lane += 8) {
      uint16x8_t r[8];
      for (uint32_t j = 0; j < 8; ++j)
        r[j] = vreinterpretq_u16_u8(vld1q_u8(bytes + size_t{padded} * (lane + j) + c));
      transpose_8x8(r);
      for (uint32_t i = 0; i < 8; ++i)
        vst1q_u8(tile + (size_t{c} / 2 + i) * 64 + size_t{lane} * 2, vreinterpretq_u8_u16(r[i]));
    }
  }
}

// Four numbers, of which `left` count; those beyond are zeros, and are not touched.
inline int32x4_t load_left(const int32_t* from, uint32_t left) {
  if (__builtin_expect(left >= 4, 1)) return vld1q_s32(from);
  int32_t part[4] = {};
  for (uint32_t i = 0; i < left; ++i) part[i] = from[i];
  return vld1q_s32(part);
}

inline void store_left(int32_t* to, int32x4_t x, uint32_t left) {
  if (__builtin_expect(left >= 4, 1)) return vst1q_s32(to, x);
  int32_t part[4];
  vst1q_s32(part, x);
  for (uint32_t i = 0; i < left; ++i) to[i] = part[i];
}

// Of 4 channels.
struct Dequantiser {
  int32x4_t offset;
  float32x4_t median, step, shift;
  Dequantiser(const ChannelPlan& plan, uint32_t c)
      : offset(vld1q_s32(plan.offset + c)),
        median(vld1q_f32(plan.median + c)),
        step(vld1q_f32(plan.step + c)),
        shift(vld1q_f32(plan.shift + c)) {}

  // As bits: ((offset + entry + median) * step) + shift, or offset + entry.
  template <RowType Type>
  int32x4_t values(uint16x4_t entries) const {
    const int32x4_t symbols = vaddq_s32(vreinterpretq_s32_u32(vmovl_u16(entries)), offset);
    if (Type == kSymbolRows) return symbols;
    const float32x4_t x = vmulq_f32(vaddq_f32(vcvtq_f32_s32(symbols), median), step);
    return vreinterpretq_s32_f32(vaddq_f32(x, shift));
  }
};

// `count` channels of `Rows` rows from c on, which share a channel's numbers, of bytes -> float32 or int32.
template <RowType Type, bool, int Rows>
inline void write_lines(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                        int32_t* out) {
  const size_t padded = padded_channels(plan.channels);
  for (uint32_t i = 0; i < count; i += 8) {
    const Dequantiser first(plan, c + i), second(plan, c + i + 4);
    for (size_t row = 0; row < Rows; ++row) {
      const uint16x8_t numbers = vmovl_u8(vld1_u8(entries + row * padded + i));
      int32_t* at = out + row * plan.channels + i;
      store_left(at, first.values<Type>(vget_low_u16(numbers)), count - i);
      if (i + 4 < count) store_left(at + 4, second.values<Type>(vget_high_u16(numbers)), count - i - 4);
    }
  }
}

template <RowType Type>
inline void write_some(const ChannelPlan& plan, const uint8_t* entries, uint32_t c, uint32_t count,
                       int32_t* out) {
  write_lines<Type, false, 1>(plan, entries, c, count, out);
}

// Stores go through the caches whatever the rows are.
enum { kWritesPastCaches = 0 };

inline void write_line(const int32_t* numbers, int32_t* line) {
  for (int i = 0; i < 16; i += 4) vst1q_s32(line + i, vld1q_s32(numbers + i));
}

inline void finish_stores() {}

// Channels c to c + 3 of a row as entries; `at` is the row's first of them.  Lanes of *escapes where one is
// an escape are set.
template <RowType Type>
inline uint32x4_t entries_of(const ChannelPlan& plan, const int32_t* at, uint32_t c, uint32x4_t* escapes) {
  const uint32_t left = plan.channels - c;
  int32x4_t symbols = load_left(at, left);
  if (Type == kFloatRows) {
    const float32x4_t x = vreinterpretq_f32_s32(symbols);
    float32x4_t y = vmulq_f32(vsubq_f32(x, vld1q_f32(plan.shift + c)), vld1q_f32(plan.gain + c));
    y = vrndnq_f32(vsubq_f32(y, vld1q_f32(plan.median + c)));
    const uint32x4_t valid = vcaltq_f32(y, vdupq_n_f32(1073741824.0f));  // |y| < 2^30, and no NaN
    symbols = vbslq_s32(valid, vcvtq_s32_f32(y), vdupq_n_s32(INT32_MIN));
  }
  const uint32x4_t escape = vld1q_u32(plan.escape + c);
  const int32x4_t v = vsubq_s32(symbols, vld1q_s32(plan.offset + c));
  const uint32x4_t entries = vminq_u32(vreinterpretq_u32_s32(v), escape);
  const uint32x4_t inside = vcltq_u32(uint32x4_t{0, 1, 2, 3}, vdupq_n_u32(left));
  *escapes = vorrq_u32(*escapes, vandq_u32(inside, vceqq_u32(entries, escape)));
  return entries;
}

// Whether `Rows` rows have an escape, with their entries in bytes; what cannot be quantised becomes -2^31.
// Meanwhile half of the lines of the rows at `ahead` are fetched.
template <RowType Type, int Rows>
inline bool quantise_rows(const ChannelPlan& plan, const void* rows, size_t at, const char* ahead,
                          uint8_t* bytes) {
  const uint32_t C = plan.channels;
  uint32x4_t escapes = vdupq_n_u32(0);
  for (uint32_t c = 0; c < C; c += 8) {
    for (size_t i = 0; ahead && c % 16 == 0 && i < Rows / 2; ++i)
      __builtin_prefetch(ahead + at * 2 + (size_t{c} / 16 * (Rows / 2) + i) * 64, 0, 2);
    for (size_t row = 0; row < Rows; ++row) {
      const int32_t* from = static_cast<const int32_t*>(rows) + at + row * C + c;
      const uint32x4_t low = entries_of<Type>(plan, from, c, &escapes);
      const uint32x4_t high = c + 4 < C ? entries_of<Type>(plan, from + 4, c + 4, &escapes) : vdupq_n_u32(0);
      vst1_u8(bytes + row * padded_channels(C) + c, vmovn_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high))));
    }
  }
  return vmaxvq_u32(escapes) != 0;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILE_NEON_H_
