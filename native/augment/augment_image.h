// One image on its way through the steps, and the room that a worker has for it.
#ifndef BINCE_AUGMENT_AUGMENT_IMAGE_H_
#define BINCE_AUGMENT_AUGMENT_IMAGE_H_

#include "native/augment/augment_draw.h"
#include "native/augment/augment_ops.h"

namespace bince {

// How large a worker's arrays must be, over all steps.
struct ImageSizes {
  int64_t plane = 0;      // elements of the largest plane
  int64_t side = 0;       // of a bordered plane, a padded row, or rows on their way through a resize
  int64_t weights = 0;    // of resampling weights, both axes
  int64_t positions = 0;  // of resampling positions, both axes
  int64_t taps = 0;       // rows or weights that one result is made of
};
void grow_sizes(const Step& step, int32_t H, int32_t W, ImageSizes* sizes);

// pixels and spare: [C][H][W] planes; a step that cannot work in place writes spare and exchanges the two.
struct Image {
  const AugmentOps* ops;
  int32_t C, H, W;
  float* pixels;
  float* spare;
  float* side;
  float* weights;
  int32_t* positions;
  float* column;       // [taps]
  const float** rows;  // [taps]
};

void apply_step(const Step& step, const DrawKey& key, Image* image);

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_IMAGE_H_
