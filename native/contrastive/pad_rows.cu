#include "native/contrastive/pad_rows.h"

#include "native/cuda/device_runtime.h"
#include "native/cuda/language.cuh"

namespace bince {
namespace {

constexpr int kThreads = 256;

template <class Element>
struct alignas(16) Piece {
  static constexpr int kElements = 16 / static_cast<int>(sizeof(Element));
  Element element[kElements];
};

// to[row][piece] = 16 bytes of from[row], zeros beyond dim.  A thread a piece, neighbours beside each other.
template <class Element>
__global__ void __launch_bounds__(kThreads)
    pad_rows_kernel(const Element* from, int64_t count, int64_t dim, Piece<Element>* to) {
  constexpr int kElements = Piece<Element>::kElements;
  const int64_t row_pieces = (dim + kElements - 1) / kElements, pieces = count * row_pieces;
  const int64_t threads = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < pieces; i += threads) {
    const int64_t row = i / row_pieces, element = i % row_pieces * kElements;
    Piece<Element> piece;
#pragma unroll
    for (int e = 0; e < kElements; ++e)
      piece.element[e] = element + e < dim ? from[row * dim + element + e] : Element{0};
    to[i] = piece;
  }
}

template <class Element>
bince_status launch(void* stream, const void* from, int64_t count, int64_t dim, void* to) {
  const int64_t pieces = count * (padded_stride(dim, sizeof(Element) == 2) / Piece<Element>::kElements);
  const int64_t most = int64_t{32} * multiprocessors(), blocks = (pieces + kThreads - 1) / kThreads;
  if (blocks == 0) return BINCE_OK;
  BINCE_LAUNCH(pad_rows_kernel<Element>, static_cast<unsigned>(blocks < most ? blocks : most), kThreads, 0,
               stream, static_cast<const Element*>(from), count, dim, static_cast<Piece<Element>*>(to));
  return launch_status("pad_rows_kernel");
}

}  // namespace

bince_status launch_pad_rows(void* stream, const void* from, int64_t count, int64_t dim, bool bfloat16,
                             void* to) {
  return bfloat16 ? launch<uint16_t>(stream, from, count, dim, to)
                  : launch<float>(stream, from, count, dim, to);
}

}  // namespace bince
