// The contrastive slots over kernels with small tiles, splits, launches and blocks, in every mode: the same
// bits under every schedule of threads and blocks, whatever the workspace held before, and against the same
// loss written plainly.
#define BINCE_SMALL_TILES

#include "native/contrastive/contrastive_cuda.cu"
#include "native/contrastive/device_plan.cu"
#include "native/contrastive/gradient_product.cu"
#include "native/contrastive/pad_rows.cu"
#include "native/contrastive/score_bfloat16.cu"
#include "native/contrastive/score_float32.cu"
#include "native/contrastive/score_tf32.cu"
#include "test/native/contrastive_check.h"

// The host's side of the kernels under test; the plugin's own stands in device_runtime.cu.
namespace bince {
int multiprocessors() {
  return 1;
}
bince_status cuda_status(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return BINCE_OK;
  return fail(BINCE_INTERNAL, "%s: %s", call, cudaGetErrorString(error));
}
bince_status launch_status(const char* kernel) {
  return cuda_status(cudaGetLastError(), kernel);
}
bince_status allow_shared(const void* kernel, size_t bytes, const char* name) {
  return cuda_status(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      name);
}
DeviceScope::DeviceScope(int32_t) {}
DeviceScope::~DeviceScope() {}
}  // namespace bince

using namespace contrastive_test;

