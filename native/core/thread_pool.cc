#include "native/core/thread_pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace bince {
namespace {

// Linux may wake a thread on the processor of the one that woke it although another is idle, and it is
// milliseconds before it parts them: a call after a pause of 20 ms or more then runs as if on one thread. So
// a worker that finds itself on the caller's processor leaves it; its affinity is as before afterwards.
int current_processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

void leave_processor(int busy) {
#if defined(__linux__)
  if (busy < 0 || busy >= CPU_SETSIZE || sched_getcpu() != busy) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(static_cast<size_t>(busy), &others);
  if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0)
    sched_setaffinity(0, sizeof(allowed), &allowed);
#else
  (void)busy;
#endif
}

}  // namespace

constexpr std::chrono::microseconds kSpinTime{100};

class ThreadPool {
 public:
  explicit ThreadPool(int threads) {
    workers_.reserve(threads - 1);
    try {
      for (int worker = 1; worker < threads; ++worker)
        workers_.emplace_back([this, worker] { serve(worker); });
    } catch (...) {  // the system gives no more threads: go on with those there are
    }
  }

  ~ThreadPool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t count, void (*task)(void*, int64_t, int), void* argument) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (count <= 1 || workers_.empty() || !owner.owns_lock()) {
      for (int64_t i = 0; i < count; ++i) task(argument, i, 0);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = task;
      argument_ = argument;
      count_ = count;
      caller_processor_ = current_processor();
      next_.store(0, std::memory_order_relaxed);
      open_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(0);
    std::unique_lock<std::mutex> lock(mutex_);
    open_ = false;  // workers that wake up from here on find nothing to do, and are not waited for
    if (active_.load(std::memory_order_relaxed) == 0) return;
    lock.unlock();
    spin([this] { return active_.load(std::memory_order_acquire) == 0; });
    lock.lock();
    done_.wait(lock, [this] { return active_.load(std::memory_order_relaxed) == 0; });
  }

 private:
  void work(int worker) {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;)
      task_(argument_, i, worker);
  }

  // Waits a little for a condition without sleeping: the calls of a training step follow each other within
  // microseconds, and waking a thread takes longer than many of them.
  template <typename Condition>
  static void spin(Condition condition) {
    const auto start = std::chrono::steady_clock::now();
    do {
      for (int i = 0; i < 32; ++i) {
        if (condition()) return;
#if defined(BINCE_X86)
        __builtin_ia32_pause();
#elif defined(BINCE_ARM64)
        __asm__ volatile("isb");  // some tens of cycles; yield is none
#endif
      }
    } while (std::chrono::steady_clock::now() - start < kSpinTime);
  }

  void serve(int worker) {
    uint64_t seen = 0;
    for (;;) {
      spin([&] { return generation_.load(std::memory_order_acquire) != seen; });
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || generation_.load(std::memory_order_relaxed) != seen; });
      if (stopping_) return;
      seen = generation_.load(std::memory_order_relaxed);
      if (!open_) continue;
      active_.fetch_add(1, std::memory_order_relaxed);
      const int busy = caller_processor_;
      lock.unlock();
      leave_processor(busy);
      work(worker);
      lock.lock();
      if (active_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex owner_;  // held by the caller whose tasks run
  std::mutex mutex_;  // guards all below but next_
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> generation_{0};  // changed under mutex_
  std::atomic<int> active_{0};           // workers inside this generation; changed under mutex_
  bool open_ = false;                    // workers may still join this generation
  bool stopping_ = false;
  void (*task_)(void*, int64_t, int) = nullptr;
  void* argument_ = nullptr;
  int64_t count_ = 0;
  int caller_processor_ = -1;
  std::atomic<int64_t> next_{0};
};

void parallel_for(ThreadPool* pool, int64_t count, void (*task)(void*, int64_t, int), void* argument) {
  pool->run(count, task, argument);
}

int pool_threads(const ThreadPool* pool) {
  return pool->threads();
}

ThreadPool* create_thread_pool(int threads) {
  return new ThreadPool(threads);
}

void destroy_thread_pool(ThreadPool* pool) {
  delete pool;
}

}  // namespace bince
