// The coding family's table of the CUDA plugin.
#include "native/coding/coding_cuda.h"

#include "native/coding/coding_kernels.h"

namespace bince {

const CodingCudaOps* coding_cuda_ops() {
  static const CodingCudaOps ops = {encode_blocks_cuda, decode_blocks_cuda, encode_strings_cuda,
                                    decode_strings_cuda};
  return &ops;
}

}  // namespace bince
