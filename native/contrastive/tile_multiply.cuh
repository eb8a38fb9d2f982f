// The accumulators of a tile, one stage's product by warps, and the pipeline of stages.
#ifndef BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_
#define BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_

#include "native/contrastive/tile_operand.cuh"
#include "native/cuda/mma.cuh"

namespace bince {

// Operands' type in memory, and arithmetic.  Accumulators are float32.
struct Bfloat16Product {  // mma m16n8k16
  using Element = uint16_t;
  static constexpr bool kTensorCores = true;
};
struct Tf32Product {  // rounded to tf32 on the way from shared memory, mma m16n8k8
  using Element = float;
  static constexpr bool kTensorCores = true;
};
struct Float32Product {  // fused multiply-adds in the order of k
  using Element = float;
  static constexpr bool kTensorCores = false;
};

// The accumulators of a thread, alike for all precisions.  Lane l, g = l / 4, t = l % 4, holds of its warp's
// part rows g + 8 i and columns 2 t + 8 (j / 2) + j % 2: lanes that share rows differ in t (exclusive or with
// 1, 2), lanes that share columns differ in g (4, 8, 16).
template <class Shape>
struct TileValues {
  static constexpr int kRowsPerThread = Shape::kRows / Shape::kWarpRows / 8;
  static constexpr int kColumnsPerThread = Shape::kColumns / Shape::kWarpColumns / 4;

  float value[kRowsPerThread][kColumnsPerThread];

  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  static __device__ __forceinline__ int warp_row() {
    return static_cast<int>(threadIdx.x) / 32 / Shape::kWarpColumns;
  }
  static __device__ __forceinline__ int warp_column() {
    return static_cast<int>(threadIdx.x) / 32 % Shape::kWarpColumns;
  }
  static __device__ __forceinline__ int warp_first_row() {
    return warp_row() * (Shape::kRows / Shape::kWarpRows);
  }
  static __device__ __forceinline__ int warp_first_column() {
    return warp_column() * (Shape::kColumns / Shape::kWarpColumns);
  }
  // The place of value[i][j] in the tile.
  static __device__ __forceinline__ int row_of(int i) { return warp_first_row() + 8 * i + lane() / 4; }
  static __device__ __forceinline__ int column_of(int j) {
    return warp_first_column() + 8 * (j / 2) + 2 * (lane() % 4) + j % 2;
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kRowsPerThread; ++i)
#pragma unroll
      for (int j = 0; j < kColumnsPerThread; ++j) value[i][j] = 0;
  }
};

struct alignas(16) FloatQuad {
  float x, y, z, w;
};
struct alignas(8) FloatPair {
  float x, y;
};

__device__ __forceinline__ float shared_float(const char* at) {
  return *reinterpret_cast<const float*>(at);
}

// Fragments of one mma step, 32 bytes of depth, of kParts x 16 rows (operand A) or columns (operand B) from
// `first` on.  An 8 x 16 bytes matrix of ldmatrix is 8 x 8 bfloat16 or 8 x 4 float32, both as mma takes them.
template <class Precision, class Operand, bool kIsA, int kParts>
__device__ __forceinline__ void load_fragments(uint32_t (&fragment)[kParts][4], const char* shared, int first,
                                               int step) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // Matrices of A: rows 0, rows 8, then the same at the next k's.  Of B: k's, the next k's, then 8 columns
  // on.
  const int far_line = kIsA ? lane / 8 % 2 : lane / 16, far_depth = kIsA ? lane / 16 : lane / 8 % 2;
  if constexpr (Operand::kAlong) {
    const int base = Operand::offset(first + lane % 8 + 8 * far_line, far_depth) ^ (32 * step);
#pragma unroll
    for (int part = 0; part < kParts; ++part)
      load_matrices(fragment[part], shared + base + part * 16 * Operand::kLineBytes);
  } else if constexpr (sizeof(typename Operand::Element) == 2) {
    const int base = Operand::offset(lane % 8 + 8 * far_depth, first / 8 + far_line);
#pragma unroll
    for (int part = 0; part < kParts; ++part)
      load_matrices_transposed(fragment[part], shared + base + step * 16 * Operand::kLineBytes + part * 32);
  } else {
    const char* const at = shared + lane % 4 * Operand::kLineBytes + (first + lane / 4) * 4;
#pragma unroll
    for (int part = 0; part < kParts; ++part)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int columns = 16 * part + 8 * (kIsA ? i % 2 : i / 2), k = 8 * step + 4 * (kIsA ? i / 2 : i % 2);
        fragment[part][i] = __float_as_uint(shared_float(at + k * Operand::kLineBytes + columns * 4));
      }
  }
  if constexpr (sizeof(typename Precision::Element) == 4) {
#pragma unroll
    for (int part = 0; part < kParts; ++part)
#pragma unroll
      for (int i = 0; i < 4; ++i) fragment[part][i] = to_tf32(__uint_as_float(fragment[part][i]));
  }
}

