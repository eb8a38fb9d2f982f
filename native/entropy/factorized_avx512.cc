#include "native/entropy/entropy_ops.h"
namespace bince {
EntropyOps entropy_avx512() {
  return {};
}
}  // namespace bince
