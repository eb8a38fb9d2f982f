// A CUDA library that cannot run here and says why.
#include "native/cuda/cuda_plugin.h"

extern "C" const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost* host) {
  host->fail(BINCE_UNSUPPORTED, "the device is on holiday");
  return nullptr;
}
