// exp, tanh, softplus and the logistic function on vectors; included after a vector_*.h.  Polynomials: own
// Chebyshev fits.  Largest errors seen over 2e7 points: exp 1.1, tanh 1.6, softplus 2.8, sigmoid 2.5 ulp.
#ifndef BINCE_CONTRASTIVE_VECTOR_MATH_H_
#define BINCE_CONTRASTIVE_VECTOR_MATH_H_

namespace {

// e^x for x in [-87, 88]; 0 below -87 (so at -infinity), e^88 above 88.  A NaN stays one: the minimum and the
// maximum return their second operand where either is NaN.
// x = k ln 2 + r with |r| <= ln 2 / 2, e^r = 1 + r + r^2 P(r), |error of P| < 6.6e-8.
BINCE_INLINE Vec v_exp(Vec x) {
  const Mask vanishes = m_greater(v_set(-87.0f), x);
  const Vec y = v_min(v_set(88.0f), v_max(v_set(-87.0f), x));
  const Vec k = v_round(v_mul(y, v_set(1.44269504f)));
  Vec r = v_fnma(k, v_set(0.693359375f), y);  // ln 2 in two parts; the first product is exact
  r = v_fnma(k, v_set(-2.12194440e-4f), r);
  Vec p = v_fma(v_set(0.00139262134663f), r, v_set(0.00836320297158f));
  p = v_fma(p, r, v_set(0.0416665544377f));
  p = v_fma(p, r, v_set(0.16666576846f));
  p = v_fma(p, r, v_set(0.5f));
  const Vec value = v_scale(v_add(v_fma(v_mul(p, r), r, r), v_set(1.0f)), k);
  return v_select(vanishes, v_zero(), value);
}

// tanh(x): odd polynomial below 0.625, (1 - e^-2|x|) / (1 + e^-2|x|) above.
BINCE_INLINE Vec v_tanh(Vec x) {
  const Vec z = v_mul(x, x), size = v_abs(x);
  Vec p = v_fma(v_set(-0.00609671416591f), z, v_set(0.0209971789991f));
  p = v_fma(p, z, v_set(-0.0538509095785f));
  p = v_fma(p, z, v_set(0.13332769737f));
  p = v_fma(p, z, v_set(-0.333333289441f));
  const Vec near = v_fma(v_mul(p, z), x, x);
  const Vec e = v_exp(v_mul(size, v_set(-2.0f)));
  const Vec far = v_div(v_sub(v_set(1.0f), e), v_add(v_set(1.0f), e));
  return v_select(m_greater(v_set(0.625f), size), near, v_copysign(far, x));
}

// log(1 + e^x) = max(x, 0) + log1p(e), e = e^-|x|; log1p(e) = 2 atanh(w), w = e / (2 + e) <= 1/3.
BINCE_INLINE Vec v_softplus(Vec x) {
  const Vec e = v_exp(v_sub(v_zero(), v_abs(x)));
  const Vec w = v_div(e, v_add(e, v_set(2.0f))), z = v_mul(w, w);
  Vec p = v_fma(v_set(0.23224329224f), z, v_set(0.217065758009f));
  p = v_fma(p, z, v_set(0.285923579943f));
  p = v_fma(p, z, v_set(0.399997063319f));
  p = v_fma(p, z, v_set(0.666666673205f));
  return v_add(v_max(x, v_zero()), v_fma(v_mul(p, z), w, v_add(w, w)));
}

// 1 / (1 + e^-x).
BINCE_INLINE Vec v_sigmoid(Vec x) {
  return v_div(v_set(1.0f), v_add(v_set(1.0f), v_exp(v_sub(v_zero(), x))));
}

}  // namespace

#endif  // BINCE_CONTRASTIVE_VECTOR_MATH_H_
