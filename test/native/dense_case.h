// Operands, guarded outputs and plain float32 results for the tests of the dense family.
#ifndef BINCE_TEST_NATIVE_DENSE_CASE_H_
#define BINCE_TEST_NATIVE_DENSE_CASE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/core/context.h"
#include "native/dense/dense_ops.h"
#include "test/native/harness.h"

namespace dense_test {

using bince::ConvGeometry;
using bince::DenseOps;
using bince::MatmulProblem;
using bince::Run;

// Uniform in [-1, 1), from a seed.
inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed * 2654435761u + 1;
  for (float& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
  return values;
}

// An output with sentinels on both sides, NaN before it is written.
class Guarded {
 public:
  explicit Guarded(int64_t count) : all_(static_cast<size_t>(count) + 2 * kGuard, kSentinel) {
    std::fill(all_.begin() + kGuard, all_.end() - kGuard, NAN);
  }
  explicit Guarded(const std::vector<float>& content) : Guarded(static_cast<int64_t>(content.size())) {
    std::copy(content.begin(), content.end(), all_.begin() + kGuard);
  }
  float* data() { return all_.data() + kGuard; }
  // Not inlined: GCC 12 takes the copies' memory for what it is not (-Wfree-nonheap-object).
  __attribute__((noinline)) std::vector<float> values() const {
    return {all_.begin() + kGuard, all_.end() - kGuard};
  }
  bool intact() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (all_[i] != kSentinel || all_[all_.size() - 1 - i] != kSentinel) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr float kSentinel = 12345.678f;
  std::vector<float> all_;
};

// Runs a slot with exactly the workspace that it asks for, and sees that it writes no further.
template <typename Problem>
void run_slot(const bince_context* context, const Problem& problem, size_t (*workspace)(const Problem&, int),
              void (*slot)(const Problem&, const Run&)) {
  const size_t bytes = workspace(problem, bince::pool_threads(context->pool));
  constexpr size_t kGuard = 64;
  const size_t room = (bytes + kGuard + 63) & ~size_t{63};
  std::unique_ptr<unsigned char, void (*)(void*)> block(
      static_cast<unsigned char*>(std::aligned_alloc(64, room)), std::free);
  std::memset(block.get(), 0xff, room);  // NaNs: what is not written must not be read
  slot(problem, Run{context->pool, reinterpret_cast<char*>(block.get()), nullptr});
  for (size_t i = bytes; i < room; ++i) CHECK(block.get()[i] == 0xff);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline double largest_error(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::fabs(double{a[i]} - double{b[i]});
    if (!(error <= largest)) largest = error;  // a NaN stays
  }
  return largest;
}

inline double largest(const std::vector<float>& a) {
  double size = 0;
  for (const float v : a) size = std::max(size, std::fabs(double{v}));
  return size;
}

// Twice the error of the same precision done plainly, and a few roundings of the largest value.
inline void check_against(const std::string& name, const std::vector<float>& actual,
                          const std::vector<float>& exact, const std::vector<float>& plain) {
  const double error = largest_error(actual, exact);
  const double allowed = 2 * largest_error(plain, exact) + 0x1p-22 * largest(exact);
  if (!(error <= allowed))
    bince_test::report(__FILE__, __LINE__,
                       name + ": error " + std::to_string(error) + ", allowed " + std::to_string(allowed));
}

// --- plain float32
// ---------------------------------------------------------------------------------------------

inline std::vector<float> plain_matmul(const MatmulProblem& p, const std::vector<float>& before) {
  std::vector<float> c(before);
  for (int64_t i = 0; i < p.batch; ++i)
    for (int64_t m = 0; m < p.M; ++m)
      for (int64_t n = 0; n < p.N; ++n) {
        float sum = 0;
        for (int64_t k = 0; k < p.K; ++k)
          sum += p.a[i * p.stride_a + (p.trans_a ? k * p.M + m : m * p.K + k)] *
                 p.b[i * p.stride_b + (p.trans_b ? n * p.K + k : k * p.N + n)];
        if (p.bias) sum += p.bias[n];
        float& out = c[static_cast<size_t>((i * p.M + m) * p.N + n)];
        out = p.accumulate ? out + sum : sum;
      }
  return c;
}

// visit(x index, w index of output channel 0, y index of output channel 0) for every product of a
// convolution.
template <typename Visit>
void each_product(const ConvGeometry& g, Visit visit) {
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t oy = 0; oy < g.OH; ++oy)
      for (int64_t ox = 0; ox < g.OW; ++ox)
        for (int64_t ky = 0; ky < g.kh; ++ky)
          for (int64_t kx = 0; kx < g.kw; ++kx) {
            const int64_t y = oy * g.stride_y - g.pad_y + ky, x = ox * g.stride_x - g.pad_x + kx;
            if (y < 0 || y >= g.H || x < 0 || x >= g.W) continue;
            for (int64_t c = 0; c < g.C; ++c)
              visit(((n * g.H + y) * g.W + x) * g.C + c, ((ky * g.kw + kx) * g.C + c) * g.O,
                    ((n * g.OH + oy) * g.OW + ox) * g.O);
          }
}

}  // namespace dense_test

#endif  // BINCE_TEST_NATIVE_DENSE_CASE_H_
