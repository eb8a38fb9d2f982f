// What a step draws for one image, from Philox4x32-10: the same for every thread count, batch and backend.
//
// The key is the seed; the counter is (image, epoch, view, 2^31 + 4096 step + block). The top bit keeps these
// words apart from the entropy model's noise, whose counters end in 0. Word 0 of block 0 decides whether the
// step is applied; each parameter has its own word, so that none depends on what another step or parameter
// used.
#ifndef BINCE_AUGMENT_AUGMENT_DRAW_H_
#define BINCE_AUGMENT_AUGMENT_DRAW_H_

#include <stdint.h>

#include "native/augment/augment_step.h"

namespace bince {

// One step of one image of one view.
struct DrawKey {
  uint64_t seed;
  uint32_t image, epoch, view;
  uint32_t step;
};

inline constexpr uint32_t kSharedView = 0xFFFFFFFFu;

struct Words {
  uint32_t word[4];
};
Words draw_words(const DrawKey& key, uint32_t block);

bool draw_applies(const Step& step, const DrawKey& key);

// Output pixel (x, y) takes its value from (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
struct InverseMap {
  double m[6];
};
// The map of torchvision's RandomAffine: about the image's centre, shear, scale and rotation, then a
// translation by whole pixels, each drawn uniformly.
InverseMap draw_affine(const Step& step, const DrawKey& key, int32_t H, int32_t W);
// The same for given parameters: degrees, pixels, factor.
InverseMap inverse_affine(double angle, double move_x, double move_y, double scale, double shear_x,
                          double shear_y, int32_t H, int32_t W);

struct Shift {
  int32_t x, y;
};
Shift draw_shift(const Step& step, const DrawKey& key);

struct Box {
  int32_t top, left, height, width;
};
// torchvision's RandomResizedCrop: an area and a ratio (uniform in its logarithm), ten attempts, else the
// largest central box with an allowed ratio.
Box draw_crop(const Step& step, const DrawKey& key, int32_t H, int32_t W);
// torchvision's RandomErasing: ten attempts at a box smaller than the image; false where none fits.
bool draw_erase(const Step& step, const DrawKey& key, int32_t H, int32_t W, Box* box);

struct Jitter {
  int32_t order[4];  // 0 brightness, 1 contrast, 2 saturation, 3 hue
  double amount[4];  // factors of the first three, the turn of the hue in (-1/2, 1/2)
};
Jitter draw_jitter(const Step& step, const DrawKey& key);

double draw_sigma(const Step& step, const DrawKey& key);

double draw_anisotropy(const Step& step, const DrawKey& key);

// Two independent standard normal numbers for a node of an elastic step's grid (Box and Muller).
struct Normals {
  double x, y;
};
Normals draw_normals(const DrawKey& key, int32_t node);

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_DRAW_H_
