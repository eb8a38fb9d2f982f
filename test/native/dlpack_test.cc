// DLPack tensors of other frameworks: what is taken, and what is refused with which words.
#include "native/core/dlpack.h"

#include <cstring>
#include <string>

#include "native/core/tensor_check.h"
#include "test/native/harness.h"

using namespace bince;

namespace {

struct Foreign {
  alignas(64) float values[24] = {};
  int64_t shape[3] = {2, 3, 4};
  int64_t strides[3] = {12, 4, 1};
  bince_dlpack managed = {{values, {BINCE_CPU, 0}, 3, kFloat32, shape, strides, 0}, nullptr, nullptr};
  DlpackView view = {};

  bince_status read() { return read_dlpack(&managed, &view); }
  bool refuses(bince_status status, const char* words) {
    return read() == status && std::string(bince_last_error()).find(words) != std::string::npos;
  }
};

}  // namespace

TEST(takes_dense_tensors_with_and_without_strides) {
  Foreign x;
  CHECK_OK(x.read());
  CHECK_EQ(x.view.elements, size_t{24});
  CHECK_EQ(x.view.ndim, 3);
  CHECK(x.view.data == static_cast<void*>(x.values));
  x.managed.tensor.strides = nullptr;
  CHECK_OK(x.read());
  // The stride of an axis of one element says nothing.
  x.shape[1] = 1;
  x.strides[0] = 4;
  x.strides[1] = 77;
  x.managed.tensor.strides = x.strides;
  CHECK_OK(x.read());
  CHECK_EQ(x.view.elements, size_t{8});
}

TEST(takes_every_type_that_tensors_have) {
  for (const bince_dtype& dtype : {kFloat32, kInt32, kUint8, kBfloat16}) {
    Foreign x;
    x.managed.tensor.dtype = dtype;
    CHECK_OK(x.read());
    CHECK(same_dtype(x.view.dtype, dtype));
  }
}

TEST(takes_scalars_empty_tensors_and_offsets) {
  Foreign x;
  x.managed.tensor.ndim = 0;
  x.managed.tensor.shape = x.managed.tensor.strides = nullptr;
  CHECK_OK(x.read());
  CHECK_EQ(x.view.elements, size_t{1});
  x.managed.tensor.byte_offset = 8;
  CHECK_OK(x.read());
  CHECK(x.view.data == static_cast<void*>(x.values + 2));
  Foreign empty;
  empty.shape[1] = 0;
  empty.managed.tensor.data = nullptr;
  CHECK_OK(empty.read());
  CHECK_EQ(empty.view.elements, size_t{0});
}

TEST(knows_the_devices_whose_memory_it_can_use) {
  Foreign x;
  x.managed.tensor.device = {kDlpackCudaHost, 3};
  CHECK_OK(x.read());
  CHECK_EQ(x.view.device.device_type, int32_t{BINCE_CPU});
  x.managed.tensor.device = {kDlpackCudaManaged, 2};
  CHECK_OK(x.read());
  CHECK_EQ(x.view.device.device_type, int32_t{BINCE_CUDA});
  CHECK_EQ(x.view.device.device_id, 2);
  x.managed.tensor.device = {8, 0};  // Metal
  CHECK(x.refuses(BINCE_UNSUPPORTED, "device type 8"));
}

TEST(refuses_what_no_tensor_can_be) {
  DlpackView view;
  CHECK_EQ(read_dlpack(nullptr, &view), BINCE_INVALID_ARGUMENT);
  const auto refuses = [](const char* words, auto change) {
    Foreign x;
    change(x);
    const bool refused = x.refuses(BINCE_INVALID_ARGUMENT, words);
    if (!refused) std::fprintf(stderr, "expected '%s', received '%s'\n", words, bince_last_error());
    return refused;
  };
  using T = Foreign;
  CHECK(refuses("one lane, received 4", [](T& x) { x.managed.tensor.dtype.lanes = 4; }));
  CHECK(refuses("type code 2 of 64 bits", [](T& x) { x.managed.tensor.dtype = {BINCE_FLOAT, 64, 1}; }));
  CHECK(refuses("type code 2 of 16 bits", [](T& x) { x.managed.tensor.dtype = kFloat16; }));
  CHECK(refuses("stride 13 in axis 0", [](T& x) { x.strides[0] = 13; }));
  CHECK(refuses("stride 1 in axis 1", [](T& x) { x.strides[1] = 1; }));
  CHECK(refuses("stride -1 in axis 2", [](T& x) { x.strides[2] = -1; }));
  CHECK(refuses("stride 0 in axis 2", [](T& x) { x.strides[2] = 0; }));
  CHECK(refuses("0 to 32 axes, received 33", [](T& x) { x.managed.tensor.ndim = 33; }));
  CHECK(refuses("0 to 32 axes, received -1", [](T& x) { x.managed.tensor.ndim = -1; }));
  CHECK(refuses("the shape is NULL", [](T& x) { x.managed.tensor.shape = nullptr; }));
  CHECK(refuses("received -3 in axis 1", [](T& x) { x.shape[1] = -3; }));
  CHECK(refuses("too many elements", [](T& x) { x.shape[0] = x.shape[1] = int64_t{1} << 40; }));
  CHECK(refuses("the data is NULL", [](T& x) { x.managed.tensor.data = nullptr; }));
  CHECK(refuses("not aligned to its elements of 4 bytes", [](T& x) { x.managed.tensor.byte_offset = 2; }));
}
