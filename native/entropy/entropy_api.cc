// The C ABI of the entropy family: argument checks, then the backend's slot.
#include "native/entropy/entropy_ops.h"

namespace bince {

const EntropyOps* entropy_ops(Backend) {
  static const EntropyOps ops = {};
  return &ops;
}

}  // namespace bince
