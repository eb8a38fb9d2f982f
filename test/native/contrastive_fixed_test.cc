// bfloat16 rows with cosine, whose products may be in 16-bit fixed point, against the same loss in bfloat16
// done plainly: unit rows and gradients rounded to bfloat16, float32 sums.  Backends without fixed point are
// held to float32, as everywhere.
#include "test/native/contrastive_check.h"

using namespace contrastive_test;

namespace {

constexpr uint32_t kClip = BINCE_CONTRASTIVE_SYMMETRIC | BINCE_CONTRASTIVE_COSINE;

void round_rows(Case* c) {
  for (std::vector<float>* values : {&c->q, &c->k, &c->queue})
    for (float& value : *values) value = from_bfloat16(to_bfloat16(value));
}

Case unit_case(uint32_t seed, int64_t n, int64_t m, int64_t dim, uint32_t flags, float scale) {
  Case c = random_case(seed, n, m, 0, dim, 1, true);
  c.options.flags = flags;
  c.options.scale = scale;
  if (n > m) {
    std::mt19937 random(seed + 1);
    c.positive = integers(random, n, -1, static_cast<int32_t>(m) - 1);
  }
  return c;
}

// Keys near their queries: most rows are already told apart, and their gradients are small.
void bring_together(Case* c, float noise) {
  std::mt19937 random(99);
  const std::vector<float> other = normal(random, c->m * c->dim, noise);
  for (size_t i = 0; i < c->k.size() && i < c->q.size(); ++i) c->k[i] = c->q[i] + other[i];
  round_rows(c);
}

// Every row's error against twice the plain one of that row, since a row's gradients may be small beside
// another's, and half an ulp of bfloat16 of its largest element; 1e-9 for rows told apart to the last digit.
void check_lines(const std::string& what, int64_t dim, const std::vector<float>& actual,
                 const std::vector<double>& exact, const std::vector<float>& plain) {
  for (size_t row = 0; row * static_cast<size_t>(dim) < exact.size(); ++row) {
    double error = 0, allowed = 0, size = 0;
    for (size_t e = row * static_cast<size_t>(dim); e < (row + 1) * static_cast<size_t>(dim); ++e) {
      error = std::fmax(error, std::fabs(actual[e] - exact[e]));
      allowed = std::fmax(allowed, 2 * std::fabs(plain[e] - exact[e]));
      size = std::fmax(size, std::fabs(exact[e]));
    }
    allowed += 0x1p-9 * size + 1e-9;
    if (!(error <= allowed)) bince_test::report(__FILE__, __LINE__, what + " row " + std::to_string(row));
  }
}

void check_case(Case c, const std::string& name) {
  c.name = name;
  check_everywhere(c, {}, false);
  const Outcome<double> exact = run_plainly<double>(c);
  const Outcome<float> plain = run_plainly<float>(c, Rounding::kBfloat16Rows);
  for (const std::string& backend : bince_test::available_backends()) {
    if (!in_fixed_point(c, backend)) continue;
    const bince_test::Context context(backend.c_str(), 2);
    const Outcome<float> actual = run_case(context, c);
    check_lines(name + " dq", c.dim, actual.dq, exact.dq, plain.dq);
    check_lines(name + " dk", c.dim, actual.dk, exact.dk, plain.dk);
  }
}

std::string sizes_of(const Case& c) {
  return std::to_string(c.n) + "x" + std::to_string(c.m) + "x" + std::to_string(c.dim) + " flags " +
         std::to_string(c.options.flags);
}

}  // namespace

TEST(fixed_point_sizes_around_tiles_and_words) {
  const int64_t sizes[][3] = {{1, 1, 1},       {1, 2, 3},      {2, 1, 2},     {3, 3, 31},   {11, 31, 32},
                              {12, 32, 33},    {13, 33, 63},   {47, 49, 64},  {48, 48, 65}, {191, 193, 7},
                              {193, 191, 127}, {200, 401, 19}, {389, 97, 64}, {24, 25, 513}};
  for (const auto& size : sizes)
    for (uint32_t flags : {uint32_t{BINCE_CONTRASTIVE_COSINE}, kClip}) {
      const Case c = unit_case(3, size[0], size[1], size[2], flags, 10);
      check_case(c, "fixed " + sizes_of(c));
    }
}

