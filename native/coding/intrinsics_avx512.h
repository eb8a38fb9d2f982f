// The intrinsics of AVX-512, without warnings of theirs.
#ifndef BINCE_CODING_INTRINSICS_AVX512_H_
#define BINCE_CODING_INTRINSICS_AVX512_H_

// GCC 12's own header starts results from a variable that it does not set.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#endif  // BINCE_CODING_INTRINSICS_AVX512_H_
