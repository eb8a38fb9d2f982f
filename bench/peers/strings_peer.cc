// A peer of CompressAI's strings, asked for one timing at a time: a line "encode" or "decode" on standard
// input, a line "seconds bytes" on standard output.
//   strings_peer FILE CHANNELS ROWS      FILE holds rows of CHANNELS symbols, a byte each
// Plain rANS with 64-bit states and 32-bit words, built as CompressAI's core is and as its users meet it: a
// row of ints and a row of table indexes in vectors, a vector of numbers a table, symbols first pushed to a
// list and coded from its end, a division a symbol, a linear search of the table on the way back, escapes as
// 4-bit numbers.  Without the Python lists around it.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using Ints = std::vector<int>;

// Table t: cdf[t] from 0 to 65536, the last entry the escape; offset[t] the symbol of entry 0.
struct Tables {
  std::vector<Ints> cdf;
  Ints offset;
};

struct Pushed {
  uint32_t start, frequency;
  bool bypass;
};

struct Encoder {
  std::vector<Pushed> pushed;

  void push_bypass(uint32_t nibble) { pushed.push_back({nibble, 1, true}); }

  void push(const Ints& symbols, const Ints& indexes, const Tables& tables) {
    for (size_t i = 0; i < symbols.size(); ++i) {
      const Ints& cdf = tables.cdf[static_cast<size_t>(indexes[i])];
      const int most = static_cast<int>(cdf.size()) - 2;
      int value = symbols[i] - tables.offset[static_cast<size_t>(indexes[i])];
      uint32_t raw = 0;
      if (value < 0) {
        raw = static_cast<uint32_t>(-2 * value - 1);
        value = most;
      } else if (value >= most) {
        raw = static_cast<uint32_t>(2 * (value - most));
        value = most;
      }
      const size_t at = static_cast<size_t>(value);
      pushed.push_back({static_cast<uint32_t>(cdf[at]), static_cast<uint32_t>(cdf[at + 1] - cdf[at]), false});
      if (value != most) continue;
      uint32_t nibbles = 0;
      while (raw >> (4 * nibbles)) ++nibbles;
      push_bypass(nibbles);
      for (uint32_t n = 0; n < nibbles; ++n) push_bypass(raw >> (4 * n) & 15);
    }
  }

  std::string flush() {
    std::vector<uint32_t> words(pushed.size() + 2);
    uint32_t* at = words.data() + words.size();
    uint64_t x = uint64_t{1} << 31;
    while (!pushed.empty()) {
      const Pushed symbol = pushed.back();
      pushed.pop_back();
      const uint64_t limit = symbol.bypass ? uint64_t{1} << 59 : uint64_t{symbol.frequency} << 47;
      if (x >= limit) {
        *--at = static_cast<uint32_t>(x);
        x >>= 32;
      }
      x = symbol.bypass ? x << 4 | symbol.start
                        : ((x / symbol.frequency) << 16) + x % symbol.frequency + symbol.start;
    }
    *--at = static_cast<uint32_t>(x >> 32);
    *--at = static_cast<uint32_t>(x);
    const char* begin = reinterpret_cast<const char*>(at);
    return std::string(begin, reinterpret_cast<const char*>(words.data() + words.size()));
  }
};

struct Decoder {
  uint64_t x;
  const char* at;

  uint32_t word() {
    uint32_t value;
    std::memcpy(&value, at, 4);
    at += 4;
    return value;
  }
  void renew() {
    if (x < uint64_t{1} << 31) x = x << 32 | word();
  }
  uint32_t bypass() {
    const uint32_t nibble = x & 15;
    x >>= 4;
    renew();
    return nibble;
  }

  Ints decode(const std::string& string, const Ints& indexes, const Tables& tables) {
    at = string.data();
    x = word();
    x |= uint64_t{word()} << 32;
    Ints symbols(indexes.size());
    for (size_t i = 0; i < indexes.size(); ++i) {
      const Ints& cdf = tables.cdf[static_cast<size_t>(indexes[i])];
      const int slot = static_cast<int>(x & 0xffff), most = static_cast<int>(cdf.size()) - 2;
      const auto above = std::find_if(cdf.begin(), cdf.end(), [slot](int bound) { return bound > slot; });
      const size_t entry = static_cast<size_t>(above - cdf.begin()) - 1;
      const uint64_t frequency = static_cast<uint64_t>(cdf[entry + 1] - cdf[entry]);
      x = frequency * (x >> 16) + static_cast<uint64_t>(slot - cdf[entry]);
      renew();
      int value = static_cast<int>(entry);
      if (value == most) {
        const uint32_t nibbles = bypass();
        uint32_t raw = 0;
        for (uint32_t n = 0; n < nibbles; ++n) raw |= bypass() << (4 * n);
        value = (raw & 1) ? -static_cast<int>(raw >> 1) - 1 : static_cast<int>(raw >> 1) + most;
      }
      symbols[i] = value + tables.offset[static_cast<size_t>(indexes[i])];
    }
    return symbols;
  }
};

// Counted from the data: entries from the least to the greatest symbol, and an escape of frequency 1.
void add_table(const std::vector<uint8_t>& data, size_t channel, size_t channels, Tables* tables) {
  uint64_t seen[256] = {}, total = 0;
  for (size_t i = channel; i < data.size(); i += channels, ++total) ++seen[data[i]];
  int least = 0, most = 255;
  while (least < 255 && !seen[least]) ++least;
  while (most > least && !seen[most]) --most;
  const int n = most - least + 1;
  Ints frequencies;
  int sum = 1;
  for (int s = least; s <= most; ++s) {
    frequencies.push_back(1 + static_cast<int>(seen[s] * static_cast<uint64_t>(65535 - n) / total));
    sum += frequencies.back();
  }
  *std::max_element(frequencies.begin(), frequencies.end()) += 65536 - sum;
  frequencies.push_back(1);
  Ints cdf = {0};
  for (const int f : frequencies) cdf.push_back(cdf.back() + f);
  tables->cdf.push_back(cdf);
  tables->offset.push_back(least);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<uint8_t> data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t channels = std::stoul(argv[2]), rows = std::stoul(argv[3]);
  if (channels == 0 || rows * channels > data.size() || data.empty()) return 2;
  data.resize(rows * channels);
  Tables tables;
  Ints indexes;
  for (size_t c = 0; c < channels; ++c) {
    add_table(data, c, channels, &tables);
    indexes.push_back(static_cast<int>(c));
  }
  std::vector<Ints> symbols(rows), back(rows);
  std::vector<std::string> strings(rows);
  for (size_t row = 0; row < rows; ++row)
    symbols[row].assign(&data[row * channels], &data[row * channels] + channels);
  const auto encode = [&](size_t row) {
    Encoder encoder;
    encoder.push(symbols[row], indexes, tables);
    strings[row] = encoder.flush();
  };
  for (size_t row = 0; row < rows; ++row) encode(row);
  std::string direction;
  while (std::cin >> direction) {
    const auto begin = std::chrono::steady_clock::now();
    for (size_t row = 0; row < rows; ++row) {
      if (direction == "encode")
        encode(row);
      else
        back[row] = Decoder().decode(strings[row], indexes, tables);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (direction == "decode" && back != symbols) return 1;
    size_t bytes = 0;
    for (const std::string& string : strings) bytes += string.size();
    std::cout << seconds.count() << " " << bytes << std::endl;
  }
}
