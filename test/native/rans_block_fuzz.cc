// libFuzzer: BINCE sections through bince_blocks_decode, both coders, several formats, every backend.  The
// first byte chooses the format, the second what the rest is: sections, whose first checksum is made to fit
// so that the coder itself is reached, or symbols, which are encoded and decoded, whole and with a byte
// changed.  Every backend must write the same bytes and decode the same, or refuse.
#include "test/native/coding_fixture.h"

using namespace coding_test;

namespace {

struct Setup {
  std::vector<std::unique_ptr<Format>> formats;
  std::vector<std::unique_ptr<bince_context, void (*)(bince_context*)>> contexts;
  std::vector<float> median, step, shift;
  Setup() {
    const Tables small = bell_tables({3, 9, 20, 32, 2});
    const Tables large = bell_tables({3, 300, 65536, 33, 2});
    for (const Tables* tables : {&small, &large})
      for (const uint32_t lanes : {1u, 4u, 32u}) add(*tables, {}, 5, 37, lanes, BINCE_RANS);
    add(large, {}, 5, 37, 1, BINCE_RANGE);
    add(small, {0, 1, 2, 3, 3, 2, 1, 0, 0, 0, 1, 1, 2, 2, 3, 3, 0}, 17, 4, 8, BINCE_RANS);
    add(small, {2}, 1, 64, 16, BINCE_RANS);
    add(small, {1, 2, 1}, 3, 1, 2, BINCE_RANS);
    add(small, {1, 2, 1}, 3, 9, 1, BINCE_RANGE);
    median = {0.25f, -0.5f, 0};
    step = {0.125f, 3, 1};
    shift = {100, 0, -0.75f};
    add(small, {0, 1, 2}, 3, 70, 32, BINCE_RANS);
    formats.back()->set_values(&median, &step, &shift);
    for (const char* name : {"ref", "avx2", "avx512", "neon"}) {
      const bince_context_options options = {sizeof options, 1, name, 0};
      bince_context* context = nullptr;
      if (bince_context_create(&options, &context) == BINCE_OK)
        contexts.emplace_back(context, bince_context_destroy);
    }
  }
  void add(const Tables& tables, const std::vector<int32_t>& index, uint32_t channels, uint32_t block_rows,
           uint32_t lanes, int32_t coder) {
    formats.push_back(std::make_unique<Format>(tables, index, channels, block_rows, lanes, coder));
  }
};

// Decodes on every backend; true where all take the bytes.
bool decode_everywhere(const Setup& setup, const Format& format, const std::vector<uint8_t>& sections,
                       bince_dtype dtype, std::vector<int32_t>* decoded) {
  Tensor bytes(sections.data(), kUint8, static_cast<int64_t>(sections.size()));
  int64_t blocks = 0, rows = 0;
  if (bince_blocks_scan(format, bytes, 5, nullptr, &blocks, &rows) != BINCE_OK) return false;
  const size_t values = static_cast<size_t>(rows) * format.format.channels;
  bince_status first_status = BINCE_OK;
  for (const auto& context : setup.contexts) {
    std::vector<int32_t> out(values + 1, -7);
    const bince_status status = decode(context.get(), format, sections, out.data(), dtype, rows);
    if (out.back() != -7) std::abort();
    out.pop_back();
    if (&context == &setup.contexts.front()) {
      *decoded = out;
      first_status = status;
    }
    if (status != first_status || (status == BINCE_OK && *decoded != out)) std::abort();
  }
  return first_status == BINCE_OK;
}

void take_sections(const Setup& setup, const Format& format, std::vector<uint8_t> sections,
                   bince_dtype dtype) {
  Tensor bytes(sections.data(), kUint8, static_cast<int64_t>(sections.size()));
  int64_t blocks = 0, rows = 0;
  if (bince_blocks_scan(format, bytes, 5, nullptr, &blocks, &rows) != BINCE_OK) return;
  if (blocks == 1) refit_checksum(format, &sections, static_cast<uint32_t>(rows));
  std::vector<int32_t> decoded;
  decode_everywhere(setup, format, sections, dtype, &decoded);
}

// Each symbol from a byte: small ones as they are, the rest far out.
void take_symbols(const Setup& setup, const Format& format, const uint8_t* data, size_t size,
                  uint8_t change) {
  const int64_t rows = static_cast<int64_t>(size / format.format.channels);
  std::vector<int32_t> symbols;
  for (size_t i = 0; i < static_cast<size_t>(rows) * format.format.channels; ++i) {
    const int32_t s = static_cast<int8_t>(data[i]);
    symbols.push_back(s > 110 ? s << 20 : s > 16 || s < -16 ? s % 4 : s);
  }
  std::vector<uint8_t> sections;
  for (const auto& context : setup.contexts) {
    const std::vector<uint8_t> out = encode(context.get(), format, symbols.data(), kInt32, rows, nullptr);
    if (&context == &setup.contexts.front()) sections = out;
    if (out != sections) std::abort();
  }
  std::vector<int32_t> decoded;
  if (!decode_everywhere(setup, format, sections, kInt32, &decoded) || decoded != symbols) std::abort();
  if (sections.empty()) return;
  sections[change * sections.size() / 256] ^= static_cast<uint8_t>(1u << change % 8);
  take_sections(setup, format, sections, kFloat32);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Setup setup;
  if (size < 3) return 0;
  const Format& format = *setup.formats[data[0] % setup.formats.size()];
  if (data[1] < 128)
    take_sections(setup, format, std::vector<uint8_t>(data + 2, data + size),
                  data[1] % 2 ? kFloat32 : kInt32);
  else
    take_symbols(setup, format, data + 3, size - 3, data[2]);
  return 0;
}
