// A small test harness: TEST(name) { CHECK(...); }, and main() comes with it.  Prints what failed and closes
// with "N passed, N failed, N skipped".  A first argument runs only the tests whose names contain it.
#ifndef BINCE_TEST_NATIVE_HARNESS_H_
#define BINCE_TEST_NATIVE_HARNESS_H_

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "bince.h"

namespace bince_test {

struct Test {
  const char* name;
  void (*body)();
};
inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
inline int failures = 0;  // of the running test
inline std::string skip_reason;
struct Registration {
  Registration(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

inline void report(const char* file, int line, const std::string& message) {
  if (++failures <= 10) std::printf("    %s:%d: %s\n", file, line, message.c_str());
}

// A context of a named backend, or null (with a note of the skip) where the machine cannot run it.
struct Context {
  bince_context* context = nullptr;
  explicit Context(const char* backend, int threads = 1, int32_t device = 0) {
    const bince_context_options options = {sizeof(bince_context_options), threads, backend, device};
    bince_context_create(&options, &context);
  }
  ~Context() { bince_context_destroy(context); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  operator bince_context*() const { return context; }
};

inline std::vector<std::string> split_names(const char* joined) {
  std::vector<std::string> names;
  std::string name;
  for (const char* p = joined;; ++p) {
    if (*p == ',' || *p == 0) {
      if (!name.empty()) names.push_back(name);
      name.clear();
      if (*p == 0) return names;
    } else {
      name += *p;
    }
  }
}

// Those of the CPU; for what exists on the CPU alone.
inline std::vector<std::string> cpu_backends() {
  return split_names(bince_available_backends());
}

// What the tests run over: the CPU's backends, and "cuda" where BINCE_CUDA_LIBRARY names the simulator or a
// library with a device.  BINCE_TEST_BACKENDS, names with commas, leaves those alone.
inline const std::vector<std::string>& available_backends() {
  static const std::vector<std::string> chosen = [] {
    std::vector<std::string> all = cpu_backends();
    int32_t devices = 0;
    if (bince_cuda_device_count(&devices) == BINCE_OK) all.push_back("cuda");
    const char* wanted = std::getenv("BINCE_TEST_BACKENDS");
    if (!wanted || !*wanted) return all;
    std::vector<std::string> left;
    for (const std::string& name : split_names(wanted)) {
      for (const std::string& each : all)
        if (each == name) left.push_back(name);
      if (left.empty() || left.back() != name) {  // tests over no backend would all pass
        std::printf("BINCE_TEST_BACKENDS: %s cannot run here: %s\n0 passed, 1 failed, 0 skipped\n",
                    name.c_str(), bince_last_error());
        std::exit(1);
      }
    }
    return left;
  }();
  return chosen;
}

}  // namespace bince_test

#define TEST(name)                                                        \
  static void name();                                                     \
  static const bince_test::Registration registration_##name(#name, name); \
  static void name()
#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) bince_test::report(__FILE__, __LINE__, "not true: " #condition); \
  } while (0)
#define CHECK_EQ(actual, expected)                                                               \
  do {                                                                                           \
    const auto actual_ = (actual);                                                               \
    const auto expected_ = (expected);                                                           \
    if (!(actual_ == expected_))                                                                 \
      bince_test::report(__FILE__, __LINE__,                                                     \
                         std::string(#actual " is ") + std::to_string(actual_) + ", expected " + \
                             std::to_string(expected_));                                         \
  } while (0)
// |actual - expected| <= tolerance; a NaN fails.
#define CHECK_NEAR(actual, expected, tolerance)                                                    \
  do {                                                                                             \
    const double actual_ = (actual), expected_ = (expected), tolerance_ = (tolerance);             \
    if (!(std::fabs(actual_ - expected_) <= tolerance_))                                           \
      bince_test::report(__FILE__, __LINE__,                                                       \
                         std::string(#actual " is ") + std::to_string(actual_) + ", expected " +   \
                             std::to_string(expected_) + " within " + std::to_string(tolerance_)); \
  } while (0)
#define CHECK_OK(expression)                                                                       \
  do {                                                                                             \
    const bince_status status_ = (expression);                                                     \
    if (status_ != BINCE_OK)                                                                       \
      bince_test::report(                                                                          \
          __FILE__, __LINE__,                                                                      \
          std::string(#expression ": ") + bince_status_name(status_) + ": " + bince_last_error()); \
  } while (0)
#define SKIP(reason)                    \
  do {                                  \
    bince_test::skip_reason = (reason); \
    return;                             \
  } while (0)

#if !defined(BINCE_FUZZ_TARGET)  // libFuzzer brings its own
int main(int argc, char** argv) {
  int passed = 0, failed = 0, skipped = 0;
  // Ends the program where one was asked for that is not there.
  if (std::getenv("BINCE_TEST_BACKENDS")) bince_test::available_backends();
  for (const bince_test::Test& test : bince_test::tests()) {
    if (argc > 1 && !std::strstr(test.name, argv[1])) continue;
    bince_test::failures = 0;
    bince_test::skip_reason.clear();
    test.body();
    if (bince_test::failures) {
      std::printf("  FAILED %s (%d)\n", test.name, bince_test::failures);
      ++failed;
    } else if (!bince_test::skip_reason.empty()) {
      std::printf("  skipped %s: %s\n", test.name, bince_test::skip_reason.c_str());
      ++skipped;
    } else {
      ++passed;
    }
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed ? 1 : 0;
}
#endif

#endif  // BINCE_TEST_NATIVE_HARNESS_H_
