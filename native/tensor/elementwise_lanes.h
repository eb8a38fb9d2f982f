// Elementwise functions over lanes: one small struct an operation, its value beside its slope.
#ifndef BINCE_TENSOR_ELEMENTWISE_LANES_H_
#define BINCE_TENSOR_ELEMENTWISE_LANES_H_

#include "native/tensor/blocks.h"
#include "native/tensor/special_functions.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

enum : int { kReadsX = 1, kReadsY = 2 };  // what a slope is made of, besides dy

// value: of x; slope: d value / dx from x or y = value(x).
#define BINCE_UNARY(name, reads, value_expression, slope_expression)                                       \
  template <class L>                                                                                       \
  struct name##Function {                                                                                  \
    using V = typename L::V;                                                                               \
    static constexpr int kReads = reads;                                                                   \
    static BINCE_INLINE_MEMBER V value([[maybe_unused]] V x, [[maybe_unused]] V a, [[maybe_unused]] V b) { \
      return value_expression;                                                                             \
    }                                                                                                      \
    static BINCE_INLINE_MEMBER V slope([[maybe_unused]] V x, [[maybe_unused]] V y, [[maybe_unused]] V a,   \
                                       [[maybe_unused]] V b) {                                             \
      return slope_expression;                                                                             \
    }                                                                                                      \
  }

template <class L>
BINCE_INLINE typename L::V sign_of(typename L::V x) {  // NaN and zeros as they are
  const typename L::V zero = L::set(0.0f), one = L::set(1.0f);
  return L::select(L::greater(x, zero), one, L::select(L::greater(zero, x), L::negate(one), x));
}
// `positive` where x > 0 or x is NaN.
template <class L>
BINCE_INLINE typename L::V by_sign(typename L::V x, typename L::V positive, typename L::V other) {
  return L::select(L::greater_equal(L::set(0.0f), x), other, positive);
}
template <class L>
BINCE_INLINE typename L::V gelu_value(typename L::V x) {
  typename L::V density;
  const typename L::V lowest = L::max(L::set(-30.0f), x);  // keeps -infinity times 0 away
  return L::mul(lowest, normal_cdf<L>(x, &density));
}
template <class L>
BINCE_INLINE typename L::V gelu_slope(typename L::V x) {
  typename L::V density;
  const typename L::V cdf = normal_cdf<L>(x, &density), size = L::clamp_magnitude(x, L::set(30.0f));
  return L::fma(L::mul(size, density), L::set(0.3989422804f), cdf);
}
template <class L>
BINCE_INLINE typename L::V silu_value(typename L::V x) {
  return L::mul(L::max(L::set(-200.0f), x), sigmoid_of<L>(x));
}
template <class L>
BINCE_INLINE typename L::V silu_slope(typename L::V x) {
  typename L::V opposite;
  const typename L::V s = sigmoid_pair<L>(x, &opposite), size = L::clamp_magnitude(x, L::set(200.0f));
  return L::fma(L::mul(size, opposite), s, s);
}
template <class L>
BINCE_INLINE typename L::V sine_of(typename L::V x) {
  typename L::V s, c;
  sine_cosine<L>(x, &s, &c);
  return s;
}
template <class L>
BINCE_INLINE typename L::V cosine_of(typename L::V x) {
  typename L::V s, c;
  sine_cosine<L>(x, &s, &c);
  return c;
}

BINCE_UNARY(Negate, 0, L::negate(x), L::set(-1.0f));
BINCE_UNARY(Exp, kReadsY, exp_of<L>(x), y);
BINCE_UNARY(Log, kReadsX, log_of<L>(x), L::reciprocal(x));
BINCE_UNARY(Sqrt, kReadsY, L::sqrt(x), L::div(L::set(0.5f), y));
BINCE_UNARY(Rsqrt, kReadsY, L::div(L::set(1.0f), L::sqrt(x)), L::mul(L::mul(L::set(-0.5f), y), L::mul(y, y)));
BINCE_UNARY(Square, kReadsX, L::mul(x, x), L::add(x, x));
BINCE_UNARY(Abs, kReadsX, L::abs(x), sign_of<L>(x));
BINCE_UNARY(Reciprocal, kReadsY, L::reciprocal(x), L::negate(L::mul(y, y)));
BINCE_UNARY(Relu, kReadsX, by_sign<L>(x, x, L::set(0.0f)), by_sign<L>(x, L::set(1.0f), L::set(0.0f)));
BINCE_UNARY(LeakyRelu, kReadsX, by_sign<L>(x, x, L::mul(a, x)), by_sign<L>(x, L::set(1.0f), a));
BINCE_UNARY(Elu, kReadsX, by_sign<L>(x, x, L::mul(a, expm1_of<L>(x))),
            by_sign<L>(x, L::set(1.0f), L::mul(a, exp_of<L>(x))));
