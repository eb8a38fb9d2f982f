// What a problem says before any score is known: how many positives each row and column has, and with which
// factor its loss enters the total.
#ifndef BINCE_CONTRASTIVE_CONTRASTIVE_PREPARE_H_
#define BINCE_CONTRASTIVE_CONTRASTIVE_PREPARE_H_

#include "native/contrastive/contrastive_ops.h"
#include "native/core/workspace.h"

namespace bince {

struct ContrastivePrepared {
  const int32_t* positive;    // [N] column or -1; null where groups decide
  int32_t* row_positives;     // [N] their number
  int32_t* column_positives;  // [C]; null unless symmetric
  // loss = sum_i row_factor[i] * l_i + sum_j column_factor[j] * l_j; zero for a line that does not count.
  double* row_factor;     // [N]
  double* column_factor;  // [C]; null unless symmetric
  double scored_pairs;    // over which the regulariser takes its mean
  int32_t* scratch;       // [max(N, C)]
};

// Carves the arrays; with a sizing workspace (null base) only counts bytes.
void carve_prepared(Workspace* workspace, const ContrastiveProblem& problem, ContrastivePrepared* prepared);
void prepare_contrastive(const ContrastiveProblem& problem, ContrastivePrepared* prepared);

// Sums the loss per line into the results; the regulariser is the plain sum of raw^2.  BINCE_INVALID_VALUE
// names the first line whose loss is no finite float32.
bince_status finish_loss(const ContrastiveProblem& problem, const ContrastivePrepared& prepared,
                         const double* row_loss, const double* column_loss, double sum_of_squares,
                         const ContrastiveResults& results);
// The same for dscale and dbias, the two that sum over all pairs.
bince_status check_scalar_gradients(const ContrastiveProblem& problem, const ContrastiveResults& results);

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_CONTRASTIVE_PREPARE_H_
