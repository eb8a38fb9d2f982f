// Binary operations with broadcasting over lanes.
//
// Dimensions that can be walked as one are merged first, so that same shapes and scalars become one long row,
// row and column vectors a matrix. Rows run over vectors where each side advances by one element or stands
// still.
#ifndef BINCE_TENSOR_BROADCAST_LANES_H_
#define BINCE_TENSOR_BROADCAST_LANES_H_

#include <math.h>
#include <stdlib.h>

#include "native/tensor/blocks.h"
#include "native/tensor/row_lanes.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

// Drops dimensions of size 1 and merges those that both sides walk as one.
template <class Args>
static void merge_dims(Args* args) {
  int kept = 0;
  for (int d = 0; d < args->rank; ++d) {
    if (args->dims[d] == 1) continue;
    if (kept > 0 && args->x_strides[kept - 1] == args->x_strides[d] * args->dims[d] &&
        args->y_strides[kept - 1] == args->y_strides[d] * args->dims[d]) {
      args->dims[kept - 1] *= args->dims[d];
    } else {
      args->dims[kept++] = args->dims[d];
    }
    args->x_strides[kept - 1] = args->x_strides[d];
    args->y_strides[kept - 1] = args->y_strides[d];
  }
  if (kept == 0) {
    args->dims[0] = 1;
    args->x_strides[0] = args->y_strides[0] = 0;
    kept = 1;
  }
  args->rank = kept;
}

// Where row i of the merged dimensions begins on both sides; rows run over the last dimension.
template <class Args>
BINCE_INLINE void row_offsets(const Args& args, int64_t i, int64_t* x, int64_t* y) {
  *x = *y = 0;
  for (int d = args.rank - 2; d >= 0; --d) {
    const int64_t at = i % args.dims[d];
    i /= args.dims[d];
    *x += at * args.x_strides[d];
    *y += at * args.y_strides[d];
  }
}

#define BINCE_BINARY(name, expression)                                                                      \
  template <class L>                                                                                        \
  struct name##Function {                                                                                   \
    static BINCE_INLINE_MEMBER typename L::V value(typename L::V x, typename L::V y) { return expression; } \
  }
BINCE_BINARY(Add, L::add(x, y));
BINCE_BINARY(Subtract, L::sub(x, y));
BINCE_BINARY(Multiply, L::mul(x, y));
BINCE_BINARY(Divide, L::div(x, y));
BINCE_BINARY(Maximum, larger<L>(x, y));
BINCE_BINARY(Minimum, smaller<L>(x, y));
BINCE_BINARY(Greater, L::select(L::greater(x, y), L::set(1.0f), L::set(0.0f)));
BINCE_BINARY(GreaterEqual, L::select(L::greater_equal(x, y), L::set(1.0f), L::set(0.0f)));
BINCE_BINARY(Equal, L::select(L::equal(x, y), L::set(1.0f), L::set(0.0f)));
#undef BINCE_BINARY
template <class L>
struct PowFunction {
  static typename L::V value(typename L::V x, typename L::V y) {
    float bases[L::kLanes], exponents[L::kLanes];
    L::store(bases, x);
    L::store(exponents, y);
    for (int i = 0; i < L::kLanes; ++i) bases[i] = powf(bases[i], exponents[i]);
    return L::load(bases);
  }
};

// One row of n elements at strides sx, sy.
template <class L, class F>
static void binary_row(const float* x, int64_t sx, const float* y, int64_t sy, float* z, int64_t n) {
  if (sx == 1 && sy == 1) {
    over_row<L>(
        n, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
          lanes.store(z + i, F::value(lanes.load(x + i), lanes.load(y + i)));
        });
  } else if (sx == 1 && sy == 0) {
    const typename L::V other = L::set(*y);
    over_row<L>(
        n, [&](int64_t i, auto lanes)
               __attribute__((always_inline)) { lanes.store(z + i, F::value(lanes.load(x + i), other)); });
  } else if (sx == 0 && sy == 1) {
    const typename L::V other = L::set(*x);
    over_row<L>(
        n, [&](int64_t i, auto lanes)
               __attribute__((always_inline)) { lanes.store(z + i, F::value(other, lanes.load(y + i))); });
  } else {
    over_row<L>(n, [&](int64_t i, auto lanes) {
      float left[L::kLanes], right[L::kLanes];
      for (int64_t k = 0; k < L::kLanes; ++k) {
        const int64_t at = i + k < n ? i + k : n - 1;
        left[k] = x[at * sx];
        right[k] = y[at * sy];
      }
      lanes.store(z + i, F::value(L::load(left), L::load(right)));
    });
  }
}

template <class L, class F>
static void binary_rows(const void* arguments, int64_t first, int64_t last) {
  const BinaryArgs& args = *static_cast<const BinaryArgs*>(arguments);
  const int d = args.rank - 1;
  const int64_t n = args.dims[d];
  for (int64_t r = first; r < last; ++r) {
    int64_t x, y;
    row_offsets(args, r, &x, &y);
    binary_row<L, F>(args.x + x, args.x_strides[d], args.y + y, args.y_strides[d], args.z + r * n, n);
  }
}
// All is one row: elements [first, last) of it.
template <class L, class F>
static void binary_part(const void* arguments, int64_t first, int64_t last) {
  const BinaryArgs& args = *static_cast<const BinaryArgs*>(arguments);
  const int64_t sx = args.x_strides[0], sy = args.y_strides[0];
  binary_row<L, F>(args.x + first * sx, sx, args.y + first * sy, sy, args.z + first, last - first);
}

