#include "native/augment/augment_image.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "native/augment/augment_moments.h"

namespace bince {
namespace {

int64_t plane_size(const Image& image) {
  return static_cast<int64_t>(image.H) * image.W;
}

void exchange(Image* image, int32_t H, int32_t W) {
  std::swap(image->pixels, image->spare);
  image->H = H;
  image->W = W;
}

// --- affine, moments, elastic ---

// A plane into the frame that warps read.
void border_plane(const Image& image, int32_t c, float outside) {
  const int32_t H = image.H, W = image.W;
  const int64_t stride = W + 2;
  const float* in = image.pixels + c * plane_size(image);
  std::fill(image.side, image.side + stride, outside);
  for (int32_t y = 0; y < H; ++y) {
    float* row = image.side + (y + 1) * stride;
    row[0] = row[W + 1] = outside;
    std::memcpy(row + 1, in + static_cast<int64_t>(y) * W, W * sizeof(float));
  }
  std::fill(image.side + (H + 1) * stride, image.side + (H + 2) * stride, outside);
}

void warp_image(const InverseMap& map, bool nearest, double outside, Image* image) {
  WarpArgs args = {image->H, image->W, image->side, {}, nearest, nullptr};
  std::copy(map.m, map.m + 6, args.m);
  for (int32_t c = 0; c < image->C; ++c) {
    border_plane(*image, c, static_cast<float>(outside));
    args.out = image->spare + c * plane_size(*image);
    image->ops->warp(args);
  }
  exchange(image, image->H, image->W);
}

void normalise_moments(const Step& step, const DrawKey& key, Image* image) {
  const int32_t H = image->H, W = image->W;
  const Moments moments = measure_moments(image->pixels, image->C, H, W);
  if (!(moments.mass > 0)) return;
  warp_image(moments_map(moments, step.reach, draw_anisotropy(step, key), H, W), false, 0, image);
}

// The nodes drawn, and each of their rows interpolated to every column.
void fill_field(const Step& step, const DrawKey& key, int32_t H, int32_t W, float* field) {
  const double scale = step.sigma.low * std::min(H, W) / 2;
  for (int32_t row = 0; row < step.grid; ++row) {
    Normals nodes[kMaxGrid];
    for (int32_t i = 0; i < step.grid; ++i) nodes[i] = draw_normals(key, row * step.grid + i);
    float* const dx = field + static_cast<int64_t>(2) * row * W;
    for (int32_t x = 0; x < W; ++x) {
      const NodeRow at = node_row(x, W, step.grid);
      const Normals &left = nodes[at.above], &right = nodes[at.above + 1];
      dx[x] = static_cast<float>(scale * (left.x + at.share * (right.x - left.x)));
      dx[W + x] = static_cast<float>(scale * (left.y + at.share * (right.y - left.y)));
    }
  }
}

void displace_image(const Step& step, const DrawKey& key, Image* image) {
  fill_field(step, key, image->H, image->W, image->weights);
  for (int32_t c = 0; c < image->C; ++c) {
    border_plane(*image, c, 0);
    image->ops->displace(
        {image->H, image->W, image->side, step.grid, image->weights, image->spare + c * plane_size(*image)});
  }
  exchange(image, image->H, image->W);
}

// --- translate and pad ---

// The place in [0, n) that stands for i outside it; the border's own row and column are not repeated.
int32_t reflected(int32_t i, int32_t n) {
  if (n == 1) return 0;
  const int32_t period = 2 * (n - 1);
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

// -1: the constant.
int32_t source_of(int32_t i, int32_t n, Border border) {
  if (i >= 0 && i < n) return i;
  if (border == Border::kConstant) return -1;
  return border == Border::kEdge ? std::clamp(i, 0, n - 1) : reflected(i, n);
}

// out(x, y) = in(x - left, y - top) in an image of `height` x `width`.
void place_image(int32_t top, int32_t left, int32_t height, int32_t width, Border border, double value,
                 Image* image) {
  const int32_t H = image->H, W = image->W;
  const float constant = static_cast<float>(value);
  const int32_t from = std::clamp(left, 0, width), to = std::clamp(left + W, from, width);
  for (int32_t c = 0; c < image->C; ++c) {
    const float* in = image->pixels + c * plane_size(*image);
    float* out = image->spare + static_cast<int64_t>(c) * height * width;
    for (int32_t y = 0; y < height; ++y, out += width) {
      const int32_t source = source_of(y - top, H, border);
      if (source < 0) {
        std::fill(out, out + width, constant);
        continue;
      }
      const float* row = in + static_cast<int64_t>(source) * W;
      const auto outside = [&](int32_t x) {
        const int32_t at = source_of(x - left, W, border);
        return at < 0 ? constant : row[at];
      };
      for (int32_t x = 0; x < from; ++x) out[x] = outside(x);
      if (to > from) std::memcpy(out + from, row + from - left, (to - from) * sizeof(float));
      for (int32_t x = to; x < width; ++x) out[x] = outside(x);
    }
  }
  exchange(image, height, width);
}

// --- crop and resize: a triangle filter as wide as the larger of the two pixels, along rows, then columns
// ---

double support_of(int32_t length, int32_t size) {
  return std::fmax(1.0, static_cast<double>(length) / size);
}
int32_t taps_of(int32_t length, int32_t size) {
  return std::min(length, 2 * static_cast<int32_t>(std::ceil(support_of(length, size))) + 1);
}

// Where each of `size` results begins among `length` values, and its weights [taps][size].
void fill_axis(int32_t length, int32_t size, int32_t* first, float* weights) {
  const int32_t taps = taps_of(length, size);
  const double step = static_cast<double>(length) / size, support = support_of(length, size);
  std::fill(weights, weights + static_cast<int64_t>(taps) * size, 0.0f);
  for (int32_t i = 0; i < size; ++i) {
    const double centre = (i + 0.5) * step;
    const int32_t begin = std::max(0, static_cast<int32_t>(centre - support + 0.5));
    const int32_t end = std::min(length, static_cast<int32_t>(centre + support + 0.5));
    first[i] = std::min(begin, length - taps);
    const auto weight = [&](int32_t at) {
      return std::fmax(0.0, 1 - std::fabs(at + 0.5 - centre) / support);
    };
    double sum = 0;
    for (int32_t at = begin; at < end; ++at) sum += weight(at);
    for (int32_t at = begin; at < end; ++at)
      weights[static_cast<int64_t>(at - first[i]) * size + i] = static_cast<float>(weight(at) / sum);
  }
}

void resample_image(const Box& box, int32_t height, int32_t width, Image* image) {
  const int32_t taps_x = taps_of(box.width, width), taps_y = taps_of(box.height, height);
  int32_t* const first_x = image->positions;
  int32_t* const first_y = first_x + width;
  float* const weights_x = image->weights;
  float* const weights_y = weights_x + static_cast<int64_t>(taps_x) * width;
  fill_axis(box.width, width, first_x, weights_x);
  fill_axis(box.height, height, first_y, weights_y);
  for (int32_t c = 0; c < image->C; ++c) {
    const float* in = image->pixels + c * plane_size(*image);
    float* out = image->spare + static_cast<int64_t>(c) * height * width;
    for (int32_t y = 0; y < box.height; ++y)
      image->ops->resample_row({width, taps_x, in + static_cast<int64_t>(box.top + y) * image->W + box.left,
                                first_x, weights_x, image->side + static_cast<int64_t>(y) * width});
    for (int32_t y = 0; y < height; ++y) {
      for (int32_t k = 0; k < taps_y; ++k) {
        image->column[k] = weights_y[static_cast<int64_t>(k) * height + y];
        image->rows[k] = image->side + static_cast<int64_t>(first_y[y] + k) * width;
      }
      image->ops->mix_rows(width, taps_y, image->rows, image->column, out + static_cast<int64_t>(y) * width);
    }
  }
  exchange(image, height, width);
}

// --- blur ---

int32_t radius_of(const Step& step, double sigma) {
  return step.radius > 0 ? step.radius : static_cast<int32_t>(std::ceil(3 * sigma));
}

void blur_image(const Step& step, const DrawKey& key, Image* image) {
  const double sigma = draw_sigma(step, key);
  const int32_t H = image->H, W = image->W, radius = radius_of(step, sigma), taps = 2 * radius + 1;
  double sum = 0;
  const auto weight = [&](int32_t k) {
    return std::exp(-0.5 * (k - radius) * (k - radius) / (sigma * sigma));
  };
  for (int32_t k = 0; k < taps; ++k) sum += weight(k);
  for (int32_t k = 0; k < taps; ++k) image->column[k] = static_cast<float>(weight(k) / sum);
  for (int32_t c = 0; c < image->C; ++c) {
    float* in = image->pixels + c * plane_size(*image);
    float* out = image->spare + c * plane_size(*image);
    for (int32_t y = 0; y < H; ++y) {  // columns into spare
      for (int32_t k = 0; k < taps; ++k)
        image->rows[k] = in + static_cast<int64_t>(reflected(y + k - radius, H)) * W;
      image->ops->mix_rows(W, taps, image->rows, image->column, out + static_cast<int64_t>(y) * W);
    }
    for (int32_t y = 0; y < H; ++y) {  // rows back into pixels
      const float* row = out + static_cast<int64_t>(y) * W;
      for (int32_t x = -radius; x < W + radius; ++x) image->side[x + radius] = row[reflected(x, W)];
      for (int32_t k = 0; k < taps; ++k) image->rows[k] = image->side + k;
      image->ops->mix_rows(W, taps, image->rows, image->column, in + static_cast<int64_t>(y) * W);
    }
  }
}

// --- pixel by pixel ---

void flip_image(Image* image) {
  for (int64_t row = 0; row < static_cast<int64_t>(image->C) * image->H; ++row) {
    float* begin = image->pixels + row * image->W;
    std::reverse(begin, begin + image->W);
  }
}

double sum_of(const float* x, int64_t n) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; ++j) sums[j] += x[i + j];
  for (; i < n; ++i) sums[0] += x[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double mean_grey(const Image& image) {
  const int64_t n = plane_size(image);
  double sum = sum_of(image.pixels, n);
  if (image.C == 3)
    sum = kRedShare * sum + kGreenShare * sum_of(image.pixels + n, n) +
          kBlueShare * sum_of(image.pixels + 2 * n, n);
  return sum / static_cast<double>(n);
}

void jitter_image(const Step& step, const DrawKey& key, Image* image) {
  const Jitter jitter = draw_jitter(step, key);
  const int64_t n = plane_size(*image);
  float *red = image->pixels, *green = red + n, *blue = green + n;
  for (const int32_t part : jitter.order) {
    if (step.jitter[part] == 0) continue;
    const double amount = jitter.amount[part];
    if (part == 0) image->ops->blend(n * image->C, amount, 0, image->pixels);
    if (part == 1) image->ops->blend(n * image->C, amount, mean_grey(*image), image->pixels);
    if (part == 2 && image->C == 3) image->ops->saturate(n, amount, red, green, blue);
    if (part == 3 && image->C == 3) image->ops->turn_hue(n, amount, red, green, blue);
  }
}

void erase_box(const Step& step, const DrawKey& key, Image* image) {
  Box box;
  if (!draw_erase(step, key, image->H, image->W, &box)) return;
  const float value = static_cast<float>(step.value);
  for (int32_t c = 0; c < image->C; ++c) {
    for (int32_t y = box.top; y < box.top + box.height; ++y) {
      float* row = image->pixels + c * plane_size(*image) + static_cast<int64_t>(y) * image->W + box.left;
      std::fill(row, row + box.width, value);
    }
  }
}

}  // namespace

void grow_sizes(const Step& step, int32_t H, int32_t W, ImageSizes* sizes) {
  const auto at_least = [](int64_t value, int64_t* size) { *size = std::max(*size, value); };
  const int64_t height = H, width = W;
  at_least(height * width, &sizes->plane);
  if (step.kind == StepKind::kAffine || step.kind == StepKind::kMoments || step.kind == StepKind::kElastic)
    at_least((height + 2) * (width + 2), &sizes->side);
  if (step.kind == StepKind::kElastic) at_least(2 * width * step.grid, &sizes->weights);
  if (step.kind == StepKind::kPad)
    at_least((height + step.top + step.bottom) * (width + step.left + step.right), &sizes->plane);
  if (step.kind == StepKind::kBlur) {
    const int64_t radius = radius_of(step, step.sigma.high);
    at_least(width + 2 * radius, &sizes->side);
    at_least(2 * radius + 1, &sizes->taps);
  }
  if (step.kind == StepKind::kCrop || step.kind == StepKind::kResize) {
    // Of any box in the image the whole of it needs the most.
    const int64_t taps_x = taps_of(W, step.width), taps_y = taps_of(H, step.height);
    at_least(static_cast<int64_t>(step.height) * step.width, &sizes->plane);
    at_least(height * step.width, &sizes->side);
    at_least(taps_x * step.width + taps_y * step.height, &sizes->weights);
    at_least(static_cast<int64_t>(step.width) + step.height, &sizes->positions);
    at_least(std::max(taps_x, taps_y), &sizes->taps);
  }
}

void apply_step(const Step& step, const DrawKey& key, Image* image) {
  const bool applies = draw_applies(step, key);
  const Box whole = {0, 0, image->H, image->W};
  if (step.kind == StepKind::kCrop) {  // the size changes in any case
    resample_image(applies ? draw_crop(step, key, image->H, image->W) : whole, step.height, step.width,
                   image);
    return;
  }
  if (!applies) return;
  switch (step.kind) {
    case StepKind::kAffine:
      return warp_image(draw_affine(step, key, image->H, image->W), step.nearest, step.value, image);
    case StepKind::kMoments:
      return normalise_moments(step, key, image);
    case StepKind::kElastic:
      return displace_image(step, key, image);
    case StepKind::kTranslate: {
      const Shift shift = draw_shift(step, key);
      return place_image(shift.y, shift.x, image->H, image->W, step.border, step.value, image);
    }
    case StepKind::kFlip:
      return flip_image(image);
    case StepKind::kJitter:
      return jitter_image(step, key, image);
    case StepKind::kGrey:
      if (image->C == 3)
        image->ops->saturate(plane_size(*image), 0, image->pixels, image->pixels + plane_size(*image),
                             image->pixels + 2 * plane_size(*image));
      return;
    case StepKind::kBlur:
      return blur_image(step, key, image);
    case StepKind::kErase:
      return erase_box(step, key, image);
    case StepKind::kNormalise:
      for (int32_t c = 0; c < image->C; ++c)
        image->ops->normalise(plane_size(*image), step.mean[c], step.deviation[c],
                              image->pixels + c * plane_size(*image));
      return;
    case StepKind::kPad:
      return place_image(step.top, step.left, image->H + step.top + step.bottom,
                         image->W + step.left + step.right, step.border, step.value, image);
    case StepKind::kResize:
      return resample_image(whole, step.height, step.width, image);
    case StepKind::kCrop:
      return;
  }
}

}  // namespace bince
