// The reference's parts that other backends call for what they do not do themselves.
#ifndef BINCE_CODING_BLOCK_REF_H_
#define BINCE_CODING_BLOCK_REF_H_

#include "native/coding/coding_ops.h"

namespace bince {

void encode_rans_ref(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch);
void decode_rans_ref(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch);
uint32_t crc32c_ref(uint32_t crc, const uint8_t* bytes, size_t count);

// The range coder has one serial chain: every backend uses these.
// `room` bytes at words_begin hold the words, which are written upwards; the results' words begin there.
void encode_range(const ChannelPlan* plan, EncodeJob* job, uint8_t* words_begin, uint8_t** words_end);
void decode_range(const ChannelPlan* plan, DecodeJob* job);

}  // namespace bince

#endif  // BINCE_CODING_BLOCK_REF_H_
