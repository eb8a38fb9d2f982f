// The simulated twin of native/cuda/async_copy.cuh.  A copy poisons its destination when it is issued and
// happens as late as it may, at the wait; what a kernel reads too early is poison, and what it issues too
// early destroys what others still read.  A copy that is still under way when its thread exits is an error.
#ifndef BINCE_TEST_CUSIM_CUSIM_ASYNC_COPY_H_
#define BINCE_TEST_CUSIM_CUSIM_ASYNC_COPY_H_

#include "test/cusim/cusim.h"

namespace bince {

inline void copy_async_16(void* shared, const void* global, bool valid,
                          cusim::Place place = cusim::Place::here()) {
  cusim::check_shared(shared, 16, "copy_async_16", place);
  if (reinterpret_cast<uintptr_t>(global) % 16)
    cusim::fail(place, "copy_async_16: a global address that is not aligned to 16 bytes");
  const unsigned fill = cusim::poison() * 0x01010101u;
  *static_cast<uint4*>(shared) = {fill, fill, fill, fill};
  cusim::queue_copy(shared, valid ? global : nullptr, place);
}

inline void commit_copies() {
  cusim::commit_copies();
}

template <int kStillRunning>
void wait_for_copies() {
  cusim::may_yield();
  for (cusim::Copy copy; cusim::next_copy(kStillRunning, &copy);)
    *static_cast<uint4*>(copy.to) = copy.from ? *static_cast<const uint4*>(copy.from) : uint4{0, 0, 0, 0};
}

}  // namespace bince

#endif  // BINCE_TEST_CUSIM_CUSIM_ASYNC_COPY_H_
