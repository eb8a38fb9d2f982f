// A context's device memory, kept and handed out again: cudaMalloc takes tens of microseconds and waits for
// the device, and a training step takes the same blocks every time.
#ifndef BINCE_CORE_DEVICE_CACHE_H_
#define BINCE_CORE_DEVICE_CACHE_H_

#include <stddef.h>
#include <stdint.h>

#include <map>
#include <mutex>
#include <vector>

#include "bince.h"

namespace bince {

// Blocks by size class, in the order of one stream, bince_context_stream(context): a block that was given
// back is handed out at once, without waiting, since what the stream still does with it comes before what its
// next owner queues.  Work on a block from another stream must be ordered before that stream, by an event or
// by waiting, when the block is given back.
//
// Safe from several threads at once.  On a CPU context blocks are host memory.
class DeviceCache {
 public:
  struct Counts {
    int64_t blocks = 0;  // in use
    int64_t bytes = 0;   // in use, as allocated
    int64_t peak = 0;    // the most that were in use at a time
    int64_t cached = 0;  // kept for later
  };

  explicit DeviceCache(bince_context* context);  // which outlives the cache
  ~DeviceCache();                                // frees what is kept; blocks in use are their owners'
  DeviceCache(const DeviceCache&) = delete;
  DeviceCache& operator=(const DeviceCache&) = delete;

  // At least `bytes` bytes, 256-byte aligned (64 on the CPU); 0 bytes is a block too.  Null if memory ran out
  // even after the kept blocks were freed: bince_last_error() names the sizes, and the cache goes on working.
  void* take(size_t bytes);
  // Takes back a block of take(bytes), with the same `bytes`.  Null is nothing.
  void give(void* block, size_t bytes);
  // Frees the kept blocks, after waiting for the context's stream.
  void trim();
  Counts counts();
  void reset_peak();

 private:
  void trim_locked();

  bince_context* context_;
  std::mutex mutex_;                           // guards what follows
  std::map<size_t, std::vector<void*>> kept_;  // by the size of its class
  Counts counts_;
};

}  // namespace bince

#endif  // BINCE_CORE_DEVICE_CACHE_H_
