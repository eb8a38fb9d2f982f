// Operands of the matrix products in shared memory: shapes, where they come from, how they lie there.
//
// An operand of a product over a depth index k lies in one of two ways:
//   along   one line a row (or column) of the product, its k's beside each other: S = Q K^T
//   across  one line a k, the rows (or columns) of the product beside each other: G^T Q, and K of G K
// Lines are cut into pieces of 16 bytes, the unit of asynchronous copies and of ldmatrix rows, and the pieces
// of a line are permuted by an exclusive or with a function of the line, so that copies, ldmatrix and the
// scalar loads below all touch 32 different banks.
#ifndef BINCE_CONTRASTIVE_TILE_OPERAND_CUH_
#define BINCE_CONTRASTIVE_TILE_OPERAND_CUH_

#include "native/cuda/async_copy.cuh"
#include "native/cuda/bfloat16.cuh"
#include "native/cuda/language.cuh"
#include "native/cuda/mma.cuh"

namespace bince {

// Rows in up to two pieces: keys and, after them, the queue.  Pointers are 16-byte aligned, `stride` counts
// elements and is a multiple of 16 bytes; the elements between `dim` and the next 16 bytes are zeros. `first`
// is never null; `second` may be where first_count == count.  pad_rows.h makes such rows of any others.
struct TileRows {
  const void* first;
  const void* second;
  int64_t first_count, count, stride;
};

// How a product is computed: element type in memory, and arithmetic.  Accumulators are float32.
struct Bfloat16Product {  // bfloat16 operands, mma m16n8k16
  using Element = uint16_t;
};
struct Tf32Product {  // float32 operands rounded to tf32, mma m16n8k8
  using Element = float;
};
struct Float32Product {  // float32 operands, fused multiply-adds in the order of k
  using Element = float;
};

// A tile of kRows x kColumns, cut among kWarpRows x kWarpColumns warps; kDepthBytes of every line and stage,
// kStages stages.  A warp's part is a multiple of 16 x 16.
template <int kRows_, int kColumns_, int kWarpRows_, int kWarpColumns_, int kDepthBytes_, int kStages_>
struct TileShape {
  static constexpr int kRows = kRows_;
  static constexpr int kColumns = kColumns_;
  static constexpr int kWarpRows = kWarpRows_;
  static constexpr int kWarpColumns = kWarpColumns_;
  static constexpr int kDepthBytes = kDepthBytes_;
  static constexpr int kStages = kStages_;
  static constexpr int kThreads = 32 * kWarpRows * kWarpColumns;
  static_assert(kRows % (16 * kWarpRows) == 0 && kColumns % (16 * kWarpColumns) == 0, "a warp's part");
  static_assert(kDepthBytes == 32 || kDepthBytes == 64 || kDepthBytes == 128, "kDepthBytes");
  static_assert(kStages >= 2, "kStages");
};

struct alignas(16) FloatQuad {
  float x, y, z, w;
};

// Address of a row of `rows`, which exists.
template <class Element>
__device__ __forceinline__ const char* row_address(const TileRows& rows, int64_t row) {
  const bool queued = row >= rows.first_count;
  const char* piece = static_cast<const char*>(queued ? rows.second : rows.first);
  return piece +
         (queued ? row - rows.first_count : row) * rows.stride * static_cast<int64_t>(sizeof(Element));
}

// An operand that lies along: kLines lines of kBytes = 32, 64 or 128.
template <class Element, int kLines, int kBytes, int kThreads>
struct AlongOperand {
  static constexpr int kPieces = kBytes / 16;
  static constexpr int kElements = kBytes / static_cast<int>(sizeof(Element));
  static constexpr size_t kSharedBytes = size_t{kLines} * kBytes;

  // Eight consecutive lines at the same piece lie in eight different groups of four banks.
  static __device__ __forceinline__ int offset(int line, int piece) {
    return line * kBytes + ((piece ^ (line / (8 / kPieces) % kPieces)) * 16);
  }

  // Queues the copies of elements [depth, depth + kElements) of rows [row, row + kLines): zeros beyond `dim`
  // and beyond the last row.  All threads.
  static __device__ __forceinline__ void copy(char* shared, const TileRows& rows, int64_t row, int depth,
                                              int dim) {
    constexpr int kCopies = (kLines * kPieces + kThreads - 1) / kThreads;
    const int piece = static_cast<int>(threadIdx.x) % kPieces;
    const int element = depth + piece * (16 / static_cast<int>(sizeof(Element)));
    const bool inside = element < dim;
    const int64_t byte = inside ? static_cast<int64_t>(element) * static_cast<int64_t>(sizeof(Element)) : 0;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int line = static_cast<int>(threadIdx.x) / kPieces + i * (kThreads / kPieces);
      if (kLines * kPieces % kThreads != 0 && line >= kLines) break;
      const bool valid = inside && row + line < rows.count;
      const int64_t at = row + line < rows.count ? row + line : rows.count - 1;
      copy_async_16(shared + offset(line, piece), row_address<Element>(rows, at) + byte, valid);
    }
  }
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_OPERAND_CUH_
