// Random combinations of every option of the contrastive family, on every backend, against the same loss
// written plainly; and scores that no float32 can hold.
#include "test/native/contrastive_check.h"

using namespace contrastive_test;

namespace {

// A source of choices; the seed that a failure prints gives the case again.
struct Dice {
  std::mt19937 random;
  explicit Dice(uint32_t seed) : random(seed) {}
  bool chance(int in) { return random() % static_cast<uint32_t>(in) == 0; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  }
  float pick(std::initializer_list<float> values) {
    return values.begin()[random() % static_cast<uint32_t>(values.size())];
  }
};

std::vector<float> random_weights(Dice* dice, int64_t count) {
  std::vector<float> weights = normal(dice->random, count, 1);
  for (float& weight : weights) weight = dice->chance(5) ? 0 : std::fabs(weight);
  return weights;
}

// Repeats some rows and clears others.
void degrade(Dice* dice, std::vector<float>* rows, int64_t dim) {
  const int64_t count = static_cast<int64_t>(rows->size()) / dim;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t from = dice->between(0, count - 1);
    if (dice->chance(6)) std::copy_n(rows->begin() + from * dim, dim, rows->begin() + row * dim);
    if (dice->chance(8)) std::fill_n(rows->begin() + row * dim, dim, 0.0f);
  }
}

void choose_positives(Dice* dice, Case* c) {
  const int64_t kind = dice->between(0, 2);
  if (kind == 0 && c->n <= c->m) return;  // the diagonal
  if (kind == 1 && !c->has(BINCE_CONTRASTIVE_OWN_KEY)) {
    const int32_t groups = static_cast<int32_t>(dice->between(0, 12));
    c->row_group = integers(dice->random, c->n, -1, groups);
    c->column_group = integers(dice->random, c->columns(), -1, groups);
    return;
  }
  c->positive = integers(dice->random, c->n, -1, static_cast<int32_t>(c->m) - 1);
}

void choose_flags(Dice* dice, Case* c) {
  uint32_t flags = 0;
  if (dice->chance(2)) flags |= BINCE_CONTRASTIVE_COSINE;
  if (dice->chance(3)) flags |= BINCE_CONTRASTIVE_SUM;
  c->options.denominator = static_cast<uint32_t>(dice->between(0, 3));
  const bool sigmoid = c->options.denominator == BINCE_DENOMINATOR_SIGMOID;
  if (c->queued > 0 && !sigmoid && dice->chance(2)) {
    flags |= BINCE_CONTRASTIVE_OWN_KEY;
  } else {
    if (dice->chance(3)) flags |= BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL;
    if (!sigmoid && dice->chance(2)) flags |= BINCE_CONTRASTIVE_SYMMETRIC;
  }
  c->options.flags = flags;
}

Case draw_case(uint32_t seed) {
  Dice dice(seed);
  const bool tiny = dice.chance(4);
  const int64_t n = dice.between(1, tiny ? 3 : 45), m = dice.between(1, tiny ? 3 : 60);
  const int64_t queued = dice.chance(2) ? 0 : dice.between(1, 30), dim = dice.between(1, tiny ? 2 : 40);
  Case c = random_case(seed, n, m, queued, dim, 0.7f, dice.chance(4));
  c.name = "seed " + std::to_string(seed);
  choose_flags(&dice, &c);
  choose_positives(&dice, &c);
  if (dice.chance(3)) {
    degrade(&dice, &c.q, dim);
    degrade(&dice, &c.k, dim);
  }
  if (dice.chance(3)) {
    c.row_id = integers(dice.random, n, -1, 8);
    c.column_id = integers(dice.random, c.columns(), -1, 8);
  }
  if (dice.chance(3)) c.row_weight = random_weights(&dice, n);
  if (c.has(BINCE_CONTRASTIVE_SYMMETRIC) && dice.chance(3))
    c.column_weight = random_weights(&dice, c.columns());
  c.options.scale = dice.pick({1, 1, 0.3f, 5, -2, 0});
  c.options.bias = dice.pick({0, 0, 0.4f, -3});
  c.options.clip = dice.pick({0, 0, 0.5f, 4, 20});
  c.options.regularizer = dice.pick({0, 0, 0.05f, -0.2f});
  c.options.negative_log_weight = dice.pick({0, 0, 1.5f, -2});
  c.options.threshold = dice.pick({INFINITY, INFINITY, 0.3123457f, -0.1234567f, -1000});
  c.options.grad_loss = dice.pick({1, 1, -0.5f, 0});
  return c;
}

