// Words between lanes and the shared stream for targets without compress and expand: byte patterns for their
// table look-up (pshufb, TBL), which gives 0 for 0x80 and above.
#ifndef BINCE_CODING_LANE_PATTERNS_H_
#define BINCE_CODING_LANE_PATTERNS_H_

#include <stdint.h>

namespace bince {
namespace {

// For each mask of 8 lanes: the byte pattern that brings the next words to its lanes (expand), or its lanes'
// words to the end of 16 bytes (compress).
struct Patterns {
  alignas(64) uint8_t expand[256][16];
  alignas(64) uint8_t compress[256][16];
  constexpr Patterns() : expand(), compress() {
    for (int mask = 0; mask < 256; ++mask) {
      int count = 0, rank = 0;
      for (int lane = 0; lane < 8; ++lane) count += mask >> lane & 1;
      for (int i = 0; i < 16; ++i) expand[mask][i] = compress[mask][i] = 0x80;
      for (int lane = 0; lane < 8; ++lane) {
        if (!(mask >> lane & 1)) continue;
        for (int byte = 0; byte < 2; ++byte) {
          expand[mask][2 * lane + byte] = static_cast<uint8_t>(2 * rank + byte);
          compress[mask][2 * (8 - count + rank) + byte] = static_cast<uint8_t>(2 * lane + byte);
        }
        ++rank;
      }
    }
  }
};

constexpr Patterns kPatterns;

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_LANE_PATTERNS_H_
