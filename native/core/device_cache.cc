#include "native/core/device_cache.h"

#include <algorithm>
#include <string>

#include "native/core/context.h"
#include "native/core/status.h"

namespace bince {
namespace {

// Sizes are rounded so that nearly equal ones share blocks: to 512 bytes, the runtime's own grain, below 4
// KB, else to an eighth of the power of two beneath.
size_t class_size(size_t bytes) {
  constexpr size_t kGrain = 512, kFine = 4096;
  if (bytes <= kGrain) return kGrain;
  if (bytes <= kFine) return (bytes + kGrain - 1) / kGrain * kGrain;
  if (bytes > PTRDIFF_MAX / 2) return bytes;  // which no device has: the allocation says so
  size_t power = kFine;
  while (power * 2 <= bytes) power *= 2;
  const size_t grain = power / 8;
  return (bytes + grain - 1) / grain * grain;
}

}  // namespace

DeviceCache::DeviceCache(bince_context* context) : context_(context) {}

DeviceCache::~DeviceCache() {
  trim();
}

void* DeviceCache::take(size_t bytes) {
  const size_t size = class_size(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = nullptr;
  const auto kept = kept_.find(size);
  if (kept != kept_.end() && !kept->second.empty()) {
    block = kept->second.back();
    kept->second.pop_back();
    counts_.cached -= static_cast<int64_t>(size);
  } else {
    bince_status status = bince_device_allocate(context_, size, &block);
    if (status == BINCE_OUT_OF_MEMORY && counts_.cached > 0) {
      trim_locked();
      status = bince_device_allocate(context_, size, &block);
    }
    if (status != BINCE_OK) {
      const std::string reason = bince_last_error();
      fail(status, "%s; %lld bytes are in use by %lld others of this context", reason.c_str(),
           static_cast<long long>(counts_.bytes), static_cast<long long>(counts_.blocks));
      return nullptr;
    }
  }
  counts_.blocks += 1;
  counts_.bytes += static_cast<int64_t>(size);
  counts_.peak = std::max(counts_.peak, counts_.bytes);
  return block;
}

void DeviceCache::give(void* block, size_t bytes) {
  if (!block) return;
  const size_t size = class_size(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  counts_.blocks -= 1;
  counts_.bytes -= static_cast<int64_t>(size);
  kept_[size].push_back(block);
  counts_.cached += static_cast<int64_t>(size);
}

void DeviceCache::trim_locked() {
  if (counts_.cached == 0) return;
  // What the stream still does with kept blocks comes to an end first.
  bince_stream_synchronize(context_, bince_context_stream(context_));
  for (auto& [size, blocks] : kept_)
    for (void* block : blocks) bince_device_free(context_, block);
  kept_.clear();
  counts_.cached = 0;
}

void DeviceCache::trim() {
  const std::lock_guard<std::mutex> lock(mutex_);
  trim_locked();
}

DeviceCache::Counts DeviceCache::counts() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

void DeviceCache::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  counts_.peak = counts_.bytes;
}

}  // namespace bince
