#include "native/entropy/reference_network.h"

#include <cmath>

#include "native/entropy/entropy_ops.h"

namespace bince {

float gain_of(float log_gain) {
  return static_cast<float>(std::exp(static_cast<double>(log_gain)));
}

double reference_sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

void ReferenceNetwork::load(const Widths& shape, const float* params, int64_t C, int64_t c) {
  widths = shape;
  for (int k = 0; k < widths.layers; ++k) {
    for (int p = widths.matrix[k]; p < bias_index(widths, k); ++p) {
      const double value = params[p * C + c];
      effective[p] = std::fmax(value, 0.0) + std::log1p(std::exp(-std::fabs(value)));
      chain[p] = reference_sigmoid(value);
    }
    for (int i = 0; i < widths.width[k + 1]; ++i) {
      const int b = bias_index(widths, k) + i, a = factor_index(widths, k) + i;
      effective[b] = params[b * C + c];
      chain[b] = 1;
      if (k + 1 == widths.layers) continue;
      effective[a] = std::tanh(static_cast<double>(params[a * C + c]));
      chain[a] = 1 / (std::cosh(params[a * C + c]) * std::cosh(params[a * C + c]));
    }
  }
}

double ReferenceNetwork::logit(double value, Trace* trace) const {
  double input[kMaxHiddenWidth] = {value};
  for (int k = 0;; ++k) {
    const int in = widths.width[k], out = widths.width[k + 1];
    const double* matrix = effective + widths.matrix[k];
    const double* bias = effective + bias_index(widths, k);
    const double* factor = effective + factor_index(widths, k);
    double output[kMaxHiddenWidth];
    for (int i = 0; i < out; ++i) {
      double h = bias[i];
      for (int j = 0; j < in; ++j) h += matrix[i * in + j] * input[j];
      if (k + 1 == widths.layers) return h;
      const double t = std::tanh(h);
      trace->h[k][i] = h;
      trace->t[k][i] = t;
      output[i] = h + factor[i] * t;
    }
    for (int i = 0; i < out; ++i) input[i] = output[i];
  }
}

double ReferenceNetwork::backward(double value, const Trace& trace, double dlogit, double* deffective) const {
  double doutput[kMaxHiddenWidth] = {dlogit};  // gradient of the layer's output
  for (int k = widths.layers - 1;; --k) {
    const int in = widths.width[k], out = widths.width[k + 1];
    const int matrix = widths.matrix[k], bias = bias_index(widths, k), factor = factor_index(widths, k);
    double dh[kMaxHiddenWidth], dinput[kMaxHiddenWidth] = {};
    for (int i = 0; i < out; ++i) {
      dh[i] = doutput[i];
      if (k + 1 < widths.layers) {
        const double t = trace.t[k][i];
        deffective[factor + i] += doutput[i] * t;
        dh[i] = doutput[i] * (1 + effective[factor + i] * (1 - t * t));
      }
      deffective[bias + i] += dh[i];
      for (int j = 0; j < in; ++j) {
        const double input =
            k == 0 ? value
                   : trace.h[k - 1][j] + effective[factor_index(widths, k - 1) + j] * trace.t[k - 1][j];
        deffective[matrix + i * in + j] += dh[i] * input;
        dinput[j] += dh[i] * effective[matrix + i * in + j];
      }
    }
    if (k == 0) return dinput[0];
    for (int j = 0; j < in; ++j) doutput[j] = dinput[j];
  }
}

}  // namespace bince
