#include "test/cusim/cusim_engine.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "test/cusim/cusim_fibre.h"

namespace cusim {

const uint3* thread_index;
uint3 block_index;
dim3 block_size, grid_size;

namespace {

constexpr unsigned kWarp = 32;
constexpr size_t kCanaryBytes = 128;
constexpr unsigned char kCanary = 0xc3;

enum class State : uint8_t { kReady, kAtBarrier, kInWarp, kDone };

// Why a launch failed.  No string: fibres that fail are abandoned, and would leave its memory behind.
struct Failure {
  char text[4000] = "";
  size_t length = 0;

  explicit operator bool() const { return length != 0; }
  void clear() { text[length = 0] = 0; }
  void add(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    va_list arguments;
    va_start(arguments, format);
    add_list(format, arguments);
    va_end(arguments);
  }
  void add_list(const char* format, va_list arguments) {
    const int added = std::vsnprintf(text + length, sizeof text - length, format, arguments);
    length = std::min(sizeof text - 1, length + static_cast<size_t>(std::max(added, 0)));
  }
};

// A thread of the running block.
struct Thread {
  uint3 index;
  unsigned id;
  Fibre* fibre;
  State state;
  Place place;             // of the operation it waits in
  const Meeting* meeting;  // of the warp operation
  unsigned mask;
};

struct Warp {
  unsigned ready, waiting, gone;  // lanes that can run, wait in a warp operation, have exited or never were
  uint8_t meetings[kWarp];        // completed meetings by the lowest lane of their mask
  char order[kWarp][2];           // addresses for ThreadSanitizer
  Offer offers[kWarp];
};

struct Engine {
  std::mutex running;  // one launch at a time
  const Launch* launch = nullptr;
  Context host;
  std::vector<std::unique_ptr<Fibre>> fibres;
  std::vector<Thread> threads;
  Warp warps[kWarp];
  Thread* current = nullptr;
  unsigned count = 0, ready_warps = 0, at_barrier = 0, done = 0, barriers = 0;
  int predicates = 0, predicates_of[2] = {0, 0};  // true ones at this barrier, and at the last two
  std::vector<unsigned char> memory;              // canary, shared memory, canary
  unsigned char* shared = nullptr;
  uint64_t random = 0, switches = 0;
  Failure failure;
  char launch_order, exit_order, barrier_order[2], fence_order;  // addresses for ThreadSanitizer
};

Engine& engine() {
  static Engine* const instance = new Engine;  // kernels may run until the process ends
  return *instance;
}
Engine& E = engine();

uint64_t first_seed() {
  const char* text = std::getenv("CUSIM_SEED");
  return text ? std::strtoull(text, nullptr, 0) : 0;
}
uint64_t seed = first_seed();

uint64_t random_bits() {  // xorshift64
  E.random ^= E.random << 13;
  E.random ^= E.random >> 7;
  return E.random ^= E.random << 17;
}

// One of the bits that are set.
unsigned pick(unsigned bits) {
  if (!E.random || !(bits & (bits - 1))) return static_cast<unsigned>(__builtin_ctz(bits));
  const unsigned turn = random_bits() >> 40 & 31u;
  const unsigned turned = bits >> turn | bits << (-turn & 31u);
  return (static_cast<unsigned>(__builtin_ctz(turned)) + turn) & 31u;
}

void make_ready(Thread& thread) {
  thread.state = State::kReady;
  E.warps[thread.id / kWarp].ready |= 1u << thread.id % kWarp;
  E.ready_warps |= 1u << thread.id / kWarp;
}

void make_unready(Thread& thread, State state) {
  thread.state = state;
  Warp& warp = E.warps[thread.id / kWarp];
  warp.ready &= ~(1u << thread.id % kWarp);
  if (!warp.ready) E.ready_warps &= ~(1u << thread.id / kWarp);
}

void add_place(Place place) {
  E.failure.add("%s:%d", place.file, place.line);
}

void add_name(const Thread& thread) {
  E.failure.add("thread (%u,%u,%u) of block (%u,%u,%u)", thread.index.x, thread.index.y, thread.index.z,
                block_index.x, block_index.y, block_index.z);
}

// Where the threads are, those at one place together.
void add_whereabouts() {
  const auto equal = [](const Thread& a, const Thread& b) {
    if (a.state != b.state) return false;
    if (a.state == State::kDone || a.state == State::kReady) return true;
    return a.place.line == b.place.line && a.mask == b.mask && a.meeting == b.meeting;
  };
  for (unsigned i = 0, end; i < E.count; i = end) {
    const Thread& first = E.threads[i];
    for (end = i + 1; end < E.count && equal(first, E.threads[end]);) ++end;
    E.failure.add("\n  threads %u-%u: ", i, end - 1);
    if (first.state == State::kReady) E.failure.add("running");
    if (first.state == State::kDone) E.failure.add("exited");
    if (first.state == State::kAtBarrier) E.failure.add("__syncthreads at ");
    if (first.state == State::kInWarp)
      E.failure.add("%s with mask %08x at ", first.meeting->name, first.mask);
    if (first.state == State::kAtBarrier || first.state == State::kInWarp) add_place(first.place);
  }
}

void switch_from(Context& from, Context& to) {
  ++E.switches;
  switch_context(from, to);
}

// Ends the launch.
[[noreturn]] void stop() {
  switch_from(*E.current->fibre, E.host);  // for good: the fibre is made anew
  std::abort();
}

[[noreturn]] void stop_with_whereabouts(const char* message) {
  E.failure.add("%s", message);
  add_whereabouts();
  stop();
}

[[noreturn]] void stop_deadlock() {
  for (unsigned i = 0; i < E.count; ++i) {
    const Thread& thread = E.threads[i];
    const unsigned missing = thread.mask & E.warps[i / kWarp].gone;
    if (thread.state != State::kInWarp || !missing) continue;
    E.failure.add("%s: the mask names lane %d, which has exited", thread.meeting->name,
                  __builtin_ctz(missing));
    stop_with_whereabouts("");
  }
  if (E.at_barrier && E.at_barrier + E.done == E.count)
    stop_with_whereabouts("__syncthreads after some threads have exited");
  stop_with_whereabouts("deadlock");
}

void release_barrier() {
  const Thread* first = nullptr;
  for (unsigned i = 0; i < E.count; ++i) {
    Thread& thread = E.threads[i];
    if (!first) first = &thread;
    if (thread.place.line != first->place.line || std::strcmp(thread.place.file, first->place.file) != 0)
      stop_with_whereabouts("threads wait at different __syncthreads");
  }
  for (unsigned i = 0; i < E.count; ++i) make_ready(E.threads[i]);
  E.predicates_of[E.barriers & 1] = E.predicates;
  E.predicates = 0;
  E.at_barrier = 0;
  ++E.barriers;
}

// Who runs next; null when the block is done.
Thread* next_thread() {
  if (!E.ready_warps) {
    if (E.done == E.count) return nullptr;
    if (E.at_barrier != E.count) stop_deadlock();
    release_barrier();
  }
  unsigned warp = E.current ? E.current->id / kWarp : 0;
  if (E.random || !E.warps[warp].ready) warp = pick(E.ready_warps);
  return &E.threads[warp * kWarp + pick(E.warps[warp].ready)];
}

void enter(Thread& thread) {
  E.current = &thread;
  thread_index = &thread.index;
}

// The calling thread gives way.
void give_way() {
  Thread& self = *E.current;
  Thread* const next = next_thread();
  if (next == &self) return;
  if (!next) {
    switch_from(*self.fibre, E.host);
  } else {
    enter(*next);
    switch_from(*self.fibre, *next->fibre);
  }
}

// Runs threads of blocks, one after another, until the process ends.
void fibre_main() {
  for (;;) {
    tsan_acquire(&E.launch_order);
    E.launch->body(E.launch->arguments);
    Thread& self = *E.current;
    Fibre& fibre = *self.fibre;
    if (fibre.first_copy < fibre.copies.size())
      fail(fibre.copies[fibre.first_copy].place,
           "an asynchronous copy is still under way when its thread exits; it was issued");
    tsan_release(&E.exit_order);
    make_unready(self, State::kDone);
    E.warps[self.id / kWarp].gone |= 1u << self.id % kWarp;
    ++E.done;
    give_way();
  }
}

void prepare_fibres() {
  while (E.fibres.size() < E.count) {
    E.fibres.push_back(std::make_unique<Fibre>());
    arm(*E.fibres.back(), fibre_main);
  }
  if (E.threads.size() < E.count) E.threads.resize(E.count);
}

void prepare_shared(size_t bytes) {
  const TsanIgnore ignore;
  asan_unpoison(E.memory.data(), E.memory.size());
  const unsigned char fill = poison();
#if defined(BINCE_CUSIM_TSAN)
  E.memory = std::vector<unsigned char>();  // fresh memory, which no thread of another block has used
#endif
  E.memory.assign(bytes + 3 * kCanaryBytes, fill);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(E.memory.data()) + 2 * kCanaryBytes - 1;
  E.shared = reinterpret_cast<unsigned char*>(begin & ~(kCanaryBytes - 1));
  std::memset(E.shared - kCanaryBytes, kCanary, kCanaryBytes);
  std::memset(E.shared + bytes, kCanary, kCanaryBytes);
  asan_poison(E.shared - kCanaryBytes, kCanaryBytes);
  asan_poison(E.shared + bytes, kCanaryBytes);
}

void check_canaries(size_t bytes) {
  asan_unpoison(E.shared - kCanaryBytes, kCanaryBytes);
  asan_unpoison(E.shared + bytes, kCanaryBytes);
  for (size_t i = 0; i < kCanaryBytes; ++i) {
    const bool before = E.shared[-1 - static_cast<ptrdiff_t>(i)] != kCanary;
    if (!before && E.shared[bytes + i] == kCanary) continue;
    E.failure.add("block (%u,%u,%u) wrote %zu bytes %s the %zu bytes of its shared memory", block_index.x,
                  block_index.y, block_index.z, before ? i + 1 : i, before ? "before" : "behind", bytes);
    return;
  }
}

void prepare_block(const Launch& launch, unsigned rotation) {
  const unsigned warps = (E.count + kWarp - 1) / kWarp;
  for (unsigned w = 0; w < warps; ++w) {
    const unsigned lanes = std::min(kWarp, E.count - w * kWarp);
    const unsigned present = lanes == kWarp ? ~0u : (1u << lanes) - 1;
    E.warps[w].ready = present;
    E.warps[w].waiting = 0;
    E.warps[w].gone = ~present;
    std::memset(E.warps[w].meetings, 0, sizeof E.warps[w].meetings);
  }
  E.ready_warps = warps == kWarp ? ~0u : (1u << warps) - 1;
  E.at_barrier = E.done = E.barriers = 0;
  E.predicates = 0;
  for (unsigned i = 0; i < E.count; ++i) {
    Thread& thread = E.threads[i];
    const unsigned x = launch.block.x, y = launch.block.y;
    thread.index = {i % x, i / x % y, i / (x * y)};
    thread.id = i;
    // Another fibre in the next block: ThreadSanitizer takes equal threads of two blocks for two threads.
    thread.fibre = E.fibres[(i + rotation) % E.count].get();
    thread.fibre->copies.clear();
    thread.fibre->first_copy = 0;
    thread.fibre->groups = 0;
    thread.state = State::kReady;
    thread.place = {"", 0};
    thread.meeting = nullptr;
    thread.mask = 0;
  }
  prepare_shared(launch.shared_bytes);
}

void run_block(const Launch& launch, unsigned rotation) {
  prepare_block(launch, rotation);
  E.current = nullptr;
  Thread* const first = next_thread();
  enter(*first);
  switch_from(E.host, *first->fibre);
  if (!E.failure) {
    check_canaries(launch.shared_bytes);
    return;
  }
  asan_unpoison(E.memory.data(), E.memory.size());
  for (auto& fibre : E.fibres) {  // what ran on them is abandoned
    tsan_release_as(*fibre, E.host, &E.exit_order);
    arm(*fibre, fibre_main);
  }
}

void run_grid(const Launch& launch) {
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  // With a seed, blocks in another order: first + i * stride for a stride that is prime to their number.
  uint64_t first = 0, stride = 1;
  if (E.random) {
    first = random_bits() % blocks;
    const auto common = [](uint64_t a, uint64_t b) {
      while (b) std::swap(a %= b, b);
      return a;
    };
    do stride = random_bits() % blocks + 1;
    while (common(stride, blocks) != 1);
  }
  uint64_t block = first;
  for (uint64_t i = 0; i < blocks && !E.failure; ++i) {
    const uint64_t x = launch.grid.x, y = launch.grid.y;
    block_index = {static_cast<unsigned>(block % x), static_cast<unsigned>(block / x % y),
                   static_cast<unsigned>(block / (x * y))};
    run_block(launch, static_cast<unsigned>(i % E.count));
    block = (block + stride) % blocks;
  }
}

}  // namespace

void set_seed(uint64_t value) {
  const std::lock_guard<std::mutex> lock(E.running);
  seed = value;
}

uint64_t switches() {
  return E.switches;
}

void launch(const Launch& launch) {
  if (check_launch(launch) != cudaSuccess) return;
  const std::lock_guard<std::mutex> lock(E.running);
  E.launch = &launch;
  E.count = launch.block.x * launch.block.y * launch.block.z;
  E.random = seed * 0x9e3779b97f4a7c15ull;
  E.failure.clear();
  block_size = launch.block;
  grid_size = launch.grid;
  capture_host(E.host);
  prepare_fibres();
  tsan_release(&E.launch_order);
  run_grid(launch);
  tsan_acquire(&E.exit_order);
  std::string message = E.failure.text;
  if (message.empty()) message = check_allocations();
  if (!message.empty()) set_error(cudaErrorLaunchFailure, std::string(launch.name) + ": " + message);
}

void* shared_memory() {
  return E.shared;
}

unsigned char poison() {
  // Not a number, a huge number, a tiny one.
  constexpr unsigned char kFills[] = {0xff, 0x7f, 0xa5};
  return kFills[seed % 3];
}

void fail(Place place, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  E.failure.add_list(format, arguments);
  va_end(arguments);
  E.failure.add(", at ");
  add_place(place);
  E.failure.add(", in ");
  add_name(*E.current);
  stop();
}

int barrier(Combine combine, int value, Place place) {
  Thread& self = *E.current;
  self.place = place;
  const unsigned turn = E.barriers & 1;
  E.predicates += value != 0;
  ++E.at_barrier;
  make_unready(self, State::kAtBarrier);
  tsan_release(&E.barrier_order[turn]);
  give_way();
  tsan_acquire(&E.barrier_order[turn]);
  const int count = E.predicates_of[turn];
  if (combine == Combine::kAll) return count == static_cast<int>(E.count);
  if (combine == Combine::kAny) return count != 0;
  return count;
}

uint64_t meet(const Meeting& meeting, unsigned mask, uint64_t value, int64_t extra, Place place) {
  Thread& self = *E.current;
  Warp& warp = E.warps[self.id / kWarp];
  const unsigned bit = 1u << self.id % kWarp;
  if (!(mask & bit)) fail(place, "%s: the mask does not name the calling lane", meeting.name);
  if (mask & warp.gone)
    fail(place, "%s: the mask names lane %d, which has exited or is not in the block", meeting.name,
         __builtin_ctz(mask & warp.gone));
  self.place = place;
  self.meeting = &meeting;
  self.mask = mask;
  const unsigned own = self.id % kWarp;
  warp.offers[own] = {value, extra, 0};
  const unsigned lowest = static_cast<unsigned>(__builtin_ctz(mask));
  char* const order = &warp.order[lowest][warp.meetings[lowest] & 1];
  if (meeting.orders_memory) tsan_release(order);
  warp.waiting |= bit;
  if ((warp.waiting & mask) != mask) {
    make_unready(self, State::kInWarp);
    give_way();
  } else {
    Thread* const threads = &self - own;
    for (unsigned bits = mask; bits; bits &= bits - 1) {
      Thread& other = threads[__builtin_ctz(bits)];
      other.state = State::kReady;
      if (other.meeting == &meeting && other.mask == mask && other.place.line == place.line &&
          other.place.file == place.file)
        continue;
      for (unsigned all = mask; all; all &= all - 1) threads[__builtin_ctz(all)].state = State::kInWarp;
      stop_with_whereabouts("divergent warp operation");
    }
    meeting.act(warp.offers, mask, place);
    ++warp.meetings[lowest];
    warp.waiting &= ~mask;
    warp.ready |= mask;
    E.ready_warps |= 1u << self.id / kWarp;
    if (E.random) give_way();
  }
  if (meeting.orders_memory) tsan_acquire(order);
  return warp.offers[own].result;
}

unsigned lane() {
  return E.current->id % kWarp;
}

void may_yield() {
  if (E.random && (random_bits() & 3) == 0) give_way();
}

void memory_fence() {
  tsan_release(&E.fence_order);
  may_yield();
  tsan_acquire(&E.fence_order);
}

void check_shared(const void* pointer, size_t bytes, const char* operation, Place place) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(E.shared);
  const long offset = static_cast<long>(address - begin);
  if (address % bytes)
    fail(place, "%s: an address that is not aligned, shared memory %+ld", operation, offset);
  if (address < begin || address + bytes > begin + E.launch->shared_bytes)
    fail(place, "%s: an address outside of the shared memory, %+ld of %zu", operation, offset,
         E.launch->shared_bytes);
}

void queue_copy(void* to, const void* from, Place place) {
  Fibre& fibre = *E.current->fibre;
  if (fibre.first_copy == fibre.copies.size()) {
    fibre.copies.clear();
    fibre.first_copy = 0;
  }
  const TsanIgnore ignore;  // the memory of the queue is not the thread's
  fibre.copies.push_back({to, from, fibre.groups, place});
}

void commit_copies() {
  ++E.current->fibre->groups;
}

bool next_copy(int still_running, Copy* copy) {
  Fibre& fibre = *E.current->fibre;
  if (fibre.first_copy == fibre.copies.size()) return false;
  const Copy& next = fibre.copies[fibre.first_copy];
  if (next.group + static_cast<uint64_t>(still_running) >= fibre.groups) return false;
  *copy = next;
  ++fibre.first_copy;
  return true;
}

}  // namespace cusim