struct BinaryTasks {
  RangeTask rows, part;
};
template <class L, class F>
BINCE_INLINE BinaryTasks binary_tasks_of() {
  return {binary_rows<L, F>, binary_part<L, F>};
}
template <class L>
static BinaryTasks binary_tasks(Binary op) {
  switch (op) {
    case kAdd:
      return binary_tasks_of<L, AddFunction<L>>();
    case kSubtract:
      return binary_tasks_of<L, SubtractFunction<L>>();
    case kMultiply:
      return binary_tasks_of<L, MultiplyFunction<L>>();
    case kDivide:
      return binary_tasks_of<L, DivideFunction<L>>();
    case kMaximum:
      return binary_tasks_of<L, MaximumFunction<L>>();
    case kMinimum:
      return binary_tasks_of<L, MinimumFunction<L>>();
    case kGreater:
      return binary_tasks_of<L, GreaterFunction<L>>();
    case kGreaterEqual:
      return binary_tasks_of<L, GreaterEqualFunction<L>>();
    case kEqual:
      return binary_tasks_of<L, EqualFunction<L>>();
    default:
      return binary_tasks_of<L, PowFunction<L>>();
  }
}

enum { kNarrow = 32, kTable = 1024 };

// A matrix of few columns with a row vector at one side: the vector is repeated in a table, so that rows side
// by side make one long row. Returns false where the shapes are others.
template <class L>
static bool widened(BinaryArgs args, const Run& run, const BinaryTasks& tasks) {
  if (args.rank != 2 || args.dims[1] > kNarrow || args.dims[0] < 8) return false;
  const int64_t n = args.dims[1];
  const bool left =
      args.x_strides[0] == 0 && args.x_strides[1] == 1 && args.y_strides[0] == n && args.y_strides[1] == 1;
  const bool right =
      args.y_strides[0] == 0 && args.y_strides[1] == 1 && args.x_strides[0] == n && args.x_strides[1] == 1;
  if (!left && !right) return false;
  const int64_t fold = kTable / n < args.dims[0] ? kTable / n : args.dims[0], width = fold * n;
  float table[kTable];
  const float* vector = left ? args.x : args.y;
  for (int64_t j = 0; j < width; ++j) table[j] = vector[j % n];
  const int64_t wide = args.dims[0] / fold, rest = (args.dims[0] - wide * fold) * n;
  (left ? args.x : args.y) = table;
  (left ? args.y_strides : args.x_strides)[0] = width;
  args.dims[0] = wide;
  args.dims[1] = width;
  over_ranges(run, wide, width, tasks.rows, &args);
  (left ? args.y : args.x) += wide * width;
  args.z += wide * width;
  args.dims[0] = 1;
  args.dims[1] = rest;
  if (rest > 0) tasks.rows(&args, 0, 1);
  return true;
}

template <class L>
static void binary_lanes(const BinaryArgs& given, const Run& run) {
  BinaryArgs args = given;
  merge_dims(&args);
  const BinaryTasks tasks = binary_tasks<L>(args.op);
  if (args.rank == 1) return over_ranges(run, args.dims[0], 1, tasks.part, &args);
  if (widened<L>(args, run, tasks)) return;
  int64_t rows = 1;
  for (int d = 0; d + 1 < args.rank; ++d) rows *= args.dims[d];
  over_ranges(run, rows, args.dims[args.rank - 1], tasks.rows, &args);
}

// Copies. Two dimensions are walked in tiles where one side advances in the other's slow direction, so that
// every line of memory that is touched is used while it is near.
static constexpr int64_t kTile = 32;

template <class T, bool kAdds>
static void copy_rows(const void* arguments, int64_t first, int64_t last) {
  const CopyArgs& args = *static_cast<const CopyArgs*>(arguments);
  const int d = args.rank - 1;
  const int64_t n = args.dims[d], sx = args.x_strides[d], sy = args.y_strides[d];
  for (int64_t r = first; r < last; ++r) {
    int64_t x_offset, y_offset;
    row_offsets(args, r, &x_offset, &y_offset);
    const T* x = static_cast<const T*>(args.x) + x_offset;
    T* y = static_cast<T*>(args.y) + y_offset;
    if (sx == 1 && sy == 1) {
      for (int64_t i = 0; i < n; ++i) y[i] = kAdds ? static_cast<T>(y[i] + x[i]) : x[i];
    } else {
      for (int64_t i = 0; i < n; ++i) y[i * sy] = kAdds ? static_cast<T>(y[i * sy] + x[i * sx]) : x[i * sx];
    }
  }
}

