// A batch of images through a list of steps.
#ifndef BINCE_AUGMENT_AUGMENT_RUN_H_
#define BINCE_AUGMENT_AUGMENT_RUN_H_

#include "native/augment/augment_ops.h"
#include "native/augment/augment_step.h"
#include "native/core/context.h"

namespace bince {

// Images of [height][width][channels], N = count of them, taken from `rows` that lie one after the other.
struct AugmentBatch {
  int64_t count;
  int64_t rows;
  int32_t height, width, channels;
  const uint8_t* bytes;    // [rows][height][width][channels], 255 is one; or null
  const float* floats;     // the same as numbers from 0 to 1; one of the two
  const int32_t* indexes;  // [count] which rows, or null: row n is image n
  const int32_t* keys;     // [count] the images' numbers for the random words, or null: their rows
  uint64_t seed;
  uint32_t epoch, view;
  const Step* steps;
  int32_t step_count;
  int32_t out_height, out_width;  // set by check_augment
  float* out;                     // [count][out_height][out_width][channels]
};

// Checks sizes, indexes and keys; reads the records of kStepNumbers numbers into steps[step_count].
bince_status check_augment(const double* records, Step* steps, AugmentBatch* batch);

size_t augment_workspace(const bince_context* context, const AugmentBatch& batch);

// Results depend on the batch's values alone: image n is made of row indexes[n] with words drawn for (seed,
// epoch, view, keys[n]). BINCE_INVALID_VALUE with the first row of floats that has a NaN or an infinity.
bince_status augment(const bince_context* context, const AugmentBatch& batch, const bince_launch* launch);

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_RUN_H_
