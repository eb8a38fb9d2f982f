// The AVX-512 coder between streams and symbol tiles alone, without rows, sections and checksums: it reaches
// inside the backend's file.  Prints "encode decode" in symbols a second for each line on standard input.
#include <chrono>
#include <iostream>
#include <string>

#include "native/coding/block_avx512.cc"
#include "test/native/coding_fixture.h"

int main() {
  using namespace bince;
  constexpr uint32_t C = 512, groups = 64;
  std::vector<int> sizes;
  for (uint32_t c = 0; c < C; ++c) sizes.push_back(12 + static_cast<int>(c % 11));
  const coding_test::Tables tables = coding_test::bell_tables(sizes);
  std::unique_ptr<coding_test::Room> room;
  const bince_tables* prepared = tables.prepare(&room);
  std::vector<uint32_t> escape(C);
  std::vector<const SmallDecode*> decode(C);
  std::vector<const SmallEncode*> encode(C);
  for (uint32_t c = 0; c < C; ++c) {
    escape[c] = static_cast<uint32_t>(sizes[c]) - 1;
    decode[c] = tables_at<SmallDecode>(prepared, prepared->small_decode_at) + c;
    encode[c] = tables_at<SmallEncode>(prepared, prepared->small_encode_at) + c;
  }
  ChannelPlan plan = {};
  plan.channels = C;
  plan.lanes = kLanes;
  plan.escape = escape.data();
  plan.decode = decode.data();
  plan.encode = encode.data();
  const std::vector<int32_t> symbols = coding_test::draw(tables, {}, kLanes * groups * kBlocksAtOnce, 1, 0);
  const size_t tile_bytes = C * kLanes;
  coding_test::Room tiles(tile_bytes * groups * kBlocksAtOnce), decoded(tile_bytes * kBlocksAtOnce);
  uint8_t* tile = static_cast<uint8_t*>(tiles.data);
  for (size_t k = 0; k < groups * kBlocksAtOnce; ++k)
    for (size_t l = 0; l < kLanes; ++l)
      for (uint32_t c = 0; c < C; ++c)
        tile[k * tile_bytes + (c / 2) * 64 + 2 * l + (c & 1)] =
            static_cast<uint8_t>(symbols[(k * kLanes + l) * C + c] - tables.offset[c]);
  std::vector<uint8_t> words[kBlocksAtOnce];
  std::string line;
  while (std::getline(std::cin, line)) {
    Stream s[kBlocksAtOnce];
    EncodeJob jobs[kBlocksAtOnce] = {};
    for (int k = 0; k < kBlocksAtOnce; ++k) {
      words[k].resize(size_t{2} * C * kLanes * groups);
      s[k].high = _mm512_set1_epi16(1);
      s[k].low = _mm512_setzero_si512();
      s[k].words = words[k].data() + words[k].size();
    }
    const auto begin = std::chrono::steady_clock::now();
    for (uint32_t g = groups; g-- > 0;) {
      for (uint32_t k = 0; k < kBlocksAtOnce; ++k) s[k].tile = tile + (g * kBlocksAtOnce + k) * tile_bytes;
      encode_tiles<kBlocksAtOnce, true, false>(plan, s, jobs, ~0u);
    }
    const auto middle = std::chrono::steady_clock::now();
    for (int k = 0; k < kBlocksAtOnce; ++k) {
      s[k].end = words[k].data() + words[k].size();
      s[k].left = (s[k].end - s[k].words) / 2;
      s[k].tile = static_cast<uint8_t*>(decoded.data) + static_cast<size_t>(k) * tile_bytes;
    }
    for (uint32_t g = 0; g < groups; ++g) decode_tiles<kBlocksAtOnce, 5, true>(plan, s, ~0u);
    const auto end = std::chrono::steady_clock::now();
    for (int k = 0; k < kBlocksAtOnce; ++k)
      if (s[k].left != 0 ||
          std::memcmp(s[k].tile, tile + ((groups - 1) * kBlocksAtOnce + k) * tile_bytes, tile_bytes) != 0)
        return 1;
    const double count = static_cast<double>(symbols.size());
    std::cout << count / std::chrono::duration<double>(middle - begin).count() << " "
              << count / std::chrono::duration<double>(end - middle).count() << std::endl;
  }
}
