// Normalisation, pooling and up-sampling on every backend.
#include "test/native/tensor_case.h"

using namespace bince;
using namespace bince_test;

namespace {

struct Norm {
  int64_t rows, C;
  bool training;
  Activation act;
  Floats x, dy, gamma, beta, running_mean, running_var;

  Norm(int64_t rows_, int64_t columns, bool training_, Activation act_, float mean = 0.7f)
      : rows(rows_), C(columns), training(training_), act(act_) {
    x = random_floats(rows * C, 81, mean, 2);
    dy = random_floats(rows * C, 82);
    gamma = random_floats(C, 83, 1, 0.3f);
    beta = random_floats(C, 84);
    running_mean = random_floats(C, 85);
    running_var = random_floats(C, 86, 3, 0.2f);
  }

  Floats forward(Machine& m, const Floats& at, std::vector<Floats>* all = nullptr) const {
    Output y(rows * C), mean(C), rstd(C);
    Floats kept_mean = running_mean, kept_var = running_var;
    m.ops().batch_norm({rows, C, training, 1e-5f, 0.1f, 0.2f, act, at.data(), gamma.data(), beta.data(),
                        kept_mean.data(), kept_var.data(), mean.data(), rstd.data(), y.data()},
                       m.run(column_workspace(rows, C)));
    if (all) *all = {y.values(), mean.values(), rstd.values(), kept_mean, kept_var};
    return y.values();
  }
  // dx, dgamma, dbeta.
  std::vector<Floats> backward(Machine& m, const Floats& mean, const Floats& rstd) const {
    Output dx(rows * C), dgamma(C), dbeta(C);
    m.ops().batch_norm_backward({rows, C, training, 0.2f, act, x.data(), dy.data(), gamma.data(), beta.data(),
                                 mean.data(), rstd.data(), dx.data(), dgamma.data(), dbeta.data()},
                                m.run(column_workspace(rows, C)));
    return {dx.values(), dgamma.values(), dbeta.values()};
  }
};

TEST(batch_norm_of_every_width) {
  const int64_t shapes[][2] = {{2, 1},     {1009, 1},   {70001, 1}, {1, 3},    {15, 3}, {1009, 3},
                               {40009, 3}, {33, 7},     {257, 16},  {100, 17}, {5, 24}, {2001, 48},
                               {64, 63},   {1024, 256}, {301, 65},  {37, 1009}};
  for (const auto& s : shapes)
    for (int act = 0; act < kActivations; ++act)
      for (const bool training : {true, false}) {
        const Norm norm(s[0], s[1], training, static_cast<Activation>(act));
        const double root = std::sqrt(static_cast<double>(s[0]));
        const std::string what = "batch norm of " + std::to_string(s[0]) + "x" + std::to_string(s[1]);
        check_backends(
            what,
            [&](Machine& m) {
              std::vector<Floats> all;
              norm.forward(m, norm.x, &all);
              return all;
            },
            1e-6, 2e-6);
        Machine reference("ref", 1);
        std::vector<Floats> saved;
        norm.forward(reference, norm.x, &saved);
        if (s[0] == 1 && training) continue;  // rstd is 1 / sqrt(eps): differences of rounding are blown up
        check_backends(
            what + ", backward", [&](Machine& m) { return norm.backward(m, saved[1], saved[2]); }, 2e-6,
            3e-6 * root);
      }
}

TEST(batch_norm_of_means_far_from_zero) {  // 1000 standard deviations away
  const Norm norm(20011, 5, true, kNone, 2000.0f);
  check_backends(
      "far mean",
      [&](Machine& m) {
        std::vector<Floats> all;
        norm.forward(m, norm.x, &all);
        return std::vector<Floats>{all[1], all[2], all[0]};
      },
      1e-5, 1e-4);
  Norm jump(5000, 32, true, kNone);  // the first rows tell nothing of the others
  for (size_t i = 0; i < jump.x.size(); ++i) jump.x[i] = i < 32 * 40 ? 0 : 1000 + jump.x[i];
  check_backends(
      "jump",
      [&](Machine& m) {
        std::vector<Floats> all;
        jump.forward(m, jump.x, &all);
        return std::vector<Floats>{all[1], all[2]};
      },
      1e-6, 0);
}

TEST(batch_norm_of_constant_columns) {
  for (const float value : {0.0f, 3.3f, 1e4f}) {
    Norm norm(1000, 20, true, kActRelu);
    norm.x.assign(norm.x.size(), value);
    check_backends(
        "constant",
        [&](Machine& m) {
          std::vector<Floats> all;
          norm.forward(m, norm.x, &all);
          return std::vector<Floats>{all[0], all[1], all[2]};
        },
        1e-4, 1e-5);
  }
}

TEST(batch_norm_without_scale_or_statistics) {
  const Norm norm(300, 33, true, kActLeakyRelu);
  check_backends(
      "bare",
      [&](Machine& m) {
        Output y(300 * 33), mean(33), rstd(33), dx(300 * 33);
        m.ops().batch_norm({300, 33, true, 1e-5f, 0.1f, 0.2f, norm.act, norm.x.data(), nullptr, nullptr,
                            nullptr, nullptr, mean.data(), rstd.data(), y.data()},
                           m.run(column_workspace(300, 33)));
        const Floats means = mean.values(), rstds = rstd.values();
        m.ops().batch_norm_backward({300, 33, true, 0.2f, norm.act, norm.x.data(), norm.dy.data(), nullptr,
                                     nullptr, means.data(), rstds.data(), dx.data(), nullptr, nullptr},
                                    m.run(column_workspace(300, 33)));
        return std::vector<Floats>{y.values(), dx.values()};
      },
      1e-5, 1e-5);
}

TEST(batch_norm_derivatives) {
  Machine reference("ref", 1);
  for (int act = 0; act < kActivations; ++act)
    for (const bool training : {true, false}) {
      Norm norm(7, 3, training, static_cast<Activation>(act));
      std::vector<Floats> saved;
      norm.forward(reference, norm.x, &saved);
      for (size_t i = 0; i < saved[0].size(); ++i)  // away from the kinks
        if (act != kNone && std::fabs(saved[0][i]) < 0.05f) norm.dy[i] = 0;
      const std::vector<Floats> gradients = norm.backward(reference, saved[1], saved[2]);
      const auto f = [&](const Floats& at) { return norm.forward(reference, at); };
      check_gradient("batch norm, activation " + std::to_string(act), f, norm.x, norm.dy, gradients[0], 1e-2);
      for (const bool of_gamma : {true, false}) {
        Norm moved = norm;
        const auto g = [&](const Floats& at) {
          (of_gamma ? moved.gamma : moved.beta) = at;
          return moved.forward(reference, norm.x);
        };
        check_gradient("batch norm, parameters", g, of_gamma ? norm.gamma : norm.beta, norm.dy,
                       gradients[of_gamma ? 1 : 2], 1e-2);
      }
    }
}

TEST(layer_norm_of_every_width) {
  const int64_t shapes[][2] = {{1, 1}, {3, 2}, {1009, 3}, {33, 17}, {257, 64}, {101, 257}, {64, 1009}};
  for (const auto& s : shapes) {
    const int64_t rows = s[0], n = s[1];
    const Floats x = random_floats(rows * n, 91, 3), dy = random_floats(rows * n, 92);
    const Floats gamma = random_floats(n, 93, 1), beta = random_floats(n, 94);
    const auto forward = [&](Machine& m, const Floats& at) {
      Output y(rows * n), mean(rows), rstd(rows);
      m.ops().layer_norm(
          {rows, n, 1e-3f, at.data(), gamma.data(), beta.data(), mean.data(), rstd.data(), y.data()},
          m.run());
      return std::vector<Floats>{y.values(), mean.values(), rstd.values()};
    };
    check_backends(
        "layer norm", [&](Machine& m) { return forward(m, x); }, 2e-6, 3e-5);
    Machine reference("ref", 1);
    const std::vector<Floats> saved = forward(reference, x);
    const auto backward = [&](Machine& m) {
      Output dx(rows * n), dgamma(n), dbeta(n);
      m.ops().layer_norm_backward({rows, n, x.data(), dy.data(), gamma.data(), saved[1].data(),
                                   saved[2].data(), dx.data(), dgamma.data(), dbeta.data()},
                                  m.run(column_workspace(rows, n)));
      return std::vector<Floats>{dx.values(), dgamma.values(), dbeta.values()};
    };
    check_backends("layer norm, backward", backward, 1e-5, 1e-4);
    if (rows * n < 700 && n > 2)
      check_gradient(
          "layer norm", [&](const Floats& at) { return forward(reference, at)[0]; }, x, dy,
          backward(reference)[0], 1e-2);
  }
}

TEST(rows_of_unit_length) {
  for (const int64_t n : {1, 3, 16, 65, 1009}) {
    const int64_t rows = 41;
    Floats x = random_floats(rows * n, 95);
    const Floats dy = random_floats(rows * n, 96);
    for (int64_t k = 0; k < n; ++k) x[static_cast<size_t>(k)] = 0;               // a row of zeros
    for (int64_t k = n; k < 2 * n; ++k) x[static_cast<size_t>(k)] *= 1e-25f;     // below float32's squares
    for (int64_t k = 2 * n; k < 3 * n; ++k) x[static_cast<size_t>(k)] *= 1e25f;  // and beyond
    check_backends(
        "normalise",
        [&](Machine& m) {
          Output y(rows * n), inverse(rows), dx(rows * n);
          m.ops().normalize({rows, n, 1e-30f, x.data(), y.data(), inverse.data()}, m.run());
          const Floats unit = y.values(), inverses = inverse.values();
          m.ops().normalize_backward({rows, n, unit.data(), inverses.data(), dy.data(), dx.data()}, m.run());
          Floats part = dx.values();
          part.erase(part.begin(), part.begin() + 3 * n);  // the others are scaled by 1e25
          return std::vector<Floats>{unit, inverses, part};
        },
        2e-6, 2e-6);
  }
  Machine reference("ref", 1);
  const Floats x = random_floats(15, 7), dy = random_floats(15, 8);
  const auto f = [&](const Floats& at) {
    Floats y(15), inverse(3);
    reference.ops().normalize({3, 5, 1e-12f, at.data(), y.data(), inverse.data()}, reference.run());
    return y;
  };
  Floats y(15), inverse(3), dx(15);
  reference.ops().normalize({3, 5, 1e-12f, x.data(), y.data(), inverse.data()}, reference.run());
  reference.ops().normalize_backward({3, 5, y.data(), inverse.data(), dy.data(), dx.data()}, reference.run());
  check_gradient("normalise", f, x, dy, dx, 5e-3);
}

TEST(pooling) {
  const PoolGeometry shapes[] = {
      {1, 2, 2, 1, 2, 2, 2, 2, 0, 0, 1, 1},      {3, 7, 5, 3, 3, 3, 2, 2, 1, 1, 4, 3},
      {2, 8, 8, 17, 2, 2, 2, 2, 0, 0, 4, 4},     {2, 9, 6, 16, 3, 2, 1, 1, 0, 1, 7, 7},
      {4, 28, 28, 32, 3, 3, 2, 2, 1, 1, 14, 14}, {5, 4, 4, 70, 4, 4, 1, 1, 0, 0, 1, 1}};
  for (const PoolGeometry& g : shapes)
    for (const PoolKind kind : {kMaxPool, kAveragePool}) {
      const int64_t in = g.N * g.H * g.W * g.C, out = g.N * g.OH * g.OW * g.C;
      Floats x = random_floats(in, 101);
      const Floats dy = random_floats(out, 102);
      for (float& value : x) value = std::round(value * 2);  // ties: the first takes all
      x[0] = std::numeric_limits<float>::quiet_NaN();
      check_backends(
          "pool",
          [&](Machine& m) {
            Output y(out), dx(in);
            m.ops().pool({kind, g, x.data(), y.data()}, m.run());
            const Floats pooled = y.values();
            m.ops().pool_backward({kind, g, x.data(), pooled.data(), dy.data(), dx.data()}, m.run());
            return std::vector<Floats>{pooled, dx.values()};
          },
          1e-6, 1e-6);
    }
}

TEST(up_sampling) {
  const int64_t shapes[][6] = {
      {1, 1, 1, 1, 3, 2}, {2, 4, 5, 3, 8, 10}, {1, 7, 3, 17, 5, 9}, {3, 8, 8, 32, 16, 16}};
  for (const auto& s : shapes)
    for (const UpsampleKind kind : {kNearest, kBilinear}) {
      const int64_t in = s[0] * s[1] * s[2] * s[3], out = s[0] * s[4] * s[5] * s[3];
      const Floats x = random_floats(in, 111), dy = random_floats(out, 112);
      const auto on = [&](Machine& m) {
        Output y(out), dx(in);
        m.ops().upsample({kind, s[0], s[1], s[2], s[3], s[4], s[5], x.data(), y.data()}, m.run());
        m.ops().upsample_backward({kind, s[0], s[1], s[2], s[3], s[4], s[5], dy.data(), dx.data()}, m.run());
        return std::vector<Floats>{y.values(), dx.values()};
      };
      check_backends("upsample", on, 1e-6, 2e-6);
      Machine reference("ref", 1);
      const std::vector<Floats> both = on(reference);  // linear: <dy, f(x)> = <dx, x>
      double left = 0, right = 0;
      for (size_t i = 0; i < dy.size(); ++i) left += static_cast<double>(dy[i]) * both[0][i];
      for (size_t i = 0; i < x.size(); ++i) right += static_cast<double>(x[i]) * both[1][i];
      CHECK_NEAR(left, right, 1e-4 * std::fmax(1, std::fabs(left)));
    }
}

TEST(bilinear_values) {
  Machine reference("ref", 1);
  const Floats x = {1, 2, 3, 4};
  Floats y(16);
  reference.ops().upsample({kBilinear, 1, 2, 2, 1, 4, 4, x.data(), y.data()}, reference.run());
  const Floats expected = {1,    1.25f, 1.75f, 2,    1.5f, 1.75f, 2.25f, 2.5f,
                           2.5f, 2.75f, 3.25f, 3.5f, 3,    3.25f, 3.75f, 4};
  check_close("bilinear", y, expected, 1e-7, 0);
}

}  // namespace
