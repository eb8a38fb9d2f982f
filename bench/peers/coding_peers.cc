// Peers of the coder, asked for one timing at a time: a line "htscodecs encode|decode" or "scalar
// encode|decode" on standard input, a line "seconds bytes" on standard output.
//   coding_peers FILE CHANNELS      FILE holds rows of CHANNELS symbols, a byte each
// htscodecs: rANS 32x16 with one table for all channels.  scalar: one 32-bit state, a table a channel, a
// division a symbol on the way in, a search on the way out; what one writes down from the textbook.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#if defined(HAVE_HTSCODECS)
#include <htscodecs/rANS_static4x16.h>
#endif

namespace {

using Bytes = std::vector<uint8_t>;

struct Table {
  uint32_t start[257], frequency[256];
  int entries;
};

Table count(const Bytes& data, size_t channel, size_t channels) {
  Table t = {};
  std::vector<uint64_t> seen(256);
  uint64_t total = 0;
  for (size_t i = channel; i < data.size(); i += channels, ++total) ++seen[data[i]];
  for (t.entries = 256; t.entries > 1 && !seen[t.entries - 1];) --t.entries;
  uint32_t sum = 0, most = 0;
  for (int s = 0; s < t.entries; ++s) {
    t.frequency[s] = 1 + static_cast<uint32_t>(seen[s] * (65536 - t.entries) / total);
    sum += t.frequency[s];
    if (t.frequency[s] > t.frequency[most]) most = s;
  }
  t.frequency[most] += 65536 - sum;
  for (int s = 0; s < t.entries; ++s) t.start[s + 1] = t.start[s] + t.frequency[s];
  return t;
}

struct Scalar {
  std::vector<Table> tables;
  std::vector<uint16_t> words;
  uint32_t state = 0;
  size_t first = 0;

  void encode(const Bytes& data) {
    words.resize(data.size());
    size_t at = words.size();
    uint32_t x = 1 << 16;
    for (size_t i = data.size(), c = tables.size(); i-- > 0;) {
      c = c == 0 ? tables.size() - 1 : c - 1;
      const uint32_t f = tables[c].frequency[data[i]];
      if (x >= static_cast<uint64_t>(f) << 16) {
        words[--at] = static_cast<uint16_t>(x);
        x >>= 16;
      }
      x = ((x / f) << 16) + x % f + tables[c].start[data[i]];
    }
    state = x;
    first = at;
  }
  void decode(Bytes* data) const {
    uint32_t x = state;
    size_t at = first, c = 0;
    for (uint8_t& symbol : *data) {
      const Table& t = tables[c];
      const uint32_t slot = x & 0xffff;
      int s = 0;
      while (t.start[s + 1] <= slot) ++s;
      x = t.frequency[s] * (x >> 16) + slot - t.start[s];
      if (x < 1 << 16) x = x << 16 | words[at++];
      symbol = static_cast<uint8_t>(s);
      if (++c == tables.size()) c = 0;
    }
  }
};

#if defined(HAVE_HTSCODECS)
void htscodecs(bool encode, const Bytes& data, Bytes* coded, unsigned* coded_size, Bytes* back) {
  unsigned size = static_cast<unsigned>(data.size());
  if (encode) {
    *coded_size = static_cast<unsigned>(coded->size());
    rans_compress_to_4x16(const_cast<uint8_t*>(data.data()), size, coded->data(), coded_size, RANS_ORDER_X32);
  } else {
    rans_uncompress_to_4x16(coded->data(), *coded_size, back->data(), &size);
  }
}
#endif

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const Bytes data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t channels = std::stoul(argv[2]);
  Scalar scalar;
  for (size_t c = 0; c < channels; ++c) scalar.tables.push_back(count(data, c, channels));
  Bytes back(data.size()), coded;
  unsigned coded_size = 0;
#if defined(HAVE_HTSCODECS)
  coded.resize(rans_compress_bound_4x16(static_cast<unsigned>(data.size()), RANS_ORDER_X32));
  htscodecs(true, data, &coded, &coded_size, &back);
#endif
  scalar.encode(data);
  std::string peer, direction;
  while (std::cin >> peer >> direction) {
    const auto begin = std::chrono::steady_clock::now();
    size_t bytes = 0;
    if (peer == "scalar") {
      direction == "encode" ? scalar.encode(data) : scalar.decode(&back);
      bytes = 4 + 2 * (scalar.words.size() - scalar.first);
#if defined(HAVE_HTSCODECS)
    } else if (peer == "htscodecs") {
      htscodecs(direction == "encode", data, &coded, &coded_size, &back);
      bytes = coded_size;
#endif
    } else {
      std::cout << "absent 0" << std::endl;
      continue;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (direction == "decode" && back != data) return 1;
    std::cout << seconds.count() << " " << bytes << std::endl;
  }
}
