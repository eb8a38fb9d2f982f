// libFuzzer: plain arrays under both coders and the streaming range decoder.  What decodes must encode to
// symbols that decode again to the same.
#include "test/native/coding_fixture.h"

using namespace coding_test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tables tables = bell_tables({3, 9, 300, 2});
  static std::unique_ptr<Room> room;
  static const bince_tables* const prepared = tables.prepare(&room);
  if (size < 2) return 0;
  const size_t count = data[0];
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size - 1]);
  std::memcpy(exact.get(), data + 1, size - 1);
  std::vector<int32_t> symbols;
  bince_range_decoder decoder;
  if (bince_range_decoder_init(&decoder, prepared, exact.get(), size - 1) != BINCE_OK) std::abort();
  bool whole = true;
  for (size_t i = 0; i < count && whole; ++i) {
    int32_t symbol = 0;
    whole = bince_range_decoder_get(&decoder, static_cast<uint32_t>(i % 4), &symbol) == BINCE_OK;
    symbols.push_back(symbol);
  }
  if (whole && bince_range_decoder_finish(&decoder) == BINCE_OK) {
    std::vector<uint8_t> buffer(16 * count + 64);
    bince_range_encoder encoder;
    size_t bytes = 0;
    if (bince_range_encoder_init(&encoder, prepared, buffer.data(), buffer.size()) != BINCE_OK) std::abort();
    for (size_t i = 0; i < count; ++i)
      if (bince_range_encoder_put(&encoder, static_cast<uint32_t>(i % 4), symbols[i]) != BINCE_OK)
        std::abort();
    if (bince_range_encoder_finish(&encoder, &bytes) != BINCE_OK) std::abort();
    if (bince_range_decoder_init(&decoder, prepared, buffer.data(), bytes) != BINCE_OK) std::abort();
    for (size_t i = 0; i < count; ++i) {
      int32_t symbol = 0;
      if (bince_range_decoder_get(&decoder, static_cast<uint32_t>(i % 4), &symbol) != BINCE_OK) std::abort();
      if (symbol != symbols[i]) std::abort();
    }
  }
  static bince_context* context = nullptr;
  if (!context && bince_context_create(nullptr, &context) != BINCE_OK) std::abort();
  size_t workspace = 0;
  if (bince_symbols_decode_workspace(context, prepared, &workspace) != BINCE_OK) std::abort();
  const Room work(workspace);
  const bince_launch launch = {nullptr, work.data, workspace, nullptr};
  std::vector<int32_t> out(count & ~size_t{3});
  Tensor coded(exact.get(), kUint8, static_cast<int64_t>(size - 1));
  Tensor result(out.data(), kInt32, static_cast<int64_t>(out.size()));
  for (const int32_t coder : {BINCE_RANS, BINCE_RANGE})
    bince_symbols_decode(context, prepared, coder, coder == BINCE_RANS ? 4 : 1, coded, nullptr, result,
                         &launch);
  return 0;
}
