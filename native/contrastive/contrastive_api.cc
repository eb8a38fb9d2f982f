// The C ABI of the contrastive family: argument checks, then the backend's slot.
#include "native/contrastive/contrastive_ops.h"

namespace bince {

const ContrastiveOps* contrastive_ops(Backend) {
  static const ContrastiveOps ops = {};
  return &ops;
}

}  // namespace bince
