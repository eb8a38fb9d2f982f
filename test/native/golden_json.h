// The golden files of test/golden, for native tests.
#ifndef BINCE_TEST_NATIVE_GOLDEN_JSON_H_
#define BINCE_TEST_NATIVE_GOLDEN_JSON_H_

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace bince_test {

// As much JSON as the file holds: objects, arrays, numbers, strings, booleans.
struct Json {
  std::map<std::string, Json> members;
  std::vector<Json> items;
  std::string text;
  double number = 0;
  const Json& operator[](const std::string& name) const {
    static const Json none;
    const auto found = members.find(name);
    return found == members.end() ? none : found->second;
  }
  bool has(const std::string& name) const { return members.count(name) > 0; }
};

struct Parser {
  std::string source;
  size_t at = 0;
  char next() {
    at = source.find_first_not_of(" \t\r\n,:", at);
    return at == std::string::npos ? '\0' : source[at];
  }
  std::string string() {
    const size_t end = source.find('"', at + 1);
    const std::string found = source.substr(at + 1, end - at - 1);
    at = end + 1;
    return found;
  }
  Json value() {
    Json json;
    const char c = next();
    if (c == '{') {
      for (++at; next() != '}';) {
        const std::string name = string();
        json.members[name] = value();
      }
      ++at;
    } else if (c == '[') {
      for (++at; next() != ']';) json.items.push_back(value());
      ++at;
    } else if (c == '"') {
      json.text = string();
    } else if (c == 't' || c == 'f') {
      json.number = c == 't';
      at += c == 't' ? 4 : 5;
    } else {
      char* end = nullptr;
      json.number = std::strtod(source.c_str() + at, &end);
      at = static_cast<size_t>(end - source.c_str());
    }
    return json;
  }
};

template <typename T = float>
std::vector<T> values_of(const Json& array) {
  std::vector<T> values;
  for (const Json& item : array["data"].items) values.push_back(static_cast<T>(item.number));
  return values;
}

inline int64_t size_of(const Json& array, size_t axis) {
  return static_cast<int64_t>(array["shape"].items[axis].number);
}

// The file test/golden/<name>.json.
inline Json read_golden(const char* name) {
  std::ifstream file(std::string(BINCE_GOLDEN_DIR) + "/" + name + ".json");
  std::ostringstream text;
  text << file.rdbuf();
  Parser parser;
  parser.source = text.str();
  return parser.value();
}

}  // namespace bince_test

#endif  // BINCE_TEST_NATIVE_GOLDEN_JSON_H_
