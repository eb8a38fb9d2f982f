// A CUDA library of another version than the core's.
#include "native/cuda/plugin_version.h"

extern "C" const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost*) {
  static const bince::CudaPlugin plugin = {
      bince::kCudaPluginVersion + 1, "newer", {}, nullptr, nullptr, nullptr};
  return &plugin;
}
