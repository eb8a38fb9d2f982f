// A contrastive problem with its data, a call through the C ABI with sentinels around every output, and the
// same loss written plainly over the full score matrix in any precision.
#ifndef BINCE_TEST_NATIVE_CONTRASTIVE_CASE_H_
#define BINCE_TEST_NATIVE_CONTRASTIVE_CASE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "bince.h"
#include "native/core/tensor_check.h"
#include "test/native/device_case.h"
#include "test/native/harness.h"

namespace contrastive_test {

struct Case {
  std::string name;
  int64_t n = 1, m = 1, queued = 0, dim = 1;
  bool bfloat16 = false;
  std::vector<float> q, k, queue;
  std::vector<int32_t> positive, row_group, column_group, row_id, column_id;
  std::vector<float> row_weight, column_weight;
  bince_contrastive options;

  Case() { bince_contrastive_init(&options); }
  int64_t columns() const { return m + queued; }
  bool has(uint32_t flag) const { return (options.flags & flag) != 0; }
};

inline uint16_t to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float from_bfloat16(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::vector<float> normal(std::mt19937& random, int64_t count, float deviation) {
  std::normal_distribution<float> distribution(0, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

inline std::vector<int32_t> integers(std::mt19937& random, int64_t count, int32_t low, int32_t high) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int32_t& value : values)
    value = low + static_cast<int32_t>(random() % static_cast<uint32_t>(high - low + 1));
  return values;
}

// Random q, k and queue; with bfloat16, already rounded to it.
inline Case random_case(uint32_t seed, int64_t n, int64_t m, int64_t queued, int64_t dim, float deviation = 1,
                        bool bfloat16 = false) {
  Case c;
  std::mt19937 random(seed);
  c.n = n, c.m = m, c.queued = queued, c.dim = dim, c.bfloat16 = bfloat16;
  c.q = normal(random, n * dim, deviation);
  c.k = normal(random, m * dim, deviation);
  c.queue = normal(random, queued * dim, deviation);
  if (bfloat16)
    for (std::vector<float>* values : {&c.q, &c.k, &c.queue})
      for (float& value : *values) value = from_bfloat16(to_bfloat16(value));
  return c;
}

template <typename T>
struct Outcome {
  T loss = 0, regularizer = 0, dscale = 0, dbias = 0;
  std::vector<T> row_loss, row_lse, column_loss, column_lse, dq, dk;
};

// A float output between sentinels, in the context's memory.
struct Guarded {
  bince_test::DeviceArray<float> array;
  bince_tensor tensor;
  Guarded(bince_context* context, int64_t rows, int64_t dim)
      : array(context, static_cast<size_t>(rows * std::max<int64_t>(dim, 1))),
        tensor(dim > 0 ? *array.tensor({rows, dim}) : *array.tensor({rows})) {}
  std::vector<float> values() const { return array.read(); }
};

// Inputs in the context's memory; `shift` moves them off their alignment, in elements.
struct Tensors {
  bince_context* context;
  size_t shift;
  std::deque<bince_test::DeviceArray<float>> floats;
  std::deque<bince_test::DeviceArray<uint16_t>> halves;
  std::deque<bince_test::DeviceArray<int32_t>> integers;
  explicit Tensors(bince_context* given, size_t shift_elements = 0) : context(given), shift(shift_elements) {}

  const bince_tensor* matrix(const std::vector<float>& values, int64_t rows, int64_t dim, bool bfloat16) {
    if (rows == 0) return nullptr;
    if (!bfloat16) {
      floats.emplace_back(context, values, shift);
      return floats.back().tensor({rows, dim});
    }
    std::vector<uint16_t> bits;
    for (float value : values) bits.push_back(to_bfloat16(value));
    halves.emplace_back(context, bits, shift);
    return halves.back().tensor({rows, dim});
  }
  const bince_tensor* vector(const std::vector<float>& values) {
    if (values.empty()) return nullptr;
    floats.emplace_back(context, values);
    return floats.back().tensor();
  }
  const bince_tensor* vector(const std::vector<int32_t>& values) {
    if (values.empty()) return nullptr;
    integers.emplace_back(context, values);
    return integers.back().tensor();
  }
};

inline bince_contrastive problem_of(const Case& c, Tensors* tensors) {
  bince_contrastive problem = c.options;
  problem.q = tensors->matrix(c.q, c.n, c.dim, c.bfloat16);
  problem.k = tensors->matrix(c.k, c.m, c.dim, c.bfloat16);
  problem.queue = tensors->matrix(c.queue, c.queued, c.dim, c.bfloat16);
  problem.positive = tensors->vector(c.positive);
  problem.row_group = tensors->vector(c.row_group);
  problem.column_group = tensors->vector(c.column_group);
  problem.row_id = tensors->vector(c.row_id);
  problem.column_id = tensors->vector(c.column_id);
  problem.row_weight = tensors->vector(c.row_weight);
  problem.column_weight = tensors->vector(c.column_weight);
  return problem;
}

// A launch whose workspace holds NaNs: no value of it may matter.
struct DirtyLaunch : bince_test::DeviceLaunch {
  DirtyLaunch(bince_context* context, size_t bytes) : DeviceLaunch(context, bytes) {
    const std::vector<uint8_t> ones(bytes, 0xff);
    if (bytes > 0)
      CHECK_OK(bince_copy_to_device(context, (*this)->workspace, ones.data(), bytes, (*this)->stream));
  }
};

// Runs the case; `split`: forward, then backward from its statistics.
inline Outcome<float> run_case(bince_context* context, const Case& c, bool split = false, size_t shift = 0) {
  Tensors tensors(context, shift);
  const bince_contrastive problem = problem_of(c, &tensors);
  const bool symmetric = c.has(BINCE_CONTRASTIVE_SYMMETRIC);
  const bool sigmoid = c.options.denominator == BINCE_DENOMINATOR_SIGMOID;
  Guarded loss(context, 1, 0), regularizer(context, 1, 0), dscale(context, 1, 0), dbias(context, 1, 0),
      row_loss(context, c.n, 0), row_lse(context, c.n, 0), column_loss(context, c.columns(), 0),
      column_lse(context, c.columns(), 0), dq(context, c.n, c.dim), dk(context, c.m, c.dim);
  bince_contrastive_results forward = {};
  forward.struct_size = sizeof forward;
  forward.loss = &loss.tensor;
  forward.regularizer = &regularizer.tensor;
  forward.row_loss = &row_loss.tensor;
  if (!sigmoid) forward.row_lse = &row_lse.tensor;
  if (symmetric) forward.column_loss = &column_loss.tensor, forward.column_lse = &column_lse.tensor;
  bince_contrastive_results both = forward;
  both.dq = &dq.tensor, both.dk = &dk.tensor, both.dscale = &dscale.tensor, both.dbias = &dbias.tensor;
  for (uint32_t call :
       {BINCE_CONTRASTIVE_FORWARD, BINCE_CONTRASTIVE_BACKWARD, BINCE_CONTRASTIVE_FORWARD_BACKWARD}) {
    if (split == (call == BINCE_CONTRASTIVE_FORWARD_BACKWARD)) continue;
    size_t bytes = 0;
    CHECK_OK(bince_contrastive_workspace(context, &problem, call, &bytes));
    const DirtyLaunch launch(context, bytes);
    if (call == BINCE_CONTRASTIVE_FORWARD)
      CHECK_OK(bince_contrastive_forward(context, &problem, &forward, launch));
    else if (call == BINCE_CONTRASTIVE_BACKWARD)
      CHECK_OK(bince_contrastive_backward(context, &problem, &both, launch));
    else
      CHECK_OK(bince_contrastive_forward_backward(context, &problem, &both, launch));
    CHECK_OK(launch.finish());
  }
  Outcome<float> out;
  out.loss = loss.values()[0], out.regularizer = regularizer.values()[0];
  out.dscale = dscale.values()[0], out.dbias = dbias.values()[0];
  out.row_loss = row_loss.values(), out.row_lse = row_lse.values();
  out.column_loss = column_loss.values(), out.column_lse = column_lse.values();
  out.dq = dq.values(), out.dk = dk.values();
  return out;
}

// What is rounded before it is multiplied: nothing; with kBfloat16 the gradients' weights, as the CUDA
// kernels do for bfloat16 inputs; with kBfloat16Rows unit rows too, which is the whole loss in bfloat16 done
// plainly, the measure of fixed point; with kTf32 weights and rows, as tensor cores do for float32.
enum class Rounding { kNone, kBfloat16, kBfloat16Rows, kTf32 };

template <typename T>
T rounded(T value, Rounding rounding) {
  if (rounding == Rounding::kNone) return value;
  if (rounding == Rounding::kBfloat16 || rounding == Rounding::kBfloat16Rows)
    return from_bfloat16(to_bfloat16(static_cast<float>(value)));
  const float given = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &given, sizeof bits);
  bits = (bits + 0x1000u) & 0xffffe000u;
  float nearest;
  std::memcpy(&nearest, &bits, sizeof nearest);
  return nearest;
}

// The full matrix in T, as someone would write it plainly.
template <typename T>
struct Plain {
  const Case& c;
  Rounding rounding = Rounding::kNone;
  std::vector<T> q, k, q_norm, k_norm, d, raw, s, t, g;
  std::vector<uint8_t> scored, positive, negative;

