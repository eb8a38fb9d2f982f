// The devices part of the C ABI: contexts' devices, memory, copies, and what kernels reported.
#ifndef BINCE_CORE_DEVICE_H_
#define BINCE_CORE_DEVICE_H_

#include "bince.h"

namespace bince {

// BINCE_OK when CUDA is available and has a device of this index.
bince_status check_device(int32_t device);

}  // namespace bince

#endif  // BINCE_CORE_DEVICE_H_