// One stage with tensor cores: the next step's fragments are loaded beside this step's products.
template <class Precision, class A, class B, class Values>
__device__ __forceinline__ void multiply_stage_mma(Values& tile, const char* a_shared, const char* b_shared) {
  constexpr int kSteps = A::kDepth * static_cast<int>(sizeof(typename A::Element)) / 32;
  constexpr int kRowParts = Values::kRowsPerThread / 2, kColumnParts = Values::kColumnsPerThread / 4;
  const int row = Values::warp_first_row(), column = Values::warp_first_column();
  uint32_t a[2][kRowParts][4], b[2][kColumnParts][4];
  load_fragments<Precision, A, true>(a[0], a_shared, row, 0);
  load_fragments<Precision, B, false>(b[0], b_shared, column, 0);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    if (step + 1 < kSteps) {
      load_fragments<Precision, A, true>(a[(step + 1) % 2], a_shared, row, step + 1);
      load_fragments<Precision, B, false>(b[(step + 1) % 2], b_shared, column, step + 1);
    }
#pragma unroll
    for (int m = 0; m < kRowParts; ++m)
#pragma unroll
      for (int n = 0; n < 2 * kColumnParts; ++n) {
        float* const upper = &tile.value[2 * m][2 * n];
        float* const lower = &tile.value[2 * m + 1][2 * n];
        const uint32_t(&pair)[4] = b[step % 2][n / 2];
        const uint32_t column_fragment[2] = {pair[n % 2 * 2], pair[n % 2 * 2 + 1]};
        float sum[4] = {upper[0], upper[1], lower[0], lower[1]};
        if constexpr (sizeof(typename Precision::Element) == 2) {
          mma_bfloat16(sum, a[step % 2][m], column_fragment, sum);
        } else {
          mma_tf32(sum, a[step % 2][m], column_fragment, sum);
        }
        upper[0] = sum[0], upper[1] = sum[1], lower[0] = sum[2], lower[1] = sum[3];
      }
  }
}

// a[i][k] of four k's from 4 * quad on, row i of the thread.
template <class A, class Values>
__device__ __forceinline__ void load_row_quads(float (&a)[Values::kRowsPerThread][4], const char* shared,
                                               int quad) {
  const int row = Values::row_of(0);
  if constexpr (A::kAlong) {
    const int base = A::offset(row, 0) ^ (16 * quad);
#pragma unroll
    for (int i = 0; i < Values::kRowsPerThread; ++i) {
      const FloatQuad q = *reinterpret_cast<const FloatQuad*>(shared + base + 8 * i * A::kLineBytes);
      a[i][0] = q.x, a[i][1] = q.y, a[i][2] = q.z, a[i][3] = q.w;
    }
  } else {
    const char* const at = shared + 4 * quad * A::kLineBytes + row * 4;
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int i = 0; i < Values::kRowsPerThread; ++i)
        a[i][k] = shared_float(at + k * A::kLineBytes + 32 * i);
  }
}

