#include "native/contrastive/contrastive_prepare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "native/core/status.h"

namespace bince {
namespace {

template <typename T>
T* carve(Workspace* workspace, int64_t count) {
  return static_cast<T*>(carve_bytes(workspace, static_cast<size_t>(count), sizeof(T)));
}

// How often each of `lines` groups occurs among `others`; an excluded diagonal does not count.
void count_group(const int32_t* lines, int64_t line_count, const int32_t* others, int64_t other_count,
                 bool exclude_diagonal, int32_t* scratch, int32_t* counts) {
  std::copy_n(others, other_count, scratch);
  std::sort(scratch, scratch + other_count);
  for (int64_t i = 0; i < line_count; ++i) {
    if (lines[i] < 0) {
      counts[i] = 0;
      continue;
    }
    const auto range = std::equal_range(scratch, scratch + other_count, lines[i]);
    counts[i] = static_cast<int32_t>(range.second - range.first);
    if (exclude_diagonal && i < other_count && others[i] == lines[i]) --counts[i];
  }
}

void count_explicit(const ContrastiveProblem& problem, const ContrastivePrepared& prepared) {
  const bool exclude_diagonal = problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  if (prepared.column_positives) std::fill_n(prepared.column_positives, problem.columns, 0);
  for (int64_t i = 0; i < problem.rows; ++i) {
    const int32_t j = prepared.positive[i];
    const bool counts = j >= 0 && !(exclude_diagonal && j == i);
    prepared.row_positives[i] = counts;
    if (counts && prepared.column_positives) ++prepared.column_positives[j];
  }
}

// factor_i = half * w_i / (mean ? sum of w : 1) over the lines that count.
void fill_factors(const int32_t* positives, const float* weight, int64_t count, bool every_line, bool mean,
                  double half, double* factor) {
  double total = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool counts = every_line || positives[i] > 0;
    factor[i] = counts ? (weight ? weight[i] : 1.0) : 0.0;
    total += factor[i];
  }
  const double multiplier = total > 0 ? half / (mean ? total : 1.0) : 0.0;
  for (int64_t i = 0; i < count; ++i) factor[i] *= multiplier;
}

// Finite inputs may still have scores that no float32 can hold.
bool fits_float(double value) {
  return std::fabs(value) <= double{std::numeric_limits<float>::max()};
}

bince_status check_losses(const char* line, const double* loss, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (!fits_float(loss[i]))
      return fail(BINCE_INVALID_VALUE, "%s %lld: its loss is %g: the scores leave the range of float32", line,
                  static_cast<long long>(i), loss[i]);
  return BINCE_OK;
}

bince_status check_number(const char* name, double value) {
  if (fits_float(value)) return BINCE_OK;
  return fail(BINCE_INVALID_VALUE, "%s is %g: the scores leave the range of float32", name, value);
}

double count_scored_pairs(const ContrastiveProblem& problem, const ContrastivePrepared& prepared) {
  double pairs =
      static_cast<double>(problem.rows) * static_cast<double>(problem.columns - problem.first_column);
  if (problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL))
    pairs -= static_cast<double>(std::min(problem.rows, problem.columns));
  if (problem.has(BINCE_CONTRASTIVE_OWN_KEY))
    for (int64_t i = 0; i < problem.rows; ++i) pairs += prepared.row_positives[i];
  return pairs;
}

}  // namespace

void carve_prepared(Workspace* workspace, const ContrastiveProblem& problem, ContrastivePrepared* prepared) {
  const bool symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  const int64_t rows = problem.rows, columns = problem.columns;
  prepared->row_positives = carve<int32_t>(workspace, rows);
  prepared->column_positives = symmetric ? carve<int32_t>(workspace, columns) : nullptr;
  prepared->row_factor = carve<double>(workspace, rows);
  prepared->column_factor = symmetric ? carve<double>(workspace, columns) : nullptr;
  prepared->scratch = carve<int32_t>(workspace, std::max(rows, columns));
}

void prepare_contrastive(const ContrastiveProblem& problem, ContrastivePrepared* prepared) {
  const bool symmetric = problem.has(BINCE_CONTRASTIVE_SYMMETRIC);
  const bool exclude_diagonal = problem.has(BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL);
  prepared->positive = problem.positive;
  if (problem.row_group) {
    count_group(problem.row_group, problem.rows, problem.column_group, problem.columns, exclude_diagonal,
                prepared->scratch, prepared->row_positives);
    if (symmetric)
      count_group(problem.column_group, problem.columns, problem.row_group, problem.rows, exclude_diagonal,
                  prepared->scratch, prepared->column_positives);
  } else {
    if (!problem.positive) {  // the diagonal; scratch is free from here on
      for (int64_t i = 0; i < problem.rows; ++i) prepared->scratch[i] = static_cast<int32_t>(i);
      prepared->positive = prepared->scratch;
    }
    count_explicit(problem, *prepared);
  }
  const bool every_row = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  const bool mean = !problem.has(BINCE_CONTRASTIVE_SUM);
  const double half = symmetric ? 0.5 : 1.0;
  fill_factors(prepared->row_positives, problem.row_weight, problem.rows, every_row, mean, half,
               prepared->row_factor);
  if (symmetric)
    fill_factors(prepared->column_positives, problem.column_weight, problem.columns, false, mean, half,
                 prepared->column_factor);
  prepared->scored_pairs = count_scored_pairs(problem, *prepared);
}

bince_status finish_loss(const ContrastiveProblem& problem, const ContrastivePrepared& prepared,
                         const double* row_loss, const double* column_loss, double sum_of_squares,
                         const ContrastiveResults& results) {
  double loss = 0;
  for (int64_t i = 0; i < problem.rows; ++i) loss += prepared.row_factor[i] * row_loss[i];
  if (prepared.column_factor)
    for (int64_t j = 0; j < problem.columns; ++j) loss += prepared.column_factor[j] * column_loss[j];
  const double regularizer =
      prepared.scored_pairs > 0 ? problem.regularizer * sum_of_squares / prepared.scored_pairs : 0.0;
  if (results.loss) results.loss[0] = static_cast<float>(loss + regularizer);
  if (results.regularizer) results.regularizer[0] = static_cast<float>(regularizer);
  if (results.row_loss)
    for (int64_t i = 0; i < problem.rows; ++i) results.row_loss[i] = static_cast<float>(row_loss[i]);
  if (results.column_loss)
    for (int64_t j = 0; j < problem.columns; ++j) results.column_loss[j] = static_cast<float>(column_loss[j]);
  if (problem.has(BINCE_CONTRASTIVE_UNCHECKED)) return BINCE_OK;
  BINCE_RETURN_IF_ERROR(check_losses("row", row_loss, problem.rows));
  if (prepared.column_factor) BINCE_RETURN_IF_ERROR(check_losses("column", column_loss, problem.columns));
  return check_number("loss", loss + regularizer);
}

bince_status check_scalar_gradients(const ContrastiveProblem& problem, const ContrastiveResults& results) {
  if (problem.has(BINCE_CONTRASTIVE_UNCHECKED)) return BINCE_OK;
  if (results.dscale) BINCE_RETURN_IF_ERROR(check_number("dscale", double{results.dscale[0]}));
  return results.dbias ? check_number("dbias", double{results.dbias[0]}) : BINCE_OK;
}

}  // namespace bince
