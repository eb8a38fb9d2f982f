#include "native/core/dlpack.h"

#include "native/core/status.h"
#include "native/core/tensor_check.h"

namespace bince {
namespace {

static_assert(sizeof(bince_dlpack) == 64 && offsetof(bince_dlpack, manager) == 48,
              "the layout of DLManagedTensor on 64-bit machines");

bince_status check_dtype(bince_dtype dtype) {
  if (dtype.lanes != 1)
    return fail(BINCE_INVALID_ARGUMENT, "dlpack: expected elements of one lane, received %u lanes",
                static_cast<unsigned>(dtype.lanes));
  for (const bince_dtype& known : {kFloat32, kInt32, kUint8, kBfloat16})
    if (same_dtype(dtype, known)) return BINCE_OK;
  return fail(BINCE_INVALID_ARGUMENT,
              "dlpack: expected float32, int32, uint8 or bfloat16, received type code %u of %u bits",
              static_cast<unsigned>(dtype.code), static_cast<unsigned>(dtype.bits));
}

bince_status check_shape(const bince_tensor& tensor, size_t* elements) {
  if (tensor.ndim < 0 || tensor.ndim > kDlpackMaxAxes)
    return fail(BINCE_INVALID_ARGUMENT, "dlpack: expected 0 to %d axes, received %d", kDlpackMaxAxes,
                tensor.ndim);
  if (tensor.ndim > 0 && !tensor.shape) return fail(BINCE_INVALID_ARGUMENT, "dlpack: the shape is NULL");
  int64_t product = 1;
  for (int32_t axis = 0; axis < tensor.ndim; ++axis) {
    if (tensor.shape[axis] < 0)
      return fail(BINCE_INVALID_ARGUMENT, "dlpack: expected sizes of at least 0, received %lld in axis %d",
                  static_cast<long long>(tensor.shape[axis]), axis);
    if (__builtin_mul_overflow(product, tensor.shape[axis], &product) || product > int64_t{1} << 52)
      return fail(BINCE_INVALID_ARGUMENT, "dlpack: the shape has too many elements");
  }
  *elements = static_cast<size_t>(product);
  return BINCE_OK;
}

bince_status check_strides(const bince_tensor& tensor, size_t elements) {
  if (!tensor.strides || elements == 0) return BINCE_OK;
  int64_t dense = 1;
  for (int32_t axis = tensor.ndim - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != dense)
      return fail(BINCE_INVALID_ARGUMENT,
                  "dlpack: expected a dense row-major tensor, received stride %lld in axis %d; make it "
                  "contiguous first",
                  static_cast<long long>(tensor.strides[axis]), axis);
    dense *= tensor.shape[axis];
  }
  return BINCE_OK;
}

bince_status check_memory(const bince_tensor& tensor, size_t elements) {
  if (elements == 0) return BINCE_OK;
  if (!tensor.data) return fail(BINCE_INVALID_ARGUMENT, "dlpack: the data is NULL");
  const uintptr_t address = reinterpret_cast<uintptr_t>(tensor.data) + tensor.byte_offset;
  const unsigned size = tensor.dtype.bits / 8u;
  if (address % size != 0)
    return fail(BINCE_INVALID_ARGUMENT, "dlpack: the data is not aligned to its elements of %u bytes", size);
  return BINCE_OK;
}

}  // namespace

bince_status read_dlpack(const bince_dlpack* managed, DlpackView* view) {
  if (!managed) return fail(BINCE_INVALID_ARGUMENT, "dlpack: expected a tensor, received NULL");
  const bince_tensor& tensor = managed->tensor;
  BINCE_RETURN_IF_ERROR(check_dtype(tensor.dtype));
  size_t elements = 0;
  BINCE_RETURN_IF_ERROR(check_shape(tensor, &elements));
  BINCE_RETURN_IF_ERROR(check_strides(tensor, elements));
  BINCE_RETURN_IF_ERROR(check_memory(tensor, elements));
  bince_device device = tensor.device;
  if (device.device_type == kDlpackCudaHost) device = {BINCE_CPU, 0};
  if (device.device_type == kDlpackCudaManaged) device.device_type = BINCE_CUDA;
  if (device.device_type != BINCE_CPU && device.device_type != BINCE_CUDA)
    return fail(BINCE_UNSUPPORTED,
                "dlpack: expected a tensor on the CPU or a CUDA device, received device type %d",
                device.device_type);
  *view = {tensor_data<void>(&tensor), device, tensor.dtype, tensor.ndim, tensor.shape, elements};
  return BINCE_OK;
}

}  // namespace bince
