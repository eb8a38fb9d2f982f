#include "native/entropy/entropy_ops.h"
namespace bince {
EntropyOps entropy_avx2() {
  return {};
}
}  // namespace bince