  explicit Plain(const Case& given) : c(given) {}
  size_t at(int64_t i, int64_t j) const { return static_cast<size_t>(i * c.columns() + j); }

  std::vector<T> unit(const std::vector<float>& first, const std::vector<float>& second,
                      std::vector<T>* norms) {
    std::vector<T> rows(first.begin(), first.end());
    rows.insert(rows.end(), second.begin(), second.end());
    for (size_t row = 0; row * static_cast<size_t>(c.dim) < rows.size(); ++row) {
      T squares = 0, *x = &rows[row * static_cast<size_t>(c.dim)];
      for (int64_t e = 0; e < c.dim; ++e) squares += x[e] * x[e];
      const T norm = c.has(BINCE_CONTRASTIVE_COSINE) ? std::sqrt(squares) : T{1};
      norms->push_back(norm);
      for (int64_t e = 0; e < c.dim; ++e) {
        if (rounding == Rounding::kTf32) x[e] = rounded(x[e], rounding);
        x[e] = norm > 0 ? x[e] / norm : 0;
        if (rounding == Rounding::kBfloat16Rows) x[e] = rounded(x[e], rounding);
      }
    }
    return rows;
  }

  void classify(int64_t i, int64_t j) {
    const size_t p = at(i, j), ui = static_cast<size_t>(i), uj = static_cast<size_t>(j);
    const auto& o = c.options;
    bool is_positive = c.positive.empty() ? i == j : c.positive[ui] == j;
    if (!c.row_group.empty()) is_positive = c.row_group[ui] >= 0 && c.row_group[ui] == c.column_group[uj];
    scored[p] = !(c.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL) && i == j) &&
                !(c.has(BINCE_CONTRASTIVE_OWN_KEY) && j < c.m && !is_positive);
    positive[p] = scored[p] && is_positive;
    negative[p] = scored[p] && !is_positive && !(d[p] > T{o.threshold}) &&
                  (c.row_id.empty() || c.row_id[ui] < 0 || c.row_id[ui] != c.column_id[uj]);
    if (!scored[p]) raw[p] = 0;
    s[p] = o.clip > 0 ? T{o.clip} * std::tanh(raw[p] / T{o.clip}) : raw[p];
    t[p] = s[p] + (negative[p] ? T{o.negative_log_weight} : T{0});
  }