// Units: tiles of kTile rows of the last two dimensions, over all other dimensions.
template <class T, bool kAdds>
static void copy_tiles(const void* arguments, int64_t first, int64_t last) {
  const CopyArgs& args = *static_cast<const CopyArgs*>(arguments);
  const int a = args.rank - 2, b = args.rank - 1;
  const int64_t tiles = (args.dims[a] + kTile - 1) / kTile;
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t x_offset, y_offset;
    row_offsets(args, unit / tiles * args.dims[a] + unit % tiles * kTile, &x_offset, &y_offset);
    const T* x = static_cast<const T*>(args.x) + x_offset;
    T* y = static_cast<T*>(args.y) + y_offset;
    const int64_t left = args.dims[a] - unit % tiles * kTile, rows = left < kTile ? left : kTile;
    for (int64_t j = 0; j < args.dims[b]; j += kTile)
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t k = j; k < args.dims[b] && k < j + kTile; ++k) {
          T* to = y + r * args.y_strides[a] + k * args.y_strides[b];
          const T value = x[r * args.x_strides[a] + k * args.x_strides[b]];
          *to = kAdds ? static_cast<T>(*to + value) : value;
        }
  }
}

// Whether no element of y is written twice: strides, by size, each beyond the reach of the smaller ones.
BINCE_INLINE bool writes_once(const CopyArgs& args) {
  int64_t reach = 0;
  bool used[kMaxRank] = {};
  for (int done = 0; done < args.rank; ++done) {
    int least = -1;
    for (int d = 0; d < args.rank; ++d)
      if (!used[d] && (least < 0 || llabs(args.y_strides[d]) < llabs(args.y_strides[least]))) least = d;
    used[least] = true;
    const int64_t stride = llabs(args.y_strides[least]);
    if (args.dims[least] > 1 && stride <= reach) return false;
    reach += (args.dims[least] - 1) * stride;
  }
  return true;
}

template <class T, bool kAdds>
static void copy_typed(CopyArgs args, const Run& run) {
  merge_dims(&args);
  int64_t rows = 1;
  for (int d = 0; d + 1 < args.rank; ++d) rows *= args.dims[d];
  const int64_t n = args.dims[args.rank - 1];
  if (!writes_once(args)) return copy_rows<T, kAdds>(&args, 0, rows);  // in the order of the elements
  const int b = args.rank - 1;
  if (args.rank == 1) {  // one row: as many of equal length, and the rest
    const int64_t cut = n / kTaskElements;
    if (cut > 1) {
      CopyArgs parts = args;
      parts.rank = 2;
      parts.dims[0] = cut;
      parts.dims[1] = kTaskElements;
      parts.x_strides[0] = args.x_strides[0] * kTaskElements;
      parts.y_strides[0] = args.y_strides[0] * kTaskElements;
      parts.x_strides[1] = args.x_strides[0];
      parts.y_strides[1] = args.y_strides[0];
      over_ranges(run, cut, kTaskElements, copy_rows<T, kAdds>, &parts);
      args.x = static_cast<const T*>(args.x) + cut * kTaskElements * args.x_strides[0];
      args.y = static_cast<T*>(args.y) + cut * kTaskElements * args.y_strides[0];
      args.dims[0] = n - cut * kTaskElements;
    }
    return copy_rows<T, kAdds>(&args, 0, 1);
  }
  // A permutation: bring the dimension in which x is contiguous next to the last one.
  int along = -1;
  for (int d = 0; d < b; ++d)
    if (llabs(args.x_strides[d]) < llabs(args.x_strides[b]) && args.x_strides[d] != 0 && args.dims[d] >= 4 &&
        (along < 0 || llabs(args.x_strides[d]) < llabs(args.x_strides[along])))
      along = d;
  if (along < 0) return over_ranges(run, rows, n, copy_rows<T, kAdds>, &args);
  for (int d = along; d + 1 < b; ++d) {
    const int64_t size = args.dims[d], sx = args.x_strides[d], sy = args.y_strides[d];
    args.dims[d] = args.dims[d + 1];
    args.x_strides[d] = args.x_strides[d + 1];
    args.y_strides[d] = args.y_strides[d + 1];
    args.dims[d + 1] = size;
    args.x_strides[d + 1] = sx;
    args.y_strides[d + 1] = sy;
  }
  const int64_t units = rows / args.dims[b - 1] * ((args.dims[b - 1] + kTile - 1) / kTile);
  over_ranges(run, units, n * kTile, copy_tiles<T, kAdds>, &args);
}

template <class L>
static void copy_strided_lanes(const CopyArgs& args, const Run& run) {
  switch (args.type) {
    case kF32:
      return args.accumulate ? copy_typed<float, true>(args, run) : copy_typed<float, false>(args, run);
    case kI32:  // unsigned: wraps
      return args.accumulate ? copy_typed<uint32_t, true>(args, run) : copy_typed<uint32_t, false>(args, run);
    default:
      return args.accumulate ? copy_typed<uint8_t, true>(args, run) : copy_typed<uint8_t, false>(args, run);
  }
}

template <class L>
static void fill_broadcast(TensorOps* ops) {
  ops->binary = binary_lanes<L>;
  ops->copy_strided = copy_strided_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_BROADCAST_LANES_H_
