// Calls on a CUDA context: what they refuse, and how kernels' findings travel.  On the simulator where no
// other library is named; with a device the same program runs on it.
#include <thread>

#include "native/core/context.h"
#include "native/core/device_report.h"
#include "native/core/tensor_check.h"
#include "test/native/device_case.h"

using bince_test::Context;
using bince_test::DeviceArray;
using bince_test::DeviceLaunch;

namespace {

#if defined(BINCE_TEST_CUSIM)
// Before anything opens the library: two devices.
const bool simulated = [] {
  setenv("CUSIM_DEVICES", "2", 0);
  return setenv("BINCE_CUDA_LIBRARY", BINCE_TEST_CUSIM, 0) == 0;
}();
#endif

// A context that goes while the process exits, after the destructors of libraries that were opened later.
struct LastContext {
  bince_context* context = nullptr;
  ~LastContext() { bince_context_destroy(context); }
} last_context;

int32_t devices() {
  int32_t count = 0;
  return bince_cuda_device_count(&count) == BINCE_OK ? count : 0;
}

void check_says(const char* expected) {
  if (!std::strstr(bince_last_error(), expected))
    bince_test::report(__FILE__, __LINE__,
                       std::string("expected '") + expected + "', received '" + bince_last_error() + "'");
}

#define NEED_DEVICES(n) \
  if (devices() < (n)) SKIP(std::string("needs ") + #n + " CUDA devices, or the simulator")

bince_cuda_info info_of(int32_t device) {
  bince_cuda_info info = {};
  info.struct_size = sizeof info;
  CHECK_OK(bince_cuda_device_info(device, &info));
  return info;
}

}  // namespace

TEST(devices_describe_themselves) {
  NEED_DEVICES(1);
  for (int32_t d = 0; d < devices(); ++d) {
    const bince_cuda_info info = info_of(d);
    CHECK_EQ(info.device, d);
    CHECK(std::strlen(info.name) > 0);
    CHECK(info.compute_major >= 8);
    CHECK(info.multiprocessors > 0);
    CHECK(info.driver_version >= 13000 && info.runtime_version >= 13000);
    CHECK(info.total_bytes > 0 && info.free_bytes <= info.total_bytes);
    CHECK(info.shared_bytes >= 96 * 1024);
    CHECK(info.l2_bytes > 0);
  }
  bince_cuda_info info = {};
  CHECK_EQ(bince_cuda_device_info(0, &info), BINCE_INVALID_ARGUMENT);
  check_says("info.struct_size: expected");
  CHECK_EQ(bince_cuda_device_info(0, nullptr), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_cuda_device_count(nullptr), BINCE_INVALID_ARGUMENT);
}

TEST(a_device_that_is_not_there_is_refused) {
  NEED_DEVICES(1);
  const int32_t count = devices();
  for (const int32_t device : {-1, count, count + 7, INT32_MAX, INT32_MIN}) {
    bince_context* context = nullptr;
    const bince_context_options options = {sizeof options, 1, "cuda", device};
    CHECK_EQ(bince_context_create(&options, &context), BINCE_INVALID_ARGUMENT);
    CHECK(context == nullptr);
    char expected[80];
    std::snprintf(expected, sizeof expected, "device: expected 0 to %d, received %d", count - 1, device);
    check_says(expected);
    bince_cuda_info info = {};
    info.struct_size = sizeof info;
    CHECK_EQ(bince_cuda_device_info(device, &info), BINCE_INVALID_ARGUMENT);
  }
}

TEST(a_context_belongs_to_its_device_and_has_a_stream) {
  NEED_DEVICES(1);
  for (int32_t d = 0; d < devices(); ++d) {
    const Context context("cuda", 1, d), other("cuda", 1, d);
    CHECK(std::strcmp(bince_context_backend(context), "cuda") == 0);
    CHECK_EQ(bince_context_device(context).device_type, static_cast<int32_t>(BINCE_CUDA));
    CHECK_EQ(bince_context_device(context).device_id, d);
    CHECK(bince_context_stream(context) != nullptr);
    CHECK(bince_context_stream(context) != bince_context_stream(other));
  }
  const Context cpu("ref");
  CHECK_EQ(bince_context_device(cpu).device_type, static_cast<int32_t>(BINCE_CPU));
  CHECK(bince_context_stream(cpu) == nullptr);
  CHECK_OK(bince_finish(cpu, nullptr));
}

TEST(callers_from_before_the_device_field_get_device_0) {
  struct {
    uint32_t struct_size;
    int32_t threads;
    const char* backend;
  } options = {16, 2, "ref"};
  bince_context* context = nullptr;
  CHECK_OK(bince_context_create(reinterpret_cast<const bince_context_options*>(&options), &context));
  CHECK_EQ(context ? bince_context_threads(context) : 0, 2);
  bince_context_destroy(context);
}

TEST(tensors_of_a_cuda_call_lie_on_its_device) {
  NEED_DEVICES(1);
  const Context context("cuda"), cpu("ref");
  DeviceArray<float> array(context, std::vector<float>(12, 1.0f));
  const auto check = [&](bince_tensor* tensor) {
    const bince::DeviceCall scope(context);
    return bince::check_tensor(tensor, "q", {bince::kFloat32}, {3, 4});
  };
  CHECK_OK(check(array.tensor({3, 4})));

  float host[12] = {};
  bince_tensor tensor = *array.tensor({3, 4});
  tensor.data = host;  // says that it is on the device
  CHECK_EQ(check(&tensor), BINCE_INVALID_ARGUMENT);
  check_says("q: expected memory of CUDA device 0, received host memory");
  tensor.device = {BINCE_CPU, 0};
  CHECK_EQ(check(&tensor), BINCE_INVALID_ARGUMENT);
  check_says("q: expected a tensor on CUDA device 0, received device type 1");

  int64_t strides[2] = {1, 3};
  tensor = *array.tensor({3, 4});
  tensor.strides = strides;
  CHECK_EQ(check(&tensor), BINCE_INVALID_ARGUMENT);
  check_says("q: expected a dense row-major tensor, received stride 3 in dimension 1");

  // A call on the CPU does not take device memory, also within a scope of the device.
  const bince::DeviceCall outer(context);
  const bince::DeviceCall inner(cpu);
  CHECK_EQ(bince::check_tensor(array.tensor({3, 4}), "q", {bince::kFloat32}, {3, 4}), BINCE_UNSUPPORTED);
  check_says("q: expected a tensor on the CPU, received device type 2");
}

TEST(memory_of_another_device_is_refused) {
  NEED_DEVICES(2);
  const Context first("cuda", 1, 0), second("cuda", 1, 1);
  DeviceArray<float> array(second, std::vector<float>(4, 1.0f));
  bince_tensor tensor = *array.tensor();
  const bince::DeviceCall scope(first);
  CHECK_EQ(bince::check_tensor(&tensor, "k", {bince::kFloat32}, {4}), BINCE_INVALID_ARGUMENT);
  check_says("k: expected a tensor on CUDA device 0, received one on device 1");
  tensor.device.device_id = 0;  // which is not true
  CHECK_EQ(bince::check_tensor(&tensor, "k", {bince::kFloat32}, {4}), BINCE_INVALID_ARGUMENT);
  check_says("k: expected memory of CUDA device 0, received that of device 1");
}

TEST(workspaces_are_device_memory_with_room_for_the_report) {
  NEED_DEVICES(1);
  const Context context("cuda");
  CHECK_EQ(bince::workspace_bytes(context, 0), sizeof(bince::DeviceReport));
  bince::Run run;
  CHECK_EQ(bince::begin_run(context, nullptr, 0, &run), BINCE_BUFFER_TOO_SMALL);
  check_says("workspace: expected at least 64 bytes, received 0");
  {
    DeviceLaunch launch(context, 63);
    CHECK_EQ(bince::begin_run(context, launch, 0, &run), BINCE_BUFFER_TOO_SMALL);
  }
  {
    DeviceLaunch launch(context, 64 + 128);
    CHECK_EQ(bince::begin_run(context, launch, 129, &run), BINCE_BUFFER_TOO_SMALL);
    check_says("workspace: expected at least 193 bytes, received 192");
    CHECK_OK(bince::begin_run(context, launch, 128, &run));
    CHECK(run.report == launch->workspace);
    CHECK(run.workspace == static_cast<char*>(launch->workspace) + 64);
    CHECK(run.stream == bince_context_stream(context));
    CHECK_OK(launch.finish());
    const int32_t cancel = 1;
    launch->cancel = &cancel;
    CHECK_EQ(bince::begin_run(context, launch, 128, &run), BINCE_CANCELLED);
    launch->cancel = nullptr;
    bince_launch moved = *static_cast<const bince_launch*>(launch);
    moved.workspace = static_cast<char*>(moved.workspace) + 32;
    moved.workspace_bytes -= 32;
    CHECK_EQ(bince::begin_run(context, &moved, 0, &run), BINCE_INVALID_ARGUMENT);
    check_says("workspace: expected 64-byte alignment");
  }
  alignas(64) char host[256];
  const bince_launch launch = {nullptr, host, sizeof host, nullptr};
  CHECK_EQ(bince::begin_run(context, &launch, 0, &run), BINCE_INVALID_ARGUMENT);
  check_says("workspace: expected memory of CUDA device 0, received host memory");
  CHECK_EQ(bince_finish(context, &launch), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_finish(context, nullptr), BINCE_INVALID_ARGUMENT);
  check_says("launch: expected the launch of the call");
}

TEST(what_kernels_note_becomes_a_status_and_a_sentence) {
  NEED_DEVICES(1);
  const Context context("cuda");
  DeviceLaunch launch(context, 64);
  for (uint32_t offence = 0; offence <= static_cast<uint32_t>(bince::Offence::kOffences); ++offence) {
    bince::Run run;
    CHECK_OK(bince::begin_run(context, launch, 0, &run));
    CHECK_OK(launch.finish());  // nothing was noted yet
    bince::DeviceReport report;
    std::memset(&report, 0xff, sizeof report);
    report.first = static_cast<uint64_t>(offence) << 48 | 4711;
    CHECK_OK(bince_copy_to_device(context, launch->workspace, &report, sizeof report, launch->stream));
    const bince_status status = launch.finish();
    if (offence == static_cast<uint32_t>(bince::Offence::kOffences)) {
      CHECK_EQ(status, BINCE_INTERNAL);  // no such offence
    } else {
      CHECK(status == BINCE_INVALID_VALUE || status == BINCE_CORRUPT_DATA ||
            status == BINCE_INVALID_ARGUMENT || status == BINCE_BUFFER_TOO_SMALL);
      CHECK(std::strlen(bince_last_error()) > 10 && !std::strchr(bince_last_error(), '%'));
    }
  }
  bince::DeviceReport report = {};
  report.first = static_cast<uint64_t>(bince::Offence::kKeyNotFinite) << 48 | 4711;
  CHECK_OK(bince_copy_to_device(context, launch->workspace, &report, sizeof report, launch->stream));
  CHECK_EQ(launch.finish(), BINCE_INVALID_VALUE);
  CHECK(std::strcmp(bince_last_error(), "k: row 4711 holds NaN or infinity") == 0);
}

// Calls that have no kernels name themselves; those that have check their arguments.  None of them reads what
// it was not given.
TEST(no_call_takes_nothing_on_a_cuda_context) {
  NEED_DEVICES(1);
  const Context context("cuda");
  bince_context* c = context;
  size_t bytes = 0;
  uint64_t size = 0;
  const auto check = [](const char* call, bince_status status) {
    const bool named = status == BINCE_UNSUPPORTED && std::strstr(bince_last_error(), call) &&
                       std::strstr(bince_last_error(), "the backend cuda does not have it");
    if (!named && status != BINCE_INVALID_ARGUMENT)
      bince_test::report(__FILE__, __LINE__,
                         std::string(call) + ": " + bince_status_name(status) + ", " + bince_last_error());
  };
#define REFUSES(call, ...) check(#call, call(__VA_ARGS__))
  REFUSES(bince_contrastive_workspace, c, nullptr, BINCE_CONTRASTIVE_FORWARD, &bytes);
  REFUSES(bince_contrastive_forward, c, nullptr, nullptr, nullptr);
  REFUSES(bince_contrastive_backward, c, nullptr, nullptr, nullptr);
  REFUSES(bince_contrastive_forward_backward, c, nullptr, nullptr, nullptr);
  REFUSES(bince_factorized_forward, c, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_factorized_forward_workspace, c, nullptr, nullptr, nullptr, &bytes);
  REFUSES(bince_factorized_backward, c, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_factorized_backward_workspace, c, nullptr, nullptr, nullptr, &bytes);
  REFUSES(bince_factorized_logits, c, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_quantiles_loss, c, nullptr, nullptr, nullptr, 1e-9, nullptr, nullptr);
  REFUSES(bince_quantiles_solve, c, nullptr, nullptr, 1e-9, nullptr, nullptr, nullptr);
  REFUSES(bince_factorized_tables, c, nullptr, nullptr, nullptr, BINCE_TAIL_OWN, nullptr, nullptr, nullptr,
          nullptr);
  REFUSES(bince_gaussian_forward, c, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_gaussian_backward, c, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_gaussian_workspace, c, nullptr, nullptr, nullptr, &bytes);
  REFUSES(bince_uniform_noise, c, 1, 0, nullptr);
  REFUSES(bince_blocks_encode_workspace, c, nullptr, 1, &bytes);
  REFUSES(bince_blocks_encode, c, nullptr, nullptr, 0, nullptr, nullptr, &size, nullptr, nullptr);
  REFUSES(bince_blocks_decode_workspace, c, nullptr, 1, &bytes);
  REFUSES(bince_blocks_decode, c, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  REFUSES(bince_symbols_encode_workspace, c, nullptr, 1, &bytes);
  REFUSES(bince_symbols_encode, c, nullptr, BINCE_RANS, 1, nullptr, nullptr, nullptr, &size, nullptr);
  REFUSES(bince_symbols_decode_workspace, c, nullptr, &bytes);
  REFUSES(bince_symbols_decode, c, nullptr, BINCE_RANS, 1, nullptr, nullptr, nullptr, nullptr);
  REFUSES(bince_compressai_workspace, c, -1, 1, &bytes);
  REFUSES(bince_compressai_encode, c, nullptr, nullptr, nullptr, nullptr, nullptr, &size, nullptr);
  REFUSES(bince_compressai_decode, c, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
#undef REFUSES
}

TEST(one_context_serves_several_threads) {
  NEED_DEVICES(1);
  const Context context("cuda");
  std::vector<int> wrong(6);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round) {
        std::vector<int32_t> sent(1000 + t, t * 100 + round), received(sent.size());
        void* memory = nullptr;
        const size_t bytes = sent.size() * sizeof(int32_t);
        void* stream = bince_context_stream(context);
        wrong[t] += bince_device_allocate(context, bytes, &memory) != BINCE_OK;
        wrong[t] += bince_copy_to_device(context, memory, sent.data(), bytes, stream) != BINCE_OK;
        wrong[t] += bince_copy_to_host(context, received.data(), memory, bytes, stream) != BINCE_OK;
        wrong[t] += bince_stream_synchronize(context, stream) != BINCE_OK;
        wrong[t] += sent != received;
        wrong[t] += bince_device_free(context, memory) != BINCE_OK;
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK_EQ(count, 0);
}

TEST(a_context_may_go_while_the_process_exits) {
  NEED_DEVICES(1);
  const bince_context_options options = {sizeof options, 1, "cuda", 0};
  CHECK_OK(bince_context_create(&options, &last_context.context));
}
