// What the tests of tensor operations share: random tensors, outputs between sentinels, and every backend at
// one and at three threads beside the reference.
#ifndef BINCE_TEST_NATIVE_TENSOR_CASE_H_
#define BINCE_TEST_NATIVE_TENSOR_CASE_H_

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/core/context.h"
#include "native/tensor/tensor_ops.h"
#include "test/native/harness.h"

namespace bince_test {

using Floats = std::vector<float>;

// A backend with some threads, and room to work in.
class Machine {
 public:
  Machine(const std::string& backend, int threads) : name(backend), context_(backend.c_str(), threads) {}
  const bince::TensorOps& ops() const { return *context_.context->ops->tensor; }
  bince::Run run(size_t bytes = 0) {
    room_.assign(bytes + 128, 'x');
    const size_t skew = reinterpret_cast<uintptr_t>(room_.data()) % 64;
    return {context_.context->pool, room_.data() + (64 - skew) % 64, nullptr};
  }
  const std::string name;

 private:
  Context context_;
  std::vector<char> room_;
};

inline Floats random_floats(int64_t n, uint32_t seed, float mean = 0, float deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, deviation);
  Floats values(static_cast<size_t>(n));
  for (float& value : values) value = normal(generator);
  return values;
}

// An output of n elements, misaligned on purpose, with sentinels around it.
class Output {
 public:
  explicit Output(int64_t n) : data_(static_cast<size_t>(n) + 34, kSentinel), n_(static_cast<size_t>(n)) {}
  float* data() { return data_.data() + 17; }
  Floats values() {
    for (size_t i = 0; i < 17; ++i)
      if (data_[i] != kSentinel || data_[17 + n_ + i] != kSentinel)
        report(__FILE__, __LINE__, "written beyond an output of " + std::to_string(n_));
    return {data_.begin() + 17, data_.begin() + 17 + static_cast<std::ptrdiff_t>(n_)};
  }

 private:
  static constexpr float kSentinel = 12345.5f;
  Floats data_;
  size_t n_;
};

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Each within `relative` of its own size plus `absolute`; NaN and infinities must be the same.
inline void check_close(const std::string& what, const Floats& actual, const Floats& expected,
                        double relative, double absolute) {
  if (actual.size() != expected.size()) return report(__FILE__, __LINE__, what + ": another size");
  for (size_t i = 0; i < expected.size(); ++i) {
    const double a = actual[i], e = expected[i];
    if (std::isnan(e) ? std::isnan(a) : a == e) continue;
    if (std::isfinite(e) && std::fabs(a - e) <= relative * std::fabs(e) + absolute) continue;
    char text[200];
    std::snprintf(text, sizeof text, ": element %zu of %zu is %.9g, expected %.9g", i, expected.size(), a, e);
    return report(__FILE__, __LINE__, what + text);
  }
}

// What a call computes on a machine: its outputs, one after the other.
using Call = std::function<std::vector<Floats>(Machine&)>;

// Every backend at one thread against the reference, and at three threads against itself at one, bit for bit.
inline void check_backends(const std::string& what, const Call& call, double relative, double absolute) {
  Machine reference("ref", 1);
  const std::vector<Floats> expected = call(reference);
  for (const std::string& backend : cpu_backends()) {
    Machine one(backend, 1), three(backend, 3);
    const std::vector<Floats> actual = call(one), again = call(three);
    for (size_t i = 0; i < expected.size(); ++i) {
      const std::string name = what + " (" + backend + ", output " + std::to_string(i) + ")";
      check_close(name, actual[i], expected[i], relative, absolute);
      if (!same_bits(actual[i], again[i])) report(__FILE__, __LINE__, name + ": other bits at three threads");
    }
  }
}

// dx against central differences of f, whose output is weighed by dy: sum dy f(x).
inline void check_gradient(const std::string& what, const std::function<Floats(const Floats&)>& f,
                           const Floats& x, const Floats& dy, const Floats& dx, double tolerance,
                           float step = 1e-2f) {
  for (size_t i = 0; i < x.size(); ++i) {
    Floats above = x, below = x;
    above[i] += step;
    below[i] -= step;
    const Floats high = f(above), low = f(below);
    double slope = 0;
    for (size_t k = 0; k < dy.size(); ++k) slope += (static_cast<double>(high[k]) - low[k]) * dy[k];
    slope /= static_cast<double>(above[i]) - below[i];
    if (std::fabs(slope - dx[i]) <= tolerance * std::fmax(1, std::fabs(slope))) continue;
    return report(__FILE__, __LINE__,
                  what + ": the derivative at " + std::to_string(i) + " is " + std::to_string(dx[i]) +
                      ", differences give " + std::to_string(slope));
  }
}

}  // namespace bince_test

#endif  // BINCE_TEST_NATIVE_TENSOR_CASE_H_
