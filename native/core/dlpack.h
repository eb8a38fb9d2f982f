// DLPack's managed tensor (https://dmlc.github.io/dlpack, the unversioned struct of releases before 1.0,
// which frameworks still exchange), and the check of one that comes from elsewhere.
#ifndef BINCE_CORE_DLPACK_H_
#define BINCE_CORE_DLPACK_H_

#include <stddef.h>
#include <stdint.h>

#include "bince.h"

// The layout of DLManagedTensor; bince_tensor has that of DLTensor.
struct bince_dlpack {
  bince_tensor tensor;
  void* manager;
  void (*deleter)(bince_dlpack* self);  // called once by the consumer; may be null
};

namespace bince {

enum : int32_t { kDlpackCpu = 1, kDlpackCuda = 2, kDlpackCudaHost = 3, kDlpackCudaManaged = 13 };

// What a tensor of another framework holds, once it was checked.
struct DlpackView {
  void* data;           // of the first element
  bince_device device;  // pinned memory is the CPU's, managed memory the device's
  bince_dtype dtype;    // float32, int32, uint8 or bfloat16
  int32_t ndim;
  const int64_t* shape;
  size_t elements;
};

// Axes of a tensor that is taken over.
inline constexpr int32_t kDlpackMaxAxes = 32;

// BINCE_INVALID_ARGUMENT, in words, for what no tensor of bince can be: another dtype, vectors of lanes,
// strides that leave gaps, too many axes, no memory, elements that are not aligned.  BINCE_UNSUPPORTED for
// other devices.
bince_status read_dlpack(const bince_dlpack* managed, DlpackView* view);

}  // namespace bince

#endif  // BINCE_CORE_DLPACK_H_
