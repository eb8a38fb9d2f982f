// Every mode of the contrastive family in every backend, against the same loss written plainly.
#include "test/native/contrastive_case.h"

using namespace contrastive_test;

namespace {

// The house's rule: twice the largest error that plain float32 makes on the same tensor, plus a few ulps of
// the tensor's largest value (plain float32 may be lucky on a single number).
void check_close(const std::string& what, const std::vector<float>& actual, const std::vector<double>& exact,
                 const std::vector<float>& plain, double extra) {
  if (actual.size() != exact.size()) return;  // not wanted
  double error = 0, allowed = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    if (std::isinf(exact[i])) {
      if (!(actual[i] == exact[i])) error = INFINITY;
      continue;
    }
    const double difference = std::fabs(actual[i] - exact[i]);
    error = std::isnan(difference) ? INFINITY : std::fmax(error, difference);
    allowed = std::fmax(allowed, 2 * std::fabs(plain[i] - exact[i]));
    size = std::fmax(size, std::fabs(exact[i]));
  }
  allowed += 5e-7 * size + 1e-9 + extra;
  if (!(error <= allowed)) {
    char text[200];
    std::snprintf(text, sizeof text, "%s: error %.3g, allowed %.3g, size %.3g", what.c_str(), error, allowed,
                  size);
    bince_test::report(__FILE__, __LINE__, text);
  }
}

// What a backward from float32 LSEs cannot avoid: half an ulp of the LSE is a relative error of every
// probability, which the gradient multiplies by scale and by the other side's elements.
double rounded_lse_error(const Case& c, const Outcome<double>& exact) {
  double lse = 0, element = 0;
  for (const std::vector<double>* values : {&exact.row_lse, &exact.column_lse})
    for (double value : *values)
      if (std::isfinite(value)) lse = std::fmax(lse, std::fabs(value));
  for (const std::vector<float>* values : {&c.q, &c.k})
    for (float value : *values) element = std::fmax(element, std::fabs(value));
  const double factor = c.has(BINCE_CONTRASTIVE_SUM) ? static_cast<double>(c.n) : 2;
  return factor * lse * 6e-8 * std::fabs(c.options.scale) * std::fmax(element, 1);
}

void check_outcome(const Case& c, const std::string& what, const Outcome<float>& actual,
                   const Outcome<double>& exact, const Outcome<float>& plain, double extra) {
  auto scalar = [&](const char* name, float a, double e, float p, double room) {
    const double allowed = 2 * std::fabs(p - e) + 2e-6 * std::fabs(e) + 1e-9 + room;
    if (!(std::fabs(a - e) <= allowed))
      bince_test::report(__FILE__, __LINE__,
                         what + " " + name + " is " + std::to_string(a) + ", expected " + std::to_string(e));
  };
  double largest = 0;  // |d|, for the sums of g d and of g over all pairs
  for (float x : c.q) largest = std::fmax(largest, std::fabs(x));
  for (float x : c.k) largest = std::fmax(largest, std::fabs(x));
  largest = std::fmax(1, largest * largest * static_cast<double>(c.dim));
  scalar("loss", actual.loss, exact.loss, plain.loss, 0);
  scalar("regularizer", actual.regularizer, exact.regularizer, plain.regularizer, 0);
  scalar("dscale", actual.dscale, exact.dscale, plain.dscale, (1e-6 + extra) * largest);
  scalar("dbias", actual.dbias, exact.dbias, plain.dbias, 2e-6 + extra * largest);
  check_close(what + " row_loss", actual.row_loss, exact.row_loss, plain.row_loss, 0);
  if (c.options.denominator != BINCE_DENOMINATOR_SIGMOID)
    check_close(what + " row_lse", actual.row_lse, exact.row_lse, plain.row_lse, 0);
  check_close(what + " column_loss", actual.column_loss, exact.column_loss, plain.column_loss, 0);
  check_close(what + " column_lse", actual.column_lse, exact.column_lse, plain.column_lse, 0);
  check_close(what + " dq", actual.dq, exact.dq, plain.dq, extra);
  check_close(what + " dk", actual.dk, exact.dk, plain.dk, extra);
}

bool same_bits(const Outcome<float>& a, const Outcome<float>& b) {
  auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  };
  return a.loss == b.loss && a.dscale == b.dscale && a.dbias == b.dbias && same(a.row_loss, b.row_loss) &&
         same(a.row_lse, b.row_lse) && same(a.column_lse, b.column_lse) && same(a.dq, b.dq) &&
         same(a.dk, b.dk);
}

