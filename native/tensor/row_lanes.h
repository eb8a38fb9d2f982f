// Loops over the elements of a row: whole vectors, then what is left. Included by SIMD sources.
#ifndef BINCE_TENSOR_ROW_LANES_H_
#define BINCE_TENSOR_ROW_LANES_H_

#include "native/core/inline.h"

namespace bince {

template <class L>
struct Whole {
  using V = typename L::V;
  static BINCE_INLINE_MEMBER V load(const float* p) { return L::load(p); }
  static BINCE_INLINE_MEMBER void store(float* p, V v) { L::store(p, v); }
  static BINCE_INLINE_MEMBER V keep(V v, float) { return v; }
};
// The first lanes of a vector; others load as 0.
template <class L>
struct Part {
  using V = typename L::V;
  typename L::Mask mask;
  BINCE_INLINE_MEMBER V load(const float* p) const { return L::load(p, mask); }
  BINCE_INLINE_MEMBER void store(float* p, V v) const { L::store(p, v, mask); }
  // v, and `other` in the lanes that are not there.
  BINCE_INLINE_MEMBER V keep(V v, float other) const { return L::keep_or(v, L::set(other), mask); }
};

// f(i, lanes) for i = 0, kLanes, ... below n.
template <class L, class F>
BINCE_INLINE void over_row(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + L::kLanes <= n; i += L::kLanes) f(i, Whole<L>());
  if (i < n) f(i, Part<L>{L::mask(n - i)});
}

// The sum of term(i, lanes), at most 8 additions deep in float32, then in double.
template <class L, class F>
BINCE_INLINE double sum_row(int64_t n, const F& term) {
  constexpr int64_t kStep = 4 * L::kLanes, kDepth = 8;
  typename L::Sum total = L::sum_zero();
  int64_t i = 0;
  while (i + kStep <= n) {
    typename L::V a = L::set(0.0f), b = a, c = a, d = a;
    for (int64_t k = 0; k < kDepth && i + kStep <= n; ++k, i += kStep) {
      a = L::add(a, term(i, Whole<L>()));
      b = L::add(b, term(i + L::kLanes, Whole<L>()));
      c = L::add(c, term(i + 2 * L::kLanes, Whole<L>()));
      d = L::add(d, term(i + 3 * L::kLanes, Whole<L>()));
    }
    L::sum_add(&total, L::add(L::add(a, b), L::add(c, d)));
  }
  for (; i + L::kLanes <= n; i += L::kLanes) L::sum_add(&total, term(i, Whole<L>()));
  if (i < n) {
    const Part<L> part = {L::mask(n - i)};
    L::sum_add(&total, part.keep(term(i, part), 0.0f));
  }
  return L::sum_total(total);
}

// NaN where either is.
template <class L>
BINCE_INLINE typename L::V larger(typename L::V a, typename L::V b) {
  return L::select(L::unordered(a, a), a, L::max(a, b));  // max gives b where b is NaN
}
template <class L>
BINCE_INLINE typename L::V smaller(typename L::V a, typename L::V b) {
  return L::select(L::unordered(a, a), a, L::min(a, b));
}

// The largest element, NaN if one is.
template <class L>
BINCE_INLINE float largest_of_row(const float* x, int64_t n) {
  typename L::V best = L::set(-__builtin_inff());
  typename L::B undefined = L::none();
  over_row<L>(n, [&](int64_t i, auto lanes) {
    const typename L::V v = lanes.keep(lanes.load(x + i), -__builtin_inff());
    best = L::max(best, v);
    undefined = L::either(undefined, L::unordered(v, v));
  });
  return L::any(undefined) ? __builtin_nanf("") : L::horizontal_max(best);
}
template <class L>
BINCE_INLINE float smallest_of_row(const float* x, int64_t n) {
  typename L::V best = L::set(__builtin_inff());
  typename L::B undefined = L::none();
  over_row<L>(n, [&](int64_t i, auto lanes) {
    const typename L::V v = lanes.keep(lanes.load(x + i), __builtin_inff());
    best = L::min(best, v);
    undefined = L::either(undefined, L::unordered(v, v));
  });
  return L::any(undefined) ? __builtin_nanf("") : L::horizontal_min(best);
}

}  // namespace bince

#endif  // BINCE_TENSOR_ROW_LANES_H_
