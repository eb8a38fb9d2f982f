// The contrastive family's slots of the operations table, and what they take.  N rows, C columns, D
// dimensions.
#ifndef BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_
#define BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_

#include <stddef.h>
#include <stdint.h>

#include "bince.h"
#include "native/core/ops.h"

namespace bince {

// Dense rows of `dim` elements in up to two pieces: the keys and, after them, the queue.
struct ContrastiveRows {
  const void* first;   // [first_count, dim]
  const void* second;  // the rows from first_count on; null without a queue
  int64_t first_count;
  int64_t count;
  int64_t dim;
  bool bfloat16;  // else float32
};

// A checked bince_contrastive.
struct ContrastiveProblem {
  uint32_t denominator;
  uint32_t flags;
  float scale, bias, clip, regularizer, negative_log_weight, threshold, grad_loss;
  int64_t rows;          // N
  int64_t keys;          // M
  int64_t columns;       // C = M + queue
  int64_t dim;           // D
  int64_t first_column;  // of the columns that every row sees: 0, or M with OWN_KEY
  ContrastiveRows q, k;
  const int32_t* positive;      // [N]; null: groups, or the diagonal where there are no groups either
  const int32_t* row_group;     // [N] or null
  const int32_t* column_group;  // [C] or null
  const int32_t* row_id;        // [N] or null
  const int32_t* column_id;     // [C] or null
  const float* row_weight;      // [N] or null
  const float* column_weight;   // [C] or null

  bool has(uint32_t flag) const { return (flags & flag) != 0; }
};

// Checked result pointers; null: not wanted.  In a backward call row_lse and column_lse are read.
struct ContrastiveResults {
  float *loss, *regularizer, *row_loss, *row_lse, *column_loss, *column_lse, *dq, *dk, *dscale, *dbias;
};

struct ContrastiveOps {
  // Bytes of workspace; `call` is BINCE_CONTRASTIVE_FORWARD, _BACKWARD or _FORWARD_BACKWARD.
  size_t (*workspace)(const ContrastiveProblem& problem, uint32_t call);
  bince_status (*run)(const Run& run, const ContrastiveProblem& problem, const ContrastiveResults& results,
                      uint32_t call);
  // The first row that holds a NaN or an infinity, or -1.  Null on CUDA, where `run` looks for them itself.
  int64_t (*find_nonfinite)(const Run& run, const ContrastiveRows& rows);
};

// By target.  The tiled ones share contrastive_tiled.cc and differ in their tile operations.
const ContrastiveOps& contrastive_ops_ref();
const ContrastiveOps& contrastive_ops_avx2();
const ContrastiveOps& contrastive_ops_avx512();
const ContrastiveOps& contrastive_ops_neon();
const ContrastiveOps& contrastive_ops_cuda();  // in libbince_cuda.so

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_CONTRASTIVE_OPS_H_
