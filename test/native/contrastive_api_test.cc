// What the contrastive calls refuse, how much they ask for, and that they can be cancelled.
#include "test/native/contrastive_case.h"

using namespace contrastive_test;

namespace {

// The status of a forward + backward of the case on each backend; all must agree.  Checks the message.
bince_status refused(const Case& c, const char* words) {
  bince_status last = BINCE_OK;
  for (const std::string& backend : bince_test::available_backends()) {
    const bince_test::Context context(backend.c_str());
    Tensors tensors(context);
    const bince_contrastive problem = problem_of(c, &tensors);
    Guarded loss(context, 1, 0);
    bince_contrastive_results results = {};
    results.struct_size = sizeof results;
    results.loss = &loss.tensor;
    const DirtyLaunch launch(context, 1 << 22);
    last = bince_contrastive_forward_backward(context, &problem, &results, launch);
    if (last == BINCE_OK) last = launch.finish();
    if (last == BINCE_OK || !std::strstr(bince_last_error(), words))
      bince_test::report(__FILE__, __LINE__,
                         std::string("message: ") + bince_last_error() + ", expected " + words);
  }
  return last;
}

Case small() {
  return random_case(1, 20, 30, 0, 7);
}

}  // namespace

TEST(bad_values_are_refused_with_the_row) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    Case c = small();
    c.q[17 * 7 + 6] = bad;
    CHECK_EQ(refused(c, "q: row 17 holds NaN or infinity"), BINCE_INVALID_VALUE);
    c = small();
    c.k[29 * 7] = bad;
    CHECK_EQ(refused(c, "k: row 29"), BINCE_INVALID_VALUE);
    c = small();
    c.queued = 4, c.queue.assign(28, 1.0f);
    c.queue[3 * 7 + 2] = bad;
    CHECK_EQ(refused(c, "queue: row 3"), BINCE_INVALID_VALUE);
  }
  Case half = random_case(2, 20, 30, 0, 21, 1, true);
  half.k[5 * 21 + 20] = INFINITY;
  CHECK_EQ(refused(half, "k: row 5"), BINCE_INVALID_VALUE);
  Case large = random_case(3, 3000, 30, 0, 64);
  large.positive.assign(3000, 0);
  large.q[2999 * 64 + 63] = NAN;
  large.q[1500 * 64] = NAN;
  CHECK_EQ(refused(large, "q: row 1500"), BINCE_INVALID_VALUE);
  Case c = small();
  c.positive.assign(20, 0);
  c.positive[4] = 30;
  CHECK_EQ(refused(c, "positive: row 4 holds "), BINCE_INVALID_VALUE);
  c = small();
  c.row_weight.assign(20, 1);
  c.row_weight[9] = -1;
  CHECK_EQ(refused(c, "row_weight: row 9"), BINCE_INVALID_VALUE);
}

