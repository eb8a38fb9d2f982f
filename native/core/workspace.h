// Carves a workspace into aligned pieces.  The same code sizes and fills: with a null base nothing is touched
// and bytes() says how large the workspace must be.
#ifndef BINCE_CORE_WORKSPACE_H_
#define BINCE_CORE_WORKSPACE_H_

#include <stddef.h>
#include <stdint.h>

namespace bince {

struct Workspace {
  char* base = nullptr;
  size_t used = 0;
};

static inline size_t aligned_size(size_t bytes) {
  return (bytes + 63) & ~size_t{63};
}

// 64-byte aligned room for `count` elements of `size` bytes; null while sizing.
static inline void* carve_bytes(Workspace* workspace, size_t count, size_t size) {
  char* piece = workspace->base ? workspace->base + workspace->used : nullptr;
  workspace->used += aligned_size(count * size);
  return piece;
}

}  // namespace bince

#endif  // BINCE_CORE_WORKSPACE_H_
