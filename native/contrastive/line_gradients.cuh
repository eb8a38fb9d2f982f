// Kernels over rows and columns around the gradients: the factors that epilogues multiply by, own keys, the
// normalisation, and dscale and dbias.
#ifndef BINCE_CONTRASTIVE_LINE_GRADIENTS_CUH_
#define BINCE_CONTRASTIVE_LINE_GRADIENTS_CUH_

#include "native/contrastive/line_kernels.cuh"

namespace bince {

// A line's factor in the total, 0 where it contributes nothing.
__device__ __forceinline__ double total_factor(const LineProblem& problem, const ContrastiveTotals& totals,
                                               bool is_column, int64_t line) {
  const DeviceLines& lines = is_column ? problem.column : problem.row;
  const bool sigmoid = problem.denominator == BINCE_DENOMINATOR_SIGMOID;
  if (!sigmoid && (lines.positives[line] == 0 || lines.lse[line] == -INFINITY)) return 0;
  const double weight = lines.weight ? lines.weight[line] : 1.0f;
  return double{problem.grad_loss} * weight * (is_column ? totals.column_multiplier : totals.row_multiplier);
}

// reference, factor and pull.  Grid line_blocks(N) [+ line_blocks(C) if symmetric].
__global__ void __launch_bounds__(kLineThreads)
    fill_factors(const LineProblem problem, const ContrastiveTotals* totals) {
  const LinePlace at = line_place(problem.row.count);
  const DeviceLines& lines = at.is_column ? problem.column : problem.row;
  if (at.line >= lines.count) return;
  const double total = total_factor(problem, *totals, at.is_column, at.line);
  if (problem.denominator == BINCE_DENOMINATOR_SIGMOID) {
    lines.reference[at.line] = 0;
    lines.rounded_lse[at.line] = 0;
    lines.factor[at.line] = static_cast<float>(total * exp(double{problem.negative_log_weight}));
    lines.pull[at.line] = static_cast<float>(total);
    return;
  }
  const double lse = lines.lse[at.line] != -INFINITY ? lines.lse[at.line] : 0;
  const bool common = problem.symmetric && !totals->wide;
  const float reference = common ? totals->centre : static_cast<float>(lse);
  const double slack = problem.denominator == BINCE_DENOMINATOR_EACH ? lines.slack[at.line] : 1.0f;
  lines.reference[at.line] = reference;
  lines.factor[at.line] =
      total == 0 ? 0.0f : static_cast<float>(total * slack * exp(double{reference} - lse));
  lines.pull[at.line] = total == 0 ? 0.0f : static_cast<float>(total / lines.positives[at.line]);
}

// MoCo: d total / d raw of a row's own key, its sums in row.sum and row.positive, and, times the scale and
// inverse norms, in row.factor, since the queue's gradients are done; adds the key's part to dq.  A warp a
// row.  Grid ceil(N / kLineWarps).
__global__ void __launch_bounds__(kLineThreads)
    own_key_gradients(const LineProblem problem, const ContrastiveTotals* totals, float* dq) {
  const int64_t row = warp_line();
  if (row >= problem.row.count) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int32_t key = valid_positive(problem, row);
  const float similarity = problem.own_similarity[row];
  double g = 0;
  if (key >= 0) {
    const float raw = fmaf(problem.scale, similarity, problem.bias);
    const float s = clipped_score(raw, problem.clip);
    const double total = total_factor(problem, *totals, false, row);
    if (total != 0) g = -total * (problem.denominator == BINCE_DENOMINATOR_EACH ? problem.row.slack[row] : 1);
    if (total != 0 && problem.denominator == BINCE_DENOMINATOR_ALL)
      g += total * exp(s - problem.row.lse[row]);
    const double ratio = problem.clip > 0 ? double{s} / problem.clip : 0.0;
    g = g * (1 - ratio * ratio) + double{totals->squares_factor} * raw;
  }
  float factor = 0;
  if (key >= 0)
    factor = static_cast<float>(g * problem.scale * problem.row.inverse_norm[row] *
                                problem.column.inverse_norm[key]);
  if (lane == 0) {
    problem.row.sum[row] = g * similarity;
    problem.row.positive[row] = g;
    problem.row.factor[row] = factor;
  }
  if (!dq || key < 0) return;
  const void* const k = row_start(problem.k, key);
  for (int64_t d = lane; d < problem.q.dim; d += 32) {
    float* const to = dq + row * problem.q.dim + d;
    *to = fmaf(factor, row_element(k, d, problem.q.bfloat16), *to);
  }
}

// MoCo: dk of every key, from the rows whose own it is, in their order.  A warp a key.
// Grid ceil(M / kLineWarps).
__global__ void __launch_bounds__(kLineThreads) own_key_columns(const LineProblem problem, float* dk) {
  const int64_t key = warp_line();
  if (key >= problem.keys) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t dim = problem.q.dim;
  float* const out = dk + key * dim;
  for (int64_t d = lane; d < dim; d += 32) out[d] = 0;
  const int64_t rows = problem.row.count, first = problem.positive ? 0 : key / 32 * 32;
  const int64_t end = problem.positive ? rows : first + 32;
  for (int64_t base = first; base < end; base += 32) {
    const bool mine = base + lane < rows && valid_positive(problem, base + lane) == key;
    for (unsigned found = __ballot_sync(kAllLanes, mine); found != 0; found &= found - 1) {
      const int64_t row = base + __ffs(static_cast<int>(found)) - 1;
      const void* const q = row_start(problem.q, row);
      const float factor = problem.row.factor[row];
      for (int64_t d = lane; d < dim; d += 32)
        out[d] = fmaf(factor, row_element(q, d, problem.q.bfloat16), out[d]);
    }
  }
}

// COSINE: gradients h / |x| of unit rows become those of the rows, h - x <h, x> / |x|^2.  A warp a row of dq,
// then of dk.  Grid ceil((rows of dq + rows of dk) / kLineWarps).
__global__ void __launch_bounds__(kLineThreads)
    project_gradients(const LineProblem problem, float* dq, float* dk) {
  const int64_t warp = warp_line(), q_rows = dq ? problem.row.count : 0;
  const bool is_key = warp >= q_rows;
  const int64_t row = is_key ? warp - q_rows : warp;
  if (is_key && (!dk || row >= problem.keys)) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t dim = problem.q.dim;
  const void* const x = row_start(is_key ? problem.k : problem.q, row);
  float* const h = (is_key ? dk : dq) + row * dim;
  const double inverse = (is_key ? problem.column : problem.row).inverse_norm[row];
  double along = 0;
  for (int64_t d = lane; d < dim; d += 32) along += double{h[d]} * row_element(x, d, problem.q.bfloat16);
  along = sum_over_lanes(along, 31) * inverse * inverse;
  for (int64_t d = lane; d < dim; d += 32)
    h[d] = static_cast<float>(h[d] - along * row_element(x, d, problem.q.bfloat16));
}

// dscale and dbias: the sums of g d and g over blocks of tiles and, with OWN_KEY, over rows.  Grid 1, shared
// kLineThreads * sizeof(LineSums).
__global__ void __launch_bounds__(kLineThreads) finish_scalars(const LineProblem problem, const double* sums,
                                                               int64_t count, float* dscale, float* dbias) {
  BINCE_DYNAMIC_SHARED(LineSums, shared);
  LineSums mine = {0, 0, 0, 0, 0, 0};
  for (int64_t i = threadIdx.x; i < count; i += kLineThreads) {
    mine.weight += sums[2 * i];
    mine.loss += sums[2 * i + 1];
  }
  for (int64_t row = threadIdx.x; problem.own_key && row < problem.row.count; row += kLineThreads) {
    mine.weight += problem.row.sum[row];
    mine.loss += problem.row.positive[row];
  }
  const LineSums total = sum_block(mine, shared);
  if (threadIdx.x != 0) return;
  if (dscale) *dscale = static_cast<float>(total.weight);
  if (dbias) *dbias = static_cast<float>(total.loss);
  if (!problem.checked) return;
  if (dscale && !(fabs(total.weight) <= FLT_MAX)) note_offence(problem.report, Offence::kScaleGradient, 0);
  if (dbias && !(fabs(total.loss) <= FLT_MAX)) note_offence(problem.report, Offence::kBiasGradient, 0);
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_LINE_GRADIENTS_CUH_