// A similarity so near the threshold that its rounding decides.
bool is_ambiguous(const Case& c) {
  Plain<double> plain(c);
  plain.score();
  for (double d : plain.d)
    if (std::fabs(d - double{c.options.threshold}) < 1e-5) return true;
  return false;
}

bince_status status_of(const Case& c, const std::string& backend, std::string* message) {
  const bince_test::Context context(backend.c_str());
  Tensors tensors(context);
  const bince_contrastive problem = problem_of(c, &tensors);
  Guarded loss(context, 1, 0), dq(context, c.n, c.dim), dscale(context, 1, 0);
  bince_contrastive_results results = {};
  results.struct_size = sizeof results;
  results.loss = &loss.tensor, results.dq = &dq.tensor, results.dscale = &dscale.tensor;
  const DirtyLaunch launch(context, 1 << 23);
  bince_status status = bince_contrastive_forward_backward(context, &problem, &results, launch);
  if (status == BINCE_OK) status = launch.finish();
  *message = status == BINCE_OK ? "" : bince_last_error();
  return status;
}

}  // namespace

TEST(random_combinations_of_all_options) {
  constexpr int kDrawn = 400, kSimulated = 80;
  const bool cuda_alone = bince_test::available_backends() == std::vector<std::string>{"cuda"};
  int drawn = 0;
  for (uint32_t seed = 1; drawn < (cuda_alone ? kSimulated : kDrawn); ++seed) {
    const Case c = draw_case(seed);
    if (is_ambiguous(c)) continue;
    check_everywhere(c, score_rounding(c), drawn < kSimulated);
    ++drawn;
  }
}

TEST(the_regulariser_is_part_of_the_loss_without_gradients_too) {
  Case c = random_case(3, 9, 11, 0, 5);
  c.options.regularizer = 0.25f;
  c.options.grad_loss = 0;
  c.name = "grad_loss 0";
  check_everywhere(c);
}

// Products of 1e25 overflow float32, to infinity or, where signs differ, to NaN.
TEST(scores_beyond_float32_are_refused_with_the_row) {
  for (const std::string& backend : bince_test::available_backends())
    for (uint32_t denominator : {0u, 1u, 2u, 3u})
      for (float sign : {1.0f, -1.0f}) {
        Case c = random_case(5, 20, 30, 0, 4);
        c.options.denominator = denominator;
        for (int64_t d = 0; d < 4; ++d) c.q[static_cast<size_t>(7 * 4 + d)] = d % 2 ? 1e25f : sign * 1e25f;
        for (float& x : c.k) x *= 1e20f;
        std::string message;
        CHECK_EQ(status_of(c, backend, &message), BINCE_INVALID_VALUE);
        if (message.find("row 7: its loss is") == std::string::npos ||
            message.find("float32") == std::string::npos)
          bince_test::report(__FILE__, __LINE__, backend + ": " + message);
        c.options.flags |= BINCE_CONTRASTIVE_UNCHECKED;
        CHECK_EQ(status_of(c, backend, &message), BINCE_OK);
        c.options.flags = BINCE_CONTRASTIVE_COSINE;
        if (backend != "cuda") {
          CHECK_EQ(status_of(c, backend, &message), BINCE_OK);
          continue;
        }
        // Products of rows as they are, so their lengths must leave room.
        CHECK_EQ(status_of(c, backend, &message), BINCE_INVALID_VALUE);
        CHECK(message.find("q: row 7 is too long or too short for cosine") != std::string::npos);
      }
}
