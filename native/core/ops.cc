#include "native/core/ops.h"

#include <cstring>
#include <string>

#include "bince.h"
#include "native/core/cpu_features.h"

namespace bince {
namespace {

constexpr const char* kNames[kBackends] = {"ref", "avx2", "avx512", "neon"};

bool runs_here(Backend backend) {
  switch (backend) {
    case Backend::kRef:
      return true;
#if defined(BINCE_X86)
    case Backend::kAvx2:
      return cpu_features().avx2;
    case Backend::kAvx512:
      return cpu_features().avx512;
#endif
#if defined(BINCE_ARM64)
    case Backend::kNeon:
      return cpu_features().neon;
#endif
    default:
      return false;
  }
}

}  // namespace

const Ops* ops_for(Backend backend) {
  struct Table {
    Ops ops[kBackends] = {};
    Table() {
      for (int b = 0; b < kBackends; ++b) {
        const Backend backend = static_cast<Backend>(b);
        if (!runs_here(backend)) continue;
        ops[b].version = kOpsVersion;
        ops[b].name = kNames[b];
        ops[b].backend = backend;
        ops[b].contrastive = contrastive_ops(backend);
        ops[b].entropy = entropy_ops(backend);
        ops[b].coding = coding_ops(backend);
        ops[b].dense = dense_ops(backend);
        ops[b].tensor = tensor_ops(backend);
        ops[b].augment = augment_ops(backend);
      }
    }
  };
  static const Table table;
  const Ops& ops = table.ops[static_cast<int>(backend)];
  return ops.name ? &ops : nullptr;
}

const Ops* best_ops() {
  for (int b = kBackends - 1; b > 0; --b)
    if (const Ops* ops = ops_for(static_cast<Backend>(b))) return ops;
  return ops_for(Backend::kRef);
}

const Ops* ops_named(const char* name) {
  for (int b = 0; b < kBackends; ++b)
    if (std::strcmp(name, kNames[b]) == 0) return ops_for(static_cast<Backend>(b));
  return nullptr;
}

}  // namespace bince

const char* bince_available_backends(void) {
  static const std::string names = [] {
    std::string joined;
    for (int b = bince::kBackends - 1; b >= 0; --b) {
      if (!bince::ops_for(static_cast<bince::Backend>(b))) continue;
      if (!joined.empty()) joined += ',';
      joined += bince::kNames[b];
    }
    return joined;
  }();
  return names.c_str();
}
