#include "native/coding/lane_runs.h"

namespace bince {
namespace {

// What the vector coders' byte look-ups need of tables.
struct LaneForms {
  const TableHead* heads;
  const LaneDecode<kSmallEntries>* small;
  const LaneDecode<kMediumEntries>* medium;
  const LaneEncode* encode;
};

// The way that all tables from `first` to before `last` can go together.
LaneWay common_way(const LaneForms& forms, const uint32_t* first, const uint32_t* last) {
  bool small = true, medium = true;
  int small_steps = 0, medium_steps = 0;
  for (const uint32_t* table = first; table < last; ++table) {
    const TableHead& head = forms.heads[*table];
    small = small && head.small >= 0;
    medium = medium && head.medium >= 0;
    if (head.small >= 0 && forms.small[head.small].steps > small_steps)
      small_steps = forms.small[head.small].steps;
    if (head.medium >= 0 && forms.medium[head.medium].steps > medium_steps)
      medium_steps = forms.medium[head.medium].steps;
  }
  if (small) return small_steps <= 3 ? LaneWay::kSmall3 : LaneWay::kSmall5;
  if (medium) return medium_steps <= 4 ? LaneWay::kMedium4 : LaneWay::kMedium6;
  return LaneWay::kLarge;
}

}  // namespace

void fill_lane_runs(const uint32_t* table, const void** lane_decode, const LaneEncode** lane_encode,
                    LaneRun* runs, ChannelPlan* plan) {
  const bince_tables* tables = plan->tables;
  const LaneForms forms = {tables_at<TableHead>(tables, tables->heads_at),
                           tables_at<LaneDecode<kSmallEntries>>(tables, tables->lane32_at),
                           tables_at<LaneDecode<kMediumEntries>>(tables, tables->lane64_at),
                           tables_at<LaneEncode>(tables, tables->lane_encode_at)};
  uint32_t count = 0;
  for (uint32_t c = 0; c < plan->channels; c += 2) {
    const uint32_t end = c + 2 < plan->channels ? c + 2 : plan->channels;
    const LaneWay way = common_way(forms, table + c, table + end);
    for (uint32_t i = c; i < end; ++i) {
      const TableHead& head = forms.heads[table[i]];
      const bool small = way <= LaneWay::kSmall5, medium = !small && way <= LaneWay::kMedium6;
      lane_decode[i] = small    ? static_cast<const void*>(forms.small + head.small)
                       : medium ? forms.medium + head.medium
                                : nullptr;
      lane_encode[i] = medium ? forms.encode + head.medium : nullptr;
    }
    if (count > 0 && runs[count - 1].way == way)
      runs[count - 1].end = end;
    else
      runs[count++] = {c, end, way};
  }
  plan->lane_decode = lane_decode;
  plan->lane_encode = lane_encode;
  plan->runs = runs;
  plan->run_count = count;
}

}  // namespace bince
