#include "native/core/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace bince {

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
      next_.store(0, std::memory_order_relaxed);
      busy_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    wake_.notify_all();
    work(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void work(int worker) {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;)
      task_(argument_, i, worker);
  }

  void serve(int worker) {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      lock.unlock();
      work(worker);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex owner_;  // held by the caller whose tasks run
  std::mutex mutex_;  // guards all below but next_
  std::condition_variable wake_, done_;
  uint64_t generation_ = 0;
  bool stopping_ = false;
  int busy_ = 0;  // workers that have not finished this generation
  void (*task_)(void*, int64_t, int) = nullptr;
  void* argument_ = nullptr;
  int64_t count_ = 0;
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
