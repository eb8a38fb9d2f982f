// The version that the core and libbince_cuda.so must agree on.
//
// It follows the sizes of the structs that cross between them, so that a library that was left from an
// earlier build is refused; kRevision changes where a struct changes its meaning and not its size.
#ifndef BINCE_CUDA_PLUGIN_VERSION_H_
#define BINCE_CUDA_PLUGIN_VERSION_H_

#include "native/coding/coding_cuda.h"
#include "native/contrastive/contrastive_ops.h"
#include "native/core/device_report.h"
#include "native/cuda/cuda_plugin.h"
#include "native/entropy/entropy_ops.h"

namespace bince {

// FNV-1a over numbers.
template <size_t N>
constexpr uint32_t hash_of(const size_t (&numbers)[N]) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < N; ++i) hash = (hash ^ static_cast<uint32_t>(numbers[i])) * 16777619u;
  return hash;
}

inline constexpr size_t kRevision = 1;
inline constexpr size_t kCrossing[] = {kRevision,
                                       sizeof(CudaPlugin),
                                       sizeof(CudaHost),
                                       sizeof(Run),
                                       static_cast<size_t>(Offence::kOffences),
                                       sizeof(bince_cuda_info),
                                       sizeof(ContrastiveOps),
                                       sizeof(ContrastiveProblem),
                                       sizeof(ContrastiveResults),
                                       sizeof(EntropyOps),
                                       sizeof(FactorizedArgs),
                                       sizeof(GaussianArgs),
                                       sizeof(QuantilesArgs),
                                       sizeof(DeviceFormat),
                                       sizeof(EncodedPart),
                                       sizeof(DecodedPart),
                                       sizeof(EncodeBlocksCall),
                                       sizeof(DecodeBlocksCall),
                                       sizeof(StringsCall),
                                       sizeof(CodingCudaOps),
                                       sizeof(EncodeRoom),
                                       sizeof(DecodeRoom),
                                       sizeof(StringsRoom)};
inline constexpr uint32_t kCudaPluginVersion = hash_of(kCrossing);

}  // namespace bince

#endif  // BINCE_CUDA_PLUGIN_VERSION_H_
