#include "native/core/staging.h"

#include <algorithm>
#include <cstring>

#include "native/core/context.h"
#include "native/core/status.h"

namespace bince {
namespace {

// A thread's share of filling or emptying a piece: one core copies at a fraction of the bus's speed.
constexpr size_t kShareBytes = size_t{256} << 10;

struct HostCopy {
  char* to;
  const char* from;
  size_t bytes;
};

void copy_share(void* argument, int64_t share, int) {
  const HostCopy& copy = *static_cast<const HostCopy*>(argument);
  const size_t begin = static_cast<size_t>(share) * kShareBytes;
  std::memcpy(copy.to + begin, copy.from + begin, std::min(kShareBytes, copy.bytes - begin));
}

void copy_on_host(ThreadPool* pool, void* to, const void* from, size_t bytes) {
  HostCopy copy = {static_cast<char*>(to), static_cast<const char*>(from), bytes};
  parallel_for(pool, static_cast<int64_t>((bytes + kShareBytes - 1) / kShareBytes), copy_share, &copy);
}

}  // namespace

Staging::Staging(bince_context* context, size_t piece_bytes)
    : context_(context), piece_bytes_(std::max<size_t>(piece_bytes, 1)) {}

Staging::~Staging() {
  for (Piece& piece : pieces_) {
    (void)wait(&piece);
    if (piece.event) context_->cuda->destroy_event(context_->device, piece.event);
    if (piece.pinned) bince_pinned_free(context_, piece.pinned);
  }
}

bince_status Staging::prepare() {
  for (Piece& piece : pieces_) {
    if (!piece.pinned) BINCE_RETURN_IF_ERROR(bince_pinned_allocate(context_, piece_bytes_, &piece.pinned));
    if (!piece.event) BINCE_RETURN_IF_ERROR(context_->cuda->create_event(context_->device, &piece.event));
  }
  return BINCE_OK;
}

bince_status Staging::wait(Piece* piece) {
  if (!piece->busy) return BINCE_OK;
  piece->busy = false;
  return context_->cuda->synchronize_event(context_->device, piece->event);
}

bince_status Staging::queue(Piece* piece, void* to, const void* from, size_t bytes, bool to_device) {
  BINCE_RETURN_IF_ERROR(to_device ? bince_copy_to_device(context_, to, from, bytes, context_->stream)
                                  : bince_copy_to_host(context_, to, from, bytes, context_->stream));
  BINCE_RETURN_IF_ERROR(context_->cuda->record_event(context_->device, piece->event, context_->stream));
  piece->busy = true;
  return BINCE_OK;
}

bince_status Staging::copy_to_device(void* device_to, const void* host_from, size_t bytes) {
  if (!context_->cuda || bytes == 0)
    return bince_copy_to_device(context_, device_to, host_from, bytes, nullptr);
  if (!host_from) return fail(BINCE_INVALID_ARGUMENT, "from: expected a pointer, received NULL");
  const std::lock_guard<std::mutex> lock(mutex_);
  BINCE_RETURN_IF_ERROR(prepare());
  char* to = static_cast<char*>(device_to);
  const char* from = static_cast<const char*>(host_from);
  int turn = 0;
  for (size_t done = 0; done < bytes; turn ^= 1) {
    Piece& piece = pieces_[turn];
    const size_t size = std::min(piece_bytes_, bytes - done);
    BINCE_RETURN_IF_ERROR(wait(&piece));
    copy_on_host(context_->pool, piece.pinned, from + done, size);
    BINCE_RETURN_IF_ERROR(queue(&piece, to + done, piece.pinned, size, true));
    done += size;
  }
  return BINCE_OK;
}

bince_status Staging::copy_to_host(void* host_to, const void* device_from, size_t bytes) {
  if (!context_->cuda || bytes == 0)
    return bince_copy_to_host(context_, host_to, device_from, bytes, nullptr);
  if (!host_to) return fail(BINCE_INVALID_ARGUMENT, "to: expected a pointer, received NULL");
  const std::lock_guard<std::mutex> lock(mutex_);
  BINCE_RETURN_IF_ERROR(prepare());
  char* to = static_cast<char*>(host_to);
  const char* from = static_cast<const char*>(device_from);
  // Piece i is on the bus while piece i - 1 is emptied.
  const size_t count = (bytes + piece_bytes_ - 1) / piece_bytes_;
  const auto size_of = [&](size_t i) { return std::min(piece_bytes_, bytes - i * piece_bytes_); };
  for (size_t i = 0; i <= count; ++i) {
    if (i < count) {
      Piece& next = pieces_[i % 2];
      BINCE_RETURN_IF_ERROR(wait(&next));  // of an earlier copy to the device
      BINCE_RETURN_IF_ERROR(queue(&next, next.pinned, from + i * piece_bytes_, size_of(i), false));
    }
    if (i == 0) continue;
    Piece& last = pieces_[(i - 1) % 2];
    BINCE_RETURN_IF_ERROR(wait(&last));
    copy_on_host(context_->pool, to + (i - 1) * piece_bytes_, last.pinned, size_of(i - 1));
  }
  return BINCE_OK;
}

}  // namespace bince
