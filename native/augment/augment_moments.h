// An image's mass, centroid and covariance, and the map that brings them to standard.
#ifndef BINCE_AUGMENT_AUGMENT_MOMENTS_H_
#define BINCE_AUGMENT_AUGMENT_MOMENTS_H_

#include "native/augment/augment_draw.h"

namespace bince {

// Of the distribution of the pixel values, all channels together; a value below 0 has no mass. Places in
// pixels from the centre of the image.
struct Moments {
  double mass;
  double x, y;        // the centroid
  double xx, yy, xy;  // the covariance
};
// planes: [C][H][W]. Without mass the rest is 0.
Moments measure_moments(const float* planes, int32_t C, int32_t H, int32_t W);

// Added to both variances, in squares of half the shorter side: bounds how far specks and lines are enlarged.
inline constexpr double kLeastVariance = 1e-3;

// The map whose result has its centroid in the centre, the RMS radius `radius` (the root of half the trace of
// the covariance, in units of half the shorter side), and principal deviations in the ratio
// (s1 / s2)^(1 - anisotropy) along the same axes. It stretches along the axes and does not rotate.
InverseMap moments_map(const Moments& moments, double radius, double anisotropy, int32_t H, int32_t W);

}  // namespace bince

#endif  // BINCE_AUGMENT_AUGMENT_MOMENTS_H_