BINCE_UNARY(Gelu, kReadsX, gelu_value<L>(x), gelu_slope<L>(x));
BINCE_UNARY(Silu, kReadsX, silu_value<L>(x), silu_slope<L>(x));
BINCE_UNARY(Sigmoid, kReadsY, sigmoid_of<L>(x), L::mul(y, L::sub(L::set(1.0f), y)));
BINCE_UNARY(Tanh, kReadsY, tanh_of<L>(x), L::fnma(y, y, L::set(1.0f)));
BINCE_UNARY(Softplus, kReadsX, softplus_of<L>(x), sigmoid_of<L>(x));
BINCE_UNARY(Sin, kReadsX, sine_of<L>(x), cosine_of<L>(x));
BINCE_UNARY(Cos, kReadsX, cosine_of<L>(x), L::negate(sine_of<L>(x)));
BINCE_UNARY(Clamp, kReadsX, L::min(b, L::max(a, x)),
            L::select(L::either(L::greater(a, x), L::greater(x, b)), L::set(0.0f), L::set(1.0f)));
BINCE_UNARY(Affine, 0, L::fma(a, x, b), a);
BINCE_UNARY(Round, 0, L::round_even(x), L::set(1.0f));
BINCE_UNARY(Log1p, kReadsX, log1p_of<L>(x), L::reciprocal(L::add(x, L::set(1.0f))));
BINCE_UNARY(Expm1, kReadsX, expm1_of<L>(x), exp_of<L>(x));
BINCE_UNARY(Sign, 0, sign_of<L>(x), L::set(0.0f));
BINCE_UNARY(Floor, 0, L::floor(x), L::set(0.0f));
// The exponents that have an instruction.
BINCE_UNARY(Cube, kReadsX, L::mul(x, L::mul(x, x)), L::mul(L::set(3.0f), L::mul(x, x)));
#undef BINCE_UNARY

// One lane at a time, by the C library, for other exponents.
template <class L>
struct PowerFunction {
  using V = typename L::V;
  static constexpr int kReads = kReadsX;
  static V power(V x, V a, float less) {
    float bases[L::kLanes], exponents[L::kLanes];
    L::store(bases, x);
    L::store(exponents, L::sub(a, L::set(less)));
    for (int i = 0; i < L::kLanes; ++i) bases[i] = powf(bases[i], exponents[i]);
    return L::load(bases);
  }
  static V value(V x, V a, V) { return power(x, a, 0.0f); }
  static V slope(V x, V, V a, V) {
    return L::select(L::equal(a, L::set(0.0f)), a, L::mul(a, power(x, a, 1.0f)));
  }
};

template <class L, class F>
static void unary_range(const void* arguments, int64_t first, int64_t last) {
  const UnaryArgs& args = *static_cast<const UnaryArgs*>(arguments);
  const auto a = L::set(args.a), b = L::set(args.b);
  int64_t i = first;
  for (; i + L::kLanes <= last; i += L::kLanes) L::store(args.y + i, F::value(L::load(args.x + i), a, b));
  if (i == last) return;
  const auto mask = L::mask(last - i);
  L::store(args.y + i, F::value(L::load(args.x + i, mask), a, b), mask);
}

template <class L, class F>
static void unary_backward_range(const void* arguments, int64_t first, int64_t last) {
  const UnaryBackwardArgs& args = *static_cast<const UnaryBackwardArgs*>(arguments);
  const auto a = L::set(args.a), b = L::set(args.b);
  auto x = L::set(0.0f), y = x;
  int64_t i = first;
  for (; i + L::kLanes <= last; i += L::kLanes) {
    if (F::kReads & kReadsX) x = L::load(args.x + i);
    if (F::kReads & kReadsY) y = L::load(args.y + i);
    L::store(args.dx + i, L::mul(L::load(args.dy + i), F::slope(x, y, a, b)));
  }
  if (i == last) return;
  const auto mask = L::mask(last - i);
  if (F::kReads & kReadsX) x = L::load(args.x + i, mask);
  if (F::kReads & kReadsY) y = L::load(args.y + i, mask);
  L::store(args.dx + i, L::mul(L::load(args.dy + i, mask), F::slope(x, y, a, b)), mask);
}

struct UnaryTasks {
  RangeTask forward, backward;
};
template <class L, class F>
BINCE_INLINE UnaryTasks tasks_of() {
  return {unary_range<L, F>, unary_backward_range<L, F>};
}