namespace {

// Device memory with guards, filled with a byte.
class Memory {
 public:
  static constexpr size_t kGuard = 256;
  Memory(size_t bytes, uint8_t fill) : bytes_(bytes) {
    CHECK(cudaMalloc(reinterpret_cast<void**>(&base_), bytes + 2 * kGuard) == cudaSuccess);
    std::memset(base_, 0xa5, bytes + 2 * kGuard);
    std::memset(base_ + kGuard, fill, bytes);
  }
  template <typename T>
  explicit Memory(const std::vector<T>& values) : Memory(values.size() * sizeof(T), 0) {
    if (!values.empty()) std::memcpy(base_ + kGuard, values.data(), bytes_);
  }
  ~Memory() {
    for (size_t i = 0; i < kGuard; ++i) CHECK(base_[i] == 0xa5 && base_[kGuard + bytes_ + i] == 0xa5);
    cudaFree(base_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  template <typename T>
  T* data() const {
    return bytes_ > 0 ? reinterpret_cast<T*>(base_ + kGuard) : nullptr;
  }
  template <typename T>
  std::vector<T> values() const {
    const T* begin = reinterpret_cast<const T*>(base_ + kGuard);
    return {begin, begin + bytes_ / sizeof(T)};
  }

 private:
  uint8_t* base_ = nullptr;
  size_t bytes_;
};

std::vector<uint16_t> halves(const std::vector<float>& values) {
  std::vector<uint16_t> bits;
  for (float value : values) bits.push_back(to_bfloat16(value));
  return bits;
}

// A case's inputs in device memory, as the slot takes them.
struct Inputs {
  Memory q, k, queue, positive, row_group, column_group, row_id, column_id, row_weight, column_weight;
  bince::ContrastiveProblem problem;

  explicit Inputs(const Case& c)
      : q(c.bfloat16 ? Memory(halves(c.q)) : Memory(c.q)),
        k(c.bfloat16 ? Memory(halves(c.k)) : Memory(c.k)),
        queue(c.bfloat16 ? Memory(halves(c.queue)) : Memory(c.queue)),
        positive(c.positive),
        row_group(c.row_group),
        column_group(c.column_group),
        row_id(c.row_id),
        column_id(c.column_id),
        row_weight(c.row_weight),
        column_weight(c.column_weight) {
    const bince_contrastive& o = c.options;
    problem = {o.denominator,
               o.flags,
               o.scale,
               o.bias,
               o.clip,
               o.regularizer,
               o.negative_log_weight,
               o.threshold,
               o.grad_loss,
               c.n,
               c.m,
               c.columns(),
               c.dim,
               c.has(BINCE_CONTRASTIVE_OWN_KEY) ? c.m : 0,
               {q.data<void>(), nullptr, c.n, c.n, c.dim, c.bfloat16},
               {k.data<void>(), queue.data<void>(), c.m, c.columns(), c.dim, c.bfloat16},
               positive.data<int32_t>(),
               row_group.data<int32_t>(),
               column_group.data<int32_t>(),
               row_id.data<int32_t>(),
               column_id.data<int32_t>(),
               row_weight.data<float>(),
               column_weight.data<float>()};
  }
};

Outcome<float> run_slot(const Case& c, const Inputs& inputs, uint8_t fill, uint64_t* offence) {
  const bool sigmoid = c.options.denominator == BINCE_DENOMINATOR_SIGMOID;
  const bool symmetric = c.has(BINCE_CONTRASTIVE_SYMMETRIC);
  auto floats = [](int64_t count) { return static_cast<size_t>(count) * sizeof(float); };
  const Memory loss(4, fill), regularizer(4, fill), dscale(4, fill), dbias(4, fill),
      row_loss(floats(c.n), fill), row_lse(floats(c.n), fill), column_loss(floats(c.columns()), fill),
      column_lse(floats(c.columns()), fill), dq(floats(c.n * c.dim), fill), dk(floats(c.m * c.dim), fill);
  const bince::ContrastiveResults results = {loss.data<float>(),
                                             regularizer.data<float>(),
                                             row_loss.data<float>(),
                                             sigmoid ? nullptr : row_lse.data<float>(),
                                             symmetric ? column_loss.data<float>() : nullptr,
                                             symmetric ? column_lse.data<float>() : nullptr,
                                             dq.data<float>(),
                                             dk.data<float>(),
                                             dscale.data<float>(),
                                             dbias.data<float>()};
  const bince::ContrastiveOps& ops = bince::contrastive_ops_cuda();
  const Memory workspace(ops.workspace(inputs.problem, BINCE_CONTRASTIVE_FORWARD_BACKWARD), fill);
  const Memory report(sizeof(bince::DeviceReport), 0xff);
  bince::Run run = {nullptr, workspace.data<char>(), nullptr};
  run.report = report.data<bince::DeviceReport>();
  CHECK_OK(ops.run(run, inputs.problem, results, BINCE_CONTRASTIVE_FORWARD_BACKWARD));
  *offence = run.report->first;
  Outcome<float> out;
  out.loss = *loss.data<float>(), out.regularizer = *regularizer.data<float>();
  out.dscale = *dscale.data<float>(), out.dbias = *dbias.data<float>();
  out.row_loss = row_loss.values<float>();
  if (!sigmoid) out.row_lse = row_lse.values<float>();
  if (symmetric) out.column_loss = column_loss.values<float>(), out.column_lse = column_lse.values<float>();
  out.dq = dq.values<float>(), out.dk = dk.values<float>();
  return out;
}

void check_slot(const Case& c) {
  const Inputs inputs(c);
  Outcome<float> first;
  const uint8_t fills[] = {0xff, 0x00, 0x7f, 0x3f};
  for (uint64_t seed = 0; seed < 4; ++seed) {
    cusim::set_seed(seed);
    uint64_t offence = 0;
    const Outcome<float> out = run_slot(c, inputs, fills[seed], &offence);
    if (offence != bince::kNoOffence)
      bince_test::report(__FILE__, __LINE__, c.name + ": offence " + std::to_string(offence >> 48));
    if (seed == 0)
      first = out;
    else if (!same_bits(out, first))
      bince_test::report(__FILE__, __LINE__, c.name + ": other bits with seed " + std::to_string(seed));
  }
  cusim::set_seed(0);
  const Rounding rounding = rounding_of(c, "cuda");
  check_outcome(c, c.name, first, run_plainly<double>(c), run_plainly<float>(c, rounding), 0, 0, rounding);
}

Case case_of(const char* name, uint32_t seed, int64_t n, int64_t m, int64_t queued, int64_t dim,
             uint32_t denominator, uint32_t flags, bool bfloat16 = false) {
  Case c = random_case(seed, n, m, queued, dim, 0.6f, bfloat16);
  c.name = name;
  c.options.denominator = denominator;
  c.options.flags = flags;
  c.options.scale = 1.7f;
  return c;
}

Case with_groups(Case c) {
  std::mt19937 random(9);
  c.row_group = integers(random, c.n, -1, 5);
  c.column_group = integers(random, c.columns(), -1, 5);
  return c;
}

}  // namespace

TEST(plain_losses_have_the_same_bits_under_every_schedule) {
  check_slot(case_of("one way", 1, 70, 97, 0, 9, 0, 0));
  check_slot(case_of("symmetric cosine", 2, 131, 140, 0, 12, 0, 3));
  check_slot(case_of("symmetric bfloat16", 3, 65, 96, 0, 24, 0, 3, true));
  check_slot(case_of("tf32", 4, 33, 64, 0, 20, 0, 1 | BINCE_CONTRASTIVE_TF32));
  check_slot(case_of("queue", 5, 31, 40, 50, 8, 0, 2, true));
  Case views = case_of("two views", 6, 66, 66, 0, 5, 0, 2 | BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  for (int32_t i = 0; i < 66; ++i) views.positive.push_back((i + 33) % 66);
  check_slot(views);
}

TEST(general_losses_have_the_same_bits_under_every_schedule) {
  check_slot(with_groups(case_of("groups", 11, 70, 97, 0, 9, 0, 4)));
  check_slot(with_groups(case_of("each symmetric", 12, 40, 65, 0, 7, BINCE_DENOMINATOR_EACH, 3)));
  check_slot(with_groups(case_of("negatives bfloat16", 13, 33, 34, 30, 16, 1, 1, true)));
  check_slot(case_of("sigmoid", 14, 34, 70, 0, 6, BINCE_DENOMINATOR_SIGMOID, 2));
  Case own = case_of("own keys", 15, 35, 37, 70, 8, 0, 2 | BINCE_CONTRASTIVE_OWN_KEY);
  own.options.clip = 3, own.options.regularizer = 0.02f;
  check_slot(own);
  own.options.denominator = BINCE_DENOMINATOR_EACH;
  own.options.clip = 0, own.positive.assign(35, 4), own.positive[3] = -1;
  check_slot(own);
}

// One line far below the others of its warp, and LSEs too far apart for one reference.
TEST(lines_far_apart) {
  Case c = case_of("far apart", 21, 40, 70, 0, 4, 0, 1);
  for (int64_t j = 0; j < c.m; ++j)
    for (int64_t d = 0; d < c.dim; ++d)
      c.k[static_cast<size_t>(j * c.dim + d)] *= static_cast<float>(1 + j * j / 20);
  check_slot(c);
}

TEST(what_is_wrong_with_the_data_is_noted) {
  const Case good = case_of("good", 31, 40, 50, 20, 6, 0, 2);
  auto offence_of = [](const Case& c) {
    const Inputs inputs(c);
    uint64_t offence = 0;
    run_slot(c, inputs, 0, &offence);
    return offence;
  };
  auto noted = [](bince::Offence offence, uint64_t index) {
    return static_cast<uint64_t>(offence) << 48 | index;
  };
  CHECK_EQ(offence_of(good), bince::kNoOffence);
  Case c = good;
  c.q[37 * 6 + 5] = NAN, c.q[38 * 6] = INFINITY;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kQueryNotFinite, 37));
  c = good;
  c.queue[19 * 6] = -INFINITY;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kQueueNotFinite, 19));
  c = good;
  for (int64_t d = 0; d < 6; ++d) c.k[static_cast<size_t>(41 * 6 + d)] = 1e-20f;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kKeyNorm, 41));
  c = good;
  c.positive.assign(40, 3), c.positive[7] = 50, c.positive[9] = -2;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kPositiveOutOfRange, 7));
  c = good;
  c.row_weight.assign(40, 1), c.row_weight[5] = NAN;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kRowWeight, 5));
  c = good;
  c.options.flags = 0;
  for (int64_t d = 0; d < 6; ++d) c.q[static_cast<size_t>(12 * 6 + d)] = c.k[static_cast<size_t>(d)] = 3e30f;
  CHECK_EQ(offence_of(c), noted(bince::Offence::kRowLoss, 12));
}