// In every backend, in one call and in two.
void check_everywhere(const Case& c) {
  const Outcome<double> exact = run_plainly<double>(c);
  const Outcome<float> plain = run_plainly<float>(c);
  for (const std::string& backend : bince_test::available_backends()) {
    const bince_test::Context context(backend.c_str(), 2);
    check_outcome(c, c.name + " " + backend, run_case(context, c), exact, plain, 0);
    check_outcome(c, c.name + " " + backend + " split", run_case(context, c, true), exact, plain,
                  rounded_lse_error(c, exact));
  }
}

Case with_flags(Case c, uint32_t denominator, uint32_t flags, const std::string& name) {
  c.options.denominator = denominator;
  c.options.flags |= flags;
  c.name = name;
  return c;
}

// Explicit positives, some rows without one; two rows may share a column.
Case explicit_case(uint32_t seed, int64_t n, int64_t m, int64_t dim) {
  Case c = random_case(seed, n, m, 0, dim, 0.6f);
  std::mt19937 random(seed + 1);
  c.positive = integers(random, n, -1, static_cast<int32_t>(m) - 1);
  c.options.scale = 1.3f;
  return c;
}

Case group_case(uint32_t seed, int64_t n, int64_t m, int64_t dim) {
  Case c = random_case(seed, n, m, 0, dim, 0.6f);
  std::mt19937 random(seed + 1);
  c.row_group = integers(random, n, -1, 6);
  c.column_group = integers(random, m, -1, 6);
  return c;
}

const struct {
  uint32_t denominator;
  const char* name;
} kDenominators[] = {{BINCE_DENOMINATOR_ALL, "all"},
                     {BINCE_DENOMINATOR_NEGATIVES, "negatives"},
                     {BINCE_DENOMINATOR_EACH, "each"},
                     {BINCE_DENOMINATOR_SIGMOID, "sigmoid"}};

}  // namespace

TEST(every_denominator_with_explicit_positives_and_groups) {
  for (const auto& mode : kDenominators)
    for (uint32_t flags : {0u, 2u, 1u, 3u, 16u}) {
      if ((flags & 1) && mode.denominator == BINCE_DENOMINATOR_SIGMOID) continue;
      const std::string name = std::string(mode.name) + " flags " + std::to_string(flags);
      check_everywhere(with_flags(explicit_case(7, 33, 47, 24), mode.denominator, flags, name + " explicit"));
      check_everywhere(with_flags(group_case(8, 35, 50, 13), mode.denominator, flags, name + " groups"));
    }
}

TEST(tails_around_register_tiles_and_tiles) {
  const int64_t sizes[][3] = {{1, 1, 1},     {1, 2, 3},      {2, 1, 5},     {11, 31, 31},  {12, 32, 32},
                              {13, 33, 33},  {5, 15, 17},    {6, 16, 16},   {7, 17, 15},   {191, 193, 7},
                              {193, 191, 9}, {200, 401, 19}, {389, 97, 64}, {24, 24, 257}, {3, 5, 515}};
  for (const auto& size : sizes)
    for (uint32_t flags : {0u, 3u}) {
      const std::string name = std::to_string(size[0]) + "x" + std::to_string(size[1]) + "x" +
                               std::to_string(size[2]) + " flags " + std::to_string(flags);
      check_everywhere(
          with_flags(explicit_case(11, size[0], size[1], size[2]), BINCE_DENOMINATOR_ALL, flags, name));
    }
}

TEST(everything_at_once) {
  for (const auto& mode : kDenominators)
    for (uint32_t flags : {0u, 1u}) {
      if (flags && mode.denominator == BINCE_DENOMINATOR_SIGMOID) continue;
      Case c = group_case(21, 40, 61, 18);
      std::mt19937 random(5);
      c.queued = 23;
      c.queue = normal(random, c.queued * c.dim, 0.5f);
      c.column_group = integers(random, c.columns(), -1, 6);
      c.row_id = integers(random, c.n, -1, 9);
      c.column_id = integers(random, c.columns(), -1, 9);
      c.row_weight = normal(random, c.n, 1);
      for (float& w : c.row_weight) w = std::fabs(w);
      if (flags) {
        c.column_weight = normal(random, c.columns(), 1);
        for (float& w : c.column_weight) w = std::fabs(w);
      }
      c.options.scale = 5;
      c.options.bias = -0.75f;
      c.options.clip = 3;
      c.options.regularizer = 0.05f;
      c.options.negative_log_weight = 0.8f;
      c.options.threshold = 0.45f;
      c.options.grad_loss = 1;
      check_everywhere(with_flags(c, mode.denominator,
                                  flags | BINCE_CONTRASTIVE_COSINE | BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL,
                                  std::string("everything ") + mode.name + (flags ? " symmetric" : "")));
    }
}

