// libFuzzer: the decoder of CompressAI's strings.  A string that decodes must be the one that its symbols
// encode to.
#include "test/native/coding_fixture.h"

using namespace coding_test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Tables tables = bell_tables({3, 9, 300, 2});
  static std::unique_ptr<Room> room;
  static const bince_tables* const prepared = tables.prepare(&room);
  static bince_context* context = nullptr;
  if (!context && bince_context_create(nullptr, &context) != BINCE_OK) std::abort();
  if (size < 2) return 0;
  const int64_t length = data[0], count = static_cast<int64_t>(size) - 1;
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size - 1]);
  std::memcpy(exact.get(), data + 1, size - 1);
  std::vector<int32_t> index, symbols(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) index.push_back(static_cast<int32_t>(i % 4));
  size_t workspace = 0;
  if (bince_compressai_workspace(context, 1, length, &workspace) != BINCE_OK) std::abort();
  const Room work(workspace);
  const bince_launch launch = {nullptr, work.data, workspace, nullptr};
  int64_t bytes = count;
  Tensor strings(exact.get(), kUint8, count), sizes(&bytes, kInt64, 1);
  Tensor indexes(index.data(), kInt32, length), result(symbols.data(), kInt32, 1, length);
  if (bince_compressai_decode(context, prepared, strings, sizes, indexes, result, &launch) != BINCE_OK)
    return 0;
  std::vector<uint8_t> again(static_cast<size_t>(6 * length + 16));
  Tensor out(again.data(), kUint8, static_cast<int64_t>(again.size()));
  uint64_t total = 0;
  if (bince_compressai_encode(context, prepared, result, indexes, out, sizes, &total, &launch) != BINCE_OK)
    std::abort();
  if (total != size - 1 || std::memcmp(again.data(), exact.get(), total) != 0) std::abort();
  return 0;
}
