#include "test/cusim/cusim_fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace cusim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(BINCE_CUSIM_TSAN)
constexpr size_t kStackBytes = 256 * 1024;  // instrumented frames are large
#else
constexpr size_t kStackBytes = 128 * 1024;
#endif

Context* previous = nullptr;  // whom the running context was switched from
Context* arriving = nullptr;

void arrive() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(arriving->fake_stack, &previous->bottom, &previous->size);
#endif
}

#if defined(CUSIM_OWN_SWITCH)
// Pushes what the calling convention keeps, exchanges the stack pointers, and pops.
__attribute__((naked, noinline)) void exchange_stacks(void** /*from*/, void* /*to*/) {
  asm("pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
      "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
      "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\t"
      "popq %rcx\n\tjmpq *%rcx\n");  // a return would be predicted from the other stack
}
#endif

void (*fibre_entry)() = nullptr;

void begin() {
  arrive();
  fibre_entry();
  std::abort();
}

}  // namespace

void arm(Fibre& fibre, void (*entry)()) {
  fibre_entry = entry;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (!fibre.bottom) {
    void* const memory = mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
      std::perror("cusim: no memory for a fibre's stack");
      std::abort();
    }
    fibre.bottom = static_cast<char*>(memory) + page;
    // Tops at different places within their pages: at equal ones they would share a few lines of the cache.
    static size_t fibres = 0;
    fibre.size = kStackBytes - fibres++ * 320 % 4096;
  }
  fibre.fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(fibre.bottom, fibre.size);
#endif
#if defined(BINCE_CUSIM_TSAN)
  if (fibre.tsan) __tsan_destroy_fiber(fibre.tsan);
  fibre.tsan = __tsan_create_fiber(0);
#endif
#if defined(CUSIM_OWN_SWITCH)
  // Six registers and the address to return to, such that the stack is aligned as after a call.
  void** const top =
      reinterpret_cast<void**>(const_cast<char*>(static_cast<const char*>(fibre.bottom)) + fibre.size) - 8;
  for (int i = 0; i < 8; ++i) top[i] = nullptr;
  top[6] = reinterpret_cast<void*>(begin);
  fibre.stack_pointer = top;
#else
  getcontext(&fibre.registers);
  fibre.registers.uc_stack.ss_sp = const_cast<void*>(fibre.bottom);
  fibre.registers.uc_stack.ss_size = fibre.size;
  fibre.registers.uc_link = nullptr;
  makecontext(&fibre.registers, begin, 0);
#endif
}

void capture_host(Context& host) {
  host.bottom = nullptr;
  host.fake_stack = nullptr;
#if defined(BINCE_CUSIM_TSAN)
  host.tsan = __tsan_get_current_fiber();
#endif
}

void switch_context(Context& from, Context& to) {
  previous = &from;
  arriving = &to;
#if defined(BINCE_CUSIM_TSAN)
  __tsan_switch_to_fiber(to.tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
#if defined(CUSIM_OWN_SWITCH)
  exchange_stacks(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.registers, &to.registers);
#endif
  arrive();
}

}  // namespace cusim
