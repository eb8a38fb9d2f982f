// Copies between ordinary host memory and a device through two pinned pieces: while one is on the bus the
// host fills or empties the other, so that pageable memory moves at the speed of the bus.
#ifndef BINCE_CORE_STAGING_H_
#define BINCE_CORE_STAGING_H_

#include <stddef.h>

#include <mutex>

#include "bince.h"

namespace bince {

// On a context's own stream, bince_context_stream(context).  Safe from several threads at once: copies follow
// each other.  On a CPU context a copy is a memcpy.
class Staging {
 public:
  static constexpr size_t kPieceBytes = size_t{4} << 20;

  // The context outlives it.  Pinned memory is taken on the first copy.
  explicit Staging(bince_context* context, size_t piece_bytes = kPieceBytes);
  ~Staging();  // waits for the copies that are under way
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Queued on the stream when it returns; host_from may change then.
  bince_status copy_to_device(void* device_to, const void* host_from, size_t bytes);
  // Waits for what the stream does before; host_to is filled when it returns.
  bince_status copy_to_host(void* host_to, const void* device_from, size_t bytes);

 private:
  struct Piece {
    void* pinned = nullptr;
    void* event = nullptr;  // after the last copy from or to `pinned`
    bool busy = false;      // that copy has not been waited for
  };
  bince_status prepare();
  bince_status wait(Piece* piece);
  bince_status queue(Piece* piece, void* to, const void* from, size_t bytes, bool to_device);

  bince_context* context_;
  const size_t piece_bytes_;
  std::mutex mutex_;  // held for a whole copy
  Piece pieces_[2];
};

}  // namespace bince

#endif  // BINCE_CORE_STAGING_H_
