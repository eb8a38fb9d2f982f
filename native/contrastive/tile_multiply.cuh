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
template <class Operand, bool kIsA, int kParts>
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
}

template <int kParts>
__device__ __forceinline__ void round_to_tf32(uint32_t (&fragment)[kParts][4]) {
#pragma unroll
  for (int part = 0; part < kParts; ++part)
#pragma unroll
    for (int i = 0; i < 4; ++i) fragment[part][i] = to_tf32(__uint_as_float(fragment[part][i]));
}

// The fragments of two mma steps: the next step's are loaded beside this step's products.
template <class Precision, class A, class B, class Values>
struct Fragments {
  static constexpr int kRowParts = Values::kRowsPerThread / 2, kColumnParts = Values::kColumnsPerThread / 4;
  uint32_t a[2][kRowParts][4], b[2][kColumnParts][4];

  // Of a stage, whose operand B lies behind its operand A.
  __device__ __forceinline__ void load(int buffer, const char* stage, int step) {
    load_fragments<A, true>(a[buffer], stage, Values::warp_first_row(), step);
    load_fragments<B, false>(b[buffer], stage + A::kSharedBytes, Values::warp_first_column(), step);
  }

  __device__ __forceinline__ void multiply(Values& tile, int buffer) {
    if constexpr (sizeof(typename Precision::Element) == 4) {
      round_to_tf32(a[buffer]);
      round_to_tf32(b[buffer]);
    }
#pragma unroll
    for (int m = 0; m < kRowParts; ++m)
#pragma unroll
      for (int n = 0; n < 2 * kColumnParts; ++n) {
        float* const upper = &tile.value[2 * m][2 * n];
        float* const lower = &tile.value[2 * m + 1][2 * n];
        const uint32_t(&pair)[4] = b[buffer][n / 2];
        const uint32_t column[2] = {pair[n % 2 * 2], pair[n % 2 * 2 + 1]};
        float sum[4] = {upper[0], upper[1], lower[0], lower[1]};
        if constexpr (sizeof(typename Precision::Element) == 2) {
          mma_bfloat16(sum, a[buffer][m], column, sum);
        } else {
          mma_tf32(sum, a[buffer][m], column, sum);
        }
        upper[0] = sum[0], upper[1] = sum[1], lower[0] = sum[2], lower[1] = sum[3];
      }
  }

  // What the last of an odd number of steps has loaded, to where the next stage's first step looks for it.
  __device__ __forceinline__ void move_to_first() {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int m = 0; m < kRowParts; ++m) a[0][m][i] = a[1][m][i];
#pragma unroll
      for (int n = 0; n < kColumnParts; ++n) b[0][n][i] = b[1][n][i];
    }
  }
};

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
__device__ __forceinline__ void multiply_stage(Values& tile, const char* a_shared) {
  const char* const b_shared = a_shared + A::kSharedBytes;
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

// tile = A B over k in [0, depth), in two calls between which other work may stand: `start` queues the first
// kStages - 1 stages' copies, `finish` has as many under way while it multiplies a stage.  All threads;
// `shared`: kSharedBytes, 128-byte aligned, free at `start`; `finish` ends with a barrier: it is free again.
template <class Precision, class Shape, class A, class B>
struct TilePipeline {
  using Values = TileValues<Shape>;
  static_assert(A::kDepth == B::kDepth, "operands of one depth");
  static constexpr int kStages = Shape::kStages;
  static constexpr int kStageBytes = static_cast<int>(A::kSharedBytes + B::kSharedBytes);
  static constexpr size_t kSharedBytes = size_t{kStages} * kStageBytes;
  static constexpr int kSteps = A::kDepth * static_cast<int>(sizeof(typename A::Element)) / 32;

  typename A::Source a;
  typename B::Source b;
  int64_t depth;
  char* shared;

  __device__ __forceinline__ int stages() const {
    return static_cast<int>((depth + A::kDepth - 1) / A::kDepth);
  }

  __device__ __forceinline__ void copy(int offset, int stage) const {
    if (stage < stages()) {
      A::copy(shared + offset, a, static_cast<int64_t>(stage) * A::kDepth);
      B::copy(shared + offset + A::kSharedBytes, b, static_cast<int64_t>(stage) * A::kDepth);
    }
    commit_copies();
  }

  __device__ __forceinline__ void start() const {
#pragma unroll 1
    for (int stage = 0; stage < kStages - 1; ++stage) copy(stage * kStageBytes, stage);
  }

  // The next stage is there for all; all have read the one before it, which copies may replace.
  static __device__ __forceinline__ void await_stage() {
    wait_for_copies<kStages - 2>();
    __syncthreads();
  }

  __device__ __forceinline__ void finish(Values& tile) const {
    tile.clear();
    const int count = stages();
    int here = 0, ahead = (kStages - 1) * kStageBytes;
    const auto after = [](int offset) {
      return offset == (kStages - 1) * kStageBytes ? 0 : offset + kStageBytes;
    };
    await_stage();
    if constexpr (Precision::kTensorCores) {
      // Under an epilogue tf32 has no registers for fragments that live from stage to stage.
      constexpr bool kAcrossStages = sizeof(typename Precision::Element) == 2;
      Fragments<Precision, A, B, Values> fragments;
      if (kAcrossStages) fragments.load(0, shared, 0);
#pragma unroll 1
      for (int stage = 0; stage < count; ++stage) {
        copy(ahead, stage + kStages - 1);
        ahead = after(ahead);
        if (!kAcrossStages) fragments.load(0, shared + here, 0);
#pragma unroll
        for (int step = 0; step + 1 < kSteps; ++step) {
          fragments.load((step + 1) % 2, shared + here, step + 1);
          fragments.multiply(tile, step % 2);
        }
        // The barrier passes while products are still under way.
        await_stage();
        here = after(here);
        if (kAcrossStages && stage + 1 < count) fragments.load(kSteps % 2, shared + here, 0);
        fragments.multiply(tile, (kSteps - 1) % 2);
        if (kAcrossStages && kSteps % 2) fragments.move_to_first();
      }
    } else {
#pragma unroll 1
      for (int stage = 0; stage < count; ++stage) {
        copy(ahead, stage + kStages - 1);
        ahead = after(ahead);
        multiply_stage<A, B>(tile, shared + here);
        await_stage();
        here = after(here);
      }
    }
  }
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_MULTIPLY_CUH_
