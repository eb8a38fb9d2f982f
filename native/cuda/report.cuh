// The device's side of native/core/device_report.h.
#ifndef BINCE_CUDA_REPORT_CUH_
#define BINCE_CUDA_REPORT_CUH_

#include "native/core/device_report.h"
#include "native/cuda/language.cuh"

namespace bince {

// Notes an offence; the smallest (offence, index) stays, whatever the order.
__device__ __forceinline__ void note_offence(DeviceReport* report, Offence offence, int64_t index) {
  constexpr unsigned long long kIndexes = (1ull << 48) - 1;
  const unsigned long long key =
      static_cast<unsigned long long>(offence) << 48 | (static_cast<unsigned long long>(index) & kIndexes);
  atomicMin(reinterpret_cast<unsigned long long*>(&report->first), key);
}

}  // namespace bince

#endif  // BINCE_CUDA_REPORT_CUH_