template <class L>
static UnaryTasks unary_tasks(Unary op, float a) {
  switch (op) {
    case kNegate:
      return tasks_of<L, NegateFunction<L>>();
    case kExp:
      return tasks_of<L, ExpFunction<L>>();
    case kLog:
      return tasks_of<L, LogFunction<L>>();
    case kSqrt:
      return tasks_of<L, SqrtFunction<L>>();
    case kRsqrt:
      return tasks_of<L, RsqrtFunction<L>>();
    case kSquare:
      return tasks_of<L, SquareFunction<L>>();
    case kAbs:
      return tasks_of<L, AbsFunction<L>>();
    case kReciprocal:
      return tasks_of<L, ReciprocalFunction<L>>();
    case kRelu:
      return tasks_of<L, ReluFunction<L>>();
    case kLeakyRelu:
      return tasks_of<L, LeakyReluFunction<L>>();
    case kElu:
      return tasks_of<L, EluFunction<L>>();
    case kGelu:
      return tasks_of<L, GeluFunction<L>>();
    case kSilu:
      return tasks_of<L, SiluFunction<L>>();
    case kSigmoid:
      return tasks_of<L, SigmoidFunction<L>>();
    case kTanh:
      return tasks_of<L, TanhFunction<L>>();
    case kSoftplus:
      return tasks_of<L, SoftplusFunction<L>>();
    case kSin:
      return tasks_of<L, SinFunction<L>>();
    case kCos:
      return tasks_of<L, CosFunction<L>>();
    case kClamp:
      return tasks_of<L, ClampFunction<L>>();
    case kAffine:
      return tasks_of<L, AffineFunction<L>>();
    case kRound:
      return tasks_of<L, RoundFunction<L>>();
    case kLog1p:
      return tasks_of<L, Log1pFunction<L>>();
    case kExpm1:
      return tasks_of<L, Expm1Function<L>>();
    case kSign:
      return tasks_of<L, SignFunction<L>>();
    case kFloor:
      return tasks_of<L, FloorFunction<L>>();
    default:
      break;
  }
  if (a == 2.0f) return tasks_of<L, SquareFunction<L>>();
  if (a == 3.0f) return tasks_of<L, CubeFunction<L>>();
  if (a == -1.0f) return tasks_of<L, ReciprocalFunction<L>>();
  return tasks_of<L, PowerFunction<L>>();
}

template <class L>
static void unary_lanes(const UnaryArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, unary_tasks<L>(args.op, args.a).forward, &args);
}
template <class L>
static void unary_backward_lanes(const UnaryBackwardArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, unary_tasks<L>(args.op, args.a).backward, &args);
}

template <class L>
static void fill_range(const void* arguments, int64_t first, int64_t last) {
  const FillArgs& args = *static_cast<const FillArgs*>(arguments);
  const auto value = L::set(args.value);
  int64_t i = first;
  for (; i + L::kLanes <= last; i += L::kLanes) L::store(args.x + i, value);
  if (i < last) L::store(args.x + i, value, L::mask(last - i));
}
template <class L>
static void fill_lanes(const FillArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, fill_range<L>, &args);
}

BINCE_INLINE int32_t nearest_integer(double value) {
  if (value >= 2147483647.0) return INT32_MAX;
  if (value <= -2147483648.0) return INT32_MIN;
  return value == value ? static_cast<int32_t>(nearbyint(value)) : 0;
}

template <class L>
static void convert_range(const void* arguments, int64_t first, int64_t last) {
  const ConvertArgs& args = *static_cast<const ConvertArgs*>(arguments);
  int64_t i = first;
  if (args.to == kI32) {
    for (; i < last; ++i)
      static_cast<int32_t*>(args.y)[i] =
          nearest_integer(static_cast<double>(static_cast<const float*>(args.x)[i]) * args.scale);
    return;
  }
  float* y = static_cast<float*>(args.y);
  const auto* bytes = static_cast<const uint8_t*>(args.x);
  const auto* integers = static_cast<const int32_t*>(args.x);
  const auto scale = L::set(args.scale);
  for (; i + L::kLanes <= last; i += L::kLanes)
    L::store(y + i,
             L::mul(args.from == kU8 ? L::from_bytes(bytes + i) : L::from_integers(integers + i), scale));
  for (; i < last; ++i) y[i] = static_cast<float>(args.from == kU8 ? bytes[i] : integers[i]) * args.scale;
}
template <class L>
static void convert_lanes(const ConvertArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, convert_range<L>, &args);
}

template <class L>
static void fill_elementwise(TensorOps* ops) {
  ops->fill = fill_lanes<L>;
  ops->unary = unary_lanes<L>;
  ops->unary_backward = unary_backward_lanes<L>;
  ops->convert = convert_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_ELEMENTWISE_LANES_H_
