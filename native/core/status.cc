#include "native/core/status.h"

#include <cstdarg>
#include <cstdio>

namespace {
thread_local char last_error[512] = "";
}

namespace bince {

bince_status fail(bince_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace bince

const char* bince_last_error(void) {
  return last_error;
}

const char* bince_status_name(bince_status status) {
  switch (status) {
    case BINCE_OK:
      return "BINCE_OK";
    case BINCE_INVALID_ARGUMENT:
      return "BINCE_INVALID_ARGUMENT";
    case BINCE_INVALID_VALUE:
      return "BINCE_INVALID_VALUE";
    case BINCE_CORRUPT_DATA:
      return "BINCE_CORRUPT_DATA";
    case BINCE_BUFFER_TOO_SMALL:
      return "BINCE_BUFFER_TOO_SMALL";
    case BINCE_UNSUPPORTED:
      return "BINCE_UNSUPPORTED";
    case BINCE_CANCELLED:
      return "BINCE_CANCELLED";
    case BINCE_OUT_OF_MEMORY:
      return "BINCE_OUT_OF_MEMORY";
    case BINCE_INTERNAL:
      return "BINCE_INTERNAL";
  }
  return "BINCE_UNKNOWN";
}
