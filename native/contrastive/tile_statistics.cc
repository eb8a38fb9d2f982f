// From merged statistics to LSE, loss and the factors of the gradients, in double; one pass over the lines.
#include <algorithm>
#include <cmath>

#include "native/contrastive/contrastive_tiled.h"

namespace bince {
namespace {

// Symmetric: one exponential serves rows and columns while all LSEs lie this close together, since then
// exp(t - centre) and exp(centre - lse) both stay far inside the range of floats.
constexpr double kNarrow = 60;

bool is_sigmoid(const TiledRun& run) {
  return run.problem->denominator == BINCE_DENOMINATOR_SIGMOID;
}

bool is_each(const TiledRun& run) {
  return run.problem->denominator == BINCE_DENOMINATOR_EACH;
}

void finish_lines(const TiledRun& run, const LineArrays& lines, const int32_t* positives, int64_t first,
                  int64_t count) {
  for (int64_t i = first; i < first + count; ++i) {
    const double sum = lines.statistics.sum[i];
    if (is_sigmoid(run)) {
      lines.loss[i] = sum;
      continue;
    }
    lines.exact_lse[i] = sum == 0 ? -INFINITY : lines.statistics.maximum[i] + std::log(sum);
    lines.lse[i] = static_cast<float>(lines.exact_lse[i]);
    const bool counts = positives[i] > 0 && lines.exact_lse[i] != -INFINITY;
    lines.loss[i] = counts ? lines.exact_lse[i] - double{lines.statistics.positive[i]} / positives[i] : 0;
  }
}

void finish_positive_lines(const LineArrays& lines, const int32_t* positives, int64_t first, int64_t count) {
  for (int64_t i = first; i < first + count; ++i) {
    lines.loss[i] = positives[i] > 0 ? double{lines.statistics.sum[i]} / positives[i] : 0;
    lines.slack[i] = positives[i] > 0 ? double{lines.statistics.positive[i]} / positives[i] : 0;
  }
}

// A line's factor in the total, 0 where it contributes nothing.
double total_factor(const TiledRun& run, const LineArrays& lines, const double* factor, int64_t i) {
  if (!is_sigmoid(run) && lines.exact_lse[i] == -INFINITY) return 0;
  return double{run.problem->grad_loss} * factor[i];
}

void fill_lines(const TiledRun& run, const LineArrays& lines, const int32_t* positives, const double* factor,
                const double* centre, int64_t first, int64_t count) {
  for (int64_t i = first; i < first + count; ++i) {
    const double total = total_factor(run, lines, factor, i);
    if (is_sigmoid(run)) {
      lines.reference[i] = 0;
      lines.factor[i] = static_cast<float>(total * std::exp(double{run.problem->negative_log_weight}));
      lines.positive[i] = static_cast<float>(total);
      lines.lse[i] = 0;
      continue;
    }
    const double lse = lines.exact_lse[i] != -INFINITY ? lines.exact_lse[i] : 0;
    lines.reference[i] = static_cast<float>(centre ? *centre : lse);
    const double slack = is_each(run) ? lines.slack[i] : 1;
    lines.factor[i] =
        total == 0 ? 0 : static_cast<float>(total * slack * std::exp(double{lines.reference[i]} - lse));
    lines.positive[i] = total == 0 ? 0 : static_cast<float>(total / positives[i]);
  }
}

void widen(const TiledRun& run, const LineArrays& lines, const double* factor, int64_t count, double* low,
           double* high) {
  for (int64_t i = 0; i < count; ++i) {
    if (total_factor(run, lines, factor, i) == 0) continue;
    *low = std::min(*low, lines.exact_lse[i]);
    *high = std::max(*high, lines.exact_lse[i]);
  }
}

struct OwnKey {
  double raw, s;
};

OwnKey own_score(const ContrastiveProblem& problem, double similarity) {
  const double raw = problem.scale * similarity + problem.bias;
  return {raw, problem.clip > 0 ? problem.clip * std::tanh(raw / problem.clip) : raw};
}

}  // namespace

void reset_statistics(const LineStatistics& statistics, int64_t first, int64_t count) {
  std::fill_n(statistics.maximum + first, count, -INFINITY);
  std::fill_n(statistics.sum + first, count, 0.0f);
  std::fill_n(statistics.positive + first, count, 0.0f);
}

void finish_forward(TiledRun* run, int64_t first_row, int64_t rows, bool columns) {
  const ContrastivePrepared& prepared = run->memory.prepared;
  finish_lines(*run, run->memory.row, prepared.row_positives, first_row, rows);
  if (columns) finish_lines(*run, run->memory.column, prepared.column_positives, 0, run->problem->columns);
}

void finish_positives(TiledRun* run, int64_t first_row, int64_t rows, bool columns) {
  const ContrastivePrepared& prepared = run->memory.prepared;
  finish_positive_lines(run->memory.row, prepared.row_positives, first_row, rows);
  if (columns) finish_positive_lines(run->memory.column, prepared.column_positives, 0, run->problem->columns);
}

void fill_gradient_factors(TiledRun* run, int64_t first_row, int64_t rows) {
  const ContrastivePrepared& prepared = run->memory.prepared;
  const int64_t columns = run->problem->columns;
  const double* shared = nullptr;
  double centre = 0;
  if (run->terms.symmetric) {
    double low = INFINITY, high = -INFINITY;
    widen(*run, run->memory.row, prepared.row_factor, run->problem->rows, &low, &high);
    widen(*run, run->memory.column, prepared.column_factor, columns, &low, &high);
    run->terms.wide = high - low > kNarrow;
    if (!run->terms.wide) {
      centre = low <= high ? 0.5 * (low + high) : 0;
      shared = &centre;
    }
    fill_lines(*run, run->memory.column, prepared.column_positives, prepared.column_factor, shared, 0,
               columns);
  }
  fill_lines(*run, run->memory.row, prepared.row_positives, prepared.row_factor, shared, first_row, rows);
}

void own_key_forward(TiledRun* run) {
  const ContrastiveProblem& problem = *run->problem;
  const LineArrays& row = run->memory.row;
  const bool in_denominator = problem.denominator == BINCE_DENOMINATOR_ALL;
  for (int64_t i = 0; i < problem.rows; ++i) {
    if (run->memory.prepared.row_positives[i] == 0) continue;
    const int32_t key = run->memory.prepared.positive[i];
    run->memory.own_similarity[i] =
        run->ops->dot(problem.q, row.inverse_norm, i, problem.k, run->memory.column.inverse_norm, key);
    const OwnKey own = own_score(problem, run->memory.own_similarity[i]);
    if (in_denominator) {
      row.statistics.maximum[i] = static_cast<float>(own.s);
      row.statistics.sum[i] = 1;
    }
    row.statistics.positive[i] = static_cast<float>(own.s);
    run->squares += own.raw * own.raw;
  }
}

void own_key_positives(TiledRun* run, int64_t first_row, int64_t rows) {
  for (int64_t i = first_row; i < first_row + rows; ++i) {
    if (run->memory.prepared.row_positives[i] == 0) continue;
    const double x = run->memory.row.exact_lse[i] - own_score(*run->problem, run->memory.own_similarity[i]).s;
    run->memory.row.loss[i] = std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
    run->memory.row.slack[i] = 1 / (1 + std::exp(-x));
  }
}

void own_key_gradients(TiledRun* run) {
  const ContrastiveProblem& problem = *run->problem;
  const LineArrays &row = run->memory.row, &column = run->memory.column;
  const int64_t dim = problem.dim;
  if (run->results->dk) std::fill_n(run->results->dk, problem.keys * dim, 0.0f);
  for (int64_t i = 0; i < problem.rows; ++i) {
    if (run->memory.prepared.row_positives[i] == 0) continue;
    const int32_t key = run->memory.prepared.positive[i];
    const double similarity = run->memory.own_similarity[i];
    const OwnKey own = own_score(problem, similarity);
    const double total = total_factor(*run, row, run->memory.prepared.row_factor, i);
    double g = 0;
    if (total != 0) g = -total * (is_each(*run) ? row.slack[i] : 1);
    if (total != 0 && problem.denominator == BINCE_DENOMINATOR_ALL)
      g += total * std::exp(own.s - row.exact_lse[i]);
    if (problem.clip > 0) g *= 1 - (own.s / problem.clip) * (own.s / problem.clip);
    g += run->terms.squares_factor * own.raw;
    run->sum_gd += g * similarity;
    run->sum_g += g;
    const float factor = static_cast<float>(g * problem.scale);
    if (run->results->dq)
      run->ops->add_row(problem.k, column.inverse_norm, key, factor, run->results->dq + i * dim);
    if (run->results->dk)
      run->ops->add_row(problem.q, row.inverse_norm, i, factor, run->results->dk + key * dim);
  }
}

}  // namespace bince
