#include "native/coding/row_scan.h"

#include <cmath>
#include <cstring>

#include "native/coding/quantize.h"
#include "native/core/tensor_check.h"

#if defined(BINCE_X86)
#include <emmintrin.h>
#endif

namespace bince {
namespace {

constexpr uint64_t kPiece = 1024;               // values
constexpr uint64_t kFetchedAhead = 2 * kPiece;  // hardware does not look beyond a page
// So many values are not needed again before others have taken their place in the caches.
constexpr uint64_t kManyValues = 1 << 14;

// Four values, as bits.
typedef uint32_t Four __attribute__((vector_size(16)));

inline Four load_four(const void* from) {
  Four x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

// To memory that is not needed soon, and is aligned.
inline void put_past_caches(void* to, Four x) {
#if defined(BINCE_X86)
  _mm_stream_si128(static_cast<__m128i*>(to), reinterpret_cast<__m128i>(x));
#else
  std::memcpy(to, &x, sizeof x);
#endif
}

// Bit 31 is set where a value may not be codable.  Magnitudes of floats are ordered as their bits are, with
// infinity and NaN above all numbers.
template <typename Bits>
inline Bits beyond(Bits x, uint32_t safe, const float*) {
  return safe - (x & 0x7fffffffu);
}

template <typename Bits>
inline Bits beyond(Bits x, uint32_t, const int32_t*) {
  const uint32_t most = (1u << 30) - 1;
  return (most + x) | (most - x);
}

inline void finish_lines() {
#if defined(BINCE_X86)
  _mm_sfence();
#endif
}

}  // namespace

RowScan::RowScan(const bince_block_format* format)
    : channels_(format->channels),
      median_(tensor_data<const float>(format->median)),
      step_(tensor_data<const float>(format->step)),
      shift_(tensor_data<const float>(format->shift)) {
  double safe = 3e38;
  for (uint32_t c = 0; c < channels_; ++c) {
    const double symbols = 0.99 * kMaxSymbol - std::fabs(median_ ? median_[c] : 0.0);
    const double reach = 0.99 * symbols * (step_ ? step_[c] : 1.0) - std::fabs(shift_ ? shift_[c] : 0.0);
    safe = reach < safe ? reach : safe;
  }
  const float least = static_cast<float>(safe > 0 ? safe : 0);
  std::memcpy(&safe_, &least, sizeof safe_);
}

bool RowScan::codable(float x, uint64_t channel) const {
  int32_t symbol;
  return quantize(x, median_ ? median_[channel] : 0.0f, 1.0f / (step_ ? step_[channel] : 1.0f),
                  shift_ ? shift_[channel] : 0.0f, &symbol);
}

bool RowScan::codable(int32_t symbol, uint64_t) const {
  return symbol > -(1 << 30) && symbol < 1 << 30;
}

template <typename T>
int64_t RowScan::scan_pieces(const T* values, uint64_t count, T* copy) const {
  static_assert(sizeof(T) == sizeof(int32_t));
  // Past the caches from the first place on that is aligned; what is before goes alone.
  const bool past_caches = copy && count >= kManyValues;
  const uint64_t lead = past_caches ? -reinterpret_cast<uintptr_t>(copy) % 16 / sizeof(T) : 0;
  for (uint64_t begin = 0, end; begin < count; begin = end) {
    end = begin == 0 && lead > 0 ? lead : begin + kPiece < count ? begin + kPiece : count;
    Four bad = {};
    uint64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      __builtin_prefetch(reinterpret_cast<const char*>(values + i) + kFetchedAhead * sizeof(T), 0, 2);
      for (uint64_t j = i; j < i + 16; j += 4) {
        const Four x = load_four(values + j);
        bad |= beyond(x, safe_, values);
        if (past_caches)
          put_past_caches(copy + j, x);
        else if (copy)
          std::memcpy(copy + j, &x, sizeof x);
      }
    }
    uint32_t any = bad[0] | bad[1] | bad[2] | bad[3];
    for (uint64_t j = i; j < end; ++j) {
      uint32_t bits;
      std::memcpy(&bits, values + j, sizeof bits);
      any |= beyond(bits, safe_, values);
    }
    if (copy && i < end) std::memcpy(copy + i, values + i, (end - i) * sizeof(T));
    if (any >> 31 == 0) continue;
    for (uint64_t j = begin; j < end; ++j) {
      if (codable(values[j], j % channels_)) continue;
      if (past_caches) finish_lines();
      return static_cast<int64_t>(j);
    }
  }
  if (past_caches) finish_lines();
  return static_cast<int64_t>(count);
}

int64_t RowScan::scan(const float* values, uint64_t count, float* copy) const {
  return scan_pieces(values, count, copy);
}

int64_t RowScan::scan(const int32_t* symbols, uint64_t count, int32_t* copy) const {
  return scan_pieces(symbols, count, copy);
}

}  // namespace bince
