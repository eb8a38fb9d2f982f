// Matrix products and convolutions: every backend against the reference, at the edges of its tiles.
#include "test/native/dense_case.h"

using namespace dense_test;
using bince::ConvBackwardInput;
using bince::ConvBackwardWeight;
using bince::ConvForward;

namespace {

struct MatmulCase {
  int64_t batch, M, N, K;
  bool trans_a, trans_b, shared_a, shared_b, bias, accumulate;

  std::string name() const {
    const auto flag = [](bool on, const char* text) { return on ? std::string(text) : std::string(); };
    return std::to_string(batch) + " of " + std::to_string(M) + " x " + std::to_string(N) + " x " +
           std::to_string(K) + flag(trans_a, " transA") + flag(trans_b, " transB") +
           flag(shared_a, " sharedA") + flag(shared_b, " sharedB") + flag(bias, " bias") +
           flag(accumulate, " accumulate");
  }
};

struct MatmulData {
  std::vector<float> a, b, bias, before;
  MatmulProblem p;

  explicit MatmulData(const MatmulCase& t)
      : a(random_floats((t.shared_a ? 1 : t.batch) * t.M * t.K, 1)),
        b(random_floats((t.shared_b ? 1 : t.batch) * t.K * t.N, 2)),
        bias(random_floats(t.N, 3)),
        before(random_floats(t.batch * t.M * t.N, 4)) {
    p = {t.batch,
         t.M,
         t.N,
         t.K,
         a.data(),
         t.trans_a,
         t.shared_a ? 0 : t.M * t.K,
         b.data(),
         t.trans_b,
         t.shared_b ? 0 : t.K * t.N,
         t.bias ? bias.data() : nullptr,
         nullptr,
         t.accumulate};
  }

  std::vector<float> result(const bince_context* context) {
    Guarded c(before);
    p.c = c.data();
    run_slot(context, p, context->ops->dense->matmul_workspace, context->ops->dense->matmul);
    CHECK(c.intact());
    return c.values();
  }
};

void check_matmul(const MatmulCase& t) {
  MatmulData data(t);
  const bince_test::Context ref("ref");
  const std::vector<float> exact = data.result(ref), plain = plain_matmul(data.p, data.before);
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context context(backend.c_str(), 2);
    check_against(backend + " " + t.name(), data.result(context), exact, plain);
  }
}

// Shapes by a small generator: every form meets sizes around the tiles of each backend.
TEST(matrix_products_of_all_forms_and_edge_sizes) {
  const int64_t rows[] = {1, 2, 3, 5, 6, 7, 11, 12, 13, 25, 47, 48, 97, 193};
  const int64_t columns[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 67, 130};
  const int64_t depths[] = {1, 2, 3, 8, 31, 127, 129, 385};
  for (int form = 0; form < 4; ++form)
    for (int i = 0; i < 42; ++i) {
      const bool bias = i % 2 == 0, accumulate = i % 3 == 0;
      check_matmul({1, rows[i * 5 % 14], columns[(i * 3 + form + i / 14) % 14], depths[(i + form * 3) % 8],
                    (form & 1) != 0, (form & 2) != 0, false, false, bias, accumulate});
    }
}

TEST(long_depths_of_small_results_are_summed_in_parts) {
  for (int form = 0; form < 4; ++form) {
    check_matmul({1, 3, 5, 2003, (form & 1) != 0, (form & 2) != 0, false, false, true, true});
    check_matmul({1, 61, 33, 3001, (form & 1) != 0, (form & 2) != 0, false, false, form == 1, form == 2});
  }
}

TEST(many_rows) {
  check_matmul({1, 1031, 70, 9, true, false, false, false, true, false});
  check_matmul({1, 1031, 70, 131, true, true, false, false, false, true});
  check_matmul({1, 1025, 2, 256, false, false, false, false, true, false});
  check_matmul({1, 2, 257, 1024, true, false, false, false, false, false});
}

