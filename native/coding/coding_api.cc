// The C ABI of the coding family: argument checks, then the backend's slot.
#include "native/coding/coding_ops.h"

namespace bince {

const CodingOps* coding_ops(Backend) {
  static const CodingOps ops = {};
  return &ops;
}

}  // namespace bince
