// Products with at most kNarrow columns, where register tiles of columns would be nearly empty; included by
// the SIMD files.
//
// Rows of a as they lie: a dot product an element, lanes along the depth.  Transposed a: lanes along its
// rows.
#ifndef BINCE_DENSE_MATMUL_NARROW_H_
#define BINCE_DENSE_MATMUL_NARROW_H_

#include "native/dense/pack.h"

namespace {

using bince::MatmulProblem;
using bince::ThreadPool;

constexpr int64_t kNarrow = 4;       // columns
constexpr int64_t kNarrowRows = 64;  // a task

bool is_narrow(const MatmulProblem& p) {
  return p.N <= kNarrow && p.M > 1 && (!p.trans_a || p.M % kLanes == 0);
}

BINCE_INLINE int64_t padded_depth(const MatmulProblem& p) {
  return parts_of(p.K, kLanes) * kLanes;
}

// Floats of b's columns, one after the other, padded with zeros.
int64_t narrow_size(const MatmulProblem& p) {
  return p.trans_a ? 0 : p.N * padded_depth(p);
}

struct Narrow {
  const MatmulProblem* p;
  float* columns;  // [N][padded depth]
};

BINCE_INLINE void finish_element(const MatmulProblem& p, int64_t m, int64_t n, float sum) {
  float* c = p.c + m * p.N + n;
  if (p.bias) sum += p.bias[n];
  *c = p.accumulate ? *c + sum : sum;
}

// Rows m .. m + kRows - 1.
template <int kRows, int kColumns>
void dot_rows(const Narrow& narrow, int64_t m) {
  const MatmulProblem& p = *narrow.p;
  const int64_t stride = padded_depth(p);
  const float* a = p.a + m * p.K;
  Vec sums[kRows][kColumns];
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kColumns; ++j) sums[i][j] = v_zero();
  for (int64_t k = 0; k < p.K; k += kLanes) {
    Vec b[kColumns];
    for (int j = 0; j < kColumns; ++j) b[j] = v_load(narrow.columns + j * stride + k);
    for (int i = 0; i < kRows; ++i) {
      const Vec x = load_first(a + i * p.K + k, p.K - k);
      for (int j = 0; j < kColumns; ++j) sums[i][j] = v_fma(x, b[j], sums[i][j]);
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kColumns; ++j) finish_element(p, m + i, j, v_sum(sums[i][j]));
}

template <int kColumns>
void dot_block(const Narrow& narrow, int64_t begin, int64_t end) {
  int64_t m = begin;
  for (; m + 4 <= end; m += 4) dot_rows<4, kColumns>(narrow, m);
  for (; m < end; ++m) dot_rows<1, kColumns>(narrow, m);
}

// Rows [m, m + kVectors vectors) of a transposed a.
template <int kVectors, int kColumns>
void sum_rows(const MatmulProblem& p, int64_t m) {
  const int64_t b_depth = p.trans_b ? 1 : p.N, b_column = p.trans_b ? p.K : 1;
  Vec sums[kVectors][kColumns];
  for (int i = 0; i < kVectors; ++i)
    for (int j = 0; j < kColumns; ++j) sums[i][j] = v_zero();
  for (int64_t k = 0; k < p.K; ++k)
    for (int i = 0; i < kVectors; ++i) {
      const Vec x = v_load(p.a + k * p.M + m + i * kLanes);
      for (int j = 0; j < kColumns; ++j)
        sums[i][j] = v_fma(x, v_set(p.b[k * b_depth + j * b_column]), sums[i][j]);
    }
  for (int i = 0; i < kVectors; ++i)
    for (int j = 0; j < kColumns; ++j) {
      float lanes[kLanes];
      v_store(lanes, sums[i][j]);
      for (int l = 0; l < kLanes; ++l) finish_element(p, m + i * kLanes + l, j, lanes[l]);
    }
}

template <int kColumns>
void sum_block(const MatmulProblem& p, int64_t begin, int64_t end) {
  int64_t m = begin;
  for (; m + 4 * kLanes <= end; m += 4 * kLanes) sum_rows<4, kColumns>(p, m);
  for (; m < end; m += kLanes) sum_rows<1, kColumns>(p, m);
}

template <int kColumns>
void narrow_block(const Narrow& narrow, int64_t begin, int64_t end) {
  if (narrow.p->trans_a)
    sum_block<kColumns>(*narrow.p, begin, end);
  else
    dot_block<kColumns>(narrow, begin, end);
}

void narrow_task(void* argument, int64_t i, int) {
  const Narrow& narrow = *static_cast<const Narrow*>(argument);
  const int64_t begin = i * kNarrowRows, end = smaller(narrow.p->M, begin + kNarrowRows);
  const auto saved = flush_denormals();
  if (narrow.p->N == 1)
    narrow_block<1>(narrow, begin, end);
  else if (narrow.p->N == 2)
    narrow_block<2>(narrow, begin, end);
  else if (narrow.p->N == 3)
    narrow_block<3>(narrow, begin, end);
  else
    narrow_block<4>(narrow, begin, end);
  restore_denormals(saved);
}

void run_narrow(const MatmulProblem& p, ThreadPool* pool, float* columns) {
  Narrow narrow = {&p, columns};
  const int64_t stride = padded_depth(p);
  for (int64_t n = 0; n < p.N && !p.trans_a; ++n)
    for (int64_t k = 0; k < stride; ++k)
      columns[n * stride + k] = k >= p.K ? 0.0f : p.trans_b ? p.b[n * p.K + k] : p.b[k * p.N + n];
  run_tasks(pool, parts_of(p.M, kNarrowRows), narrow_task, &narrow);
}

}  // namespace

#endif  // BINCE_DENSE_MATMUL_NARROW_H_
