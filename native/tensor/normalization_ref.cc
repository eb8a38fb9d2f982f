// Batch normalisation (Ioffe and Szegedy 2015) with a fused activation, layer normalisation (Ba et al. 2016)
// and rows of unit length.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

double activate(Activation act, double slope, double z) {
  switch (act) {
    case kActRelu:
      return z <= 0 ? 0 : z;
    case kActLeakyRelu:
      return z <= 0 ? slope * z : z;
    case kActSoftplus:
      return (z <= 0 ? 0 : z) + std::log1p(std::exp(-std::fabs(z)));
    default:
      return z;
  }
}

double activation_slope(Activation act, double slope, double z) {
  switch (act) {
    case kActRelu:
      return z <= 0 ? 0 : 1;
    case kActLeakyRelu:
      return z <= 0 ? slope : 1;
    case kActSoftplus:
      return 1 / (1 + std::exp(-z));
    default:
      return 1;
  }
}

// Mean and sum of squared deviations of n elements at a stride.
void moments(const float* x, int64_t n, int64_t stride, double* mean, double* squares) {
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) sum += x[k * stride];
  *mean = sum / static_cast<double>(n);
  *squares = 0;
  for (int64_t k = 0; k < n; ++k) {
    const double deviation = x[k * stride] - *mean;
    *squares += deviation * deviation;
  }
}

float blend(float old, double momentum, double fresh) {
  return static_cast<float>((1 - momentum) * old + momentum * fresh);
}

void batch_norm(const BatchNormArgs& args, const Run&) {
  const int64_t C = args.C;
  for (int64_t c = 0; c < C; ++c) {
    double mean, variance;
    if (args.training) {
      double squares;
      moments(args.x + c, args.rows, C, &mean, &squares);
      variance = squares / static_cast<double>(args.rows);
      const double unbiased = squares / static_cast<double>(args.rows > 1 ? args.rows - 1 : 1);
      if (args.running_mean) args.running_mean[c] = blend(args.running_mean[c], args.momentum, mean);
      if (args.running_var) args.running_var[c] = blend(args.running_var[c], args.momentum, unbiased);
    } else {
      mean = args.running_mean[c];
      variance = args.running_var[c];
    }
    const double rstd = 1 / std::sqrt(variance + args.eps);
    args.mean[c] = static_cast<float>(mean);
    args.rstd[c] = static_cast<float>(rstd);
    const double gamma = args.gamma ? args.gamma[c] : 1, beta = args.beta ? args.beta[c] : 0;
    for (int64_t r = 0; r < args.rows; ++r) {
      const double z = (args.x[r * C + c] - mean) * rstd * gamma + beta;
      args.y[r * C + c] = static_cast<float>(activate(args.act, args.slope, z));
    }
  }
}

void batch_norm_backward(const BatchNormBackwardArgs& args, const Run&) {
  const int64_t C = args.C;
  for (int64_t c = 0; c < C; ++c) {
    const double mean = args.mean[c], rstd = args.rstd[c];
    const double gamma = args.gamma ? args.gamma[c] : 1, beta = args.beta ? args.beta[c] : 0;
    const auto at = [&](int64_t r, double* normal) {  // the derivative before the activation
      *normal = (args.x[r * C + c] - mean) * rstd;
      return args.dy[r * C + c] * activation_slope(args.act, args.slope, *normal * gamma + beta);
    };
    double sum = 0, product = 0, normal;
    for (int64_t r = 0; r < args.rows; ++r) {
      const double dz = at(r, &normal);
      sum += dz;
      product += dz * normal;
    }
    if (args.dgamma) args.dgamma[c] = static_cast<float>(product);
    if (args.dbeta) args.dbeta[c] = static_cast<float>(sum);
    const double rows = static_cast<double>(args.rows);
    const double shift = args.training ? sum / rows : 0, tilt = args.training ? product / rows : 0;
    for (int64_t r = 0; r < args.rows; ++r) {
      const double dz = at(r, &normal);
      args.dx[r * C + c] = static_cast<float>(gamma * rstd * (dz - shift - normal * tilt));
    }
  }
}

