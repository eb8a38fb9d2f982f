// Fibres: stacks that a thread switches between, known to AddressSanitizer and ThreadSanitizer.
#ifndef BINCE_TEST_CUSIM_CUSIM_FIBRE_H_
#define BINCE_TEST_CUSIM_CUSIM_FIBRE_H_

#include <stddef.h>

#include <vector>

#include "test/cusim/cusim_engine.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if defined(BINCE_CUSIM_TSAN)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif
#if defined(__x86_64__) && !defined(CUSIM_UCONTEXT)
#define CUSIM_OWN_SWITCH
#else
#include <ucontext.h>
#endif

namespace cusim {

// Something that can be switched to: the host's thread or a fibre.
struct Context {
#if defined(CUSIM_OWN_SWITCH)
  void* stack_pointer = nullptr;
#else
  ucontext_t registers;
#endif
  const void* bottom = nullptr;
  size_t size = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* tsan = nullptr;
};

struct Fibre : Context {
  std::vector<Copy> copies;  // asynchronous copies; those before first_copy have happened
  size_t first_copy = 0;
  uint64_t groups = 0;  // that were closed
};

// Lets `fibre` begin with entry(), which never returns.  Makes its stack, with a guard page below, at first.
void arm(Fibre& fibre, void (*entry)());
// Makes `host` stand for the calling thread.
void capture_host(Context& host);
void switch_context(Context& from, Context& to);

#if defined(__SANITIZE_ADDRESS__)
inline void asan_poison(const void* pointer, size_t bytes) {
  __asan_poison_memory_region(pointer, bytes);
}
inline void asan_unpoison(const void* pointer, size_t bytes) {
  __asan_unpoison_memory_region(pointer, bytes);
}
#else
inline void asan_poison(const void*, size_t) {}
inline void asan_unpoison(const void*, size_t) {}
#endif

#if defined(BINCE_CUSIM_TSAN)
inline void tsan_acquire(void* object) {
  __tsan_acquire(object);
}
inline void tsan_release(void* object) {
  __tsan_release(object);
}
// Releases what `fibre` has done, which will not run again.
inline void tsan_release_as(const Context& fibre, const Context& host, void* object) {
  __tsan_switch_to_fiber(fibre.tsan, __tsan_switch_to_fiber_no_sync);
  __tsan_release(object);
  __tsan_switch_to_fiber(host.tsan, __tsan_switch_to_fiber_no_sync);
}
// While it lives, the calling thread's accesses are not looked at, and new memory is nobody's.
struct TsanIgnore {
  TsanIgnore() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~TsanIgnore() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
};
#else
inline void tsan_acquire(void*) {}
inline void tsan_release(void*) {}
inline void tsan_release_as(const Context&, const Context&, void*) {}
struct TsanIgnore {
  TsanIgnore() {}
  ~TsanIgnore() {}
};
#endif

}  // namespace cusim

#endif  // BINCE_TEST_CUSIM_CUSIM_FIBRE_H_
