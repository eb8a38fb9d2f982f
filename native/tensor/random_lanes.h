// Random tensors over lanes, a group of 64 elements at a time; random.h says which.
#ifndef BINCE_TENSOR_RANDOM_LANES_H_
#define BINCE_TENSOR_RANDOM_LANES_H_

#include "native/entropy/noise_lanes.h"
#include "native/tensor/blocks.h"
#include "native/tensor/random.h"
#include "native/tensor/tensor_ops.h"

namespace bince {

// The uniform numbers of group `group`, as whole numbers below 2^24.
template <class L>
BINCE_INLINE void random_group(uint64_t seed, uint64_t group, typename L::V out[kRandomGroup / L::kLanes]) {
  constexpr int kVectors = 16 / L::kLanes;  // that hold one word of the group's sixteen blocks
  const uint64_t block = group * 16;
  for (int v = 0; v < kVectors; ++v) {
    typename L::U words[4] = {
        L::uadd(L::uset(static_cast<uint32_t>(block) + static_cast<uint32_t>(v * L::kLanes)),
                L::lane_index()),
        L::uset(static_cast<uint32_t>(block >> 32)), L::uset(0), L::uset(kRandomStream)};
    lane_philox<L>(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    for (int w = 0; w < 4; ++w) out[w * kVectors + v] = L::upper_24(words[w]);
  }
}

struct UniformNumbers {
  template <class L>
  static BINCE_INLINE_MEMBER void transform(const RandomArgs& args,
                                            typename L::V v[kRandomGroup / L::kLanes]) {
    const typename L::V a = L::set(args.a), b = L::set(args.b), width = L::set(args.b - args.a);
    for (int i = 0; i < kRandomGroup / L::kLanes; ++i) {
      const typename L::V x = L::fma(width, L::mul(v[i], L::set(0x1p-24f)), a);
      v[i] = L::select(L::greater(b, x), x, a);  // rounding up could reach b
    }
  }
};
struct NormalNumbers {
  template <class L>
  static BINCE_INLINE_MEMBER void transform(const RandomArgs& args,
                                            typename L::V v[kRandomGroup / L::kLanes]) {
    constexpr int kVectors = 16 / L::kLanes;
    const typename L::V mean = L::set(args.a), deviation = L::set(args.b), unit = L::set(0x1p-24f);
    for (int pair = 0; pair < 4 * kVectors; pair += 2 * kVectors)
      for (int i = pair; i < pair + kVectors; ++i) {
        typename L::V first, second;
        normal_pair<L>(L::mul(L::add(v[i], L::set(1.0f)), unit), L::mul(v[i + kVectors], unit), &first,
                       &second);
        v[i] = L::fma(deviation, first, mean);
        v[i + kVectors] = L::fma(deviation, second, mean);
      }
  }
};

// Elements [first, last) of the call. store(i, group values, from, to): lanes from .. to of the group go to
// the elements i ...
template <class L, class F>
BINCE_INLINE void over_groups(uint64_t seed, uint64_t offset, int64_t first, int64_t last, const F& f) {
  uint64_t g = offset + static_cast<uint64_t>(first);
  for (int64_t i = first; i < last;) {
    const int64_t from = static_cast<int64_t>(g % kRandomGroup);
    const int64_t count = kRandomGroup - from < last - i ? kRandomGroup - from : last - i;
    typename L::V values[kRandomGroup / L::kLanes];
    random_group<L>(seed, g / kRandomGroup, values);
    f(i, values, from, count);
    i += count;
    g += static_cast<uint64_t>(count);
  }
}

template <class L, class Numbers>
static void random_range(const void* arguments, int64_t first, int64_t last) {
  const RandomArgs& args = *static_cast<const RandomArgs*>(arguments);
  constexpr int kVectors = kRandomGroup / L::kLanes;
  over_groups<L>(
      args.seed, args.offset, first, last,
      [&](int64_t i, typename L::V * values, int64_t from, int64_t count) __attribute__((always_inline)) {
        Numbers::template transform<L>(args, values);
        float some[kRandomGroup];
        float* to = count == kRandomGroup ? args.x + i : some;
        for (int v = 0; v < kVectors; ++v) L::store(to + v * L::kLanes, values[v]);
        if (to == some)
          for (int64_t k = 0; k < count; ++k) args.x[i + k] = some[from + k];
      });
}
template <class L>
static void random_lanes(const RandomArgs& args, const Run& run) {
  over_ranges(run, args.n, 1,
              args.kind == 0 ? random_range<L, UniformNumbers> : random_range<L, NormalNumbers>, &args);
}

template <class L>
static void dropout_range(const void* arguments, int64_t first, int64_t last) {
  const DropoutArgs& args = *static_cast<const DropoutArgs*>(arguments);
  constexpr int kVectors = kRandomGroup / L::kLanes;
  const typename L::V scale = L::set(1.0f / (1.0f - args.p)), p = L::set(args.p), unit = L::set(0x1p-24f);
  over_groups<L>(
      args.seed, args.offset, first, last,
      [&](int64_t i, typename L::V * values, int64_t from, int64_t count) __attribute__((always_inline)) {
        float some[kRandomGroup] = {};
        const bool whole = count == kRandomGroup;
        for (int64_t k = 0; !whole && k < count; ++k) some[from + k] = args.x[i + k];
        const float* x = whole ? args.x + i : some;
        float* y = whole ? args.y + i : some;
        for (int v = 0; v < kVectors; ++v) {
          const typename L::V kept = L::mul(L::load(x + v * L::kLanes), scale);
          const auto dropped = L::greater(p, L::mul(values[v], unit));
          L::store(y + v * L::kLanes, L::select(dropped, L::set(0.0f), kept));
        }
        for (int64_t k = 0; !whole && k < count; ++k) args.y[i + k] = some[from + k];
      });
}
template <class L>
static void dropout_lanes(const DropoutArgs& args, const Run& run) {
  over_ranges(run, args.n, 1, dropout_range<L>, &args);
}

template <class L>
static void fill_random(TensorOps* ops) {
  ops->random = random_lanes<L>;
  ops->dropout = dropout_lanes<L>;
}

}  // namespace bince

#endif  // BINCE_TENSOR_RANDOM_LANES_H_
