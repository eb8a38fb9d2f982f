// The contrastive family's slots of the operations table.
#ifndef BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_
#define BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_

#include "native/core/ops.h"

namespace bince {

struct ContrastiveOps {};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_