TEST(few_columns) {
  for (int form = 0; form < 4; ++form)
    for (int64_t columns = 1; columns <= 5; ++columns) {
      check_matmul(
          {1, 80, columns, 37, (form & 1) != 0, (form & 2) != 0, false, false, columns == 2, columns == 3});
      check_matmul({1, 199, columns, 64, (form & 1) != 0, (form & 2) != 0, false, false, true, true});
      check_matmul({3, 16, columns, 5, (form & 1) != 0, (form & 2) != 0, false, false, false, false});
    }
}

TEST(batches) {
  for (int form = 0; form < 4; ++form)
    for (int shared = 0; shared < 4; ++shared)
      check_matmul({5, 13, 19, 23, (form & 1) != 0, (form & 2) != 0, (shared & 1) != 0, (shared & 2) != 0,
                    shared == 1, form == 2});
  check_matmul({2, 131, 130, 129, false, false, false, false, true, false});
  check_matmul({2, 131, 130, 129, true, true, false, true, false, true});
  check_matmul({1, 7, 7, 7, false, false, true, true, false, false});
}

// The next matrix of a batch may begin anywhere.
TEST(batches_with_gaps) {
  MatmulData data({3, 4, 5, 6, false, false, false, false, false, false});
  data.a = random_floats(2 * 31 + 24, 5);
  data.b = random_floats(2 * 7 + 30, 6);  // overlapping
  data.p.a = data.a.data();
  data.p.b = data.b.data();
  data.p.stride_a = 31;
  data.p.stride_b = 7;
  const std::vector<float> plain = plain_matmul(data.p, data.before);
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context context(backend.c_str());
    check_against(backend, data.result(context), plain, plain);
  }
}

// --- convolutions
// ----------------------------------------------------------------------------------------------

ConvGeometry geometry(int64_t N, int64_t H, int64_t W, int64_t C, int64_t kh, int64_t kw, int64_t sy,
                      int64_t sx, int64_t py, int64_t px, int64_t O) {
  return {N, H, W, C, kh, kw, sy, sx, py, px, O, (H + 2 * py - kh) / sy + 1, (W + 2 * px - kw) / sx + 1};
}

const std::vector<ConvGeometry>& geometries() {
  static const std::vector<ConvGeometry> all = {
      geometry(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1),    // one pixel
      geometry(3, 1, 1, 5, 3, 3, 1, 1, 1, 1, 17),   // one pixel, kernel larger than the image
      geometry(2, 2, 3, 4, 5, 4, 1, 2, 2, 3, 9),    // kernel larger than the image
      geometry(2, 7, 5, 3, 3, 2, 3, 3, 0, 0, 8),    // stride larger than the kernel: pixels that nothing sees
      geometry(2, 9, 8, 2, 2, 2, 3, 4, 1, 0, 33),   // the same, with a border
      geometry(2, 5, 6, 3, 3, 3, 2, 1, 4, 5, 16),   // more padding than any kernel element needs
      geometry(1, 5, 5, 2, 3, 3, 7, 7, 1, 1, 4),    // stride larger than the image
      geometry(2, 6, 6, 16, 1, 1, 1, 1, 0, 0, 32),  // a product of matrices
      geometry(2, 6, 6, 7, 1, 1, 2, 2, 0, 0, 5),    // every second pixel
      geometry(19, 11, 10, 1, 3, 3, 2, 2, 1, 1, 32),  // one channel, groups of images
      geometry(37, 7, 7, 12, 3, 3, 1, 1, 1, 1, 20),   // groups, the last one smaller
      geometry(1, 29, 31, 3, 5, 5, 1, 1, 2, 2, 18),   // bands of one image
      geometry(1, 23, 9, 6, 4, 4, 2, 2, 1, 1, 16),    // bands, an odd height
      geometry(2, 8, 8, 32, 4, 4, 2, 2, 1, 1, 48),    // halves the image
      geometry(17, 4, 4, 40, 3, 3, 1, 1, 1, 1, 64),   // depth beyond a block
      geometry(2, 13, 7, 8, 1, 5, 1, 3, 0, 2, 1),     // one output channel, unequal sides
  };
  return all;
}

