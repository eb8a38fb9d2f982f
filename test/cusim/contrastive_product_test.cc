// Gradient products and the padding of rows: every precision, shrunk and built shapes, all tails, two pieces,
// several schedules, sentinels around every output.
#include <memory>

#include "native/contrastive/gradient_product.cu"
#include "native/contrastive/pad_rows.cu"
#include "test/cusim/contrastive_tile_case.h"

// The host's side of the kernels under test; the plugin's own stands in device_runtime.cu.
namespace bince {
static int test_multiprocessors = 1;
int multiprocessors() {
  return test_multiprocessors;
}
bince_status cuda_status(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return BINCE_OK;
  return fail(BINCE_INTERNAL, "%s: %s", call, cusim::last_message().c_str());
}
bince_status launch_status(const char* kernel) {
  return cuda_status(cudaGetLastError(), kernel);
}
bince_status allow_shared(const void* kernel, size_t bytes, const char* name) {
  return cuda_status(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      name);
}
}  // namespace bince

namespace bince_tile_case {
namespace {

constexpr float kSentinel = 12345;

struct Case {
  int64_t rows, columns;  // of the block of gradients
  int dim;
  bool accumulate = false;
  int64_t out_stride = 0;  // beyond dim
};

// A block of gradients, the rows and columns that made it, and where the results go.
template <class Precision>
struct Problem {
  using Element = typename Precision::Element;
  static constexpr int64_t kRowsBefore = 3, kColumnsBefore = 5, kBehind = 4;  // of no concern to the block
  static constexpr float kFactor = 0.75f;
  Case c;
  Rows<Precision> g, a, b;
  ProductArguments arguments;
  std::vector<Piece> row_memory, column_memory;
  float *row_out, *column_out;

  explicit Problem(const Case& c_)
      : c(c_),
        g(c.rows, c.rows, c.columns, 1, 10),
        a(kRowsBefore + c.rows + kBehind, (kRowsBefore + c.rows + kBehind + 1) / 2, c.dim, 0, 11),
        b(kColumnsBefore + c.columns + kBehind, kColumnsBefore + c.columns / 2, c.dim, 1, 12),
        row_memory(memory_of(c.rows)),
        column_memory(memory_of(c.columns)) {
    row_out = reinterpret_cast<float*>(row_memory.data());
    column_out = reinterpret_cast<float*>(column_memory.data());
    // Lines behind the block hold no number: nothing of them may be used.
    for (int64_t i = 0; i < kBehind; ++i)
      for (int64_t d = 0; d < c.dim; ++d)
        *a.at(kRowsBefore + c.rows + i, d) = *b.at(kColumnsBefore + c.columns + i, d) =
            to_element<Element>(NAN);
  }
  std::vector<Piece> memory_of(int64_t lines) const {
    std::vector<Piece> memory(static_cast<size_t>(((lines + 1) * (c.dim + c.out_stride) + 3) / 4));
    for (size_t i = 0; i < memory.size() * 4; ++i) reinterpret_cast<float*>(memory.data())[i] = kSentinel;
    return memory;
  }
  GradientBlock block() const { return {g.rows.first, g.rows.stride, c.rows, c.columns}; }
  ProductOutput output(float* out) const { return {out, c.dim + c.out_stride, c.accumulate}; }

