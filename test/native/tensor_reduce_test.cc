// Reductions, rows by index, softmax, cross-entropies and optimiser steps on every backend.
#include "test/native/tensor_case.h"

using namespace bince;
using namespace bince_test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<Floats> reduce_on(Machine& m, Reduction op, int64_t outer, int64_t n, int64_t inner,
                              const Floats& x) {
  Output y(outer * inner);
  m.ops().reduce({op, outer, n, inner, x.data(), y.data()}, m.run(reduce_workspace(outer, n, inner)));
  return {y.values()};
}

TEST(reductions_over_every_axis) {
  const int64_t shapes[][3] = {{1, 1, 1},      {1, 17, 1},   {5, 33, 1},      {2003, 3, 1},  {3, 70001, 1},
                               {1, 200003, 1}, {1, 5, 3},    {1, 4099, 1009}, {1, 30011, 3}, {1, 2, 17},
                               {7, 11, 13},    {3, 1009, 5}, {2, 40009, 2},   {100, 3, 64},  {1, 1031, 70}};
  for (const auto& s : shapes) {
    const Floats x = random_floats(s[0] * s[1] * s[2], 21, 0.5f);
    for (int op = 0; op < kReductions; ++op)
      check_backends(
          "reduce " + std::to_string(op) + " of " + std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" +
              std::to_string(s[2]),
          [&](Machine& m) { return reduce_on(m, static_cast<Reduction>(op), s[0], s[1], s[2], x); }, 1e-6,
          1e-6 * std::sqrt(static_cast<double>(s[1])));
  }
}

TEST(reductions_keep_nan) {
  for (const int64_t n : {1, 16, 40, 70001})
    for (const int64_t inner : {1, 5})
      for (int op = 0; op < kReductions; ++op) {
        Floats x = random_floats(n * inner, 3);
        x[static_cast<size_t>(n * inner / 2)] = kNaN;
        check_backends(
            "NaN", [&](Machine& m) { return reduce_on(m, static_cast<Reduction>(op), 1, n, inner, x); }, 1e-5,
            1e-3);
      }
}

TEST(argmax_takes_the_first) {
  for (const int64_t n : {1, 10, 16, 33, 1009}) {
    Floats x = random_floats(7 * n, 31);
    for (float& value : x) value = std::round(value);
    if (n > 5) x[static_cast<size_t>(2 * n + 3)] = x[static_cast<size_t>(2 * n + 5)] = kNaN;
    check_backends(
        "argmax",
        [&](Machine& m) {
          std::vector<int32_t> out(7);
          m.ops().argmax({7, n, x.data(), out.data()}, m.run());
          return std::vector<Floats>{Floats(out.begin(), out.end())};
        },
        0, 0);
  }
}

TEST(sums_of_squares_and_the_first_bad_element) {
  for (const int64_t n : {0, 1, 17, 1009, 200003}) {
    const Floats x = random_floats(n, 9);
    Machine reference("ref", 1);
    const double expected = reference.ops().sum_squares(x.data(), n, reference.run(column_workspace(n, 1)));
    for (const std::string& backend : cpu_backends()) {
      Machine one(backend, 1), three(backend, 3);
      const double sum = one.ops().sum_squares(x.data(), n, one.run(column_workspace(n, 1)));
      CHECK_NEAR(sum, expected, 1e-6 * expected);
      CHECK(sum == three.ops().sum_squares(x.data(), n, three.run(column_workspace(n, 1))));
      CHECK_EQ(one.ops().first_non_finite(x.data(), n, one.run()), int64_t{-1});
      for (const int64_t at : {n / 3, n - 1}) {
        if (at < 0 || n == 0) continue;
        Floats bad = x;
        bad[static_cast<size_t>(at)] = at % 2 ? kNaN : -kInfinity;
        CHECK_EQ(one.ops().first_non_finite(bad.data(), n, one.run()), at);
      }
    }
  }
  const Floats large = {1e30f, 1e30f}, small = {1e-30f, 1e-30f};
  for (const std::string& backend : cpu_backends()) {
    Machine m(backend, 1);
    CHECK_NEAR(m.ops().sum_squares(large.data(), 2, m.run(column_workspace(2, 1))), 2e60, 1e54);
    CHECK_NEAR(m.ops().sum_squares(small.data(), 2, m.run(column_workspace(2, 1))), 2e-60, 1e-66);
  }
}

TEST(rows_by_index_and_back) {
  for (const int64_t width : {1, 3, 16, 65}) {
    const int64_t rows = 201, count = 1009;
    std::vector<int32_t> index(count);
    for (int64_t i = 0; i < count; ++i)
      index[static_cast<size_t>(i)] = static_cast<int32_t>(i * i * 31 % 197);
    const Floats x = random_floats(rows * width, 4), dy = random_floats(count * width, 5);
    check_backends(
        "gather",
        [&](Machine& m) {
          Output y(count * width), dx(rows * width);
          m.ops().gather_rows({rows, width, count, index.data(), x.data(), y.data()}, m.run());
          m.ops().scatter_add_rows({rows, width, count, index.data(), dy.data(), dx.data()}, m.run());
          return std::vector<Floats>{y.values(), dx.values()};
        },
        0, 0);
  }
}