TEST(own_keys_and_a_queue) {
  for (uint32_t mode : {0u, 1u, 2u})
    for (uint32_t flags : {0u, 2u}) {
      Case c = random_case(31, 50, 37, 210, 20, 0.7f);
      std::mt19937 random(6);
      c.positive = integers(random, c.n, -1, static_cast<int32_t>(c.m) - 1);
      c.options.clip = 6;
      c.options.regularizer = 0.01f;
      c.options.negative_log_weight = -0.5f;
      check_everywhere(
          with_flags(c, mode, flags | BINCE_CONTRASTIVE_OWN_KEY, "own key " + std::to_string(mode)));
    }
}

TEST(bfloat16_inputs) {
  for (uint32_t flags : {0u, 3u}) {
    Case c = random_case(41, 45, 70, 0, 37, 0.6f, true);
    std::mt19937 random(6);
    c.positive = integers(random, c.n, -1, static_cast<int32_t>(c.m) - 1);
    check_everywhere(with_flags(c, BINCE_DENOMINATOR_ALL, flags, "bfloat16"));
  }
}

TEST(extreme_logits_stay_finite) {
  for (float scale : {3.0f, 300.0f, 3e4f})
    for (uint32_t mode : {0u, 1u, 2u})
      for (uint32_t flags : {0u, 1u}) {
        Case c = explicit_case(51, 41, 230, 6);
        c.options.scale = scale;
        check_everywhere(with_flags(c, mode, flags,
                                    "scale " + std::to_string(scale) + " mode " + std::to_string(mode) +
                                        " flags " + std::to_string(flags)));
      }
}

TEST(rows_far_apart_in_size) {  // low columns beside high ones: their own references are needed
  Case c = explicit_case(52, 70, 80, 8);
  for (int64_t j = 0; j < c.m; ++j)
    for (int64_t d = 0; d < c.dim; ++d)
      c.k[static_cast<size_t>(j * c.dim + d)] *= static_cast<float>(std::pow(1.12, j));
  check_everywhere(with_flags(c, BINCE_DENOMINATOR_ALL, 1, "growing keys"));
}

TEST(no_positive_no_negative_no_nan) {
  for (const auto& mode : kDenominators) {
    Case none = explicit_case(61, 9, 12, 5);
    none.positive.assign(9, -1);
    check_everywhere(with_flags(none, mode.denominator, 0, std::string("no positive ") + mode.name));
    Case all = group_case(62, 9, 12, 5);
    all.row_group.assign(9, 3), all.column_group.assign(12, 3);
    check_everywhere(with_flags(all, mode.denominator, 0, std::string("no negative ") + mode.name));
    Case single = random_case(63, 1, 1, 0, 4);
    check_everywhere(with_flags(single, mode.denominator, 0, std::string("one pair ") + mode.name));
    check_everywhere(with_flags(single, mode.denominator, BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL,
                                std::string("no pair ") + mode.name));
    Case zeros = explicit_case(64, 9, 12, 5);
    std::fill_n(zeros.q.begin(), 10, 0.0f);
    check_everywhere(
        with_flags(zeros, mode.denominator, BINCE_CONTRASTIVE_COSINE, std::string("zero rows ") + mode.name));
  }
}

TEST(the_number_of_threads_changes_no_bit) {
  for (uint32_t flags : {2u, 3u}) {
    Case c = with_flags(explicit_case(71, 500, 430, 40), BINCE_DENOMINATOR_ALL, flags, "threads");
    for (const std::string& backend : bince_test::available_backends()) {
      if (backend == "ref")
        c = with_flags(explicit_case(71, 60, 43, 40), BINCE_DENOMINATOR_ALL, flags, "threads");
      const bince_test::Context one(backend.c_str(), 1);
      const Outcome<float> expected = run_case(one, c);
      for (int threads : {2, 3, 5}) {
        const bince_test::Context context(backend.c_str(), threads);
        CHECK(same_bits(run_case(context, c), expected));
      }
    }
  }
}
