// A context: the backend's operations and the threads that run them.
#ifndef BINCE_CORE_CONTEXT_H_
#define BINCE_CORE_CONTEXT_H_

#include "bince.h"
#include "native/core/ops.h"
#include "native/core/thread_pool.h"
#include "native/cuda/cuda_plugin.h"

struct bince_context {
  const bince::Ops* ops;
  bince::ThreadPool* pool;
  const bince::CudaRuntime* cuda = nullptr;  // null on the CPU
  int32_t device = 0;                        // of CUDA
  void* stream = nullptr;                    // the context's own, of CUDA
};

namespace bince {

// Bytes of the workspace of a call whose slot asks for `needed`: on CUDA a DeviceReport comes first.
size_t workspace_bytes(const bince_context* context, size_t needed);

// Checks the launch against the workspace that the slot needs (without the report) and turns it into what a
// slot takes.  On CUDA it also queues the clearing of the report.
bince_status begin_run(const bince_context* context, const bince_launch* launch, size_t needed, Run* run);

// BINCE_UNSUPPORTED, with the names of the call and of the context's backend.
bince_status unsupported_call(const bince_context* context, const char* call);

// The first line of a call that runs on the CPU alone: a context is there, and it is no CUDA context.
bince_status needs_cpu(const bince_context* context, const char* call);

}  // namespace bince

#endif  // BINCE_CORE_CONTEXT_H_
