// Opens libbince_cuda.so on first use and keeps it.
#ifndef BINCE_CORE_CUDA_LOADER_H_
#define BINCE_CORE_CUDA_LOADER_H_

#include "native/core/ops.h"
#include "native/cuda/cuda_plugin.h"

namespace bince {

// The plugin, or null with the reason as the calling thread's last error.  The outcome of the first attempt
// is kept for the life of the process.
const CudaPlugin* cuda_plugin();

// Its operations; null as above.
const Ops* cuda_ops();

}  // namespace bince

#endif  // BINCE_CORE_CUDA_LOADER_H_
