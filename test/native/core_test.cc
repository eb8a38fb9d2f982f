// Status, context, threads and the operations table.
#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"
#include "test/native/harness.h"

#include <atomic>
#include <chrono>
#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

TEST(context_reports_its_backend_and_threads) {
  for (const std::string& name : bince_test::available_backends()) {
    const bince_test::Context context(name.c_str(), 3);
    CHECK(context.context != nullptr);
    CHECK(name == bince_context_backend(context));
    CHECK_EQ(bince_context_threads(context), 3);
    CHECK_OK(bince_context_set_threads(context, 2));
    CHECK_EQ(bince_context_threads(context), 2);
  }
}

TEST(wrong_options_are_refused_with_words) {
  bince_context* context = nullptr;
  bince_context_options options = {sizeof(bince_context_options), 1, "sse9", 0};
  CHECK_EQ(bince_context_create(&options, &context), BINCE_UNSUPPORTED);
  CHECK(std::strstr(bince_last_error(), "sse9") != nullptr);
  CHECK(context == nullptr);
  options = {sizeof(bince_context_options), -1, nullptr, 0};
  CHECK_EQ(bince_context_create(&options, &context), BINCE_INVALID_ARGUMENT);
  options = {1, 0, nullptr, 0};
  CHECK_EQ(bince_context_create(&options, &context), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_context_create(nullptr, nullptr), BINCE_INVALID_ARGUMENT);
}

TEST(every_task_runs_once_also_from_two_callers) {
  const bince_test::Context context("ref", 4);
  struct Counts {
    std::atomic<int> seen[1000];
  };
  auto run = [&] {
    for (int round = 0; round < 50; ++round) {
      Counts counts = {};
      bince::parallel_for(
          context.context->pool, 1000,
          [](void* argument, int64_t i, int worker) {
            if (worker >= 0 && worker < 4) static_cast<Counts*>(argument)->seen[i]++;
          },
          &counts);
      for (const auto& seen : counts.seen) CHECK_EQ(seen.load(), 1);
    }
  };
  std::thread other(run);
  run();
  other.join();
}

#if defined(__linux__)
// Workers that leave the caller's processor take their affinity back.
TEST(workers_keep_their_affinity) {
  const bince_test::Context context("ref", 3);
  struct Seen {
    cpu_set_t expected;
    std::atomic<int> different;
  } seen;
  CHECK_EQ(sched_getaffinity(0, sizeof(seen.expected), &seen.expected), 0);
  seen.different = 0;
  for (int round = 0; round < 8; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));  // workers sleep, too
    bince::parallel_for(
        context.context->pool, 64,
        [](void* argument, int64_t, int) {
          Seen* all = static_cast<Seen*>(argument);
          cpu_set_t mine;
          if (sched_getaffinity(0, sizeof(mine), &mine) != 0 || !CPU_EQUAL(&mine, &all->expected))
            ++all->different;
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        },
        &seen);
  }
  CHECK_EQ(seen.different.load(), 0);
}
#endif

TEST(tensor_check_names_what_is_wrong) {
  float data[6] = {};
  int64_t shape[2] = {2, 3}, strides[2] = {1, 2};
  bince_tensor tensor = {data, {BINCE_CPU, 0}, 2, bince::kFloat32, shape, nullptr, 0};
  CHECK_OK(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {2, -1}));
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {2, 4}), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "expected shape [2, 4], received [2, 3]") != nullptr);
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kInt32}, {2, 3}), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "expected int32, received float32") != nullptr);
  tensor.strides = strides;
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {2, 3}), BINCE_INVALID_ARGUMENT);
  tensor.strides = nullptr;
  tensor.data = nullptr;
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {2, 3}), BINCE_INVALID_ARGUMENT);
  int64_t huge[2] = {int64_t{1} << 40, int64_t{1} << 40};
  tensor = {data, {BINCE_CPU, 0}, 2, bince::kFloat32, huge, nullptr, 0};
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {-1, -1}), BINCE_INVALID_ARGUMENT);
  tensor.device.device_type = BINCE_CUDA;
  CHECK_EQ(bince::check_tensor(&tensor, "q", {bince::kFloat32}, {-1, -1}), BINCE_UNSUPPORTED);
  CHECK_OK(bince::check_optional(nullptr, "q", {bince::kFloat32}, {2, 3}));
}

TEST(errors_belong_to_their_thread) {
  bince::fail(BINCE_INTERNAL, "mine");
  std::thread([] { bince::fail(BINCE_INTERNAL, "theirs"); }).join();
  CHECK(std::strcmp(bince_last_error(), "mine") == 0);
  CHECK(std::strcmp(bince_status_name(BINCE_CORRUPT_DATA), "BINCE_CORRUPT_DATA") == 0);
  CHECK_EQ(bince_abi_version(), static_cast<uint32_t>(BINCE_ABI_VERSION));
}