TEST(fixed_point_from_uniform_to_peaked_softmax) {
  for (float scale : {0.01f, 1.0f, 14.3f, 100.0f}) {
    const std::string name = "scale " + std::to_string(scale);
    check_case(unit_case(5, 420, 460, 48, kClip, scale), "random " + name);
    Case close = unit_case(6, 300, 300, 40, kClip, scale);
    bring_together(&close, 2.5f);
    check_case(close, "close " + name);
  }
  Case many = random_case(14, 40, 50, 20000, 8, 1, true);  // probabilities of 5e-5 beside positives near -1
  many.options.flags = BINCE_CONTRASTIVE_COSINE;
  many.options.scale = 0.05f;
  check_case(many, "many keys");
}

TEST(fixed_point_with_outliers_and_lengths) {
  for (float scale : {5.0f, 100.0f}) {
    const std::string name = "scale " + std::to_string(scale);
    Case outliers = unit_case(7, 210, 230, 37, kClip, scale);
    std::mt19937 random(8);
    for (std::vector<float>* rows : {&outliers.q, &outliers.k})
      for (size_t i = 0; i < rows->size(); i += 1 + random() % 300) (*rows)[i] *= 60;
    round_rows(&outliers);
    check_case(outliers, "outliers " + name);
    Case shared = unit_case(9, 210, 230, 37, kClip, scale);  // one dimension that all rows have in common
    for (std::vector<float>* rows : {&shared.q, &shared.k})
      for (size_t i = 5; i < rows->size(); i += 37) (*rows)[i] = 7 + 0.1f * (*rows)[i];
    round_rows(&shared);
    check_case(shared, "shared dimension " + name);
    Case lengths = unit_case(10, 150, 170, 20, kClip, scale);
    for (size_t i = 0; i < lengths.q.size(); ++i)
      lengths.q[i] *= std::ldexp(1.0f, static_cast<int>(i / 20 % 13) - 6);
    check_case(lengths, "lengths " + name);
  }
}

// More rows than a chunk, a short tail among them, and dimensions whose elements share a sign: sums that a
// step from another chunk's operands would let overflow.
TEST(fixed_point_of_rows_around_a_mean) {
  for (int64_t n : {int64_t{410}, int64_t{1000}}) {
    Case c = unit_case(21, n, n, 24, kClip, 10);
    std::mt19937 random(22);
    const std::vector<float> mean = normal(random, c.dim, 1);
    for (std::vector<float>* rows : {&c.q, &c.k})
      for (size_t i = 0; i < rows->size(); ++i)
        (*rows)[i] = mean[i % static_cast<size_t>(c.dim)] + 0.3f * (*rows)[i];
    round_rows(&c);
    check_case(c, "mean " + sizes_of(c));
  }
}

TEST(gradients_too_small_for_fixed_point_keep_their_digits) {
  Case c = unit_case(23, 60, 70, 24, kClip, 10);
  c.options.grad_loss = 1e-27f;
  const Outcome<double> exact = run_plainly<double>(c);
  for (const std::string& backend : bince_test::available_backends()) {
    const bince_test::Context context(backend.c_str(), 2);
    const Outcome<float> actual = run_case(context, c);
    double error = 0, largest = 0;
    for (size_t i = 0; i < exact.dq.size(); ++i) {
      error = std::fmax(error, std::fabs(actual.dq[i] - exact.dq[i]));
      largest = std::fmax(largest, std::fabs(exact.dq[i]));
    }
    if (!(error <= 0x1p-7 * largest)) bince_test::report(__FILE__, __LINE__, backend + ": small gradients");
  }
}

