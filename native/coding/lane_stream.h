// A block on its way through a vector coder.  Before it includes this, a target's file defines Vec in bince's
// unnamed namespace: 32 lanes of 16 bits.
#ifndef BINCE_CODING_LANE_STREAM_H_
#define BINCE_CODING_LANE_STREAM_H_

#include "native/coding/coding_ops.h"

namespace bince {
namespace {

// Lanes beyond the block's rows stand at 2^16 and do not move.
struct Stream {
  Vec high, low;           // halves of the 32 states
  const uint8_t* end;      // decoder: the end of the words
  int64_t left;            // decoder: words before `end` not yet read; below 0 when they ran out
  uint8_t* words;          // encoder: the first word written
  const char* ahead;       // encoder: the rows that are read next, to be fetched meanwhile; or null
  const uint8_t* escapes;  // decoder: the next escape byte
  uint8_t* tile;
};

// Fetches one of the 2 C lines that the next 32 rows are; the first C of them were fetched with the rows
// before.
inline void fetch_ahead(const ChannelPlan& plan, const Stream& s, uint32_t c) {
  __builtin_prefetch(s.ahead + (size_t{2} * plan.channels - 1 - c) * 64, 0, 2);
}

inline uint32_t lane_mask(uint64_t lanes) {
  return lanes >= kLanes ? ~0u : (1u << lanes) - 1;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_LANE_STREAM_H_