TEST(softmax_and_its_logarithm) {
  for (const int64_t n : {1, 2, 10, 16, 17, 1009})
    for (const bool log : {false, true}) {
      const int64_t rows = n > 100 ? 67 : 13;
      Floats x = random_floats(rows * n, 41, 0, 5);
      const Floats dy = random_floats(rows * n, 42);
      x[0] = 3000;  // a row with one far above the others
      const auto forward = [&](Machine& m, const Floats& at) {
        Output y(rows * n);
        m.ops().softmax({rows, n, log, at.data(), y.data()}, m.run());
        return y.values();
      };
      check_backends(
          "softmax",
          [&](Machine& m) {
            const Floats y = forward(m, x);
            Output dx(rows * n);
            m.ops().softmax_backward({rows, n, log, y.data(), dy.data(), dx.data()}, m.run());
            return std::vector<Floats>{y, dx.values()};
          },
          1.5e-6, 3e-6);
    }
}

TEST(softmax_derivatives) {
  Machine reference("ref", 1);
  const int64_t rows = 3, n = 7;
  const Floats x = random_floats(rows * n, 1), dy = random_floats(rows * n, 2);
  for (const bool log : {false, true}) {
    const auto f = [&](const Floats& at) {
      Floats y(at.size());
      reference.ops().softmax({rows, n, log, at.data(), y.data()}, reference.run());
      return y;
    };
    const Floats y = f(x);
    Floats dx(x.size());
    reference.ops().softmax_backward({rows, n, log, y.data(), dy.data(), dx.data()}, reference.run());
    check_gradient("softmax", f, x, dy, dx, 2e-3);
  }
}

TEST(cross_entropy_with_and_without_smoothing) {
  for (const int64_t classes : {1, 2, 10, 17, 1009})
    for (const float smoothing : {0.0f, 0.1f}) {
      const int64_t rows = 67;
      Floats x = random_floats(rows * classes, 51, 0, 4);
      x[0] = -1e4f;
      std::vector<int32_t> labels(rows);
      for (int64_t r = 0; r < rows; ++r)
        labels[static_cast<size_t>(r)] = static_cast<int32_t>(r * 7 % classes);
      check_backends(
          "cross entropy",
          [&](Machine& m) {
            Output loss(rows), d(rows * classes), alone(rows);
            m.ops().cross_entropy({rows, classes, smoothing, x.data(), labels.data(), loss.data(), d.data()},
                                  m.run());
            m.ops().cross_entropy({rows, classes, smoothing, x.data(), labels.data(), alone.data(), nullptr},
                                  m.run());
            return std::vector<Floats>{loss.values(), d.values(), alone.values()};
          },
          1e-6, 2e-6);
      if (classes != 10) continue;
      Machine reference("ref", 1);
      Floats d(x.size()), loss(rows);
      const auto f = [&](const Floats& at) {
        Floats out(rows);
        reference.ops().cross_entropy(
            {rows, classes, smoothing, at.data(), labels.data(), out.data(), nullptr}, reference.run());
        return out;
      };
      x[0] = 1;
      reference.ops().cross_entropy(
          {rows, classes, smoothing, x.data(), labels.data(), loss.data(), d.data()}, reference.run());
      check_gradient("cross entropy", f, x, Floats(rows, 1.0f), d, 5e-3);
    }
}

TEST(binary_cross_entropy) {
  for (const int64_t n : {1, 17, 784}) {
    const int64_t rows = 67;
    Floats x = random_floats(rows * n, 61, 0, 10), t = random_floats(rows * n, 62);
    x[0] = 1000;
    for (float& value : t) value = value > 0 ? 1.0f : 0.25f;
    check_backends(
        "bce",
        [&](Machine& m) {
          Output loss(rows), d(rows * n), alone(rows);
          m.ops().bce_with_logits({rows, n, x.data(), t.data(), loss.data(), d.data()}, m.run());
          m.ops().bce_with_logits({rows, n, x.data(), t.data(), alone.data(), nullptr}, m.run());
          return std::vector<Floats>{loss.values(), d.values(), alone.values()};
        },
        1e-6, 1e-6);
  }
}

TEST(binary_cross_entropy_derivative) {
  Machine reference("ref", 1);
  const Floats x = random_floats(12, 63), t = {0, 1, 0.5f, 1, 0, 0.2f, 1, 1, 0, 0, 0.9f, 1};
  const auto f = [&](const Floats& at) {
    Floats loss(3);
    reference.ops().bce_with_logits({3, 4, at.data(), t.data(), loss.data(), nullptr}, reference.run());
    return loss;
  };
  Floats loss(3), d(12);
  reference.ops().bce_with_logits({3, 4, x.data(), t.data(), loss.data(), d.data()}, reference.run());
  check_gradient("bce", f, x, {1, 1, 1}, d, 2e-3);
}

TEST(optimiser_steps) {
  for (const int64_t n : {1, 17, 1009, 70001})
    for (int variant = 0; variant < 4; ++variant) {
      const bool flag = variant & 1, other = variant & 2;
      const Floats g = random_floats(n, 72);
      check_backends(
          "optimisers",
          [&](Machine& m) {
            Floats p = random_floats(n, 71), moment = random_floats(n, 73), v = random_floats(n, 74);
            for (float& value : v) value = std::fabs(value);
            m.ops().adam({n, p.data(), moment.data(), v.data(), g.data(), 1e-2, 0.9, 0.999, 1e-8,
                          other ? 0.1 : 0, flag, 3, 0.5},
                         m.run());
            Floats q = random_floats(n, 75), buffer = random_floats(n, 76);
            m.ops().sgd({n, q.data(), g.data(), other ? buffer.data() : nullptr, 0.1, 0.9, 0.1, 0.01, flag,
                         variant == 3, 2.0},
                        m.run());
            Floats target = random_floats(n, 77);
            m.ops().ema({n, target.data(), g.data(), 0.99}, m.run());
            return std::vector<Floats>{p, moment, v, q, buffer, target};
          },
          5e-7, 5e-7);
    }
}

}  // namespace
