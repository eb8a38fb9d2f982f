// Checks of the tensors that the C ABI takes.  Used by the families' *_api.cc files only.
#ifndef BINCE_CORE_TENSOR_CHECK_H_
#define BINCE_CORE_TENSOR_CHECK_H_

#include <initializer_list>

#include "bince.h"

namespace bince {

inline constexpr bince_dtype kFloat32 = {BINCE_FLOAT, 32, 1};
inline constexpr bince_dtype kFloat16 = {BINCE_FLOAT, 16, 1};
inline constexpr bince_dtype kBfloat16 = {BINCE_BFLOAT, 16, 1};
inline constexpr bince_dtype kInt32 = {BINCE_INT, 32, 1};
inline constexpr bince_dtype kInt64 = {BINCE_INT, 64, 1};
inline constexpr bince_dtype kUint8 = {BINCE_UINT, 8, 1};
inline constexpr bince_dtype kUint32 = {BINCE_UINT, 32, 1};

inline bool same_dtype(bince_dtype a, bince_dtype b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

// While it lives, the thread's checks expect tensors where the context's calls take them: on the CPU, or in
// the memory of the context's device.  Every C ABI call that has a CUDA backend begins with one.
class DeviceCall {
 public:
  explicit DeviceCall(const bince_context* context);
  ~DeviceCall();
  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

 private:
  const bince_context* before_;
};

// A tensor on the CPU (see DeviceCall) with one of `dtypes`, exactly `shape` (-1 takes any size >= 0), dense
// and row-major. The message names the argument, what was expected and what was received.
bince_status check_tensor(const bince_tensor* tensor, const char* name,
                          std::initializer_list<bince_dtype> dtypes, std::initializer_list<int64_t> shape);

// As check_tensor, but a null tensor passes: the caller asks for nothing there.
bince_status check_optional(const bince_tensor* tensor, const char* name,
                            std::initializer_list<bince_dtype> dtypes, std::initializer_list<int64_t> shape);

// The first element; null for a null tensor.
template <typename T>
T* tensor_data(const bince_tensor* tensor) {
  return tensor ? reinterpret_cast<T*>(static_cast<char*>(tensor->data) + tensor->byte_offset) : nullptr;
}

}  // namespace bince

#endif  // BINCE_CORE_TENSOR_CHECK_H_
