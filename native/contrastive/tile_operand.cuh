// Operands of matrix products in shared memory: where they come from, and how they lie there.
//
// An operand of a product over a depth k lies in one of two ways:
//   along    a line is a row (or column) of the product, its k's beside each other: Q and K of Q K^T
//   across   a line is a k, the rows (or columns) of the product beside each other: G and Q of G^T Q
// Lines travel in pieces of 16 bytes, the unit of asynchronous copies and of ldmatrix.
#ifndef BINCE_CONTRASTIVE_TILE_OPERAND_CUH_
#define BINCE_CONTRASTIVE_TILE_OPERAND_CUH_

#include "native/cuda/async_copy.cuh"
#include "native/cuda/language.cuh"

namespace bince {

// Rows in up to two pieces: keys and, after them, the queue.  Pointers are 16-byte aligned, `stride` counts
// elements and is a multiple of 16 bytes; the elements between `dim` and the next multiple of 16 bytes are
// zeros.  There is at least one row.  pad_rows.h makes such rows of any others.
struct TileRows {
  const void* first;   // [first_count][stride]
  const void* second;  // the rows from first_count on; may be null without any
  int64_t first_count, count, stride;
};

// A tile of kRows x kColumns, cut among kWarpRows x kWarpColumns warps: a warp's part is a multiple of 16
// x 16. A stage of shared memory holds kDepthBytes / sizeof(element) k's; kStages stages.
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

// The address of an existing row.
template <class Element>
__device__ __forceinline__ const char* row_address(const TileRows& rows, int64_t row) {
  const bool queued = row >= rows.first_count;
  const char* const piece = static_cast<const char*>(queued ? rows.second : rows.first);
  return piece +
         (queued ? row - rows.first_count : row) * rows.stride * static_cast<int64_t>(sizeof(Element));
}

// Queues copies of kLines rows' elements into lines of shared memory: kPieces pieces of a row from `element`
// on, rows from `row` on.  Zeros where element >= width or row >= rows.count.  Layout::offset(line, piece) is
// the place of a piece.
template <class Layout, class Element, int kLines, int kPieces, int kThreads>
__device__ __forceinline__ void copy_lines(char* shared, const TileRows& rows, int64_t row, int64_t element,
                                           int64_t width) {
  constexpr int kLinesAtOnce = kThreads / kPieces, kCopies = (kLines + kLinesAtOnce - 1) / kLinesAtOnce;
  static_assert(kThreads % kPieces == 0, "a thread copies the same piece of several lines");
  constexpr bool kEven = kLines % kLinesAtOnce == 0;
  const int line = static_cast<int>(threadIdx.x) / kPieces, piece = static_cast<int>(threadIdx.x) % kPieces;
  element += piece * (16 / static_cast<int>(sizeof(Element)));
  const bool inside = element < width;
  const int64_t byte = inside ? element * static_cast<int64_t>(sizeof(Element)) : 0;
  const bool one_piece = row >= rows.first_count || row + kLines <= rows.first_count;
  if (one_piece && row + kLines <= rows.count) {
    const int64_t pitch = rows.stride * static_cast<int64_t>(sizeof(Element));
    const char* from = row_address<Element>(rows, row) + line * pitch + byte;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      if (kEven || line + i * kLinesAtOnce < kLines)
        copy_async_16(shared + Layout::offset(line + i * kLinesAtOnce, piece), from, inside);
      if (i + 1 < kCopies && (kEven || line + (i + 1) * kLinesAtOnce < kLines)) from += kLinesAtOnce * pitch;
    }
    return;
  }
#pragma unroll 1
  for (int i = line; i < kLines; i += kLinesAtOnce) {
    const bool exists = row + i < rows.count;
    const char* const from = row_address<Element>(rows, exists ? row + i : rows.count - 1) + byte;
    copy_async_16(shared + Layout::offset(i, piece), from, inside && exists);
  }
}

// kLines_ lines along, kBytes_ of each.
template <class Element_, int kLines_, int kBytes_, int kThreads>
struct AlongOperand {
  using Element = Element_;
  static constexpr bool kAlong = true;
  static constexpr int kLineBytes = kBytes_;
  static constexpr int kPieces = kBytes_ / 16;
  static constexpr int kDepth = kBytes_ / static_cast<int>(sizeof(Element));
  static constexpr size_t kSharedBytes = size_t{kLines_} * kBytes_;

  // The same piece of eight consecutive lines lies in eight different groups of four banks.  Lines eight
  // apart are permuted alike, and pieces p and p + q with no common bit differ by an exclusive or with 16 q.
  static __device__ __forceinline__ int offset(int line, int piece) {
    return line * kLineBytes + ((piece ^ (line / (8 / kPieces) % kPieces)) * 16);
  }

  // What to copy: rows from `row` on, their elements below `width`.
  struct Source {
    TileRows rows;
    int64_t row, width;
  };
  static __device__ __forceinline__ void copy(char* shared, const Source& source, int64_t depth) {
    copy_lines<AlongOperand, Element, kLines_, kPieces, kThreads>(shared, source.rows, source.row, depth,
                                                                  source.width);
  }
};

// kDepth_ lines across, kWidth_ elements of each.
template <class Element_, int kWidth_, int kDepth_, int kThreads>
struct AcrossOperand {
  using Element = Element_;
  static constexpr bool kAlong = false;
  static constexpr int kPieces = kWidth_ * static_cast<int>(sizeof(Element)) / 16;
  static constexpr int kDepth = kDepth_;
  // Padded, so that a piece of eight consecutive lines (ldmatrix) or eight words of four consecutive lines
  // (tf32) lie in different banks.
  static constexpr int kLineBytes = kPieces * 16 + (sizeof(Element) == 2 ? 16 : 32);
  static constexpr size_t kSharedBytes = (size_t{kDepth_} * kLineBytes + 127) / 128 * 128;

  static __device__ __forceinline__ int offset(int line, int piece) { return line * kLineBytes + piece * 16; }

  // What to copy: elements from `element` on and below `width`, of rows from `row` on.
  struct Source {
    TileRows rows;
    int64_t row, element, width;
  };
  static __device__ __forceinline__ void copy(char* shared, const Source& source, int64_t depth) {
    copy_lines<AcrossOperand, Element, kDepth_, kPieces, kThreads>(shared, source.rows, source.row + depth,
                                                                   source.element, source.width);
  }
};

}  // namespace bince

#endif  // BINCE_CONTRASTIVE_TILE_OPERAND_CUH_
