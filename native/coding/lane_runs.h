// Which channels go which way through a vector coder with byte look-ups.
#ifndef BINCE_CODING_LANE_RUNS_H_
#define BINCE_CODING_LANE_RUNS_H_

#include "native/coding/coding_ops.h"

namespace bince {

// Fills the arrays, of as many numbers as the plan has channels (`runs` of half as many, rounded up), and has
// the plan point to them.  For plans of tables of at most kNarrowEntries.
void fill_lane_runs(const uint32_t* table, const void** lane_decode, const LaneEncode** lane_encode,
                    LaneRun* runs, ChannelPlan* plan);

}  // namespace bince

#endif  // BINCE_CODING_LANE_RUNS_H_
