// Bugs planted in kernels, each of which the simulator must find, and the same kernels without them, in which
// it must find nothing.  What only a sanitizer sees is run in a second process, which it is expected to end.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "test/cusim/cusim_bugs.cuh"
#include "test/native/harness.h"

namespace {

using namespace bugs;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
constexpr uint64_t kSeeds = 12;
constexpr unsigned kBlocks = 4;

using Kernel = void (*)(const int*, int*);
using Values = std::array<int, kThreads>;

Values input() {
  Values in;
  for (int i = 0; i < kThreads; ++i) in[static_cast<size_t>(i)] = 100 + 7 * i;
  return in;
}
Values reversed() {
  Values out = input();
  std::reverse(out.begin(), out.end());
  return out;
}
Values neighbours() {
  Values out = input();
  for (size_t i = 0; i < out.size(); i += 2) std::swap(out[i], out[i + 1]);
  return out;
}
Values tail_changed() {
  Values out = input();
  for (size_t i = kThreads - 3; i < kThreads; ++i) out[i] *= 3;
  return out;
}
Values only(std::initializer_list<int> first) {
  Values out = {};
  std::copy(first.begin(), first.end(), out.begin());
  return out;
}

// What finds a bug: a message of the simulator, in every build; a wrong result under some seed; a sanitizer.
struct Bug {
  const char* name;
  Kernel right, wrong;
  Values (*expected)();
  const char* message;  // null: the launch succeeds
  bool wrong_result;    // under some seed
  bool race;            // ThreadSanitizer finds it
  const char* overrun;  // AddressSanitizer's name for it, or null
  unsigned blocks = 1;
};
#define KERNELS(name) #name, name < false>, name < true>

const Bug kBugs[] = {
    {KERNELS(barrier_missing), reversed, nullptr, true, true, nullptr},
    {KERNELS(second_barrier_missing), reversed, nullptr, true, true, nullptr},
    {KERNELS(warp_barrier_missing), neighbours, nullptr, true, true, nullptr},
    {KERNELS(shuffle_as_barrier), neighbours, nullptr, false, true, nullptr},
    {KERNELS(barrier_after_exit), reversed, "__syncthreads after some threads have exited", false, false,
     nullptr},
    {KERNELS(divergent_barrier), reversed, "threads wait at different __syncthreads", false, false, nullptr},
    {KERNELS(divergent_shuffle), neighbours, "divergent warp operation", false, false, nullptr},
    {KERNELS(exited_lane), neighbours, "the mask names lane", false, false, nullptr},
    {KERNELS(caller_not_named), neighbours, "the mask does not name the calling lane", false, false, nullptr},
    {KERNELS(shuffle_from_outside), neighbours, "shuffles from lane 16, which the mask does not name", false,
     false, nullptr},
    {KERNELS(shared_overrun), reversed, "wrote 0 bytes behind the 256 bytes of its shared memory", false,
     false, "use-after-poison"},
    {KERNELS(shared_underrun), reversed, "bytes before the 256 bytes of its shared memory", false, false,
     "use-after-poison"},
    {KERNELS(unwritten_shared), reversed, nullptr, true, false, nullptr},
    {KERNELS(global_overrun), reversed, "memory was written right behind an allocation of 256 bytes", false,
     false, "use-after-poison"},
    {KERNELS(tail_race), tail_changed, nullptr, true, true, nullptr},
    {KERNELS(blocks_race), [] { return only({0}); }, nullptr, true, true, nullptr, kBlocks},
    {KERNELS(fence_missing),
     [] {
       return only({4, 10, 1, 2, 3, 4});
     },
     nullptr, false, true, nullptr, kBlocks},
    {KERNELS(wait_missing), reversed, "an asynchronous copy is still under way when its thread exits", false,
     false, nullptr},
    {KERNELS(wait_too_short), reversed, nullptr, true, true, nullptr},
    {KERNELS(commit_missing), reversed, "an asynchronous copy is still under way", false, false, nullptr},
    {KERNELS(barrier_after_wait_missing), reversed, nullptr, true, true, nullptr},
    {KERNELS(copy_into_use), reversed, nullptr, true, true, nullptr},
    {KERNELS(copy_misaligned), reversed, "copy_async_16: an address that is not aligned", false, false,
     nullptr},
    {KERNELS(copy_from_misaligned), reversed, "copy_async_16: a global address that is not aligned", false,
     false, nullptr},
    {KERNELS(copy_beyond_shared), reversed, "copy_async_16: an address outside of the shared memory", false,
     false, nullptr},
    {KERNELS(matrix_row_misaligned), neighbours, "load_matrices: an address that is not aligned", false,
     false, nullptr},
    {KERNELS(deadlock), neighbours, "deadlock", false, false, nullptr},
};

// The device's memory for one kernel.
struct Run {
  int *in = nullptr, *out = nullptr;
  Values result = {};
  std::string message;

