// The entropy family's slots of the operations table.
#ifndef BINCE_ENTROPY_ENTROPY_OPS_H_
#define BINCE_ENTROPY_ENTROPY_OPS_H_

#include "native/core/ops.h"

namespace bince {

struct EntropyOps {};

}  // namespace bince

#endif  // BINCE_ENTROPY_ENTROPY_OPS_H_
