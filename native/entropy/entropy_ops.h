// The entropy family's slots of the operations table.
//
// Dimensions: N rows, C channels, I = inner elements a channel and row; x lies as (N, C, I), row-major.
#ifndef BINCE_ENTROPY_ENTROPY_OPS_H_
#define BINCE_ENTROPY_ENTROPY_OPS_H_

#include "bince.h"
#include "native/core/ops.h"
#include "native/entropy/widths.h"

namespace bince {

// Values are clamped here before the network sees them: beyond it y - 1/2 and y + 1/2 are the same float32,
// the likelihood is zero, and larger values could only overflow.
inline constexpr float kLargestValue = 16777216.0f;

// e^log_gain as every backend uses it: rounded once, from double.
float gain_of(float log_gain);

// One call of the factorised model.  Outputs may be null.  dx, dparams, dlog_gain and dshift belong to the
// backward slot alone.
struct FactorizedArgs {
  int64_t N, C, I;
  Widths widths;
  int32_t quantize;  // bince_quantize
  uint64_t seed;
  uint64_t first_row;
  double floor;
  double dbits;
  const float* x;              // [N][C][I], or null:
  const uint16_t* x_bfloat16;  // [N][C][I]
  const float* params;         // [P][C]
  const float* log_gain;       // [C] or null
  const float* shift;          // [C] or null
  const float* medians;        // [C] or null
  const float* dbits_per_row;  // [N] or null
  const float* dlikelihood;    // [N][C][I] or null
  double* bits;                // [1]
  float* bits_per_row;         // [N]
  float* likelihood;           // [N][C][I]
  float* values;               // [N][C][I] the values whose likelihood is taken
  float* dx;                   // [N][C][I]
  float* dparams;              // [P][C]
  float* dlog_gain;            // [C]
  float* dshift;               // [C]
};

// x[at], widened where it is bfloat16.
static inline float x_at(const FactorizedArgs& args, int64_t at) {
  if (args.x) return args.x[at];
  const uint32_t bits = static_cast<uint32_t>(args.x_bfloat16[at]) << 16;
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// One call of the Gaussian conditional: as above with a mean and a scale for every element.  T elements in N
// rows of J.
struct GaussianArgs {
  int64_t N, J;
  int32_t quantize;
  uint64_t seed;
  uint64_t first_row;
  double floor;
  double scale_bound;
  double dbits;
  const float* y;              // [N][J]
  const float* mean;           // [N][J] or null: 0
  const float* scale;          // [N][J]
  const float* dbits_per_row;  // [N] or null
  const float* dlikelihood;    // [N][J] or null
  double* bits;                // [1]
  float* bits_per_row;         // [N]
  float* likelihood;           // [N][J]
  float* values;               // [N][J]
  float* dy;                   // [N][J]
  float* dmean;                // [N][J]
  float* dscale;               // [N][J]
};

// What a slot found; the C ABI turns it into a status and looks for the place.  CUDA finds values later, by
// its report; kFailed: the call has failed, and the message is set.
enum class Outcome { kDone, kCancelled, kNotFinite, kFailed };

// One quantile solve: F(quantiles[c][k]) = (k - 1) * target.
struct QuantilesArgs {
  int64_t C;
  Widths widths;
  double target;
  const float* params;  // [P][C]
  float* quantiles;     // [C][3]
  int32_t* unsolved;    // [C] or null
};

struct EntropyOps {
  // The same workspace serves forward and backward.
  size_t (*factorized_workspace)(const FactorizedArgs& args, bool backward);
  Outcome (*factorized_forward)(const FactorizedArgs& args, const Run& run);
  Outcome (*factorized_backward)(const FactorizedArgs& args, const Run& run);
  size_t (*gaussian_workspace)(const GaussianArgs& args);
  // Forward where dy, dmean and dscale are null.
  Outcome (*gaussian)(const GaussianArgs& args, const Run& run);
  // Noise of rows first_row .. first_row + rows - 1, [rows][columns].
  Outcome (*uniform_noise)(uint64_t seed, uint64_t first_row, int64_t rows, int64_t columns, float* noise,
                           const Run& run);
  Outcome (*quantiles)(const QuantilesArgs& args, const Run& run);
};

// Slots of the targets; a null slot takes the next slower backend's.
EntropyOps entropy_ref();
#if defined(BINCE_X86)
EntropyOps entropy_avx2();
EntropyOps entropy_avx512();
#endif
#if defined(BINCE_ARM64)
EntropyOps entropy_neon();
#endif
const EntropyOps* entropy_ops_cuda();  // in libbince_cuda.so

}  // namespace bince

#endif  // BINCE_ENTROPY_ENTROPY_OPS_H_
