#include "native/cuda/cuda_plugin.h"

#include "native/coding/coding_cuda.h"
#include "native/contrastive/contrastive_ops.h"
#include "native/cuda/device_runtime.h"
#include "native/cuda/plugin_version.h"
#include "native/entropy/entropy_ops.h"

#if !defined(BINCE_CUSIM)
#include <dlfcn.h>
#endif

namespace bince {
namespace {

// CUDA 13 needs a driver of 580 or later; the runtime is part of this library.
bince_status check_driver() {
#if !defined(BINCE_CUSIM)
  // It stays open: the runtime opens it once more.
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL))
    return fail(BINCE_UNSUPPORTED,
                "no NVIDIA driver was found (libcuda.so.1); install one of version 580 or later");
#endif
  int version = 0, runtime = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaDriverGetVersion(&version), "cudaDriverGetVersion"));
  BINCE_RETURN_IF_ERROR(cuda_status(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion"));
  if (version / 1000 < runtime / 1000)
    return fail(BINCE_UNSUPPORTED,
                "the NVIDIA driver serves CUDA %d.%d, this library needs %d.0; install driver 580 or later",
                version / 1000, version % 1000 / 10, runtime / 1000);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    return fail(BINCE_UNSUPPORTED,
                "the NVIDIA driver finds no device; see nvidia-smi and CUDA_VISIBLE_DEVICES");
  return cuda_status(error, "cudaGetDeviceCount");
}

}  // namespace
}  // namespace bince

extern "C" const bince::CudaPlugin* bince_cuda_plugin(const bince::CudaHost* host) {
  using namespace bince;
  if (!host) return nullptr;
#if defined(BINCE_CUSIM)
  constexpr const char* kName = "cusim";
#else
  constexpr const char* kName = "cuda";
#endif
  static const CudaPlugin plugin = {kCudaPluginVersion,   kName,
                                    cuda_runtime_table(), &contrastive_ops_cuda(),
                                    entropy_ops_cuda(),   coding_cuda_ops()};
  if (host->version != kCudaPluginVersion) return &plugin;  // which says its version and is refused
  set_cuda_host(host);
  return check_driver() == BINCE_OK ? &plugin : nullptr;
}
