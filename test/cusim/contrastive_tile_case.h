// What the tests of tiles share: rows with known elements, the exact products, the error allowed.
#ifndef BINCE_TEST_CUSIM_CONTRASTIVE_TILE_CASE_H_
#define BINCE_TEST_CUSIM_CONTRASTIVE_TILE_CASE_H_

#include <cmath>
#include <vector>

#include "native/contrastive/pad_rows.h"
#include "native/contrastive/tile_multiply.cuh"
#include "native/cuda/bfloat16.cuh"
#include "test/native/harness.h"

namespace bince_tile_case {

using namespace bince;

struct Random {
  uint64_t state;
  // In [-1, 1), with all bits of a float32.
  float next() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
};

template <class Element>
Element to_element(float value) {
  if constexpr (sizeof(Element) == 2) {
    return float_to_bfloat16(value);
  } else {
    return value;
  }
}
// The value that a product takes an element for.
template <class Precision>
float taken(typename Precision::Element element) {
  if constexpr (sizeof(element) == 2) {
    return bfloat16_to_float(element);
  } else {
    return Precision::kTensorCores ? __uint_as_float(to_tf32(element)) : element;
  }
}

struct alignas(16) Piece {
  unsigned char bytes[16];
};

// Rows as tiles read them, in two allocations of exactly the bytes that exist.  What may not be read is NaN.
template <class Precision>
struct Rows {
  using Element = typename Precision::Element;
  std::vector<Piece> first, second;
  TileRows rows;
  int64_t dim;

  Rows(int64_t count, int64_t first_count, int64_t dim_, int64_t more_stride, uint64_t seed)
      : rows{nullptr, nullptr, first_count, count, 0}, dim(dim_) {
    const int64_t stride = padded_stride(dim, sizeof(Element) == 2);
    rows.stride = stride + more_stride * (16 / static_cast<int64_t>(sizeof(Element)));
    const size_t line = static_cast<size_t>(rows.stride) * sizeof(Element) / 16;
    first.resize(line * static_cast<size_t>(first_count));
    second.resize(line * static_cast<size_t>(count - first_count));
    rows.first = first.data();
    rows.second = second.empty() ? nullptr : second.data();
    Random random{seed};
    for (int64_t r = 0; r < count; ++r)
      for (int64_t d = 0; d < rows.stride; ++d)
        *at(r, d) = d < dim ? to_element<Element>(random.next()) : to_element<Element>(d < stride ? 0 : NAN);
  }
  Element* at(int64_t row, int64_t d) {
    std::vector<Piece>& piece = row < rows.first_count ? first : second;
    if (row >= rows.first_count) row -= rows.first_count;
    return reinterpret_cast<Element*>(piece.data()) + row * rows.stride + d;
  }
  float value(int64_t row, int64_t d) { return taken<Precision>(*at(row, d)); }
};

// Whether `got`, computed with float32 accumulators, may stand for sum a[k] b[k]: twice the error of a plain
// float32 loop, and a rounding a term where that one is lucky.  Fused multiply-adds must have the very bits.
template <class Precision, class A, class B>
bool sum_matches(float got, int64_t count, const A& a, const B& b) {
  double exact = 0, size = 0;
  float plain = 0;
  for (int64_t k = 0; k < count; ++k) {
    const double term = static_cast<double>(a(k)) * static_cast<double>(b(k));
    exact += term, size += std::fabs(term);
    plain = fmaf(a(k), b(k), plain);
  }
  if (!Precision::kTensorCores) return got == plain;
  const double plain_error = std::fabs(static_cast<double>(plain) - exact);
  return std::fabs(static_cast<double>(got) - exact) <= 2 * plain_error + size * 0x1p-22;
}

}  // namespace bince_tile_case

#endif  // BINCE_TEST_CUSIM_CONTRASTIVE_TILE_CASE_H_
