// A context: the backend's operations and the threads that run them.
#ifndef BINCE_CORE_CONTEXT_H_
#define BINCE_CORE_CONTEXT_H_

#include "bince.h"
#include "native/core/ops.h"
#include "native/core/thread_pool.h"

struct bince_context {
  const bince::Ops* ops;
  bince::ThreadPool* pool;
};

namespace bince {

// Checks the launch against the workspace that the call needs and turns it into what a slot takes.
bince_status begin_run(const bince_context* context, const bince_launch* launch, size_t needed, Run* run);

}  // namespace bince

#endif  // BINCE_CORE_CONTEXT_H_
