// The simulator's engine: runs a kernel's blocks one after another, each CUDA thread as a fibre, and lets the
// threads meet at barriers and warp operations.  Kernels see it through cusim.h; README.md tells how it
// works.
//
// The engine is not instrumented by ThreadSanitizer (CMakeLists.txt): what it does with its own state is no
// access of the kernel.  Accesses of kernels to memory are made in the headers, which are.
#ifndef BINCE_TEST_CUSIM_CUSIM_ENGINE_H_
#define BINCE_TEST_CUSIM_CUSIM_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#include <string>

#include "test/cusim/cusim_runtime.h"

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1)
      : x(width), y(height), z(depth) {}
};

namespace cusim {

// Where a kernel calls an operation: the default argument of each.
struct Place {
  const char* file;
  int line;
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// --- for tests ---
// 0: threads in order.  Otherwise the order of blocks and of threads between their meetings, and the bytes
// that fill shared memory, follow from it.  Begins as CUSIM_SEED, or 0.
void set_seed(uint64_t seed);
// What went wrong in the calling thread's last failed call, the planted bug that a launch met included.
const std::string& last_message();
// Switches from one simulated thread to another since the program began.
uint64_t switches();

// --- what threadIdx and its kin read ---
extern const uint3* thread_index;
extern uint3 block_index;
extern dim3 block_size, grid_size;

// --- launches ---
struct Launch {
  const char* name;
  const void* kernel;
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
  void (*body)(const void* arguments);  // runs one thread
  const void* arguments;
};
void launch(const Launch& launch);
// The runtime's part: whether the launch is one that a device takes, and what a kernel did to memory beside
// its allocations (empty: nothing).
cudaError_t check_launch(const Launch& launch);
std::string check_allocations();
void set_error(cudaError_t error, const std::string& message);

// --- what kernels call ---
void* shared_memory();
unsigned char poison();  // the byte that stands in memory nobody has written
// Ends the launch with a message in printf form.
[[noreturn]] void fail(Place place, const char* format, ...) __attribute__((format(printf, 2, 3)));

// The barrier of the block; each thread gets every thread's `value` combined.
enum class Combine : uint8_t { kNone, kCount, kAll, kAny };
int barrier(Combine combine, int value, Place place);

// An operation of a warp: `act` runs once, when every lane named in `mask` has come, over the lanes' offers.
struct Offer {
  uint64_t value;
  int64_t extra;
  uint64_t result;
};
struct Meeting {
  const char* name;
  void (*act)(Offer lanes[32], unsigned mask, Place place);
  bool orders_memory;
};
uint64_t meet(const Meeting& meeting, unsigned mask, uint64_t value, int64_t extra, Place place);

unsigned lane();
// With a seed, atomic operations and the like are points where another thread may take over.
void may_yield();
void memory_fence();

// Fails unless `bytes` bytes at `pointer` lie in the block's shared memory, aligned to `bytes`.
void check_shared(const void* pointer, size_t bytes, const char* operation, Place place);

// Asynchronous copies of the calling thread, in the order of their issue.
struct Copy {
  void* to;
  const void* from;  // null: zeros
  uint64_t group;
  Place place;
};
void queue_copy(void* to, const void* from, Place place);
void commit_copies();
// The next copy that must have happened when `still_running` groups may be under way; false if none is left.
bool next_copy(int still_running, Copy* copy);

}  // namespace cusim

#endif  // BINCE_TEST_CUSIM_CUSIM_ENGINE_H_
