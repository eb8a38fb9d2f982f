// The channel's network F and its derivative over lanes, B points at a time.
//
// Shared by the SIMD backends (a lane is a channel) and by CUDA (V is float, a thread is a channel); L as in
// lane_math.h, with tanh(x) of its own choice besides.  `p` holds a channel's effective parameters
// softplus(H), b, tanh(a), in the order of widths.h.  kDefault fixes the widths 1-3-3-3-3-1 at compile time,
// so that every loop unrolls; otherwise any Widths are followed at run time.
//
// Parameters, gradients and traces are templates: pointers and arrays of vectors, or what is indexed like
// them where they lie elsewhere (factorized_general.cuh).
#ifndef BINCE_ENTROPY_FACTORIZED_NETWORK_H_
#define BINCE_ENTROPY_FACTORIZED_NETWORK_H_

#include "native/core/inline.h"
#include "native/entropy/widths.h"

// Inner loops unroll; the loop over hidden layers stays one on the CPU, where its code would outgrow the
// cache of decoded instructions, and unrolls on a GPU, where parameters and trace must be registers.
#if defined(__CUDA_ARCH__)
#define BINCE_UNROLL _Pragma("unroll")
#define BINCE_KEEP_LOOP _Pragma("unroll")
#elif defined(__CUDACC__)  // nvcc's pass for the host, which runs none of it
#define BINCE_UNROLL
#define BINCE_KEEP_LOOP
#else
#define BINCE_UNROLL _Pragma("GCC unroll 8")
#define BINCE_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

