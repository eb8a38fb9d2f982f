// The steps of an augmentation as plain values: what may be drawn, and from which ranges.
//
// A step arrives as a record of kStepNumbers numbers (lib/data/augmentation_record.ts writes it); its first
// three are the kind, the probability and whether all views of an image share the draw.
#ifndef BINCE_AUGMENT_AUGMENT_STEP_H_
#define BINCE_AUGMENT_AUGMENT_STEP_H_

#include <stdint.h>

#include "bince.h"

namespace bince {

inline constexpr int kStepNumbers = 16;
inline constexpr int kMaxSteps = 64;
inline constexpr int kMaxImageSide = 8192;
inline constexpr int kMaxGrid = 64;

enum class StepKind : int32_t {
  kAffine = 0,     // angle, translate, scale, shear in one inverse warp
  kTranslate = 1,  // whole pixels
  kCrop = 2,       // random crop, resized
  kFlip = 3,       // left and right
  kJitter = 4,     // brightness, contrast, saturation, hue
  kGrey = 5,
  kBlur = 6,       // Gaussian
  kErase = 7,      // a box gets a value
  kNormalise = 8,  // (x - mean) / deviation
  kPad = 9,
  kResize = 10,
  kMoments = 11,  // centroid, radius and anisotropy brought to standard
  kElastic = 12,  // a smooth random displacement
};
inline constexpr int kStepKinds = 13;

// What stands outside the image.
enum class Border : int32_t { kReflect = 0, kConstant = 1, kEdge = 2 };

struct Range {
  double low, high;
};

struct Step {
  StepKind kind;
  bool shared;
  double p;
  Range angle, shear_x, shear_y;     // affine, degrees
  double translate_x, translate_y;   // affine: the largest, as shares of width and height
  Range scale;                       // affine: factor; crop, erase: share of the area
  Range ratio;                       // crop, erase: width to height
  Range sigma;                       // blur, pixels; elastic, of half the shorter side
  Range anisotropy;                  // moments: the share that is removed
  double reach;                      // moments: the radius, of half the shorter side
  int32_t grid;                      // elastic: nodes a side
  bool nearest;                      // affine: no interpolation
  int32_t pixels;                    // translate: the largest
  int32_t radius;                    // blur: taps to either side
  int32_t height, width;             // crop, resize: of the result
  int32_t top, right, bottom, left;  // pad
  Border border;                     // translate, pad
  double value;                      // affine, translate, erase, pad: the constant
  double jitter[4];                  // brightness, contrast, saturation, hue
  double mean[3], deviation[3];      // normalise
};

// Reads and checks a record for images of C channels and *H x *W pixels, which become the step's own result
// size. `index` names the step in messages.
bince_status read_step(const double* record, int index, int32_t C, int32_t* H, int32_t* W, Step* step);

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_STEP_H_
