// Opening libbince_cuda.so: every way in which it cannot be had is a reason in words.  The outcome is kept
// for the life of a process, so each case is a process of its own: this program, run again with one test.
#include <unistd.h>

#include <thread>

#include "test/native/harness.h"

#if !defined(BINCE_TEST_EMULATOR)
#define BINCE_TEST_EMULATOR ""  // what programs for another processor run under
#endif

namespace {

std::string own_path() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : "";
}

// What the test `child` prints in a process with these settings, without the harness's closing line.
std::string said_by_child(const std::string& environment, const char* child) {
  const std::string command = "env -u BINCE_TEST_BACKENDS " + environment +
                              " BINCE_TEST_CHILD=1 " BINCE_TEST_EMULATOR " '" + own_path() + "' " + child +
                              " 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "popen failed";
  std::string said;
  char piece[512];
  while (std::fgets(piece, sizeof piece, pipe)) said += piece;
  const int status = pclose(pipe);
  if (status != 0) return "it ended with status " + std::to_string(status) + ": " + said;
  return said.substr(0, said.find('\n'));
}

std::string reason(const std::string& library, const std::string& more = "") {
  return said_by_child("BINCE_CUDA_LIBRARY='" + library + "' " + more, "child_tells_the_reason");
}

void check_says(const std::string& said, const std::string& expected) {
  if (said.find(expected) == std::string::npos)
    bince_test::report(__FILE__, __LINE__, "expected '" + expected + "', received '" + said + "'");
}

bool in_child() {
  return std::getenv("BINCE_TEST_CHILD") != nullptr;
}

std::string plugin(const char* name) {
  return std::string(BINCE_TEST_PLUGINS) + "/" + name + ".so";
}

}  // namespace

TEST(child_tells_the_reason) {
  if (!in_child()) return;
  int32_t count = -1;
  const bince_status status = bince_cuda_device_count(&count);
  const std::string first = bince_last_error();
  bince_context* context = nullptr;
  const bince_context_options options = {sizeof options, 1, "cuda", 0};
  CHECK_EQ(bince_context_create(&options, &context), status);
  CHECK((context != nullptr) == (status == BINCE_OK));
  if (context)
    std::printf("%s, %d devices\n", bince_context_backend(context), count);
  else
    std::printf("%s: %s\n", bince_status_name(status), bince_last_error());
  bince_context_destroy(context);
  if (status != BINCE_OK) {  // the second attempt tells the same
    CHECK(first == bince_last_error());
    CHECK_EQ(count, 0);
  }
}

TEST(child_asks_from_eight_threads) {
  if (!in_child()) return;
  bince_status statuses[8];
  std::vector<std::thread> threads;
  for (bince_status& status : statuses)
    threads.emplace_back([&status] {
      int32_t count = 0;
      status = bince_cuda_device_count(&count);
      if (status == BINCE_OK ? count < 1 : !std::strstr(bince_last_error(), "CUDA is not available"))
        status = BINCE_INTERNAL;
    });
  for (std::thread& thread : threads) thread.join();
  for (const bince_status status : statuses) CHECK_EQ(status, statuses[0]);
  std::printf("%s\n", bince_status_name(statuses[0]));
}

TEST(a_library_that_cannot_be_used_gives_a_reason) {
  if (in_child()) return;
  check_says(reason("/nowhere/libbince_cuda.so"),
             "BINCE_UNSUPPORTED: CUDA is not available: the CUDA library was not found at "
             "/nowhere/libbince_cuda.so; build it with `npx bince build --cuda`");
  check_says(reason("no_folder.so"), "was not found at ./no_folder.so");
  check_says(reason("/etc/passwd"), "the CUDA library could not be opened: /etc/passwd:");
  check_says(reason("/tmp"), "the CUDA library could not be opened: /tmp:");
  check_says(reason(plugin("without_entry")), "is not bince's CUDA library: it has no bince_cuda_plugin");
  check_says(reason(plugin("other_version")), " is of another version; build both from one checkout");
  check_says(reason(plugin("without_kernels")), "without_kernels.so lacks kernels");
  check_says(reason(plugin("with_reason")), "CUDA is not available: the device is on holiday");
  check_says(reason(plugin("without_reason")), "without_reason.so gives no reason");
  // Without the variable it is looked for beside this program, where there is none.
  check_says(said_by_child("-u BINCE_CUDA_LIBRARY", "child_tells_the_reason"), "was not found at /");
}

TEST(eight_threads_open_the_library_once) {
  if (in_child()) return;
  const std::string broken = "BINCE_CUDA_LIBRARY='" + plugin("with_reason") + "'";
  check_says(said_by_child(broken, "child_asks_from_eight_threads"), "BINCE_UNSUPPORTED");
#if defined(BINCE_TEST_CUSIM)
  const std::string simulator = "BINCE_CUDA_LIBRARY='" BINCE_TEST_CUSIM "'";
  check_says(said_by_child(simulator, "child_asks_from_eight_threads"), "BINCE_OK");
#endif
}

TEST(the_backend_can_be_chosen_by_the_environment) {
  if (in_child()) return;
  const std::string said =
      said_by_child("BINCE_BACKEND=cuda BINCE_CUDA_LIBRARY=/nowhere", "child_makes_a_default_context");
  check_says(said, "BINCE_UNSUPPORTED: CUDA is not available: the CUDA library was not found");
}

TEST(child_makes_a_default_context) {
  if (!in_child()) return;
  bince_context* context = nullptr;
  const bince_status status = bince_context_create(nullptr, &context);
  std::printf("%s: %s\n", bince_status_name(status), status == BINCE_OK ? "" : bince_last_error());
  bince_context_destroy(context);
}

#if defined(BINCE_TEST_CUSIM)
TEST(a_driver_or_a_machine_that_does_not_serve_gives_a_reason) {
  if (in_child()) return;
  check_says(reason(BINCE_TEST_CUSIM), "cuda, 1 devices");
  check_says(reason(BINCE_TEST_CUSIM, "CUSIM_DEVICES=2"), "cuda, 2 devices");
  check_says(reason(BINCE_TEST_CUSIM, "CUSIM_DEVICES=0"),
             "BINCE_UNSUPPORTED: CUDA is not available: the NVIDIA driver finds no device");
  check_says(
      reason(BINCE_TEST_CUSIM, "CUSIM_DRIVER=12080"),
      "BINCE_UNSUPPORTED: CUDA is not available: the NVIDIA driver serves CUDA 12.8, this library needs "
      "13.0; install driver 580 or later");
}
#endif
