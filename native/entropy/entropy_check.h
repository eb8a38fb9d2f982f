// Checks that the entropy family's calls share.
#ifndef BINCE_ENTROPY_ENTROPY_CHECK_H_
#define BINCE_ENTROPY_ENTROPY_CHECK_H_

#include "bince.h"
#include "native/entropy/entropy_ops.h"

namespace bince {

inline constexpr bince_dtype kFloat64 = {BINCE_FLOAT, 64, 1};

bince_status check_quantize(int32_t quantize);
// `given`, or `usual` where it is 0; from 1e-30 to 1.
bince_status check_floor(double given, double usual, const char* name, double* floor);
// Null data passes.
bince_status check_finite(const float* data, int64_t rows, int64_t columns, const char* name,
                          const char* row_name, const char* column_name);
bince_status check_widths(const bince_factorized_options* options, Widths* widths);
// C may be -1: any number of channels from one on.  Values are looked at on the CPU alone.
bince_status check_params(const bince_context* context, const Widths& widths, const bince_tensor* params,
                          int64_t C, const float** data);

}  // namespace bince

#endif  // BINCE_ENTROPY_ENTROPY_CHECK_H_
