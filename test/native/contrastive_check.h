// Compares a contrastive call on every backend with the same loss written plainly.
#ifndef BINCE_TEST_NATIVE_CONTRASTIVE_CHECK_H_
#define BINCE_TEST_NATIVE_CONTRASTIVE_CHECK_H_

#include "test/native/contrastive_case.h"

namespace contrastive_test {

// The house's rule: twice the largest error that plain float32 makes on the same tensor, plus a few ulps of
// the tensor's largest value (plain float32 may be lucky on a single number).
inline void check_close(const std::string& what, const std::vector<float>& actual,
                        const std::vector<double>& exact, const std::vector<float>& plain, double extra,
                        double ulps = 5e-7) {
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
  allowed += ulps * size + 1e-9 + extra;
  if (!(error <= allowed)) {
    char text[200];
    std::snprintf(text, sizeof text, "%s: error %.3g, allowed %.3g, size %.3g", what.c_str(), error, allowed,
                  size);
    bince_test::report(__FILE__, __LINE__, text);
  }
}

// What a backward from float32 LSEs cannot avoid: half an ulp of the LSE is a relative error of every
// probability, which the gradient multiplies by scale and by the other side's elements.
inline double rounded_lse_error(const Case& c, const Outcome<double>& exact) {
  double lse = 0, element = 0;
  for (const std::vector<double>* values : {&exact.row_lse, &exact.column_lse})
    for (double value : *values)
      if (std::isfinite(value)) lse = std::fmax(lse, std::fabs(value));
  for (const std::vector<float>* values : {&c.q, &c.k})
    for (float value : *values) element = std::fmax(element, std::fabs(value));
  const double factor = c.has(BINCE_CONTRASTIVE_SUM) ? static_cast<double>(c.n) : 2;
  return factor * lse * 6e-8 * std::fabs(c.options.scale) * std::fmax(element, 1);
}

inline void check_outcome(const Case& c, const std::string& what, const Outcome<float>& actual,
                          const Outcome<double>& exact, const Outcome<float>& plain, double extra,
                          double loss_extra, Rounding rounding = Rounding::kNone) {
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
  scalar("loss", actual.loss, exact.loss, plain.loss, loss_extra);
  scalar("regularizer", actual.regularizer, exact.regularizer, plain.regularizer, 0);
  scalar("dscale", actual.dscale, exact.dscale, plain.dscale, (1e-6 + extra) * largest);
  scalar("dbias", actual.dbias, exact.dbias, plain.dbias, 2e-6 + extra * largest);
  check_close(what + " row_loss", actual.row_loss, exact.row_loss, plain.row_loss, loss_extra);
  if (c.options.denominator != BINCE_DENOMINATOR_SIGMOID)
    check_close(what + " row_lse", actual.row_lse, exact.row_lse, plain.row_lse, 0);
  check_close(what + " column_loss", actual.column_loss, exact.column_loss, plain.column_loss, loss_extra);
  check_close(what + " column_lse", actual.column_lse, exact.column_lse, plain.column_lse, 0);
  // Half an ulp of a rounded weight; plain arithmetic may be lucky there too.
  const bool bfloat16 = rounding == Rounding::kBfloat16 || rounding == Rounding::kBfloat16Rows;
  const double ulps = bfloat16 ? 0x1p-9 : rounding == Rounding::kTf32 ? 0x1p-11 : 5e-7;
  check_close(what + " dq", actual.dq, exact.dq, plain.dq, extra, ulps);
  check_close(what + " dk", actual.dk, exact.dk, plain.dk, extra, ulps);
}

inline bool same_bits(const Outcome<float>& a, const Outcome<float>& b) {
  auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.size() == y.size() &&
           (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0);
  };
  return a.loss == b.loss && a.dscale == b.dscale && a.dbias == b.dbias && same(a.row_loss, b.row_loss) &&
         same(a.row_lse, b.row_lse) && same(a.column_lse, b.column_lse) && same(a.dq, b.dq) &&
         same(a.dk, b.dk);
}

// What a line with one pair in its denominator leaves of two equal scores: a few ulps of the score in its
// loss, as many of a probability in the gradients, which scale, elements and the normalisation multiply.
// Plain float32 may be exact there.
struct ScoreRounding {
  double loss = 0, gradient = 0;
};
inline ScoreRounding score_rounding(const Case& c) {
  Plain<double> plain(c);
  plain.score();
  double score = 1, element = 1, norm = 1;
  for (double s : plain.raw) score = std::fmax(score, std::fabs(s));
  for (const std::vector<double>* values : {&plain.q, &plain.k})
    for (double value : *values) element = std::fmax(element, std::fabs(value));
  for (const std::vector<double>* norms : {&plain.q_norm, &plain.k_norm})
    for (double value : *norms)
      if (value > 0) norm = std::fmin(norm, value);
  const double ulps = 4 * 6e-8 * score;
  return {ulps, ulps * std::fabs(c.options.scale * c.options.grad_loss) * element / norm};
}

// Whether the products are in 16-bit fixed point: bfloat16 rows with cosine and no groups, where VNNI is.
inline bool in_fixed_point(const Case& c, const std::string& backend) {
  return backend == "avx512" && std::strstr(bince_cpu_features(), "avx512_vnni") && c.bfloat16 &&
         c.has(BINCE_CONTRASTIVE_COSINE) && c.row_group.empty() && c.dim <= 4096;
}

// What a backend rounds before its products.
inline Rounding rounding_of(const Case& c, const std::string& backend) {
  if (in_fixed_point(c, backend)) return Rounding::kBfloat16Rows;
  if (backend != "cuda") return Rounding::kNone;
  if (c.bfloat16) return Rounding::kBfloat16;
  return c.has(BINCE_CONTRASTIVE_TF32) ? Rounding::kTf32 : Rounding::kNone;
}

// In every backend, in one call and in two.  `simulated`: on CUDA too, which takes its time in the simulator.
inline void check_everywhere(const Case& c, const ScoreRounding& rounding = {}, bool simulated = true) {
  const Outcome<double> exact = run_plainly<double>(c);
  const Outcome<float> plain = run_plainly<float>(c);
  for (const std::string& backend : bince_test::available_backends()) {
    if (backend == "cuda" && !simulated) continue;
    const bince_test::Context context(backend.c_str(), 2);
    const Rounding products = rounding_of(c, backend);
    const Outcome<float> same = products == Rounding::kNone ? plain : run_plainly<float>(c, products);
    check_outcome(c, c.name + " " + backend, run_case(context, c), exact, same, rounding.gradient,
                  rounding.loss, products);
    check_outcome(c, c.name + " " + backend + " split", run_case(context, c, true), exact, same,
                  rounding.gradient + rounded_lse_error(c, exact), rounding.loss, products);
  }
}

}  // namespace contrastive_test

#endif  // BINCE_TEST_NATIVE_CONTRASTIVE_CHECK_H_