TEST(bad_arguments_are_refused_with_words) {
  Case c = random_case(1, 30, 20, 0, 7);
  CHECK_EQ(refused(c, "positive: expected for 30 rows and 20 keys"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.scale = NAN;
  CHECK_EQ(refused(c, "scale: expected a finite number"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.clip = -1;
  CHECK_EQ(refused(c, "clip"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.denominator = 9;
  CHECK_EQ(refused(c, "denominator"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.flags = 1024;
  CHECK_EQ(refused(c, "flags"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.struct_size = 8;
  CHECK_EQ(refused(c, "struct_size"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.flags = BINCE_CONTRASTIVE_SYMMETRIC;
  c.options.denominator = BINCE_DENOMINATOR_SIGMOID;
  CHECK_EQ(refused(c, "SYMMETRIC does not go with"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.options.flags = BINCE_CONTRASTIVE_OWN_KEY;
  CHECK_EQ(refused(c, "queue: expected with OWN_KEY"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.row_group.assign(20, 0);
  CHECK_EQ(refused(c, "column_group: expected together with row_group"), BINCE_INVALID_ARGUMENT);
  c.column_group.assign(29, 0);
  CHECK_EQ(refused(c, "column_group: expected shape [30], received [29]"), BINCE_INVALID_ARGUMENT);
  c = small();
  c.column_weight.assign(30, 1);
  CHECK_EQ(refused(c, "column_weight"), BINCE_INVALID_ARGUMENT);
}

TEST(missing_pieces_are_refused) {
  const bince_test::Context context("ref");
  Tensors tensors(context);
  const Case c = small();
  const bince_contrastive problem = problem_of(c, &tensors);
  bince_contrastive_results results = {};
  size_t bytes = 0;
  CHECK_EQ(bince_contrastive_workspace(nullptr, &problem, 1, &bytes), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_contrastive_workspace(context, nullptr, 1, &bytes), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_contrastive_workspace(context, &problem, 4, &bytes), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(bince_contrastive_forward(context, &problem, &results, nullptr), BINCE_INVALID_ARGUMENT);
  results.struct_size = sizeof results;
  CHECK_EQ(bince_contrastive_forward(context, &problem, &results, nullptr), BINCE_BUFFER_TOO_SMALL);
  CHECK(std::strstr(bince_last_error(), "workspace: expected at least") != nullptr);
  CHECK_EQ(bince_contrastive_backward(context, &problem, &results, nullptr), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "row_lse") != nullptr);
  Guarded dq(context, c.n, c.dim);
  results.dq = &dq.tensor;
  CHECK_EQ(bince_contrastive_forward(context, &problem, &results, nullptr), BINCE_INVALID_ARGUMENT);
}

TEST(workspace_stays_below_64_mb_beyond_the_lines) {
  for (const std::string& backend : bince_test::available_backends()) {
    const bince_test::Context context(backend.c_str(), 4);
    const bince_test::DeviceArray<float> element(context, 1);
    const int64_t sizes[][3] = {{65536, 65536, 512}, {1 << 20, 1 << 20, 128}, {4096, 4096, 128},
                                {8192, 8192, 4096},  {64, 1 << 22, 8},        {1 << 22, 64, 8},
                                {3, 5, 1 << 20}};
    for (const auto& size : sizes)
      for (uint32_t flags : {0u, 3u})
        for (uint32_t call : {1u, 2u, 3u}) {
          int64_t q_shape[2] = {size[0], size[2]}, k_shape[2] = {size[1], size[2]}, rows = size[0];
          void* const data = element.data();  // never read: only shapes matter here
          const bince_device device = bince_context_device(context);
          const bince_tensor q = {data, device, 2, bince::kFloat32, q_shape, nullptr, 0};
          const bince_tensor k = {data, device, 2, bince::kFloat32, k_shape, nullptr, 0};
          const bince_tensor positive = {data, device, 1, bince::kInt32, &rows, nullptr, 0};
          bince_contrastive problem;
          bince_contrastive_init(&problem);
          problem.flags = flags;
          problem.q = &q, problem.k = &k, problem.positive = &positive;
          size_t bytes = 0;
          CHECK_OK(bince_contrastive_workspace(context, &problem, call, &bytes));
          const size_t lines = static_cast<size_t>(size[0] + size[1]) * 160;
          const size_t reference = backend == "ref" ? static_cast<size_t>(size[2]) * 8 * 16 : 0;
          CHECK(bytes <= (size_t{64} << 20) + lines + reference);
        }
  }
}

TEST(spans_and_segments_join) {  // more columns than a span and more dimensions than a segment
  for (uint32_t flags : {0u, 3u}) {
    Case wide = random_case(81, 20, 5000, 300, 3, 0.5f);
    wide.options.flags = flags;
    Case deep = random_case(82, 10, 13, 0, 9000, 0.02f);
    deep.options.flags = flags;
    for (const Case& c : {wide, deep}) {
      const bince_test::Context ref("ref", 2);
      const Outcome<float> expected = run_case(ref, c);
      for (const std::string& backend : bince_test::available_backends()) {
        const bince_test::Context context(backend.c_str(), 2);
        const Outcome<float> actual = run_case(context, c);
        CHECK_NEAR(actual.loss, expected.loss, 1e-5);
        for (size_t i = 0; i < expected.dq.size(); ++i)
          CHECK_NEAR(actual.dq[i], expected.dq[i], 2e-7 + 2e-6 * std::fabs(expected.dq[i]));
        for (size_t i = 0; i < expected.dk.size(); ++i)
          CHECK_NEAR(actual.dk[i], expected.dk[i], 2e-7 + 2e-6 * std::fabs(expected.dk[i]));
        for (size_t i = 0; i < expected.row_lse.size(); ++i)
          CHECK_NEAR(actual.row_lse[i], expected.row_lse[i], 1e-5);
      }
    }
  }
}

TEST(kept_and_recomputed_scores_agree) {  // 100 MB of scores: only the first blocks are kept
  for (const std::string& backend : bince_test::available_backends()) {
    if (backend == "ref" || backend == "cuda") continue;  // they keep none
    Case c = random_case(83, 5000, 5000, 0, 3);
    c.options.flags = BINCE_CONTRASTIVE_SYMMETRIC | BINCE_CONTRASTIVE_COSINE;
    c.options.scale = 10;
    const bince_test::Context context(backend.c_str(), 2);
    const Outcome<float> kept = run_case(context, c), recomputed = run_case(context, c, true);
    CHECK_EQ(kept.loss, recomputed.loss);
    double size = 0, error = 0;
    for (size_t i = 0; i < kept.dq.size(); ++i) {
      size = std::fmax(size, std::fabs(kept.dq[i]));
      error = std::fmax(error, std::fabs(double{kept.dq[i]} - recomputed.dq[i]));
      error = std::fmax(error, std::fabs(double{kept.dk[i]} - recomputed.dk[i]));
    }
    CHECK(error <= 2e-6 * size);
  }
}

TEST(a_cancelled_call_says_so) {
  for (const std::string& backend : bince_test::available_backends()) {
    const bince_test::Context context(backend.c_str(), 2);
    const Case c = random_case(91, 400, 400, 0, 32);
    Tensors tensors(context);
    const bince_contrastive problem = problem_of(c, &tensors);
    Guarded loss(context, 1, 0), dq(context, c.n, c.dim);
    bince_contrastive_results results = {};
    results.struct_size = sizeof results;
    results.loss = &loss.tensor, results.dq = &dq.tensor;
    size_t bytes = 0;
    CHECK_OK(bince_contrastive_workspace(context, &problem, 3, &bytes));
    DirtyLaunch launch(context, bytes);
    const int32_t cancel = 1;
    launch->cancel = &cancel;
    CHECK_EQ(bince_contrastive_forward_backward(context, &problem, &results, launch), BINCE_CANCELLED);
  }
}
