// A CUDA library that cannot run here and does not say why.
#include "native/cuda/cuda_plugin.h"

extern "C" const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost*) {
  return nullptr;
}
