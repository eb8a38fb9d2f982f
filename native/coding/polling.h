// A look at the cancel flag every kCancelSymbols symbols.
#ifndef BINCE_CODING_POLLING_H_
#define BINCE_CODING_POLLING_H_

#include "native/coding/coding_ops.h"

namespace bince {

struct Polling {
  const int32_t* cancel;  // or null
  uint64_t symbols;       // since the last look

  // Counts `more` symbols; true once the flag was seen set.
  bool fired(uint64_t more) {
    symbols += more;
    if (symbols < kCancelSymbols || !cancel) return false;
    symbols = 0;
    return __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0;
  }
};

}  // namespace bince

#endif  // BINCE_CODING_POLLING_H_