  int64_t wrong_of(const std::vector<Piece>& memory, int64_t lines, bool by_rows) {
    const float* const out = reinterpret_cast<const float*>(memory.data());
    int64_t wrong = 0;
    for (int64_t at = 0; at < static_cast<int64_t>(memory.size()) * 4; ++at) {
      const int64_t line = at / (c.dim + c.out_stride), d = at % (c.dim + c.out_stride);
      if (line >= lines || d >= c.dim) {
        wrong += out[at] != kSentinel;
        continue;
      }
      const auto gradient = [&](int64_t k) { return by_rows ? g.value(line, k) : g.value(k, line); };
      const auto other = [&](int64_t k) {
        return by_rows ? b.value(kColumnsBefore + k, d) : a.value(kRowsBefore + k, d);
      };
      const int64_t depth = by_rows ? c.columns : c.rows;
      if (!Precision::kTensorCores) {
        float sum = 0;
        for (int64_t k = 0; k < depth; ++k) sum = fmaf(gradient(k), other(k), sum);
        wrong += out[at] != (c.accumulate ? fmaf(kFactor, sum, kSentinel) : kFactor * sum);
        continue;
      }
      // The old value and the factor as one more term each would round: the allowance of such a sum.
      const float old = c.accumulate ? kSentinel : 0;
      const double allowed_old = std::fabs(static_cast<double>(old)) * 0x1p-23;
      double exact = 0, size = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const double term = static_cast<double>(gradient(k)) * static_cast<double>(other(k));
        exact += term, size += std::fabs(term);
      }
      float plain = 0;
      for (int64_t k = 0; k < depth; ++k) plain = fmaf(gradient(k), other(k), plain);
      const double error =
          std::fabs(static_cast<double>(out[at]) - (static_cast<double>(old) + kFactor * exact));
      wrong += !(error <= 2 * std::fabs(static_cast<double>(plain) - exact) + size * 0x1p-22 + allowed_old);
    }
    return wrong;
  }
  void check_rows(const char* how) { check(wrong_of(row_memory, c.rows, true), how); }
  void check_columns(const char* how) { check(wrong_of(column_memory, c.columns, false), how); }
  void check(int64_t wrong, const char* how) const {
    if (wrong)
      std::printf("%s: %lld x %lld, dim %d\n", how, static_cast<long long>(c.rows),
                  static_cast<long long>(c.columns), c.dim);
    CHECK_EQ(wrong, 0);
  }
};

// Both sides through the kernel with a shape of the test's own.
template <class Precision, class Shape>
void run_shape(Problem<Precision>& p) {
  ProductArguments arguments = arguments_of(p.block(), p.c.dim, Problem<Precision>::kFactor);
  arguments.side[0] = side_of(p.b.rows, p.kColumnsBefore, p.c.columns, p.c.rows, true, p.output(p.row_out));
  arguments.side[1] = side_of(p.a.rows, p.kRowsBefore, p.c.rows, p.c.columns, false, p.output(p.column_out));
  CHECK_OK((launch_shape<Precision, Shape>(nullptr, arguments, 2)));
}

template <class Precision, class Shape>
void check_shape(const Case& c) {
  Problem<Precision> p(c);
  run_shape<Precision, Shape>(p);
  p.check_rows("rows");
  p.check_columns("columns");
}

template <class Precision, class Shape>
void check_tails() {
  for (const int dim : {1, 2, 3, 7, 8, 13, 16, 17, 31, 32, 33, 63, 65, 257})
    check_shape<Precision, Shape>({Shape::kRows + 1, 11, dim, dim % 2 == 0, dim % 5});
  for (const int64_t rows :
       {1, 2, 7, Shape::kRows - 1, Shape::kRows, Shape::kRows + 1, 2 * Shape::kRows + 3}) {
    check_shape<Precision, Shape>({rows, 19, 12, true, 0});
    check_shape<Precision, Shape>({21, rows, 12, false, 4});
  }
}

TEST(shrunk_products_of_bfloat16) {
  check_tails<Bfloat16Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Bfloat16Product, TileShape<32, 64, 2, 2, 64, 3>>();
}
TEST(shrunk_products_of_tf32) {
  check_tails<Tf32Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Tf32Product, TileShape<32, 64, 2, 2, 64, 3>>();
}
TEST(shrunk_products_of_float32) {
  check_tails<Float32Product, TileShape<16, 16, 1, 1, 32, 2>>();
  check_tails<Float32Product, TileShape<32, 64, 2, 2, 64, 3>>();
}

template <class Precision>
void check_launchers(ProductPrecision precision, const Case& c) {
  {
    Problem<Precision> p(c);
    CHECK_OK(launch_products(nullptr, precision, p.block(), p.a.rows, p.kRowsBefore, p.b.rows,
                             p.kColumnsBefore, c.dim, p.kFactor, p.output(p.row_out),
                             p.output(p.column_out)));
    p.check_rows("both, rows");
    p.check_columns("both, columns");
  }
  Problem<Precision> p(c);
  CHECK_OK(launch_row_product(nullptr, precision, p.block(), p.b.rows, p.kColumnsBefore, c.dim, p.kFactor,
                              p.output(p.row_out)));
  CHECK_EQ(p.column_out[0], kSentinel);
  CHECK_OK(launch_column_product(nullptr, precision, p.block(), p.a.rows, p.kRowsBefore, c.dim, p.kFactor,
                                 p.output(p.column_out)));
  p.check_rows("rows");
  p.check_columns("columns");
}
TEST(launchers) {
  check_launchers<Bfloat16Product>(ProductPrecision::kBfloat16, {67, 131, 141, true, 0});   // large tiles
  check_launchers<Bfloat16Product>(ProductPrecision::kBfloat16, {65, 40, 100, false, 28});  // small tiles
  check_launchers<Tf32Product>(ProductPrecision::kTf32, {129, 50, 70, false, 2});
  check_launchers<Float32Product>(ProductPrecision::kFloat32, {50, 129, 70, true, 0});
}

TEST(all_shapes_give_the_same_bits) {
  const Case c = {70, 90, 150, true, 2};
  Problem<Bfloat16Product> p(c), q(c), r(c);
  run_shape<Bfloat16Product, ProductShapes<Bfloat16Product>::Large>(p);
  run_shape<Bfloat16Product, ProductShapes<Bfloat16Product>::Small>(q);
  run_shape<Bfloat16Product, TileShape<32, 32, 2, 2, 32, 2>>(r);
  for (const Problem<Bfloat16Product>* other : {&q, &r}) {
    CHECK(memcmp(p.row_out, other->row_out, p.row_memory.size() * sizeof(Piece)) == 0);
    CHECK(memcmp(p.column_out, other->column_out, p.column_memory.size() * sizeof(Piece)) == 0);
  }
}

template <class Precision>
void check_schedules() {
  using Shape = TileShape<32, 32, 2, 2, 32, 3>;
  const Case c = {70, 75, 40, true, 0};
  Problem<Precision> first(c);
  run_shape<Precision, Shape>(first);
  for (uint64_t seed = 1; seed < 6; ++seed) {
    cusim::set_seed(seed);
    Problem<Precision> p(c);
    run_shape<Precision, Shape>(p);
    CHECK(memcmp(first.row_out, p.row_out, p.row_memory.size() * sizeof(Piece)) == 0);
    CHECK(memcmp(first.column_out, p.column_out, p.column_memory.size() * sizeof(Piece)) == 0);
  }
  cusim::set_seed(0);
}
TEST(products_do_not_depend_on_the_schedule) {
  check_schedules<Bfloat16Product>();
  check_schedules<Tf32Product>();
  check_schedules<Float32Product>();
}

template <class Element>
void check_padding(int64_t count, int64_t dim) {
  const bool bfloat16 = sizeof(Element) == 2;
  std::vector<Element> from(static_cast<size_t>(count * dim + 1));
  Random random{7};
  for (Element& element : from) element = to_element<Element>(random.next());
  const int64_t stride = padded_stride(dim, bfloat16);
  const size_t pieces = static_cast<size_t>(count * stride) * sizeof(Element) / 16;
  std::vector<Piece> to(pieces + 1);
  memset(to.data(), 0x5a, to.size() * sizeof(Piece));
  CHECK_OK(launch_pad_rows(nullptr, from.data() + 1, count, dim, bfloat16, to.data()));
  const Element* const padded = reinterpret_cast<const Element*>(to.data());
  for (int64_t r = 0; r < count; ++r)
    for (int64_t d = 0; d < stride; ++d)
      CHECK(padded[r * stride + d] == (d < dim ? from[static_cast<size_t>(1 + r * dim + d)] : Element{0}));
  for (const unsigned char byte : to.back().bytes) CHECK(byte == 0x5a);
}
TEST(padding) {
  for (const int64_t count : {0, 1, 2, 5, 300})
    for (const int64_t dim : {1, 3, 4, 5, 7, 8, 9, 17}) {
      check_padding<uint16_t>(count, dim);
      check_padding<float>(count, dim);
    }
  check_padding<uint16_t>(6000, 11);  // more than one piece a thread
}
TEST(which_rows_need_padding) {
  alignas(16) float rows[8] = {};
  CHECK(rows_are_padded(rows, 4, false));
  CHECK(!rows_are_padded(rows, 3, false));
  CHECK(!rows_are_padded(rows + 1, 4, false));
  CHECK(rows_are_padded(rows, 8, true));
  CHECK(!rows_are_padded(rows, 4, true));
  CHECK_EQ(padded_stride(257, true), 264);
  CHECK_EQ(padded_stride(257, false), 260);
}

}  // namespace
}  // namespace bince_tile_case
