#include "native/coding/coding_ops.h"

void bince::coding_fill_avx512(CodingOps*) {}
