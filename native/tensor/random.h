// Random tensors by Philox4x32-10: what element a global index takes, the same on every backend.
//
// Indexes come in groups of 64: index g takes word (g / 16) mod 4 of the block with counter
// (B low, B high, 0, 1), B = 16 (g / 64) + g mod 16, and key = seed, so that sixteen (or eight) lanes that
// compute neighbouring blocks hold neighbouring elements. The last counter word keeps these blocks apart from
// those of the entropy model's noise. Uniform numbers are k 2^-24 of the word's upper 24 bits k. Normal ones
// come in pairs by Box and Muller (1958): words 0 and 1 of a block, and words 2 and 3, as sqrt(-2 ln u) cos(2
// pi v) and sqrt(-2 ln u) sin(2 pi v) with u = (k0 + 1) 2^-24, v = k1 2^-24.
#ifndef BINCE_TENSOR_RANDOM_H_
#define BINCE_TENSOR_RANDOM_H_

#include "native/entropy/philox.h"

namespace bince {

enum { kRandomGroup = 64, kRandomStream = 1 };

// Lanes L as lane_math.h asks for, and sqrt. u in (0, 1], v in [0, 1): two independent normal numbers. Every
// step is one correctly rounded operation, hence the same bits on every backend.
template <class L>
BINCE_INLINE void normal_pair(typename L::V u, typename L::V v, typename L::V* first, typename L::V* second) {
  using V = typename L::V;
  V m, e;
  L::split(u, &m, &e);  // u = m 2^e, m in [3/4, 3/2)
  const V r = L::sub(m, L::set(1.0f));
  V p = L::set(-0.06434430180139833f);
  p = L::fma(p, r, L::set(0.15066711604595184f));
  p = L::fma(p, r, L::set(-0.19027851521968842f));
  p = L::fma(p, r, L::set(0.20910099148750305f));
  p = L::fma(p, r, L::set(-0.24014820158481598f));
  p = L::fma(p, r, L::set(0.2883840501308441f));
  p = L::fma(p, r, L::set(-0.3606748580932617f));
  p = L::fma(p, r, L::set(0.48090076446533203f));
  p = L::fma(p, r, L::set(-0.7213475108146667f));
  p = L::fma(p, r, L::set(1.4426950216293335f));
  const V radius = L::sqrt(L::mul(L::fma(p, r, e), L::set(-1.38629436f)));  // -2 ln 2 log2(u)
  // 2 pi v = (q + t) pi / 2 with whole q and |t| <= 1/2.
  const V turns = L::mul(v, L::set(4.0f)), q = L::round_even(turns), t = L::sub(turns, q), t2 = L::mul(t, t);
  V s = L::set(-0.00468175413531868f);  // Taylor: 1e-8 at |t| = 1/2 is left
  s = L::fma(s, t2, L::set(0.0796926262461670f));
  s = L::fma(s, t2, L::set(-0.645964097506246f));
  s = L::mul(L::fma(s, t2, L::set(1.5707963267948966f)), t);
  V c = L::set(0.000919260274839426f);
  c = L::fma(c, t2, L::set(-0.0208634807633530f));
  c = L::fma(c, t2, L::set(0.253669507901048f));
  c = L::fma(c, t2, L::set(-1.23370055013617f));
  c = L::fma(c, t2, L::set(1.0f));
  L::rotate_quarters(q, &c, &s);
  *first = L::mul(radius, c);
  *second = L::mul(radius, s);
}

}  // namespace bince

#endif  // BINCE_TENSOR_RANDOM_H_
