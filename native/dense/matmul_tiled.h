// Matrix products over the tile kernel; included by the SIMD files.
//
// The result is cut into blocks, long depths of small results into parts whose sums are added in order; both
// by the shape alone.  b is packed into panels once a call, a is read where it lies.
#ifndef BINCE_DENSE_MATMUL_TILED_H_
#define BINCE_DENSE_MATMUL_TILED_H_

#include "native/dense/matmul_narrow.h"
#include "native/dense/pack.h"

namespace {

using bince::Run;
using bince::Workspace;

constexpr int64_t kTasks = 16;              // wanted: enough to share evenly among a few threads
constexpr int64_t kSmallProduct = 1 << 17;  // multiplications below which waking another thread does not pay
constexpr int64_t kSmallMatrix = 1 << 21;   // multiplications below which a batch's matrices are the tasks
constexpr int64_t kPackRows = 48;  // rows of a from which b is packed where it could be read as it is
constexpr int64_t kPackColumns =
    64;  // columns of a transposed a from which it is packed: reading down them is slow
constexpr int64_t kPackDepth = 128;  // depths of b, or of a transposed a, a packing task

// One product of two matrices.
struct Product {
  MatmulProblem p;  // of batch 1
  int64_t block_rows, block_columns, row_blocks, column_blocks;
  int64_t parts, part_depth;
  bool pack_a, pack_b;
  float *a_panels, *b_panels, *sums;  // sums: [parts][M][N], where there are several
  int64_t *a_rows, *a_depth, *c_rows;
  int64_t a_step, b_stride, b_panel;
};

BINCE_INLINE float* carve_floats(Workspace* workspace, int64_t count) {
  return static_cast<float*>(bince::carve_bytes(workspace, static_cast<size_t>(count), sizeof(float)));
}
BINCE_INLINE int64_t* carve_offsets(Workspace* workspace, int64_t count) {
  return static_cast<int64_t*>(bince::carve_bytes(workspace, static_cast<size_t>(count), sizeof(int64_t)));
}

void choose_blocks(Product* q) {
  const MatmulProblem& p = q->p;
  int64_t rows = 192, columns = 256;
  while (parts_of(p.M, rows) * parts_of(p.N, columns) < kTasks && (rows > 48 || columns > 64))
    if (columns >= rows && columns > 64)
      columns /= 2;
    else
      rows /= 2;
  q->block_rows = rows;
  q->block_columns = columns;
  q->row_blocks = parts_of(p.M, rows);
  q->column_blocks = parts_of(p.N, columns);
  const int64_t tasks = q->row_blocks * q->column_blocks;
  q->parts = tasks < kTasks / 2 ? larger(1, smaller(kTasks / tasks, p.K / (2 * kDepthBlock))) : 1;
  q->part_depth = parts_of(p.K, q->parts);
  q->parts = parts_of(p.K, q->part_depth);
}

// Lays the product's tables and panels into the workspace; with a null base only counts the bytes.
void plan_product(const MatmulProblem& problem, Workspace* workspace, Product* q) {
  q->p = problem;
  choose_blocks(q);
  const MatmulProblem& p = q->p;
  q->pack_a = p.trans_a && p.M >= kPackColumns && p.N > 2 * kPanelColumns;
  q->pack_b = p.trans_b || p.N % kLanes != 0 || p.M >= kPackRows;
  q->b_panels = q->pack_b ? carve_floats(workspace, packed_size(p.K, p.N)) : nullptr;
  q->a_panels = q->pack_a ? carve_floats(workspace, parts_of(p.M, kTileRows) * kTileRows * p.K) : nullptr;
  q->sums = q->parts > 1 ? carve_floats(workspace, q->parts * p.M * p.N) : nullptr;
  q->a_rows = carve_offsets(workspace, q->block_rows);
  q->c_rows = carve_offsets(workspace, q->block_rows);
  q->a_depth = carve_offsets(workspace, kDepthBlock);
  q->a_step = q->pack_a ? int64_t{kTileRows} : p.trans_a ? p.M : 1;
  q->b_stride = q->pack_b ? kPanelColumns : p.N;
  q->b_panel = q->pack_b ? p.K * kPanelColumns : kPanelColumns;
  if (!workspace->base) return;
  for (int64_t i = 0; i < q->block_rows; ++i) {
    q->a_rows[i] = q->pack_a ? i / kTileRows * kTileRows * p.K + i % kTileRows : p.trans_a ? i : i * p.K;
    q->c_rows[i] = i * p.N;
  }
  for (int64_t k = 0; k < kDepthBlock; ++k) q->a_depth[k] = k * q->a_step;
}

// Depths [k0, k1) of a transposed a, [K][M], into panels [ceil(M / kTileRows)][K][kTileRows].
void pack_transposed(const MatmulProblem& p, int64_t k0, int64_t k1, float* out) {
  for (int64_t k = k0; k < k1; ++k)
    for (int64_t m = 0; m < p.M; m += kTileRows)
      for (int r = 0; r < kTileRows && m + r < p.M; r += kLanes) {
        const Mask panel = m_first(kTileRows - r);
        const Mask inside = m_first(static_cast<int>(smaller(kTileRows, p.M - m)) - r);
        v_store_where(panel, out + m * p.K + k * kTileRows + r, v_load_where(inside, p.a + k * p.M + m + r));
      }
}

void pack_task(void* argument, int64_t i, int) {
  const Product& q = *static_cast<const Product*>(argument);
  const MatmulProblem& p = q.p;
  const int64_t k0 = i * kPackDepth, k1 = smaller(p.K, k0 + kPackDepth);
  if (q.pack_a) pack_transposed(p, k0, k1, q.a_panels);
  if (!q.pack_b) return;
  if (p.trans_b)
    pack_columns(p.b + k0, p.K, p.N, 0, p.N, k1 - k0, k0, p.K, q.b_panels);
  else
    pack_rows(p.b, p.N, p.N, k0, k1, p.K, q.b_panels);
}

void block_task(void* argument, int64_t i, int) {
  const Product& q = *static_cast<const Product*>(argument);
  const MatmulProblem& p = q.p;
  const int64_t m = i % q.row_blocks * q.block_rows, n = i / q.row_blocks % q.column_blocks * q.block_columns;
  const int64_t part = i / (q.row_blocks * q.column_blocks);
  const int64_t begin = part * q.part_depth, end = smaller(p.K, begin + q.part_depth);
  const int64_t block = depth_block(end - begin);
  const float* a = q.pack_a ? q.a_panels + m * p.K : p.a + (p.trans_a ? m : m * p.K);
  const float* b = q.pack_b ? q.b_panels + n * p.K : p.b + n;
  BlockProduct t = {};
  t.a_rows = q.a_rows;
  t.a_depth = q.a_depth;
  t.b_panel = q.b_panel;
  t.b_stride = q.b_stride;
  t.c = (q.sums ? q.sums + part * p.M * p.N : p.c) + m * p.N + n;
  t.c_rows = q.c_rows;
  t.rows = smaller(q.block_rows, p.M - m);
  t.columns = smaller(q.block_columns, p.N - n);
  t.bias = !q.sums && p.bias ? p.bias + n : nullptr;
  t.accumulate = !q.sums && p.accumulate;
  const auto saved = flush_denormals();
  for (int64_t k = begin; k < end; k += block) {
    t.depth = smaller(block, end - k);
    t.a = a + k * q.a_step;
    t.b = b + k * q.b_stride;
    multiply_block(t);
    t.bias = nullptr;
    t.accumulate = true;
  }
  restore_denormals(saved);
}

void reduce_task(void* argument, int64_t row, int) {
  const Product& q = *static_cast<const Product*>(argument);
  const MatmulProblem& p = q.p;
  reduce_parts(q.sums + row * p.N, q.parts, p.M * p.N, p.N, p.bias, p.accumulate, p.c + row * p.N);
}

void run_product(const MatmulProblem& problem, ThreadPool* pool, char* base) {
  if (problem.M * problem.N * problem.K < kSmallProduct) pool = nullptr;
  if (is_narrow(problem)) return run_narrow(problem, pool, reinterpret_cast<float*>(base));
  Workspace workspace;
  workspace.base = base;
  Product q;
  plan_product(problem, &workspace, &q);
  if (q.pack_a || q.pack_b) {
    const bool little = !q.pack_a && problem.N * problem.K < kSmallProduct / 4;
    run_tasks(little ? nullptr : pool, parts_of(problem.K, kPackDepth), pack_task, &q);
  }
  run_tasks(pool, q.row_blocks * q.column_blocks * q.parts, block_task, &q);
  if (q.sums)
    run_tasks(problem.N * problem.M < kSmallProduct / 4 ? nullptr : pool, problem.M, reduce_task, &q);
}

// A batch that shares b is one matrix with more rows.
MatmulProblem folded(MatmulProblem p) {
  if (p.batch > 1 && p.stride_b == 0 && !p.trans_a && p.stride_a == p.M * p.K) {
    p.M *= p.batch;
    p.batch = 1;
  }
  return p;
}

// Matrix i of a batch.
MatmulProblem matrix_of(MatmulProblem p, int64_t i) {
  p.batch = 1;
  p.a += i * p.stride_a;
  p.b += i * p.stride_b;
  p.c += i * p.M * p.N;
  return p;
}

bool by_matrix(const MatmulProblem& p) {
  return p.batch > 1 && p.M * p.N * p.K < kSmallMatrix;
}

size_t matmul_workspace(const MatmulProblem& problem, int threads) {
  const MatmulProblem p = folded(problem);
  Workspace counted;
  Product q;
  if (is_narrow(p))
    carve_floats(&counted, narrow_size(p));
  else
    plan_product(p, &counted, &q);
  return by_matrix(p) ? counted.used * static_cast<size_t>(threads) : counted.used;
}

struct Batch {
  MatmulProblem p;
  char* workspace;
  size_t bytes;  // a worker
};

void matrix_task(void* argument, int64_t i, int worker) {
  const Batch& batch = *static_cast<const Batch*>(argument);
  run_product(matrix_of(batch.p, i), nullptr, batch.workspace + batch.bytes * static_cast<size_t>(worker));
}

void matmul(const MatmulProblem& problem, const Run& run) {
  const MatmulProblem p = folded(problem);
  if (!by_matrix(p)) {
    for (int64_t i = 0; i < p.batch; ++i) run_product(matrix_of(p, i), run.pool, run.workspace);
    return;
  }
  Batch batch = {p, run.workspace, matmul_workspace(p, 1)};
  const bool little = p.M * p.N * p.K * p.batch < kSmallProduct;
  run_tasks(little ? nullptr : run.pool, p.batch, matrix_task, &batch);
}

}  // namespace

#endif  // BINCE_DENSE_MATMUL_TILED_H_
