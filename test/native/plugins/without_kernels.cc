// A CUDA library of the right version with nothing in it.
#include "native/cuda/plugin_version.h"

extern "C" const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost*) {
  static const bince::CudaPlugin plugin = {bince::kCudaPluginVersion, "empty", {}, nullptr, nullptr, nullptr};
  return &plugin;
}
