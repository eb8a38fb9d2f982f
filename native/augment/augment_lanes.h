// The pixel operations over lanes: one template for all vector widths. The last vector of a row is partial:
// loads and stores are masked, and what its other lanes compute is finite and thrown away.
#ifndef BINCE_AUGMENT_AUGMENT_LANES_H_
#define BINCE_AUGMENT_AUGMENT_LANES_H_

#include "native/augment/augment_ops.h"
#include "native/core/inline.h"

namespace {

// Calls body(i, mask) for every vector of n elements.
#define BINCE_FOR_LANES(L, i, mask, n)         \
  for (int64_t i = 0; i < (n); i += L::kLanes) \
    if (const typename L::Mask mask = L::mask((n)-i < L::kLanes ? (n)-i : int64_t{L::kLanes}); true)

template <typename L>
void unit_bytes_lanes(int64_t n, const uint8_t* bytes, float* out) {
  const typename L::V full = L::set(255.0f);
  int64_t i = 0;
  for (; i + L::kLanes <= n; i += L::kLanes)
    L::store(out + i, L::div(L::load_bytes(bytes + i), full), L::all());
  for (; i < n; ++i) out[i] = static_cast<float>(bytes[i]) / 255.0f;
}

// The cell that a coordinate falls into, clamped to the border, and the fraction in it.
template <typename L>
BINCE_INLINE void cell_of(typename L::V at, typename L::V size, typename L::V last, bool nearest,
                          typename L::V* cell, typename L::V* fraction) {
  at = L::max(L::min(at, size), L::set(-1.0f));
  if (nearest) at = L::floor(L::add(at, L::set(0.5f)));
  *cell = L::min(L::floor(at), last);
  *fraction = L::sub(at, *cell);
}

// A plane in its border, for lanes.
template <typename L>
struct Frame {
  const float* inside;
  int32_t stride;
  bool nearest;
  typename L::V width, height, last_x, last_y;
};

template <typename L>
BINCE_INLINE Frame<L> frame_of(const float* bordered, int32_t H, int32_t W, bool nearest) {
  return {bordered + W + 3,
          W + 2,
          nearest,
          L::set(static_cast<float>(W)),
          L::set(static_cast<float>(H)),
          L::set(static_cast<float>(W - 1)),
          L::set(static_cast<float>(H - 1))};
}

// Four gathers: the corners of the cell.
template <typename L>
BINCE_INLINE typename L::V sample(const Frame<L>& frame, typename L::V x, typename L::V y) {
  using V = typename L::V;
  V x0, y0, fx, fy;
  cell_of<L>(x, frame.width, frame.last_x, frame.nearest, &x0, &fx);
  cell_of<L>(y, frame.height, frame.last_y, frame.nearest, &y0, &fy);
  const typename L::I index = L::mad(L::to_int(y0), frame.stride, L::to_int(x0));
  const float* const below = frame.inside + frame.stride;
  const V p00 = L::gather(frame.inside, index), p01 = L::gather(frame.inside + 1, index);
  const V p10 = L::gather(below, index), p11 = L::gather(below + 1, index);
  const V upper = L::fma(fx, L::sub(p01, p00), p00), lower = L::fma(fx, L::sub(p11, p10), p10);
  return L::fma(fy, L::sub(lower, upper), upper);
}

template <typename L>
void warp_lanes(const bince::WarpArgs& args) {
  using V = typename L::V;
  const Frame<L> frame = frame_of<L>(args.bordered, args.H, args.W, args.nearest);
  const V step_x = L::set(static_cast<float>(args.m[0])), step_y = L::set(static_cast<float>(args.m[3]));
  for (int32_t y = 0; y < args.H; ++y) {
    const V start_x = L::set(static_cast<float>(args.m[1] * y + args.m[2]));
    const V start_y = L::set(static_cast<float>(args.m[4] * y + args.m[5]));
    float* out = args.out + static_cast<int64_t>(y) * args.W;
    BINCE_FOR_LANES(L, i, mask, args.W) {
      const V x = L::add(L::iota(), L::set(static_cast<float>(i)));
      L::store(out + i, sample<L>(frame, L::fma(step_x, x, start_x), L::fma(step_y, x, start_y)), mask);
    }
  }
}

template <typename L>
BINCE_INLINE typename L::V between(const float* upper, const float* lower, typename L::V share,
                                   typename L::Mask mask) {
  const typename L::V from = L::load(upper, mask);
  return L::fma(share, L::sub(L::load(lower, mask), from), from);
}

template <typename L>
void displace_lanes(const bince::DisplaceArgs& args) {
  using V = typename L::V;
  const Frame<L> frame = frame_of<L>(args.bordered, args.H, args.W, false);
  const int64_t W = args.W;
  for (int32_t y = 0; y < args.H; ++y) {
    const bince::NodeRow row = bince::node_row(y, args.H, args.grid);
    const float* const upper = args.field + 2 * W * row.above;
    const float* const lower = upper + 2 * W;
    const V share = L::set(static_cast<float>(row.share)), at_y = L::set(static_cast<float>(y));
    BINCE_FOR_LANES(L, i, mask, W) {
      const V x = L::add(L::iota(), L::set(static_cast<float>(i)));
      const V dx = between<L>(upper + i, lower + i, share, mask);
      const V dy = between<L>(upper + W + i, lower + W + i, share, mask);
      L::store(args.out + y * W + i, sample<L>(frame, L::add(x, dx), L::add(at_y, dy)), mask);
    }
  }
}

template <typename L>
void resample_row_lanes(const bince::ResampleArgs& args) {
  BINCE_FOR_LANES(L, i, mask, args.size) {
    const typename L::I first = L::load_int(args.first + i, mask);
    typename L::V sum = L::set(0.0f);
    for (int32_t k = 0; k < args.taps; ++k)
      sum = L::fma(L::load(args.weights + static_cast<int64_t>(k) * args.size + i, mask),
                   L::gather(args.in + k, first), sum);
    L::store(args.out + i, sum, mask);
  }
}

template <typename L>
void mix_rows_lanes(int64_t n, int32_t taps, const float* const* rows, const float* weights, float* out) {
  BINCE_FOR_LANES(L, i, mask, n) {
    typename L::V sum = L::set(0.0f);
    for (int32_t k = 0; k < taps; ++k) sum = L::fma(L::set(weights[k]), L::load(rows[k] + i, mask), sum);
    L::store(out + i, sum, mask);
  }
}

template <typename L>
BINCE_INLINE typename L::V unit_range(typename L::V x) {
  return L::min(L::max(x, L::set(0.0f)), L::set(1.0f));
}

template <typename L>
void blend_lanes(int64_t n, double factor, double base, float* x) {
  const typename L::V scale = L::set(static_cast<float>(factor));
  const typename L::V shift = L::set(static_cast<float>((1 - factor) * base));
  BINCE_FOR_LANES(L, i, mask, n) {
    L::store(x + i, unit_range<L>(L::fma(scale, L::load(x + i, mask), shift)), mask);
  }
}

template <typename L>
void saturate_lanes(int64_t n, double factor, float* red, float* green, float* blue) {
  using V = typename L::V;
  const V scale = L::set(static_cast<float>(factor)), rest = L::set(static_cast<float>(1 - factor));
  const V red_share = L::set(static_cast<float>(bince::kRedShare));
  const V green_share = L::set(static_cast<float>(bince::kGreenShare));
  const V blue_share = L::set(static_cast<float>(bince::kBlueShare));
  BINCE_FOR_LANES(L, i, mask, n) {
    const V r = L::load(red + i, mask), g = L::load(green + i, mask), b = L::load(blue + i, mask);
    const V grey = L::fma(red_share, r, L::fma(green_share, g, L::mul(blue_share, b)));
    const V base = L::mul(rest, grey);
    L::store(red + i, unit_range<L>(L::fma(scale, r, base)), mask);
    L::store(green + i, unit_range<L>(L::fma(scale, g, base)), mask);
    L::store(blue + i, unit_range<L>(L::fma(scale, b, base)), mask);
  }
}

// value - chroma * clamp(min(k, 4 - k), 0, 1), k = (place + hue) mod 6.
template <typename L>
BINCE_INLINE typename L::V hue_channel(float place, typename L::V hue, typename L::V value,
                                       typename L::V chroma) {
  using V = typename L::V;
  const V at = L::add(hue, L::set(place));
  const V k = L::fma(L::set(-6.0f), L::floor(L::mul(at, L::set(1.0f / 6.0f))), at);
  return L::fma(L::sub(L::set(0.0f), chroma), unit_range<L>(L::min(k, L::sub(L::set(4.0f), k))), value);
}

template <typename L>
void turn_hue_lanes(int64_t n, double turn, float* red, float* green, float* blue) {
  using V = typename L::V;
  const V sixths = L::set(static_cast<float>(6 * turn));
  BINCE_FOR_LANES(L, i, mask, n) {
    const V r = L::load(red + i, mask), g = L::load(green + i, mask), b = L::load(blue + i, mask);
    const V value = L::max(r, L::max(g, b));
    const V chroma = L::sub(value, L::min(r, L::min(g, b)));
    const V divisor = L::where_equal(chroma, L::set(0.0f), L::set(1.0f), chroma);
    const V from_red = L::div(L::sub(g, b), divisor);
    const V from_green = L::add(L::set(2.0f), L::div(L::sub(b, r), divisor));
    const V from_blue = L::add(L::set(4.0f), L::div(L::sub(r, g), divisor));
    const V hue =
        L::add(sixths, L::where_equal(value, r, from_red, L::where_equal(value, g, from_green, from_blue)));
    L::store(red + i, hue_channel<L>(5.0f, hue, value, chroma), mask);
    L::store(green + i, hue_channel<L>(3.0f, hue, value, chroma), mask);
    L::store(blue + i, hue_channel<L>(1.0f, hue, value, chroma), mask);
  }
}

template <typename L>
void normalise_lanes(int64_t n, double mean, double deviation, float* x) {
  const typename L::V shift = L::set(static_cast<float>(mean));
  const typename L::V divisor = L::set(static_cast<float>(deviation));
  BINCE_FOR_LANES(L, i, mask, n) {
    L::store(x + i, L::div(L::sub(L::load(x + i, mask), shift), divisor), mask);
  }
}

#undef BINCE_FOR_LANES

template <typename L>
BINCE_INLINE bince::AugmentOps augment_lanes() {
  bince::AugmentOps ops = {};
  ops.unit_bytes = unit_bytes_lanes<L>;
  ops.warp = warp_lanes<L>;
  ops.displace = displace_lanes<L>;
  ops.resample_row = resample_row_lanes<L>;
  ops.mix_rows = mix_rows_lanes<L>;
  ops.blend = blend_lanes<L>;
  ops.saturate = saturate_lanes<L>;
  ops.turn_hue = turn_hue_lanes<L>;
  ops.normalise = normalise_lanes<L>;
  return ops;
}

}  // namespace

#endif  // BINCE_AUGMENT_AUGMENT_LANES_H_
