// Elementwise functions and their derivatives, evaluated in double and rounded once.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double normal_cdf(double x) {
  return 0.5 * std::erfc(-x * M_SQRT1_2);
}
double normal_density(double x) {
  return std::exp(-0.5 * x * x) * (0.5 * M_2_SQRTPI * M_SQRT1_2);
}
double sign(double x) {
  return x > 0 ? 1 : x < 0 ? -1 : x;
}

double value_of(Unary op, double a, double b, double x) {
  switch (op) {
    case kNegate:
      return -x;
    case kExp:
      return std::exp(x);
    case kLog:
      return std::log(x);
    case kSqrt:
      return std::sqrt(x);
    case kRsqrt:
      return 1 / std::sqrt(x);
    case kSquare:
      return x * x;
    case kAbs:
      return std::fabs(x);
    case kReciprocal:
      return 1 / x;
    case kRelu:
      return x <= 0 ? 0 : x;
    case kLeakyRelu:
      return x <= 0 ? a * x : x;
    case kElu:
      return x <= 0 ? a * std::expm1(x) : x;
    case kGelu:
      return x == -INFINITY ? 0 : x * normal_cdf(x);
    case kSilu:
      return x == -INFINITY ? 0 : x * sigmoid(x);
    case kSigmoid:
      return sigmoid(x);
    case kTanh:
      return std::tanh(x);
    case kSoftplus:
      return (x > 0 ? x : x <= 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x)));
    case kSin:
      return std::sin(x);
    case kCos:
      return std::cos(x);
    case kPower:
      return std::pow(x, a);
    case kClamp:
      return x < a ? a : x > b ? b : x;
    case kAffine:
      return a * x + b;
    case kRound:
      return std::nearbyint(x);
    case kLog1p:
      return std::log1p(x);
    case kExpm1:
      return std::expm1(x);
    case kSign:
      return sign(x);
    case kFloor:
      return std::floor(x);
    default:
      return NAN;
  }
}

double slope_at(Unary op, double a, double b, double x) {
  switch (op) {
    case kNegate:
      return -1;
    case kExp:
    case kExpm1:
      return std::exp(x);
    case kLog:
      return 1 / x;
    case kSqrt:
      return 0.5 / std::sqrt(x);
    case kRsqrt:
      return -0.5 / (x * std::sqrt(x));
    case kSquare:
      return 2 * x;
    case kAbs:
      return sign(x);
    case kReciprocal:
      return -1 / (x * x);
    case kRelu:
      return x <= 0 ? 0 : 1;
    case kLeakyRelu:
      return x <= 0 ? a : 1;
    case kElu:
      return x <= 0 ? a * std::exp(x) : 1;
    case kGelu:
      return normal_cdf(x) + (std::isinf(x) ? 0 : x * normal_density(x));
    case kSilu:
      return sigmoid(x) * (1 + (std::isinf(x) ? 0 : x * sigmoid(-x)));
    case kSigmoid:
      return sigmoid(x) * sigmoid(-x);
    case kTanh:
      return 1 / (std::cosh(x) * std::cosh(x));
    case kSoftplus:
      return sigmoid(x);
    case kSin:
      return std::cos(x);
    case kCos:
      return -std::sin(x);
    case kPower:
      return a == 0 ? 0 : a * std::pow(x, a - 1);
    case kClamp:
      return x < a || x > b ? 0 : 1;
    case kAffine:
      return a;
    case kRound:
      return 1;
    case kLog1p:
      return 1 / (1 + x);
    default:
      return 0;
  }
}

void fill(const FillArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i) args.x[i] = args.value;
}

void unary(const UnaryArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i)
    args.y[i] = static_cast<float>(value_of(args.op, args.a, args.b, args.x[i]));
}

void unary_backward(const UnaryBackwardArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i)
    args.dx[i] = static_cast<float>(args.dy[i] * slope_at(args.op, args.a, args.b, args.x[i]));
}

void convert(const ConvertArgs& args, const Run&) {
  for (int64_t i = 0; i < args.n; ++i) {
    if (args.to == kI32) {  // beyond int32 to its ends, NaN to 0
      const double value =
          std::nearbyint(static_cast<double>(static_cast<const float*>(args.x)[i]) * args.scale);
      static_cast<int32_t*>(args.y)[i] = value >= 2147483647.0    ? INT32_MAX
                                         : value <= -2147483648.0 ? INT32_MIN
                                         : value == value         ? static_cast<int32_t>(value)
                                                                  : 0;
    } else {
      const double value =
          args.from == kU8 ? static_cast<const uint8_t*>(args.x)[i] : static_cast<const int32_t*>(args.x)[i];
      static_cast<float*>(args.y)[i] = static_cast<float>(value * args.scale);
    }
  }
}

}  // namespace

void fill_elementwise_ref(TensorOps* ops) {
  ops->fill = fill;
  ops->unary = unary;
  ops->unary_backward = unary_backward;
  ops->convert = convert;
}

}  // namespace bince
