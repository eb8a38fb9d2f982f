// Arrays and workspaces in the memory of a context, so that one test runs on every backend: on a CUDA context
// they are device memory, on the CPU host memory.  What they hold lies between guard zones that are checked
// when it is read and when it goes.
#ifndef BINCE_TEST_NATIVE_DEVICE_CASE_H_
#define BINCE_TEST_NATIVE_DEVICE_CASE_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "bince.h"
#include "test/native/harness.h"

namespace bince_test {

// Bytes in the memory of a context, with guard zones on both sides.  Everything it does is in the order of
// the context's own stream.
class GuardedBytes {
 public:
  static constexpr size_t kGuard = 256;  // a multiple of every alignment that is promised
  static constexpr uint8_t kGuardByte = 0xa5;
  static constexpr uint8_t kFreshByte = 0xee;  // what was never written

  // `shift` moves the data off its 256-byte alignment (64 on the CPU).
  GuardedBytes(bince_context* context, size_t bytes, size_t shift = 0)
      : context_(context), bytes_(bytes), before_(kGuard + shift) {
    void* base = nullptr;
    CHECK_OK(bince_device_allocate(context, before_ + bytes + kGuard, &base));
    base_ = static_cast<uint8_t*>(base);
    std::vector<uint8_t> fresh(before_ + bytes + kGuard, kGuardByte);
    for (size_t i = 0; i < bytes; ++i) fresh[before_ + i] = kFreshByte;
    if (base_) CHECK_OK(bince_copy_to_device(context, base_, fresh.data(), fresh.size(), stream()));
  }
  ~GuardedBytes() {
    if (!base_) return;
    read_all();
    CHECK_OK(bince_device_free(context_, base_));
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  void* data() const { return base_ ? base_ + before_ : nullptr; }
  size_t bytes() const { return bytes_; }
  void* stream() const { return bince_context_stream(context_); }
  bince_context* context() const { return context_; }

  void write(const void* from, size_t bytes) {
    if (bytes > 0) CHECK_OK(bince_copy_to_device(context_, data(), from, bytes, stream()));
  }
  void read(void* to) const {
    const std::vector<uint8_t> all = read_all();
    if (bytes_ > 0) std::memcpy(to, all.data() + before_, bytes_);
  }

 private:
  std::vector<uint8_t> read_all() const {
    std::vector<uint8_t> all(before_ + bytes_ + kGuard);
    CHECK_OK(bince_copy_to_host(context_, all.data(), base_, all.size(), stream()));
    CHECK_OK(bince_stream_synchronize(context_, stream()));
    size_t touched = 0, first = 0;
    for (size_t i = 0; i < all.size(); ++i)
      if ((i < before_ || i >= before_ + bytes_) && all[i] != kGuardByte && touched++ == 0) first = i;
    if (touched > 0)
      report(__FILE__, __LINE__,
             std::to_string(touched) + " bytes beside an array of " + std::to_string(bytes_) +
                 " were written, the first at byte " +
                 std::to_string(static_cast<long long>(first) - static_cast<long long>(before_)));
    return all;
  }

  bince_context* context_;
  size_t bytes_, before_;
  uint8_t* base_ = nullptr;
};

template <typename T>
constexpr bince_dtype dtype_of() {
  if (std::is_same<T, uint16_t>::value) return {BINCE_BFLOAT, 16, 1};  // a bfloat16's bits
  const uint8_t code = std::is_floating_point<T>::value ? BINCE_FLOAT
                       : std::is_signed<T>::value       ? BINCE_INT
                                                        : BINCE_UINT;
  return {code, sizeof(T) * 8, 1};
}

// An array of the context's memory, as a tensor.
template <typename T>
class DeviceArray {
 public:
  DeviceArray(bince_context* context, const std::vector<T>& values, size_t shift_elements = 0)
      : bytes_(context, values.size() * sizeof(T), shift_elements * sizeof(T)), count_(values.size()) {
    bytes_.write(values.data(), values.size() * sizeof(T));
  }
  // Of unwritten elements: every byte 0xee.
  DeviceArray(bince_context* context, size_t count, size_t shift_elements = 0)
      : bytes_(context, count * sizeof(T), shift_elements * sizeof(T)), count_(count) {}

  T* data() const { return static_cast<T*>(bytes_.data()); }
  size_t size() const { return count_; }
  void write(const std::vector<T>& values) {
    CHECK(values.size() == count_);
    bytes_.write(values.data(), values.size() * sizeof(T));
  }
  // Waits for the context's stream.
  std::vector<T> read() const {
    std::vector<T> values(count_);
    bytes_.read(values.data());
    return values;
  }

  // The array as a dense tensor of a shape; without one, [count].  Valid until the next call and while the
  // array lives.
  bince_tensor* tensor(std::initializer_list<int64_t> shape = {}) {
    shape_ = shape;
    if (shape.size() == 0) shape_ = {static_cast<int64_t>(count_)};
    tensor_ = {data(),
               bince_context_device(bytes_.context()),
               static_cast<int32_t>(shape_.size()),
               dtype_of<T>(),
               shape_.data(),
               nullptr,
               0};
    return &tensor_;
  }

 private:
  GuardedBytes bytes_;
  size_t count_;
  std::vector<int64_t> shape_;
  bince_tensor tensor_ = {};
};

// A launch on the context's stream with a workspace of exactly `bytes`.
class DeviceLaunch {
 public:
  DeviceLaunch(bince_context* context, size_t bytes)
      : memory_(context, bytes), launch_{memory_.stream(), memory_.data(), bytes, nullptr} {}
  operator const bince_launch*() const { return &launch_; }
  bince_launch* operator->() { return &launch_; }
  // Waits, and tells what the last call with this launch found wrong.
  bince_status finish() const { return bince_finish(memory_.context(), &launch_); }

 private:
  GuardedBytes memory_;
  bince_launch launch_;
};

}  // namespace bince_test

#endif  // BINCE_TEST_NATIVE_DEVICE_CASE_H_
