// A vector coder between streams and symbol tiles alone, without rows, sections and checksums: it reaches
// inside a backend's file, that of AVX2 with -DTILES_AVX2.
//   coding_tiles LOW HIGH
// codes 512 channels with Gaussian tables of their own, deviations from LOW to HIGH, 4.5 deviations to each
// side, and an escape in 10^4 symbols.  Answers each line on standard input with "encode decode bits"
// (symbols a second, bits a symbol).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "bince.h"
#ifdef TILES_AVX2
#include "native/coding/block_avx2.cc"
#else
#include "native/coding/block_avx512.cc"
#endif
#include "native/core/tensor_check.h"

namespace {

using namespace bince;

constexpr uint32_t kChannels = 512, kGroups = 64;
constexpr size_t kTileBytes = size_t{kChannels} * kLanes;

struct Tables {
  std::vector<int32_t> cdf, start = {0}, offset;
  uint8_t* buffer = nullptr;
  const bince_tables* prepared = nullptr;

  Tables(double low, double high) {
    for (uint32_t c = 0; c < kChannels; ++c) add(low + (high - low) * (c * 37 % 101) / 101);
    int64_t sizes[3];
    const bince_tensor tensors[] = {tensor(cdf, sizes), tensor(start, sizes + 1), tensor(offset, sizes + 2)};
    size_t bytes = 0;
    bince_tables_bytes(tensors, tensors + 1, &bytes);
    buffer = static_cast<uint8_t*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    bince_tables_prepare(tensors, tensors + 1, tensors + 2, buffer, bytes, &prepared);
  }
  ~Tables() { std::free(buffer); }
  Tables(const Tables&) = delete;

 private:
  static bince_tensor tensor(std::vector<int32_t>& values, int64_t* size) {
    *size = static_cast<int64_t>(values.size());
    return {values.data(), {BINCE_CPU, 0}, 1, kInt32, size, nullptr, 0};
  }
  void add(double deviation) {
    const int half = static_cast<int>(std::ceil(4.5 * deviation));
    const auto weight = [=](int i) { return std::exp(-0.5 * i * i / deviation / deviation); };
    double total = 0;
    for (int i = -half; i <= half; ++i) total += weight(i);
    std::vector<int32_t> frequencies;
    int32_t rest = 65536 - 7;
    for (int i = -half; i <= half; ++i) {
      frequencies.push_back(std::max(1, static_cast<int32_t>(weight(i) / total * 65000)));
      rest -= frequencies.back();
    }
    frequencies[static_cast<size_t>(half)] += rest;
    frequencies.push_back(7);  // escapes
    int32_t sum = 0;
    cdf.push_back(0);
    for (const int32_t f : frequencies) cdf.push_back(sum += f);
    start.push_back(static_cast<int32_t>(cdf.size()));
    offset.push_back(-half);
  }
};

// The arrays that a plan points to.
struct Plan {
  ChannelPlan plan = {};
  std::vector<uint32_t> table, escape;
  std::vector<const PairDecode*> pairs;
  std::vector<const ByteEncode*> bytes;
  std::vector<const SmallEncode*> encode;
  std::vector<const void*> lane_decode;
  std::vector<const LaneEncode*> lane_encode;
  LaneRun run = {0, kChannels, LaneWay::kLarge};