std::string name_of(const ConvGeometry& g) {
  return std::to_string(g.N) + " x " + std::to_string(g.H) + " x " + std::to_string(g.W) + " x " +
         std::to_string(g.C) + " -> " + std::to_string(g.O) + ", kernel " + std::to_string(g.kh) + " x " +
         std::to_string(g.kw) + ", stride " + std::to_string(g.stride_y) + " " + std::to_string(g.stride_x) +
         ", padding " + std::to_string(g.pad_y) + " " + std::to_string(g.pad_x);
}

struct ConvData {
  ConvGeometry g;
  std::vector<float> x, w, dy, bias, input_bias;

  explicit ConvData(const ConvGeometry& geometry)
      : g(geometry),
        x(random_floats(g.N * g.H * g.W * g.C, 11)),
        w(random_floats(g.kh * g.kw * g.C * g.O, 12)),
        dy(random_floats(g.N * g.OH * g.OW * g.O, 13)),
        bias(random_floats(g.O, 14)),
        input_bias(random_floats(g.C, 15)) {}

  std::vector<float> forward(const bince_context* context, bool with_bias) const {
    Guarded y(static_cast<int64_t>(dy.size()));
    const DenseOps& ops = *context->ops->dense;
    run_slot(context, ConvForward{g, x.data(), w.data(), with_bias ? bias.data() : nullptr, y.data()},
             ops.conv2d_workspace, ops.conv2d);
    CHECK(y.intact());
    return y.values();
  }
  std::vector<float> input(const bince_context* context, bool with_bias) const {
    Guarded dx(static_cast<int64_t>(x.size()));
    const DenseOps& ops = *context->ops->dense;
    run_slot(context,
             ConvBackwardInput{g, dy.data(), w.data(), with_bias ? input_bias.data() : nullptr, dx.data()},
             ops.conv2d_backward_input_workspace, ops.conv2d_backward_input);
    CHECK(dx.intact());
    return dx.values();
  }
  // dw, then dbias.
  std::vector<float> weight(const bince_context* context, bool with_bias) const {
    Guarded dw(static_cast<int64_t>(w.size())), dbias(g.O);
    const DenseOps& ops = *context->ops->dense;
    run_slot(context,
             ConvBackwardWeight{g, x.data(), dy.data(), dw.data(), with_bias ? dbias.data() : nullptr},
             ops.conv2d_backward_weight_workspace, ops.conv2d_backward_weight);
    CHECK(dw.intact() && dbias.intact());
    std::vector<float> both = dw.values();
    if (with_bias)
      for (const float v : dbias.values()) both.push_back(v);
    return both;
  }

  std::vector<float> plain_forward() const {
    std::vector<float> y(dy.size());
    each_product(g, [&](int64_t i, int64_t k, int64_t j) {
      for (int64_t o = 0; o < g.O; ++o) y[j + o] += x[i] * w[k + o];
    });
    for (size_t j = 0; j < y.size(); ++j) y[j] += bias[j % g.O];
    return y;
  }
  std::vector<float> plain_input() const {
    std::vector<float> dx(x.size());
    each_product(g, [&](int64_t i, int64_t k, int64_t j) {
      for (int64_t o = 0; o < g.O; ++o) dx[i] += dy[j + o] * w[k + o];
    });
    for (size_t i = 0; i < dx.size(); ++i) dx[i] += input_bias[i % g.C];
    return dx;
  }
  std::vector<float> plain_weight() const {
    std::vector<float> dw(w.size() + g.O);
    each_product(g, [&](int64_t i, int64_t k, int64_t j) {
      for (int64_t o = 0; o < g.O; ++o) dw[k + o] += x[i] * dy[j + o];
    });
    for (size_t j = 0; j < dy.size(); ++j) dw[w.size() + j % g.O] += dy[j];
    return dw;
  }
};

TEST(convolutions_and_their_derivatives) {
  const bince_test::Context ref("ref");
  for (const ConvGeometry& g : geometries()) {
    const ConvData data(g);
    const std::vector<float> y = data.forward(ref, true), dx = data.input(ref, true),
                             dw = data.weight(ref, true);
    const std::vector<float> plain_y = data.plain_forward(), plain_dx = data.plain_input(),
                             plain_dw = data.plain_weight();
    for (const std::string& backend : bince_test::cpu_backends()) {
      const bince_test::Context context(backend.c_str(), 2);
      const std::string name = backend + " " + name_of(g);
      check_against(name + ", forward", data.forward(context, true), y, plain_y);
      check_against(name + ", input", data.input(context, true), dx, plain_dx);
      check_against(name + ", weight", data.weight(context, true), dw, plain_dw);
    }
  }
}

