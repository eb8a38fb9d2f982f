// libFuzzer: the block decoder, both coders, every backend.  The first byte chooses the format; the payload's
// checksum is made to fit, so that the coder itself is reached.  Every backend must decode the same, or
// refuse.
#include "test/native/coding_fixture.h"

using namespace coding_test;

namespace {

struct Setup {
  std::vector<std::unique_ptr<Format>> formats;
  std::vector<std::unique_ptr<bince_context, void (*)(bince_context*)>> contexts;
  Setup() {
    const Tables small = bell_tables({3, 9, 20, 32, 2});
    const Tables large = bell_tables({3, 300, 65536, 33, 2});
    for (const Tables* tables : {&small, &large})
      for (const uint32_t lanes : {1u, 4u, 32u})
        formats.push_back(
            std::make_unique<Format>(*tables, std::vector<int32_t>{}, 5, 37, lanes, BINCE_RANS));
    formats.push_back(std::make_unique<Format>(large, std::vector<int32_t>{}, 5, 37, 1, BINCE_RANGE));
    for (const char* name : {"ref", "avx2", "avx512"}) {
      const bince_context_options options = {sizeof options, 1, name};
      bince_context* context = nullptr;
      if (bince_context_create(&options, &context) == BINCE_OK)
        contexts.emplace_back(context, bince_context_destroy);
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Setup setup;
  if (size < 2) return 0;
  const Format& format = *setup.formats[data[0] % setup.formats.size()];
  std::vector<uint8_t> section(data + 1, data + size);
  Tensor bytes(section.data(), kUint8, static_cast<int64_t>(section.size()));
  int64_t blocks = 0, rows = 0;
  if (bince_blocks_scan(format, bytes, 5, &blocks, &rows) != BINCE_OK) return 0;
  if (blocks == 1) refit_checksum(format, &section, static_cast<uint32_t>(rows));
  std::vector<int32_t> first;
  bince_status first_status = BINCE_OK;
  for (const auto& context : setup.contexts) {
    std::vector<int32_t> decoded(static_cast<size_t>(rows) * 5 + 1, -7);
    const bince_status status = decode(context.get(), format, section, decoded.data(), kInt32, rows);
    if (decoded.back() != -7) std::abort();
    if (&context == &setup.contexts.front()) {
      first = decoded;
      first_status = status;
    }
    if (status != first_status || (status == BINCE_OK && decoded != first)) std::abort();
  }
  return 0;
}
