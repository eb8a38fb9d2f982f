// The coding family's slots of the operations table.
#ifndef BINCE_CODING_CODING_OPS_H_
#define BINCE_CODING_CODING_OPS_H_

#include "native/core/ops.h"

namespace bince {

struct CodingOps {};

}  // namespace bince

#endif  // BINCE_CODING_CODING_OPS_H_
