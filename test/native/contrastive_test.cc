// Every mode of the contrastive family in every backend, against the same loss written plainly.
#include "test/native/contrastive_check.h"

using namespace contrastive_test;

namespace {

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
  const int64_t sizes[][3] = {{1, 1, 1},      {1, 2, 3},      {2, 1, 5},     {11, 31, 31},  {12, 32, 32},
                              {13, 33, 33},   {5, 15, 17},    {6, 16, 16},   {7, 17, 15},   {191, 193, 7},
                              {193, 191, 9},  {200, 401, 19}, {389, 97, 64}, {24, 24, 257}, {3, 5, 515},
                              {127, 129, 12}, {128, 128, 8},  {129, 127, 20}};
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
  const int64_t sizes[][3] = {{45, 70, 37}, {1, 1, 1},    {31, 33, 8},   {32, 32, 32},
                              {33, 31, 9},  {127, 65, 4}, {128, 64, 16}, {129, 130, 33}};
  for (const auto& size : sizes)
    for (uint32_t flags : {0u, 3u}) {
      Case c = random_case(41, size[0], size[1], 0, size[2], 0.6f, true);
      std::mt19937 random(6);
      c.positive = integers(random, c.n, -1, static_cast<int32_t>(c.m) - 1);
      check_everywhere(with_flags(c, BINCE_DENOMINATOR_ALL, flags,
                                  "bfloat16 " + std::to_string(size[0]) + "x" + std::to_string(size[1])));
    }
  for (const auto& mode : kDenominators) {
    Case c = random_case(42, 35, 50, 20, 13, 0.6f, true);
    std::mt19937 random(7);
    c.row_group = integers(random, c.n, -1, 6), c.column_group = integers(random, c.columns(), -1, 6);
    check_everywhere(with_flags(c, mode.denominator, BINCE_CONTRASTIVE_COSINE,
                                std::string("bfloat16 groups ") + mode.name));
  }
}

TEST(tf32_products) {  // on CUDA; elsewhere the flag changes nothing
  for (uint32_t flags : {0u, 2u, 3u})
    for (int64_t dim : {3, 7, 40})
      check_everywhere(with_flags(explicit_case(43, 37, 65, dim), BINCE_DENOMINATOR_ALL,
                                  flags | BINCE_CONTRASTIVE_TF32,
                                  "tf32 " + std::to_string(dim) + " flags " + std::to_string(flags)));
  for (const auto& mode : kDenominators)
    check_everywhere(with_flags(group_case(44, 35, 50, 13), mode.denominator, BINCE_CONTRASTIVE_TF32,
                                std::string("tf32 groups ") + mode.name));
}

TEST(inputs_off_their_alignment_change_no_bit) {
  for (bool bfloat16 : {false, true}) {
    Case c = random_case(45, 33, 40, 9, 16, 0.6f, bfloat16);
    c.options.flags = BINCE_CONTRASTIVE_COSINE;
    for (const std::string& backend : bince_test::available_backends()) {
      const bince_test::Context context(backend.c_str(), 2);
      CHECK(same_bits(run_case(context, c, false, 1), run_case(context, c, false, 0)));
    }
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
