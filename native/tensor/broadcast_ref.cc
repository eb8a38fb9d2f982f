// Binary operations with broadcasting, and strided copies.
#include <cmath>

#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

double value_of(Binary op, double x, double y) {
  switch (op) {
    case kAdd:
      return x + y;
    case kSubtract:
      return x - y;
    case kMultiply:
      return x * y;
    case kDivide:
      return x / y;
    case kMaximum:
      return x != x ? x : x < y || y != y ? y : x;
    case kMinimum:
      return x != x ? x : x > y || y != y ? y : x;
    case kPow:
      return std::pow(x, y);
    case kGreater:
      return x > y;
    case kGreaterEqual:
      return x >= y;
    case kEqual:
      return x == y;
    default:
      return NAN;
  }
}

// Offsets of the element with row-major index i.
template <class Args>
void offsets_of(const Args& args, int64_t i, int64_t* x, int64_t* y) {
  *x = *y = 0;
  for (int d = args.rank - 1; d >= 0; --d) {
    const int64_t at = i % args.dims[d];
    i /= args.dims[d];
    *x += at * args.x_strides[d];
    *y += at * args.y_strides[d];
  }
}

template <class Args>
int64_t elements_of(const Args& args) {
  int64_t n = 1;
  for (int d = 0; d < args.rank; ++d) n *= args.dims[d];
  return n;
}

void binary(const BinaryArgs& args, const Run&) {
  const int64_t n = elements_of(args);
  for (int64_t i = 0; i < n; ++i) {
    int64_t x, y;
    offsets_of(args, i, &x, &y);
    args.z[i] = static_cast<float>(value_of(args.op, args.x[x], args.y[y]));
  }
}

template <class T>
void copy_elements(const CopyArgs& args) {
  const int64_t n = elements_of(args);
  for (int64_t i = 0; i < n; ++i) {
    int64_t x, y;
    offsets_of(args, i, &x, &y);
    const T value = static_cast<const T*>(args.x)[x];
    T* to = static_cast<T*>(args.y) + y;
    *to = args.accumulate ? static_cast<T>(*to + value) : value;
  }
}

void copy_strided(const CopyArgs& args, const Run&) {
  if (args.type == kF32) copy_elements<float>(args);
  if (args.type == kI32) copy_elements<uint32_t>(args);  // unsigned: wraps
  if (args.type == kU8) copy_elements<uint8_t>(args);
}

}  // namespace

void fill_broadcast_ref(TensorOps* ops) {
  ops->binary = binary;
  ops->copy_strided = copy_strided;
}

}  // namespace bince