void layer_norm(const LayerNormArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.n;
    double mean, squares;
    moments(x, args.n, 1, &mean, &squares);
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(args.n) + args.eps);
    args.mean[r] = static_cast<float>(mean);
    args.rstd[r] = static_cast<float>(rstd);
    for (int64_t k = 0; k < args.n; ++k)
      args.y[r * args.n + k] = static_cast<float>((x[k] - mean) * rstd * (args.gamma ? args.gamma[k] : 1) +
                                                  (args.beta ? args.beta[k] : 0));
  }
}

void layer_norm_parameters(const LayerNormBackwardArgs& args) {
  for (int64_t k = 0; k < args.n; ++k) {
    double dgamma = 0, dbeta = 0;
    for (int64_t r = 0; r < args.rows; ++r) {
      const double dy = args.dy[r * args.n + k];
      dgamma += dy * (args.x[r * args.n + k] - static_cast<double>(args.mean[r])) * args.rstd[r];
      dbeta += dy;
    }
    if (args.dgamma) args.dgamma[k] = static_cast<float>(dgamma);
    if (args.dbeta) args.dbeta[k] = static_cast<float>(dbeta);
  }
}

void layer_norm_backward(const LayerNormBackwardArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float *x = args.x + r * args.n, *dy = args.dy + r * args.n;
    const double mean = args.mean[r], rstd = args.rstd[r], n = static_cast<double>(args.n);
    double sum = 0, product = 0;
    for (int64_t k = 0; k < args.n; ++k) {
      const double scaled = dy[k] * static_cast<double>(args.gamma ? args.gamma[k] : 1);
      sum += scaled;
      product += scaled * (x[k] - mean) * rstd;
    }
    for (int64_t k = 0; k < args.n; ++k) {
      const double scaled = dy[k] * static_cast<double>(args.gamma ? args.gamma[k] : 1);
      args.dx[r * args.n + k] =
          static_cast<float>(rstd * (scaled - sum / n - (x[k] - mean) * rstd * product / n));
    }
  }
  layer_norm_parameters(args);
}

void normalize(const NormalizeArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.n;
    double squares = 0;
    for (int64_t k = 0; k < args.n; ++k) squares += static_cast<double>(x[k]) * x[k];
    const double norm = std::sqrt(squares), inverse = 1 / (norm < args.eps ? args.eps : norm);
    args.inverse_norm[r] = static_cast<float>(inverse);
    for (int64_t k = 0; k < args.n; ++k) args.y[r * args.n + k] = static_cast<float>(x[k] * inverse);
  }
}

// A row shorter than eps was divided by the constant eps: it is recognised by |y|^2 < 1 - 1e-4.
void normalize_backward(const NormalizeBackwardArgs& args, const Run&) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const float *y = args.y + r * args.n, *dy = args.dy + r * args.n;
    double squares = 0, product = 0;
    for (int64_t k = 0; k < args.n; ++k) {
      squares += static_cast<double>(y[k]) * y[k];
      product += static_cast<double>(y[k]) * dy[k];
    }
    if (squares < 1 - 1e-4) product = 0;
    for (int64_t k = 0; k < args.n; ++k)
      args.dx[r * args.n + k] = static_cast<float>(args.inverse_norm[r] * (dy[k] - y[k] * product));
  }
}

}  // namespace

void fill_normalization_ref(TensorOps* ops) {
  ops->batch_norm = batch_norm;
  ops->batch_norm_backward = batch_norm_backward;
  ops->layer_norm = layer_norm;
  ops->layer_norm_backward = layer_norm_backward;
  ops->normalize = normalize;
  ops->normalize_backward = normalize_backward;
}

}  // namespace bince