// The reference itself, against sums in another order: far closer than a wrong index would leave it.
TEST(reference_agrees_with_plain_sums) {
  const bince_test::Context ref("ref");
  for (const ConvGeometry& g : geometries()) {
    const ConvData data(g);
    CHECK(largest_error(data.forward(ref, true), data.plain_forward()) < 1e-4);
    CHECK(largest_error(data.input(ref, true), data.plain_input()) < 1e-4);
    CHECK(largest_error(data.weight(ref, true), data.plain_weight()) < 1e-3);
  }
}

TEST(without_a_bias) {
  const ConvGeometry g = geometry(3, 6, 5, 3, 3, 3, 2, 2, 1, 1, 10);
  ConvData data(g);
  std::fill(data.bias.begin(), data.bias.end(), 0.0f);
  std::fill(data.input_bias.begin(), data.input_bias.end(), 0.0f);
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context context(backend.c_str());
    CHECK(same_bits(data.forward(context, false), data.forward(context, true)));
    CHECK(same_bits(data.input(context, false), data.input(context, true)));
    std::vector<float> both = data.weight(context, true);
    both.resize(data.w.size());
    CHECK(same_bits(data.weight(context, false), both));
  }
}

TEST(pixels_that_no_window_sees_have_no_gradient) {
  const ConvData data(geometry(1, 5, 5, 2, 1, 1, 3, 3, 0, 0, 4));
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context context(backend.c_str());
    const std::vector<float> dx = data.input(context, false);
    for (int64_t i = 0; i < 25; ++i)
      for (int64_t c = 0; c < 2; ++c) {
        const bool seen = i / 5 % 3 == 0 && i % 5 % 3 == 0;
        CHECK((dx[i * 2 + c] != 0) == seen);
      }
  }
}

TEST(same_bits_for_any_number_of_threads) {
  const MatmulCase products[] = {{1, 200, 130, 300, false, false, false, false, true, false},
                                 {1, 30, 20, 4000, true, false, false, false, true, true},
                                 {1, 100, 300, 90, true, true, false, false, false, false},
                                 {9, 20, 30, 40, false, true, false, false, false, false}};
  const ConvGeometry images[] = {geometry(37, 7, 7, 12, 3, 3, 2, 2, 1, 1, 20),
                                 geometry(1, 29, 31, 8, 3, 3, 1, 1, 1, 1, 32),
                                 geometry(20, 12, 12, 1, 5, 5, 2, 2, 2, 2, 32)};
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context one(backend.c_str(), 1);
    for (const int threads : {2, 3, 5}) {
      const bince_test::Context several(backend.c_str(), threads);
      for (const MatmulCase& t : products) {
        MatmulData data(t);
        CHECK(same_bits(data.result(one), data.result(several)));
      }
      for (const ConvGeometry& g : images) {
        const ConvData data(g);
        CHECK(same_bits(data.forward(one, true), data.forward(several, true)));
        CHECK(same_bits(data.input(one, true), data.input(several, true)));
        CHECK(same_bits(data.weight(one, true), data.weight(several, true)));
      }
    }
  }
}

TEST(values_that_are_not_finite_pass_through) {
  for (const std::string& backend : bince_test::cpu_backends()) {
    const bince_test::Context context(backend.c_str());
    MatmulData data({1, 13, 17, 5, false, false, false, false, false, false});
    data.a[3 * 5 + 2] = NAN;
    data.a[7 * 5 + 4] = INFINITY;
    const std::vector<float> c = data.result(context);
    for (int64_t m = 0; m < 13; ++m)
      for (int64_t n = 0; n < 17; ++n) {
        const float value = c[m * 17 + n];
        CHECK(m == 3 ? std::isnan(value) : m == 7 ? std::isinf(value) : std::isfinite(value));
      }
  }
}

}  // namespace
