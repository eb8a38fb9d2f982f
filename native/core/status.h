// Failures: a status code and the calling thread's message.
#ifndef BINCE_CORE_STATUS_H_
#define BINCE_CORE_STATUS_H_

#include "bince.h"

namespace bince {

// Stores the message (printf form) for bince_last_error() and returns `status`.
bince_status fail(bince_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace bince

// Returns from the enclosing function when `expression` is not BINCE_OK.
#define BINCE_RETURN_IF_ERROR(expression)                                     \
  do {                                                                        \
    const bince_status bince_status_ = (expression);                          \
    if (__builtin_expect(bince_status_ != BINCE_OK, 0)) return bince_status_; \
  } while (0)

#endif  // BINCE_CORE_STATUS_H_