TEST(fixed_point_in_every_mode_without_groups) {
  for (uint32_t mode : {0u, 1u, 2u, 3u})
    for (uint32_t flags : {0u, uint32_t{BINCE_CONTRASTIVE_SYMMETRIC}, uint32_t{BINCE_CONTRASTIVE_SUM}}) {
      if (flags == BINCE_CONTRASTIVE_SYMMETRIC && mode == BINCE_DENOMINATOR_SIGMOID) continue;
      Case c = random_case(11, 50, 61, 230, 23, 1, true);
      std::mt19937 random(12);
      c.positive = integers(random, c.n, -1, 60);
      c.row_id = integers(random, c.n, -1, 9);
      c.column_id = integers(random, c.columns(), -1, 9);
      c.options.denominator = mode;
      c.options.flags = flags | BINCE_CONTRASTIVE_COSINE;
      c.options.scale = 8;
      c.options.bias = -0.5f;
      c.options.regularizer = 0.01f;
      c.options.negative_log_weight = 0.5f;
      const std::string name = "mode " + std::to_string(mode) + " flags " + std::to_string(flags);
      check_case(c, name);
      c.options.clip = 5;
      if (flags != BINCE_CONTRASTIVE_SYMMETRIC && mode != BINCE_DENOMINATOR_SIGMOID) {
        c.options.flags |= BINCE_CONTRASTIVE_OWN_KEY;
        check_case(c, name + " own key");
      } else {
        c.options.flags |= BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL;
        check_case(c, name + " no diagonal");
      }
    }
}

TEST(fixed_point_has_no_range_of_its_own) {  // gradients of any size, rows of zeros, a factor on the loss
  for (float factor : {1e-25f, 1e-8f, 1.0f, 1e12f}) {
    Case c = unit_case(13, 70, 90, 16, kClip, 30);
    std::fill_n(c.q.begin() + 32, 16, 0.0f);
    const bince_test::Context context(nullptr, 2);
    const Outcome<float> plain = run_case(context, c);
    c.options.grad_loss = factor;
    const Outcome<float> scaled = run_case(context, c);
    double error = 0, size = 0;
    for (size_t i = 0; i < plain.dq.size(); ++i) {
      error = std::fmax(error, std::fabs(scaled.dq[i] / double{factor} - plain.dq[i]));
      size = std::fmax(size, std::fabs(plain.dq[i]));
    }
    // A step of a line is 3e-5 of it; factors too small for steps go through float32, another rounding.
    CHECK(size > 0 && error <= (factor < 1e-12f ? 0x1p-9 : 4e-5) * size);
    for (size_t d = 32; d < 48; ++d) CHECK_EQ(scaled.dq[d], 0.0f);
  }
}

TEST(fixed_point_gives_the_same_bits_for_any_number_of_threads) {
  for (uint32_t flags : {uint32_t{BINCE_CONTRASTIVE_COSINE}, kClip}) {
    const Case c = unit_case(15, 500, 430, 41, flags, 20);
    for (const std::string& backend : bince_test::cpu_backends()) {
      if (backend == "ref") continue;
      const bince_test::Context one(backend.c_str(), 1);
      const Outcome<float> expected = run_case(one, c);
      for (int threads : {2, 3, 5}) {
        const bince_test::Context context(backend.c_str(), threads);
        CHECK(same_bits(run_case(context, c), expected));
      }
    }
  }
}

TEST(unchecked_rows_that_are_not_finite_stay_so_without_fixed_point) {
  for (float bad : {NAN, INFINITY}) {
    Case c = unit_case(16, 40, 50, 12, kClip | BINCE_CONTRASTIVE_UNCHECKED, 10);
    c.q[5 * 12 + 3] = bad;
    const bince_test::Context context(nullptr, 2);
    const Outcome<float> out = run_case(context, c);
    CHECK(std::isnan(out.row_loss[5]) && std::isnan(out.loss));
    CHECK(std::isfinite(out.row_loss[4]));
    CHECK(std::isnan(out.dq[5 * 12]));
  }
}
