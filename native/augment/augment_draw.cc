#include "native/augment/augment_draw.h"

#include <cmath>

#include "native/entropy/philox.h"

namespace bince {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kAttempts = 10;

// In [0, 1).
double unit(uint32_t word) {
  return word * (1.0 / 4294967296.0);
}
double uniform(uint32_t word, Range range) {
  return range.low + (range.high - range.low) * unit(word);
}
// In [0, count).
int32_t below(uint32_t word, int32_t count) {
  return static_cast<int32_t>((static_cast<uint64_t>(word) * static_cast<uint64_t>(count)) >> 32);
}

// One attempt at a box of an area and a ratio; the sizes may be beyond the image.
void box_size(const Step& step, const Words& words, double area, double* height, double* width) {
  const double target = area * uniform(words.word[0], step.scale);
  const double ratio =
      std::exp(uniform(words.word[1], {std::log(step.ratio.low), std::log(step.ratio.high)}));
  *width = std::nearbyint(std::sqrt(target * ratio));
  *height = std::nearbyint(std::sqrt(target / ratio));
}

Box place_box(const Words& words, double height, double width, int32_t H, int32_t W) {
  Box box;
  box.height = static_cast<int32_t>(height);
  box.width = static_cast<int32_t>(width);
  box.top = below(words.word[2], H - box.height + 1);
  box.left = below(words.word[3], W - box.width + 1);
  return box;
}

}  // namespace

Words draw_words(const DrawKey& key, uint32_t block) {
  Words words = {{key.image, key.epoch, key.view, 0x80000000u | key.step << 12 | block}};
  philox4x32_10(words.word, static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32));
  return words;
}

bool draw_applies(const Step& step, const DrawKey& key) {
  if (step.p >= 1) return true;
  return step.p > 0 && unit(draw_words(key, 0).word[0]) < step.p;
}

InverseMap inverse_affine(double angle, double move_x, double move_y, double scale, double shear_x,
                          double shear_y, int32_t H, int32_t W) {
  const double rotation = angle * (kPi / 180), sx = shear_x * (kPi / 180), sy = shear_y * (kPi / 180);
  // Rotation, scale and shear, as torchvision composes them: [a b; c d] * scale.
  const double cosine = std::cos(rotation - sy) / std::cos(sy), sine = std::sin(rotation - sy) / std::cos(sy);
  const double a = cosine, b = -cosine * std::tan(sx) - std::sin(rotation);
  const double c = sine, d = -sine * std::tan(sx) + std::cos(rotation);
  // Its determinant is scale^2, so the inverse is [d -b; -c a] / scale.
  InverseMap map = {{d / scale, -b / scale, 0, -c / scale, a / scale, 0}};
  const double centre_x = (W - 1) * 0.5, centre_y = (H - 1) * 0.5;
  const double x = centre_x + move_x, y = centre_y + move_y;
  map.m[2] = centre_x - map.m[0] * x - map.m[1] * y;
  map.m[5] = centre_y - map.m[3] * x - map.m[4] * y;
  return map;
}

InverseMap draw_affine(const Step& step, const DrawKey& key, int32_t H, int32_t W) {
  const Words first = draw_words(key, 0), second = draw_words(key, 1);
  const double reach_x = step.translate_x * W, reach_y = step.translate_y * H;
  return inverse_affine(
      uniform(first.word[1], step.angle), std::nearbyint(uniform(first.word[2], {-reach_x, reach_x})),
      std::nearbyint(uniform(first.word[3], {-reach_y, reach_y})), uniform(second.word[0], step.scale),
      uniform(second.word[1], step.shear_x), uniform(second.word[2], step.shear_y), H, W);
}

Shift draw_shift(const Step& step, const DrawKey& key) {
  const Words words = draw_words(key, 0);
  const int32_t count = 2 * step.pixels + 1;
  return {below(words.word[1], count) - step.pixels, below(words.word[2], count) - step.pixels};
}

Box draw_crop(const Step& step, const DrawKey& key, int32_t H, int32_t W) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const Words words = draw_words(key, static_cast<uint32_t>(attempt));
    double height, width;
    box_size(step, words, static_cast<double>(H) * W, &height, &width);
    if (height >= 1 && width >= 1 && height <= H && width <= W) return place_box(words, height, width, H, W);
  }
  const double ratio = static_cast<double>(W) / H;
  Box box = {0, 0, H, W};
  if (ratio < step.ratio.low) box.height = static_cast<int32_t>(std::nearbyint(W / step.ratio.low));
  if (ratio > step.ratio.high) box.width = static_cast<int32_t>(std::nearbyint(H * step.ratio.high));
  box.height = box.height < 1 ? 1 : box.height > H ? H : box.height;
  box.width = box.width < 1 ? 1 : box.width > W ? W : box.width;
  box.top = (H - box.height) / 2;
  box.left = (W - box.width) / 2;
  return box;
}

bool draw_erase(const Step& step, const DrawKey& key, int32_t H, int32_t W, Box* box) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const Words words = draw_words(key, static_cast<uint32_t>(attempt));
    double height, width;
    box_size(step, words, static_cast<double>(H) * W, &height, &width);
    if (height < 1 || width < 1 || height >= H || width >= W) continue;
    *box = place_box(words, height, width, H, W);
    return true;
  }
  return false;
}

Jitter draw_jitter(const Step& step, const DrawKey& key) {
  const Words first = draw_words(key, 0), second = draw_words(key, 1);
  Jitter jitter;
  int32_t left[4] = {0, 1, 2, 3};
  int32_t code = below(first.word[1], 24);  // one of the orders, in factorial digits
  for (int i = 0; i < 4; ++i) {
    const int32_t choices = 4 - i;
    const int32_t pick = code % choices;
    code /= choices;
    jitter.order[i] = left[pick];
    for (int j = pick; j + 1 < choices; ++j) left[j] = left[j + 1];
  }
  for (int i = 0; i < 3; ++i)
    jitter.amount[i] = uniform(second.word[i], {std::fmax(0.0, 1 - step.jitter[i]), 1 + step.jitter[i]});
  jitter.amount[3] = uniform(second.word[3], {-step.jitter[3], step.jitter[3]});
  return jitter;
}

double draw_sigma(const Step& step, const DrawKey& key) {
  return uniform(draw_words(key, 0).word[1], step.sigma);
}

double draw_anisotropy(const Step& step, const DrawKey& key) {
  return uniform(draw_words(key, 0).word[1], step.anisotropy);
}

Normals draw_normals(const DrawKey& key, int32_t node) {
  const Words words = draw_words(key, 1 + static_cast<uint32_t>(node) / 2);  // block 0 decides on the step
  const uint32_t* word = words.word + 2 * (node % 2);
  const double length = std::sqrt(-2 * std::log((word[0] + 0.5) * (1.0 / 4294967296.0)));
  const double turn = 2 * kPi * unit(word[1]);
  return {length * std::cos(turn), length * std::sin(turn)};
}

}  // namespace bince
