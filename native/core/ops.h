// The operations table: a backend fills one struct of function pointers a family.
//
// A slot takes arguments that the C ABI's checks have already accepted: plain pointers, sizes and options.
// Slots are filled from the file of their target (infonce_ref.cc, infonce_avx512.cc); a table takes the slots
// it lacks from the next slower backend, which is said at the slot with "optional".
#ifndef BINCE_CORE_OPS_H_
#define BINCE_CORE_OPS_H_

#include <stddef.h>
#include <stdint.h>

namespace bince {

class ThreadPool;
struct ContrastiveOps;  // native/contrastive/contrastive_ops.h
struct EntropyOps;      // native/entropy/entropy_ops.h
struct CodingOps;       // native/coding/coding_ops.h
struct DenseOps;        // native/dense/dense_ops.h
struct TensorOps;       // native/tensor/tensor_ops.h
struct AugmentOps;      // native/augment/augment_ops.h
struct DeviceReport;    // native/core/device_report.h

inline constexpr uint32_t kOpsVersion = 1;

// CPU backends in order of preference, slowest first (a processor has those of its own architecture), and
// CUDA, which is chosen by name alone.
enum class Backend { kRef = 0, kAvx2 = 1, kAvx512 = 2, kNeon = 3, kCuda = 4 };
inline constexpr int kBackends = 4;  // of the CPU

struct Ops {
  uint32_t version;
  const char* name;
  Backend backend;
  const ContrastiveOps* contrastive;
  const EntropyOps* entropy;
  const CodingOps* coding;
  const DenseOps* dense;
  const TensorOps* tensor;
  const AugmentOps* augment;  // dense, tensor and augment work on host memory: CUDA has those of the CPU
};

// What every slot gets besides its own arguments.
struct Run {
  ThreadPool* pool;
  char* workspace;        // 64-byte aligned, as large as the family's workspace function said
  const int32_t* cancel;  // may be null
  // CUDA alone.  The workspace is then device memory and begins with a DeviceReport, already cleared, that is
  // not part of `workspace`'s carving: slots find it at `report` and carve from `workspace`.
  void* stream = nullptr;
  int32_t device = 0;
  DeviceReport* report = nullptr;
};

static inline bool cancelled(const Run& run) {
  return run.cancel && __atomic_load_n(run.cancel, __ATOMIC_RELAXED) != 0;
}

// The table of a backend, or null when this build or this machine lacks it.
const Ops* ops_for(Backend backend);
const Ops* best_ops();
const Ops* ops_named(const char* name);

// Each family's own table by backend; filled in native/<family>/<family>_api.cc.
const ContrastiveOps* contrastive_ops(Backend backend);
const EntropyOps* entropy_ops(Backend backend);
const CodingOps* coding_ops(Backend backend);
const DenseOps* dense_ops(Backend backend);
const TensorOps* tensor_ops(Backend backend);
const AugmentOps* augment_ops(Backend backend);

}  // namespace bince

#endif  // BINCE_CORE_OPS_H_