// One stage with fused multiply-adds, four k's at a time.
template <class A, class B, class Values>
__device__ __forceinline__ void multiply_stage_fma(Values& tile, const char* a_shared, const char* b_shared) {
  const int column = Values::column_of(0);
#pragma unroll 1
  for (int quad = 0; quad < A::kDepth / 4; ++quad) {
    float a[Values::kRowsPerThread][4];
    load_row_quads<A, Values>(a, a_shared, quad);
    if constexpr (B::kAlong) {
      const int base[2] = {B::offset(column, 0) ^ (16 * quad), B::offset(column + 1, 0) ^ (16 * quad)};
#pragma unroll
      for (int j = 0; j < Values::kColumnsPerThread; ++j) {
        const char* const at = b_shared + base[j % 2] + j / 2 * 8 * B::kLineBytes;
        const FloatQuad b = *reinterpret_cast<const FloatQuad*>(at);
#pragma unroll
        for (int i = 0; i < Values::kRowsPerThread; ++i)
          tile.value[i][j] = fmaf(
              a[i][3], b.w, fmaf(a[i][2], b.z, fmaf(a[i][1], b.y, fmaf(a[i][0], b.x, tile.value[i][j]))));
      }
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int j = 0; j < Values::kColumnsPerThread; j += 2) {
          const char* const at = b_shared + (4 * quad + k) * B::kLineBytes + (column + 4 * j) * 4;
          const FloatPair b = *reinterpret_cast<const FloatPair*>(at);
#pragma unroll
          for (int i = 0; i < Values::kRowsPerThread; ++i) {
            tile.value[i][j] = fmaf(a[i][k], b.x, tile.value[i][j]);
            tile.value[i][j + 1] = fmaf(a[i][k], b.y, tile.value[i][j + 1]);
          }
        }
    }
  }
}

// tile = A B over k in [0, depth): kStages - 1 stages are under way while one is multiplied.  All threads;
// `shared`: kSharedBytes<...>, 128-byte aligned and free.  Ends with a barrier: `shared` is free again.
template <class Shape, class A, class B>
inline constexpr size_t kPipelineBytes = Shape::kStages*(A::kSharedBytes + B::kSharedBytes);

template <class Precision, class Shape, class A, class B>
__device__ __forceinline__ void multiply_tile(TileValues<Shape>& tile, const typename A::Source& a,
                                              const typename B::Source& b, int64_t depth, void* shared) {
  static_assert(A::kDepth == B::kDepth, "operands of one depth");
  constexpr int kStageBytes = static_cast<int>(A::kSharedBytes + B::kSharedBytes);
  constexpr int kEnd = Shape::kStages * kStageBytes;
  char* const stages = static_cast<char*>(shared);
  const int steps = static_cast<int>((depth + A::kDepth - 1) / A::kDepth);
  tile.clear();
#pragma unroll 1
  for (int step = 0; step < Shape::kStages - 1; ++step) {
    if (step < steps) {
      A::copy(stages + step * kStageBytes, a, static_cast<int64_t>(step) * A::kDepth);
      B::copy(stages + step * kStageBytes + A::kSharedBytes, b, static_cast<int64_t>(step) * A::kDepth);
    }
    commit_copies();
  }
  int here = 0, ahead = kEnd - kStageBytes;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<Shape::kStages - 2>();
    __syncthreads();  // this step's stage is there for all, and all have read the one before, refilled here
    const int next = step + Shape::kStages - 1;
    if (next < steps) {
      A::copy(stages + ahead, a, static_cast<int64_t>(next) * A::kDepth);
      B::copy(stages + ahead + A::kSharedBytes, b, static_cast<int64_t>(next) * A::kDepth);
    }
    commit_copies();
    const char* const stage = stages + here;
    if constexpr (!Precision::kTensorCores) {
      multiply_stage_fma<A, B>(tile, stage, stage + A::kSharedBytes);
    } else {
      multiply_stage_mma<Precision, A, B>(tile, stage, stage + A::kSharedBytes);
    }
    here = here + kStageBytes == kEnd ? 0 : here + kStageBytes;
    ahead = ahead + kStageBytes == kEnd ? 0 : ahead + kStageBytes;
  }
  wait_for_copies<0>();
  __syncthreads();  // all have read the last stage
}

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_