  Run(const Bug& bug, bool wrong, uint64_t seed) {
    cudaMalloc(reinterpret_cast<void**>(&in), sizeof(Values));
    cudaMalloc(reinterpret_cast<void**>(&out), sizeof(Values));
    const Values from = input();
    cudaMemcpyAsync(in, from.data(), sizeof from, cudaMemcpyHostToDevice, nullptr);
    cudaMemsetAsync(out, bug.right == Kernel(blocks_race<false>) ? 0x7f : 0, sizeof(Values), nullptr);
    cusim::set_seed(seed);
    const Kernel kernel = wrong ? bug.wrong : bug.right;
    // Twice what the tiles take for the kernel that loads matrices.
    const size_t shared = bug.right == Kernel(matrix_row_misaligned<false>) ? 512 : sizeof(Values);
    BINCE_LAUNCH(kernel, bug.blocks, kThreads, shared, nullptr, in, out);
    if (cudaGetLastError() != cudaSuccess) message = cusim::last_message();
    cudaMemcpyAsync(result.data(), out, sizeof result, cudaMemcpyDeviceToHost, nullptr);
    cusim::set_seed(0);
  }
  ~Run() {
    cudaFree(in);
    cudaFree(out);
  }
};

bool as_expected(const Bug& bug, const Values& result) {
  Values expected = bug.expected();
  if (bug.right == Kernel(blocks_race<false>)) return result[0] == expected[0];
  return result == expected;
}

void fail(const Bug& bug, const std::string& text) {
  bince_test::report(__FILE__, __LINE__, std::string(bug.name) + ": " + text);
}

TEST(nothing_is_found_in_kernels_without_bugs) {
  for (const Bug& bug : kBugs) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Run run(bug, false, seed);
      if (!run.message.empty()) fail(bug, "with seed " + std::to_string(seed) + ": " + run.message);
      if (run.message.empty() && !as_expected(bug, run.result))
        fail(bug, "a wrong result with seed " + std::to_string(seed));
    }
  }
}

// The bugs with a message are found by every seed, in every build.
TEST(messages_name_the_bugs) {
  for (const Bug& bug : kBugs) {
    if (!bug.message || (kAddressSanitizer && bug.overrun)) continue;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Run run(bug, true, seed);
      if (run.message.find(bug.message) == std::string::npos)
        fail(bug, "with seed " + std::to_string(seed) + " the message is '" + run.message + "'");
    }
    const Run again(bug, false, 0);  // and the simulator has recovered
    if (!again.message.empty() || !as_expected(bug, again.result)) fail(bug, "nothing works afterwards");
  }
}

#if !defined(__SANITIZE_THREAD__)  // which reports these bugs itself
TEST(wrong_results_show_the_bugs) {
  for (const Bug& bug : kBugs) {
    if (bug.message) continue;
    int wrong = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Run run(bug, true, seed);
      if (!run.message.empty()) fail(bug, run.message);
      wrong += !as_expected(bug, run.result);
    }
    if ((wrong > 0) != bug.wrong_result) fail(bug, "wrong under " + std::to_string(wrong) + " seeds");
  }
}

#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
// What the second process runs.
TEST(the_bug_of_the_environment) {
  const char* name = std::getenv("CUSIM_BUG");
  if (!name) return;
  for (const Bug& bug : kBugs)
    if (std::string(name) == bug.name) const Run run(bug, true, 0);
}

// Runs this program with the bug of that name alone; its output, with the exit status at the end.
std::string output_of_bug(const char* name) {
  // Symbols are not looked at, and reading them takes seconds.
  const std::string command =
      "TSAN_OPTIONS=symbolize=0 ASAN_OPTIONS=symbolize=0 CUSIM_BUG=" + std::string(name) + " /proc/" +
      std::to_string(getpid()) + "/exe the_bug_of_the_environment 2>&1; echo status $?";
  std::string output;
  FILE* const pipe = popen(command.c_str(), "r");
  if (!pipe) return "popen failed";
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
  pclose(pipe);
  return output;
}

TEST(sanitizers_report_the_bugs) {
  for (const Bug& bug : kBugs) {
    const char* const expected = kAddressSanitizer ? bug.overrun : bug.race ? "data race" : nullptr;
    if (!expected) continue;
    const std::string output = output_of_bug(bug.name);
    if (output.find(expected) == std::string::npos || output.find("status 0\n") != std::string::npos)
      fail(bug, "not reported: " + output.substr(0, 300));
  }
}

#endif

}  // namespace