  explicit Plan(const bince_tables* t) {
    int steps = 0;
    for (uint32_t c = 0; c < kChannels; ++c) {
      const TableHead& head = tables_at<TableHead>(t, t->heads_at)[c];
      table.push_back(c);
      escape.push_back(head.entries - 1);
      const int small = head.small < 0 ? 0 : head.small, medium = head.medium < 0 ? 0 : head.medium;
      pairs.push_back(tables_at<PairDecode>(t, t->pair_decode_at) + small);
      bytes.push_back(tables_at<ByteEncode>(t, t->byte_encode_at) + small);
      encode.push_back(tables_at<SmallEncode>(t, t->small_encode_at) + small);
      lane_encode.push_back(tables_at<LaneEncode>(t, t->lane_encode_at) + medium);
      const auto* lane32 = tables_at<LaneDecode<kSmallEntries>>(t, t->lane32_at) + small;
      const auto* lane64 = tables_at<LaneDecode<kMediumEntries>>(t, t->lane64_at) + medium;
      const bool all_small = t->largest <= kSmallEntries;
      lane_decode.push_back(all_small ? static_cast<const void*>(lane32) : lane64);
      if (t->largest <= kMediumEntries)
        steps = std::max<int>(steps, all_small ? lane32->steps : lane64->steps);
    }
    if (t->largest <= kSmallEntries)
      run.way = steps <= 3 ? LaneWay::kSmall3 : LaneWay::kSmall5;
    else if (t->largest <= kMediumEntries)
      run.way = steps <= 4 ? LaneWay::kMedium4 : LaneWay::kMedium6;
    plan.channels = kChannels;
    plan.lanes = kLanes;
    plan.tables = t;
    plan.largest = t->largest;
    plan.table = table.data();
    plan.escape = escape.data();
    plan.pairs = pairs.data();
    plan.bytes = bytes.data();
    plan.encode = encode.data();
    plan.lane_decode = lane_decode.data();
    plan.lane_encode = lane_encode.data();
    plan.runs = &run;
    plan.run_count = 1;
  }
};

size_t place(size_t lane, uint32_t c) {
#ifdef TILES_AVX2
  return size_t{c} * kLanes + lane;
#else
  return size_t{c} / 2 * 64 + 2 * lane + (c & 1);
#endif
}

void start(Stream* s, std::vector<uint8_t>* words) {
  alignas(64) uint16_t one[kLanes], zero[kLanes] = {};
  for (uint16_t& lane : one) lane = 1;
  words->resize(2 * kTileBytes * kGroups + 64);
  s->high = load_lanes(one);
  s->low = load_lanes(zero);
  s->words = words->data() + words->size();
  s->ahead = nullptr;
}

}  // namespace

int main(int, char** arguments) {
  const Tables tables(std::atof(arguments[1]), std::atof(arguments[2]));
  const Plan all(tables.prepared);
  const ChannelPlan& plan = all.plan;
  constexpr uint32_t K = kBlocksAtOnce;
  auto* tiles = static_cast<uint8_t*>(std::aligned_alloc(64, kTileBytes * kGroups * K));
  auto* decoded = static_cast<uint8_t*>(std::aligned_alloc(64, kTileBytes * K));
  std::mt19937 random(1);
  double bits = 0;
  for (size_t tile = 0; tile < kGroups * K; ++tile)
    for (size_t lane = 0; lane < kLanes; ++lane)
      for (uint32_t c = 0; c < kChannels; ++c) {
        const TableView table = table_view(tables.prepared, c);
        const uint32_t entry = find_entry(table.decode, table.bucket, random() >> 16);
        tiles[tile * kTileBytes + place(lane, c)] = static_cast<uint8_t>(entry);
        bits += table.cost[entry] / static_cast<double>(1 << kCostBits);
      }
  const double count = static_cast<double>(kTileBytes) * kGroups * K;
  std::vector<uint8_t> words[K];
  std::string line;
  while (std::getline(std::cin, line)) {
    Stream s[K];
    EncodeJob jobs[K] = {};
    for (uint32_t k = 0; k < K; ++k) start(&s[k], &words[k]);
    const auto begin = std::chrono::steady_clock::now();
    for (uint32_t g = kGroups; g-- > 0;) {
      for (uint32_t k = 0; k < K; ++k) s[k].tile = tiles + (g * K + k) * kTileBytes;
      encode_tiles<K, true, false>(plan, s, jobs, ~0u);
    }
    const auto middle = std::chrono::steady_clock::now();
    for (uint32_t k = 0; k < K; ++k) {
      s[k].end = words[k].data() + words[k].size();
      s[k].left = (s[k].end - s[k].words) / 2;
      s[k].tile = decoded + k * kTileBytes;
    }
    for (uint32_t g = 0; g < kGroups; ++g) decode_tiles<K, 5, true>(plan, s, ~0u);
    const auto end = std::chrono::steady_clock::now();
    for (uint32_t k = 0; k < K; ++k)
      if (s[k].left != 0 ||
          std::memcmp(s[k].tile, tiles + ((kGroups - 1) * K + k) * kTileBytes, kTileBytes) != 0)
        return 1;
    std::cout << count / std::chrono::duration<double>(middle - begin).count() << " "
              << count / std::chrono::duration<double>(end - middle).count() << " " << bits / count
              << std::endl;
  }
  std::free(tiles);
  std::free(decoded);
}
