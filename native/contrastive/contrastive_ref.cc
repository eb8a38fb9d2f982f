// The reference: every pair's score recomputed wherever it is needed, in double, with plain loops.
//
// A "line" is a row or a column; its "others" are the columns or the rows.  The formulas stand in bince.h.
#include <cmath>
#include <cstring>

#include "native/contrastive/contrastive_ops.h"
#include "native/contrastive/contrastive_prepare.h"
#include "native/core/status.h"
#include "native/core/thread_pool.h"

namespace bince {
namespace {

struct Line {
  double lse;     // log of the denominator, -infinity when it is empty
  double loss;    // l_i
  double slack;   // EACH: mean over positives of 1 - p, which every negative's gradient carries
  double factor;  // d total / d l_i, grad_loss included
};

struct Reference {
  const ContrastiveProblem* problem;
  ContrastivePrepared prepared;
  double* row_inverse_norm;     // [N]; 1 without cosine
  double* column_inverse_norm;  // [C]
  Line* row;                    // [N]
  Line* column;                 // [C]; null unless symmetric
  double* row_loss;             // [N]
  double* column_loss;          // [C]
  double* row_sums;             // [3][N] sum of raw^2, of g * d, of g
  double* gradient;             // [kTasks][D]
  const ContrastiveResults* results;
  const int32_t* cancel;
};

constexpr int64_t kTasks = 16;  // lines are dealt to this many tasks, whatever the number of threads

float element(const ContrastiveRows& rows, int64_t row, int64_t d) {
  const bool queued = row >= rows.first_count;
  const void* base = queued ? rows.second : rows.first;
  const int64_t at = (queued ? row - rows.first_count : row) * rows.dim + d;
  if (!rows.bfloat16) return static_cast<const float*>(base)[at];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(base)[at]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

double softplus(double x) {
  return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

struct Pair {
  double d, raw, s;  // the similarity, the score before and after the clip
  double t;          // the score in a denominator
  bool scored, positive, negative;
};

bool is_positive(const Reference& reference, int64_t i, int64_t j) {
  const ContrastiveProblem& problem = *reference.problem;
  if (problem.row_group) return problem.row_group[i] >= 0 && problem.row_group[i] == problem.column_group[j];
  return reference.prepared.positive[i] == j;
}

Pair score(const Reference& reference, int64_t i, int64_t j) {
  const ContrastiveProblem& problem = *reference.problem;
  Pair pair = {};
  pair.positive = is_positive(reference, i, j);
  pair.scored = (j >= problem.first_column || pair.positive) &&
                !(problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL) && i == j);
  pair.positive &= pair.scored;
  if (!pair.scored) return pair;
  double dot = 0;
  for (int64_t d = 0; d < problem.dim; ++d)
    dot += static_cast<double>(element(problem.q, i, d)) * element(problem.k, j, d);
  pair.d = dot * reference.row_inverse_norm[i] * reference.column_inverse_norm[j];
  pair.raw = problem.scale * pair.d + problem.bias;
  pair.s = problem.clip > 0 ? problem.clip * std::tanh(pair.raw / problem.clip) : pair.raw;
  const bool same_id = problem.row_id && problem.row_id[i] >= 0 && problem.row_id[i] == problem.column_id[j];
  pair.negative = !pair.positive && !same_id && !(pair.d > problem.threshold);
  pair.t = pair.s + (pair.negative ? problem.negative_log_weight : 0.0);
  return pair;
}

bool in_denominator(const ContrastiveProblem& problem, const Pair& pair) {
  return pair.negative || (pair.positive && problem.denominator == BINCE_DENOMINATOR_ALL);
}

Pair score_on_line(const Reference& reference, bool is_column, int64_t line, int64_t other) {
  return is_column ? score(reference, other, line) : score(reference, line, other);
}

// LSE over the denominator by a running maximum, and the sum of raw^2 over scored pairs.
double line_lse(const Reference& reference, bool is_column, int64_t line, double* squares) {
  const ContrastiveProblem& problem = *reference.problem;
  const int64_t others = is_column ? problem.rows : problem.columns;
  double maximum = -INFINITY, sum = 0;
  for (int64_t other = 0; other < others; ++other) {
    const Pair pair = score_on_line(reference, is_column, line, other);
    *squares += pair.raw * pair.raw;
    if (!in_denominator(problem, pair)) continue;
    if (pair.t > maximum) {
      sum *= std::exp(maximum - pair.t);
      maximum = pair.t;
    }
    sum += std::exp(pair.t - maximum);
  }
  return maximum + std::log(sum);
}

void line_loss(const Reference& reference, bool is_column, int64_t line, int32_t positives, Line* result) {
  const ContrastiveProblem& problem = *reference.problem;
  const int64_t others = is_column ? problem.rows : problem.columns;
  result->loss = result->slack = 0;
  if (problem.denominator == BINCE_DENOMINATOR_SIGMOID) {
    for (int64_t other = 0; other < others; ++other) {
      const Pair pair = score_on_line(reference, is_column, line, other);
      if (pair.positive) result->loss += softplus(-pair.s);
      if (pair.negative) result->loss += std::exp(double{problem.negative_log_weight}) * softplus(pair.s);
    }
    return;
  }
  if (positives == 0 || result->lse == -INFINITY) return;
  for (int64_t other = 0; other < others; ++other) {
    const Pair pair = score_on_line(reference, is_column, line, other);
    if (!pair.positive) continue;
    const bool alone = problem.denominator == BINCE_DENOMINATOR_EACH;
    result->loss += (alone ? softplus(result->lse - pair.s) : result->lse - pair.s) / positives;
    result->slack += sigmoid(result->lse - pair.s) / positives;
  }
}

// d total / d s_ij through the loss of one line.
double line_gradient(const ContrastiveProblem& problem, const Pair& pair, const Line& line,
                     int32_t positives) {
  if (problem.denominator == BINCE_DENOMINATOR_SIGMOID) {
    if (pair.positive) return -line.factor * sigmoid(-pair.s);
    return pair.negative ? line.factor * std::exp(double{problem.negative_log_weight}) * sigmoid(pair.s) : 0;
  }
  if (line.factor == 0 || positives == 0 || line.lse == -INFINITY) return 0;
  const bool alone = problem.denominator == BINCE_DENOMINATOR_EACH;
  double g = in_denominator(problem, pair) ? std::exp(pair.t - line.lse) * (alone ? line.slack : 1) : 0;
  if (pair.positive) g -= (alone ? sigmoid(line.lse - pair.s) : 1) / positives;
  return line.factor * g;
}

// d total / d raw_ij.
double pair_gradient(const Reference& reference, int64_t i, int64_t j, double* similarity) {
  const ContrastiveProblem& problem = *reference.problem;
  const ContrastivePrepared& prepared = reference.prepared;
  const Pair pair = score(reference, i, j);
  if (!pair.scored) return 0;
  *similarity = pair.d;
  double g = line_gradient(problem, pair, reference.row[i], prepared.row_positives[i]);
  if (reference.column) g += line_gradient(problem, pair, reference.column[j], prepared.column_positives[j]);
  if (problem.clip > 0) g *= 1 - (pair.s / problem.clip) * (pair.s / problem.clip);
  if (prepared.scored_pairs > 0)
    g += 2.0 * problem.grad_loss * problem.regularizer * pair.raw / prepared.scored_pairs;
  return g;
}

// dq_i or dk_j, through the normalisation: g/|x| - x <g, x>/|x|^3.
void gradient_line(const Reference& reference, bool is_column, int64_t line, double* gradient, float* out) {
  const ContrastiveProblem& problem = *reference.problem;
  const ContrastiveRows& mine = is_column ? problem.k : problem.q;
  const ContrastiveRows& theirs = is_column ? problem.q : problem.k;
  const double* mine_inverse = is_column ? reference.column_inverse_norm : reference.row_inverse_norm;
  const double* theirs_inverse = is_column ? reference.row_inverse_norm : reference.column_inverse_norm;
  for (int64_t d = 0; d < problem.dim; ++d) gradient[d] = 0;
  double sum_gd = 0, sum_g = 0;
  for (int64_t other = 0; other < theirs.count; ++other) {
    double similarity = 0;
    const double g = is_column ? pair_gradient(reference, other, line, &similarity)
                               : pair_gradient(reference, line, other, &similarity);
    if (g == 0) continue;
    sum_gd += g * similarity;
    sum_g += g;
    const double factor = g * problem.scale * theirs_inverse[other];
    for (int64_t d = 0; d < problem.dim; ++d) gradient[d] += factor * element(theirs, other, d);
  }
  if (!is_column) {
    reference.row_sums[problem.rows + line] = sum_gd;
    reference.row_sums[2 * problem.rows + line] = sum_g;
  }
  if (!out) return;
  const double inverse = mine_inverse[line];
  double along = 0;
  if (problem.has(BINCE_CONTRASTIVE_COSINE))
    for (int64_t d = 0; d < problem.dim; ++d) along += gradient[d] * element(mine, line, d) * inverse;
  for (int64_t d = 0; d < problem.dim; ++d)
    out[line * problem.dim + d] =
        static_cast<float>(inverse * (gradient[d] - along * inverse * element(mine, line, d)));
}

double inverse_norm(const ContrastiveProblem& problem, const ContrastiveRows& rows, int64_t row) {
  if (!problem.has(BINCE_CONTRASTIVE_COSINE)) return 1;
  double squares = 0;
  for (int64_t d = 0; d < rows.dim; ++d) squares += double{element(rows, row, d)} * element(rows, row, d);
  return squares > 0 ? 1 / std::sqrt(squares) : 0;
}

void carve_reference(Workspace* workspace, const ContrastiveProblem& problem, Reference* reference) {
  const size_t rows = static_cast<size_t>(problem.rows), columns = static_cast<size_t>(problem.columns);
  const bool symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  carve_prepared(workspace, problem, &reference->prepared);
  reference->row_inverse_norm = static_cast<double*>(carve_bytes(workspace, rows, sizeof(double)));
  reference->column_inverse_norm = static_cast<double*>(carve_bytes(workspace, columns, sizeof(double)));
  reference->row = static_cast<Line*>(carve_bytes(workspace, rows, sizeof(Line)));
  reference->column = symmetric ? static_cast<Line*>(carve_bytes(workspace, columns, sizeof(Line))) : nullptr;
  reference->row_loss = static_cast<double*>(carve_bytes(workspace, rows, sizeof(double)));
  reference->column_loss = static_cast<double*>(carve_bytes(workspace, columns, sizeof(double)));
  reference->row_sums = static_cast<double*>(carve_bytes(workspace, 3 * rows, sizeof(double)));
  reference->gradient =
      static_cast<double*>(carve_bytes(workspace, static_cast<size_t>(kTasks * problem.dim), sizeof(double)));
}

size_t workspace_ref(const ContrastiveProblem& problem, uint32_t) {
  Workspace workspace;
  Reference reference;
  carve_reference(&workspace, problem, &reference);
  return workspace.used;
}

// Calls body(reference, line, task) for every line, in kTasks interleaved tasks.
struct Lines {
  const Reference* reference;
  int64_t count;
  void (*body)(const Reference& reference, int64_t line, int64_t task);
};

void each_line(const Run& run, const Reference& reference, int64_t count,
               void (*body)(const Reference&, int64_t, int64_t)) {
  Lines lines = {&reference, count, body};
  parallel_for(
      run.pool, kTasks,
      [](void* argument, int64_t task, int) {
        const Lines& all = *static_cast<const Lines*>(argument);
        for (int64_t line = task; line < all.count; line += kTasks) {
          if (all.reference->cancel && __atomic_load_n(all.reference->cancel, __ATOMIC_RELAXED)) return;
          all.body(*all.reference, line, task);
        }
      },
      &lines);
}

void forward_ref(const Run& run, const Reference& reference) {
  const ContrastiveProblem& problem = *reference.problem;
  each_line(run, reference, problem.rows, [](const Reference& r, int64_t i, int64_t) {
    r.row_sums[i] = 0;
    r.row[i].lse = line_lse(r, false, i, &r.row_sums[i]);
  });
  if (reference.column)
    each_line(run, reference, problem.columns, [](const Reference& r, int64_t j, int64_t) {
      double squares = 0;
      r.column[j].lse = line_lse(r, true, j, &squares);
    });
}

// What follows from the LSE: losses and the slack of EACH.
void losses_ref(const Run& run, const Reference& reference) {
  const ContrastiveProblem& problem = *reference.problem;
  each_line(run, reference, problem.rows, [](const Reference& r, int64_t i, int64_t) {
    r.row[i].factor = r.problem->grad_loss * r.prepared.row_factor[i];
    line_loss(r, false, i, r.prepared.row_positives[i], &r.row[i]);
    r.row_loss[i] = r.row[i].loss;
  });
  if (reference.column)
    each_line(run, reference, problem.columns, [](const Reference& r, int64_t j, int64_t) {
      r.column[j].factor = r.problem->grad_loss * r.prepared.column_factor[j];
      line_loss(r, true, j, r.prepared.column_positives[j], &r.column[j]);
      r.column_loss[j] = r.column[j].loss;
    });
}

void backward_ref(const Run& run, const Reference& reference) {
  const ContrastiveProblem& problem = *reference.problem;
  const ContrastiveResults& results = *reference.results;
  if (results.dq || results.dscale || results.dbias)
    each_line(run, reference, problem.rows, [](const Reference& r, int64_t i, int64_t task) {
      gradient_line(r, false, i, r.gradient + task * r.problem->dim, r.results->dq);
    });
  if (results.dk)
    each_line(run, reference, problem.keys, [](const Reference& r, int64_t j, int64_t task) {
      gradient_line(r, true, j, r.gradient + task * r.problem->dim, r.results->dk);
    });
  double sum_gd = 0, sum_g = 0;
  for (int64_t i = 0; i < problem.rows; ++i) {
    sum_gd += reference.row_sums[problem.rows + i];
    sum_g += reference.row_sums[2 * problem.rows + i];
  }
  if (results.dscale) results.dscale[0] = static_cast<float>(sum_gd);
  if (results.dbias) results.dbias[0] = static_cast<float>(sum_g);
}

void store_lse(const Reference& reference, const ContrastiveResults& results) {
  const ContrastiveProblem& problem = *reference.problem;
  if (results.row_lse)
    for (int64_t i = 0; i < problem.rows; ++i) results.row_lse[i] = static_cast<float>(reference.row[i].lse);
  if (results.column_lse && reference.column)
    for (int64_t j = 0; j < problem.columns; ++j)
      results.column_lse[j] = static_cast<float>(reference.column[j].lse);
}

bince_status run_ref(const Run& run, const ContrastiveProblem& problem, const ContrastiveResults& results,
                     uint32_t call) {
  Reference reference = {};
  Workspace workspace = {run.workspace, 0};
  carve_reference(&workspace, problem, &reference);
  reference.problem = &problem;
  reference.results = &results;
  reference.cancel = run.cancel;
  prepare_contrastive(problem, &reference.prepared);
  for (int64_t i = 0; i < problem.rows; ++i)
    reference.row_inverse_norm[i] = inverse_norm(problem, problem.q, i);
  for (int64_t j = 0; j < problem.columns; ++j)
    reference.column_inverse_norm[j] = inverse_norm(problem, problem.k, j);
  if (call & BINCE_CONTRASTIVE_FORWARD) {
    forward_ref(run, reference);
  } else {
    for (int64_t i = 0; i < problem.rows; ++i)
      reference.row[i].lse = results.row_lse ? results.row_lse[i] : 0;
    for (int64_t j = 0; reference.column && j < problem.columns; ++j)
      reference.column[j].lse = results.column_lse[j];
  }
  losses_ref(run, reference);
  if (call & BINCE_CONTRASTIVE_FORWARD && !cancelled(run)) {
    double squares = 0;
    for (int64_t i = 0; i < problem.rows; ++i) squares += reference.row_sums[i];
    store_lse(reference, results);
    BINCE_RETURN_IF_ERROR(finish_loss(problem, reference.prepared, reference.row_loss, reference.column_loss,
                                      squares, results));
  }
  if (call & BINCE_CONTRASTIVE_BACKWARD) backward_ref(run, reference);
  if (cancelled(run)) return BINCE_CANCELLED;
  return call & BINCE_CONTRASTIVE_BACKWARD ? check_scalar_gradients(problem, results) : BINCE_OK;
}

int64_t find_nonfinite_ref(const Run&, const ContrastiveRows& rows) {
  for (int64_t row = 0; row < rows.count; ++row)
    for (int64_t d = 0; d < rows.dim; ++d)
      if (!std::isfinite(element(rows, row, d))) return row;
  return -1;
}

}  // namespace

const ContrastiveOps& contrastive_ops_ref() {
  static const ContrastiveOps ops = {workspace_ref, run_ref, find_nonfinite_ref};
  return ops;
}

}  // namespace bince
