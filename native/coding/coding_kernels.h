// The slots of CodingCudaOps, each in the file of its kernels.
#ifndef BINCE_CODING_CODING_KERNELS_H_
#define BINCE_CODING_CODING_KERNELS_H_

#include "native/coding/coding_cuda.h"

namespace bince {

bince_status encode_blocks_cuda(const Run& run, const EncodeBlocksCall& call);
bince_status decode_blocks_cuda(const Run& run, const DecodeBlocksCall& call);
bince_status encode_strings_cuda(const Run& run, const StringsCall& call);
bince_status decode_strings_cuda(const Run& run, const StringsCall& call);

}  // namespace bince

#endif  // BINCE_CODING_CODING_KERNELS_H_
