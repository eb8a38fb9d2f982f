#include "native/core/tensor_check.h"

#include <string>

#include "native/core/context.h"
#include "native/core/status.h"

namespace bince {
namespace {

// Past this, the byte offsets of elements would no longer fit 63 bits.
constexpr int64_t kMaxElements = int64_t{1} << 56;

std::string dtype_name(bince_dtype dtype) {
  const char* code = "unknown";
  switch (dtype.code) {
    case BINCE_INT:
      code = "int";
      break;
    case BINCE_UINT:
      code = "uint";
      break;
    case BINCE_FLOAT:
      code = "float";
      break;
    case BINCE_BFLOAT:
      code = "bfloat";
      break;
  }
  std::string name = code + std::to_string(dtype.bits);
  if (dtype.lanes != 1) name += "x" + std::to_string(dtype.lanes);
  return name;
}

std::string shape_name(const int64_t* shape, int count) {
  std::string name = "[";
  for (int i = 0; i < count; ++i) {
    if (i) name += ", ";
    name += shape[i] < 0 ? std::string("any") : std::to_string(shape[i]);
  }
  return name + "]";
}

// The context of the CUDA call that the thread is in.
thread_local const bince_context* device_context = nullptr;

bince_status check_tensor_device(const bince_tensor* tensor, const char* name) {
  const bince_device device = tensor->device;
  if (!device_context) {
    if (device.device_type == BINCE_CPU) return BINCE_OK;
    return fail(BINCE_UNSUPPORTED, "%s: expected a tensor on the CPU, received device type %d", name,
                device.device_type);
  }
  if (device.device_type == BINCE_CUDA && device.device_id == device_context->device) return BINCE_OK;
  if (device.device_type == BINCE_CUDA)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected a tensor on CUDA device %d, received one on device %d",
                name, device_context->device, device.device_id);
  return fail(BINCE_INVALID_ARGUMENT, "%s: expected a tensor on CUDA device %d, received device type %d",
              name, device_context->device, device.device_type);
}

}  // namespace

DeviceCall::DeviceCall(const bince_context* context) : before_(device_context) {
  device_context = context && context->cuda ? context : nullptr;
}

DeviceCall::~DeviceCall() {
  device_context = before_;
}

bince_status check_tensor(const bince_tensor* tensor, const char* name,
                          std::initializer_list<bince_dtype> dtypes, std::initializer_list<int64_t> shape) {
  if (!tensor) return fail(BINCE_INVALID_ARGUMENT, "%s: expected a tensor, received NULL", name);
  BINCE_RETURN_IF_ERROR(check_tensor_device(tensor, name));
  bool dtype_fits = false;
  for (const bince_dtype& dtype : dtypes) dtype_fits |= same_dtype(tensor->dtype, dtype);
  if (!dtype_fits) {
    std::string names;  // only here: a call that succeeds must not allocate
    for (const bince_dtype& dtype : dtypes) names += (names.empty() ? "" : " or ") + dtype_name(dtype);
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected %s, received %s", name, names.c_str(),
                dtype_name(tensor->dtype).c_str());
  }
  const int ndim = static_cast<int>(shape.size());
  bool shape_fits = tensor->ndim == ndim && (ndim == 0 || tensor->shape);
  int64_t elements = 1;
  for (int i = 0; shape_fits && i < ndim; ++i) {
    const int64_t expected = shape.begin()[i], received = tensor->shape[i];
    shape_fits = received >= 0 && (expected < 0 || expected == received);
    if (received > 0 && elements > kMaxElements / received)
      return fail(BINCE_INVALID_ARGUMENT, "%s: %s has too many elements", name,
                  shape_name(tensor->shape, ndim).c_str());
    elements *= received;
  }
  if (!shape_fits)
    return fail(BINCE_INVALID_ARGUMENT, "%s: expected shape %s, received %s", name,
                shape_name(shape.begin(), ndim).c_str(),
                tensor->shape && tensor->ndim >= 0 && tensor->ndim <= 16
                    ? shape_name(tensor->shape, tensor->ndim).c_str()
                    : "a broken shape");
  if (tensor->strides && elements > 0) {
    int64_t stride = 1;
    for (int i = ndim - 1; i >= 0; --i) {
      if (tensor->shape[i] != 1 && tensor->strides[i] != stride)
        return fail(BINCE_INVALID_ARGUMENT,
                    "%s: expected a dense row-major tensor, received stride %lld in dimension %d", name,
                    static_cast<long long>(tensor->strides[i]), i);
      stride *= tensor->shape[i];
    }
  }
  if (elements > 0 && !tensor->data) return fail(BINCE_INVALID_ARGUMENT, "%s: data is NULL", name);
  const uintptr_t address = reinterpret_cast<uintptr_t>(tensor->data) + tensor->byte_offset;
  if (elements > 0 && address % (tensor->dtype.bits / 8) != 0)
    return fail(BINCE_INVALID_ARGUMENT, "%s: data is not aligned to its elements", name);
  if (elements > 0 && device_context)
    return device_context->cuda->check_pointer(device_context->device, reinterpret_cast<void*>(address),
                                               name);
  return BINCE_OK;
}

bince_status check_optional(const bince_tensor* tensor, const char* name,
                            std::initializer_list<bince_dtype> dtypes, std::initializer_list<int64_t> shape) {
  return tensor ? check_tensor(tensor, name, dtypes, shape) : BINCE_OK;
}

}  // namespace bince