namespace bince {

// Dimensions of the arrays, and the places of layer k's parameters.
template <bool kDefault>
struct NetworkShape {
  static constexpr int kHidden = kDefault ? 4 : kMaxHidden;
  static constexpr int kWidth = kDefault ? 3 : kMaxHiddenWidth;
};
template <bool kDefault>
BINCE_INLINE int hidden_layers(const Widths& w) {
  return kDefault ? 4 : w.layers - 1;
}
template <bool kDefault>
BINCE_INLINE int layer_width(const Widths& w,
                             int k) {  // outputs of layer k - 1, inputs of layer k, for k > 0
  return kDefault ? 3 : w.width[k];
}
template <bool kDefault>
BINCE_INLINE int layer_matrix(const Widths& w, int k) {
  return kDefault ? (k == 0 ? 0 : 9 + 15 * (k - 1)) : w.matrix[k];
}

// What backward needs of forward: of the hidden layers tanh(h) and the output x = h + factor * tanh(h).
// Storing x is cheaper than computing it again: the arithmetic ports are what is short.
template <class L, bool kDefault, int B>
struct NetworkTrace {
  using S = NetworkShape<kDefault>;
  typename L::V t[S::kHidden][S::kWidth][B];
  typename L::V x[S::kHidden][S::kWidth][B];
};

// h [out][B] = matrix [out][in] x [in][B] + bias [out].
template <class L, int B, class Parameters, class X, class H>
BINCE_INLINE void affine(int in, int out, Parameters matrix, Parameters bias, const X& x, H& h) {
  BINCE_UNROLL for (int b = 0; b < B; ++b) {
    BINCE_UNROLL for (int i = 0; i < out; ++i) {
      typename L::V sum = bias[i];
      BINCE_UNROLL for (int j = 0; j < in; ++j) sum = L::fma(matrix[i * in + j], x[j][b], sum);
      h[i][b] = sum;
    }
  }
}

// t = tanh(h), x = h + factor * t: the layer's output.  Points go two at a time, as L::tanh_pair takes them,
// and point by point through the layer: the next layer's first point can start while the last ones are on
// their way.
template <class L, int B, class Parameters, class H, class T, class X>
BINCE_INLINE void gate(int width, Parameters factor, const H& h, T&& t, X&& x) {
  static_assert(B % 2 == 0, "points come in pairs");
  BINCE_UNROLL for (int b = 0; b < B; b += 2) {
    BINCE_UNROLL for (int i = 0; i < width; ++i) {
      typename L::V first, second;
      L::tanh_pair(h[i][b], h[i][b + 1], &first, &second);
      t[i][b] = first;
      t[i][b + 1] = second;
      x[i][b] = L::fma(factor[i], first, h[i][b]);
      x[i][b + 1] = L::fma(factor[i], second, h[i][b + 1]);
    }
  }
}

// logit[b] = F(value[b]).
template <class L, bool kDefault, int B, class Parameters, class Trace>
BINCE_INLINE void network_forward(const Widths& w, Parameters p, const typename L::V (&value)[1][B],
                                  Trace* trace, typename L::V (&logit)[1][B]) {
  using V = typename L::V;
  constexpr int kWidth = NetworkShape<kDefault>::kWidth;
  const int hidden = hidden_layers<kDefault>(w), first = layer_width<kDefault>(w, 1);
  V h[kWidth][B];
  affine<L, B>(1, first, p, p + first, value, h);
  gate<L, B>(first, p + 2 * first, h, trace->t[0], trace->x[0]);
  BINCE_KEEP_LOOP for (int k = 1; k < NetworkShape<kDefault>::kHidden && k < hidden; ++k) {
    const int in = layer_width<kDefault>(w, k), out = layer_width<kDefault>(w, k + 1);
    const Parameters matrix = p + layer_matrix<kDefault>(w, k);
    const Parameters bias = matrix + in * out;
    affine<L, B>(in, out, matrix, bias, trace->x[k - 1], h);
    gate<L, B>(out, bias + out, h, trace->t[k], trace->x[k]);
  }
  const int in = layer_width<kDefault>(w, hidden);
  const Parameters matrix = p + layer_matrix<kDefault>(w, hidden);
  affine<L, B>(in, 1, matrix, matrix + in, trace->x[hidden - 1], logit);
}

// Adds the gradients of one affine layer: dmatrix, dbias; dx is overwritten.
template <class L, int B, class Parameters, class X, class H, class Gradients, class DX>
BINCE_INLINE void affine_backward(int in, int out, Parameters matrix, const X& x, const H& dh,
                                  Gradients dmatrix, Gradients dbias, DX& dx) {
  BINCE_UNROLL for (int i = 0; i < out; ++i) {
    BINCE_UNROLL for (int b = 0; b < B; ++b) dbias[i] = L::add(dbias[i], dh[i][b]);
    BINCE_UNROLL for (int j = 0; j < in; ++j) {
      BINCE_UNROLL for (int b = 0; b < B; ++b) {
        dmatrix[i * in + j] = L::fma(dh[i][b], x[j][b], dmatrix[i * in + j]);
      }
    }
  }
  BINCE_UNROLL for (int j = 0; j < in; ++j) {
    BINCE_UNROLL for (int b = 0; b < B; ++b) {
      typename L::V sum = L::set(0.0f);
      BINCE_UNROLL for (int i = 0; i < out; ++i) sum = L::fma(dh[i][b], matrix[i * in + j], sum);
      dx[j][b] = sum;
    }
  }
}

// dh = dx * (1 + factor (1 - t^2)) of x = h + factor * tanh(h); adds the gradient of the factor.
template <class L, int B, class Parameters, class T, class DX, class Gradients, class H>
BINCE_INLINE void gate_backward(int width, Parameters factor, const T& t, const DX& dx, Gradients dfactor,
                                H& dh) {
  using V = typename L::V;
  BINCE_UNROLL for (int i = 0; i < width; ++i) {
    BINCE_UNROLL for (int b = 0; b < B; ++b) {
      dfactor[i] = L::fma(dx[i][b], t[i][b], dfactor[i]);
      const V slope = L::fnma(t[i][b], t[i][b], L::set(1.0f));  // of tanh
      dh[i][b] = L::fma(L::mul(dx[i][b], factor[i]), slope, dx[i][b]);
    }
  }
}

// Adds dlogit[b] * dF/d(effective parameter) to d [P]; dvalue[b] = dlogit[b] * dF/dvalue.
template <class L, bool kDefault, int B, class Parameters, class Trace, class Gradients>
BINCE_INLINE void network_backward(const Widths& w, Parameters p, const typename L::V (&value)[1][B],
                                   const Trace& trace, const typename L::V (&dlogit)[1][B], Gradients d,
                                   typename L::V (&dvalue)[1][B]) {
  using V = typename L::V;
  constexpr int kWidth = NetworkShape<kDefault>::kWidth;
  const int hidden = hidden_layers<kDefault>(w);
  V dx[kWidth][B], dh[kWidth][B];
  const int last = layer_matrix<kDefault>(w, hidden), width = layer_width<kDefault>(w, hidden);
  affine_backward<L, B>(width, 1, p + last, trace.x[hidden - 1], dlogit, d + last, d + last + width, dx);
  BINCE_KEEP_LOOP for (int k = hidden - 1; k > 0; --k) {
    const int in = layer_width<kDefault>(w, k), out = layer_width<kDefault>(w, k + 1);
    const int matrix = layer_matrix<kDefault>(w, k), bias = matrix + in * out, factor = bias + out;
    gate_backward<L, B>(out, p + factor, trace.t[k], dx, d + factor, dh);
    affine_backward<L, B>(in, out, p + matrix, trace.x[k - 1], dh, d + matrix, d + bias, dx);
  }
  const int out = layer_width<kDefault>(w, 1);
  gate_backward<L, B>(out, p + 2 * out, trace.t[0], dx, d + 2 * out, dh);
  affine_backward<L, B>(1, out, p, value, dh, d, d + out, dvalue);
}

}  // namespace bince

#endif  // BINCE_ENTROPY_FACTORIZED_NETWORK_H_