  void score() {
    q = unit(c.q, {}, &q_norm), k = unit(c.k, c.queue, &k_norm);
    const size_t pairs = static_cast<size_t>(c.n * c.columns());
    d.assign(pairs, 0), raw = s = t = g = d;
    scored.assign(pairs, 0), positive = negative = scored;
    for (int64_t i = 0; i < c.n; ++i)
      for (int64_t j = 0; j < c.columns(); ++j) {
        T dot = 0;
        for (int64_t e = 0; e < c.dim; ++e)
          dot += q[static_cast<size_t>(i * c.dim + e)] * k[static_cast<size_t>(j * c.dim + e)];
        d[at(i, j)] = dot;
        raw[at(i, j)] = T{c.options.scale} * dot + T{c.options.bias};
        classify(i, j);
      }
  }

  static T softplus(T x) { return std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x))); }
  static T sigmoid(T x) { return T{1} / (T{1} + std::exp(-x)); }

  // One line's loss; adds factor * its gradient to g.
  T line(const std::vector<size_t>& pairs, T factor, T* lse, bool* counts) {
    const uint32_t mode = c.options.denominator;
    const T weight = std::exp(T{c.options.negative_log_weight});
    T loss = 0, count = 0, maximum = -std::numeric_limits<T>::infinity(), sum = 0, slack = 0;
    for (size_t p : pairs) count += positive[p];
    *counts = count > 0 || mode == BINCE_DENOMINATOR_SIGMOID;
    if (mode == BINCE_DENOMINATOR_SIGMOID) {
      for (size_t p : pairs) {
        if (positive[p]) loss += softplus(-s[p]), g[p] -= factor * sigmoid(-s[p]);
        if (negative[p]) loss += weight * softplus(s[p]), g[p] += factor * weight * sigmoid(s[p]);
      }
      return loss;
    }
    auto inside = [&](size_t p) { return negative[p] || (positive[p] && mode == BINCE_DENOMINATOR_ALL); };
    for (size_t p : pairs)
      if (inside(p)) maximum = std::max(maximum, t[p]);
    for (size_t p : pairs)
      if (inside(p)) sum += std::exp(t[p] - maximum);
    *lse = sum > 0 ? maximum + std::log(sum) : -std::numeric_limits<T>::infinity();
    if (count == 0 || !(sum > 0)) return 0;
    const bool each = mode == BINCE_DENOMINATOR_EACH;
    for (size_t p : pairs) {
      if (!positive[p]) continue;
      loss += (each ? softplus(*lse - s[p]) : *lse - s[p]) / count;
      const T pull = each ? sigmoid(*lse - s[p]) : T{1};
      slack += pull / count;
      g[p] -= factor * pull / count;
    }
    for (size_t p : pairs)
      if (inside(p)) g[p] += factor * slack * std::exp(t[p] - *lse);
    return loss;
  }

  // Lines of one direction: their losses and LSEs, and their share of the total.
  T direction(bool is_column, std::vector<T>* losses, std::vector<T>* lses) {
    const int64_t lines = is_column ? c.columns() : c.n, others = is_column ? c.n : c.columns();
    const std::vector<float>& weights = is_column ? c.column_weight : c.row_weight;
    const T half = c.has(BINCE_CONTRASTIVE_SYMMETRIC) ? T(0.5) : T{1};
    const std::vector<T> before = g;
    T total = 0, weight_sum = 0;
    for (int pass = 0; pass < 2; ++pass) {  // the first finds the sum of the weights
      g = before;
      losses->clear(), lses->clear();
      total = 0;
      T seen = 0;
      for (int64_t l = 0; l < lines; ++l) {
        std::vector<size_t> pairs;
        for (int64_t o = 0; o < others; ++o) pairs.push_back(is_column ? at(o, l) : at(l, o));
        const T w = weights.empty() ? T{1} : T{weights[static_cast<size_t>(l)]};
        const bool mean = !c.has(BINCE_CONTRASTIVE_SUM);
        const T factor = pass == 0 ? T{0} : half * w / (mean ? (weight_sum > 0 ? weight_sum : 1) : T{1});
        T lse = 0;
        bool counts = false;
        losses->push_back(line(pairs, factor, &lse, &counts));
        lses->push_back(lse);
        if (counts) total += factor * losses->back(), seen += w;
      }
      weight_sum = seen;
    }
    return total;
  }

  std::vector<T> through_norm(const std::vector<T>& x, const std::vector<T>& norms,
                              std::vector<T> gradient) const {
    if (!c.has(BINCE_CONTRASTIVE_COSINE)) return gradient;
    for (size_t row = 0; (row + 1) * static_cast<size_t>(c.dim) <= gradient.size(); ++row) {
      T along = 0;
      const size_t base = row * static_cast<size_t>(c.dim);
      for (size_t e = 0; e < static_cast<size_t>(c.dim); ++e) along += gradient[base + e] * x[base + e];
      for (size_t e = 0; e < static_cast<size_t>(c.dim); ++e)
        gradient[base + e] = norms[row] > 0 ? (gradient[base + e] - along * x[base + e]) / norms[row] : T{0};
    }
    return gradient;
  }

  Outcome<T> run() {
    Outcome<T> out;
    score();
    out.loss = direction(false, &out.row_loss, &out.row_lse);
    if (c.has(BINCE_CONTRASTIVE_SYMMETRIC)) out.loss += direction(true, &out.column_loss, &out.column_lse);
    T pairs = 0, squares = 0;
    for (size_t p = 0; p < raw.size(); ++p) pairs += scored[p], squares += scored[p] ? raw[p] * raw[p] : T{0};
    if (pairs > 0) out.regularizer = T{c.options.regularizer} * squares / pairs;
    out.loss += out.regularizer;
    out.dq.assign(static_cast<size_t>(c.n * c.dim), 0);
    std::vector<T> dk(static_cast<size_t>(c.columns() * c.dim), 0);
    for (int64_t i = 0; i < c.n; ++i)
      for (int64_t j = 0; j < c.columns(); ++j) {
        const size_t p = at(i, j);
        if (c.options.clip > 0) g[p] *= 1 - (s[p] / T{c.options.clip}) * (s[p] / T{c.options.clip});
        if (scored[p]) g[p] += 2 * T{c.options.regularizer} * raw[p] / pairs;
        g[p] *= T{c.options.grad_loss};
        out.dscale += g[p] * d[p], out.dbias += g[p];
        const T weight = rounded(T{c.options.scale} * g[p], rounding);
        for (int64_t e = 0; e < c.dim; ++e) {
          out.dq[static_cast<size_t>(i * c.dim + e)] += weight * k[static_cast<size_t>(j * c.dim + e)];
          dk[static_cast<size_t>(j * c.dim + e)] += weight * q[static_cast<size_t>(i * c.dim + e)];
        }
      }
    out.dq = through_norm(q, q_norm, out.dq);
    dk = through_norm(k, k_norm, dk);
    out.dk.assign(dk.begin(), dk.begin() + c.m * c.dim);
    return out;
  }
};

template <typename T>
Outcome<T> run_plainly(const Case& c, Rounding rounding = Rounding::kNone) {
  Plain<T> plain(c);
  plain.rounding = rounding;
  return plain.run();
}

}  // namespace contrastive_test

#endif  // BINCE_TEST_NATIVE_CONTRASTIVE_CASE_H_
