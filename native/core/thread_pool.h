// Tasks over a fixed number of threads.
//
// Work is cut into tasks by the problem's shape alone, never by the number of threads, and partial results
// are kept per task and reduced in task order: this is what makes results independent of the thread count.
#ifndef BINCE_CORE_THREAD_POOL_H_
#define BINCE_CORE_THREAD_POOL_H_

#include <stdint.h>

namespace bince {

class ThreadPool;

// Runs task(argument, i, worker) for i in [0, count), on the calling thread and the pool's; `worker` is in
// [0, threads()), distinct among tasks that run at the same time, for per-thread scratch.  When another
// caller holds the pool the tasks run on the calling thread alone, as worker 0.  A plain function, no
// templates: SIMD files call it.
void parallel_for(ThreadPool* pool, int64_t count, void (*task)(void* argument, int64_t i, int worker),
                  void* argument);
int pool_threads(const ThreadPool* pool);

ThreadPool* create_thread_pool(int threads);
void destroy_thread_pool(ThreadPool* pool);

}  // namespace bince

#endif  // BINCE_CORE_THREAD_POOL_H_
