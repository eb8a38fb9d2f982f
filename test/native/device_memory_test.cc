// Memory of contexts: allocation and its end, copies, the cache of blocks, staged copies, and the guard zones
// that the tests of kernels rely on.
#include "native/core/device_cache.h"
#include "native/core/staging.h"
#include "test/native/device_case.h"

#include <thread>

using bince_test::Context;
using bince_test::DeviceArray;

namespace {

#if defined(BINCE_TEST_CUSIM)
// Before anything opens the library: a device of 64 MiB, unless another library is named.
const bool simulated = [] {
  setenv("CUSIM_MEMORY", "67108864", 0);
  setenv("BINCE_CUDA_LIBRARY", BINCE_TEST_CUSIM, 0);
  return std::strcmp(std::getenv("BINCE_CUDA_LIBRARY"), BINCE_TEST_CUSIM) == 0;
}();
#endif

bool has_cuda() {
  int32_t count = 0;
  return bince_cuda_device_count(&count) == BINCE_OK;
}

#define NEED_CUDA \
  if (!has_cuda()) SKIP("needs a CUDA device, or the simulator")

uint64_t free_bytes(uint64_t* total = nullptr) {
  bince_cuda_info info = {};
  info.struct_size = sizeof info;
  CHECK_OK(bince_cuda_device_info(0, &info));
  if (total) *total = info.total_bytes;
  return info.free_bytes;
}

// A device is shared and its driver keeps some for itself; the simulator is exact.
void check_free(uint64_t expected) {
  const uint64_t now = free_bytes();
#if defined(BINCE_TEST_CUSIM)
  if (simulated) CHECK_EQ(now, expected);
#endif
  CHECK(now + (uint64_t{256} << 20) > expected);
}

std::vector<uint8_t> pattern(size_t count, unsigned seed) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>((i * 2654435761u + seed) >> 13);
  return bytes;
}

}  // namespace

TEST(out_of_memory_names_the_sizes_and_leaves_things_as_they_were) {
  NEED_CUDA;
  const Context context("cuda");
  uint64_t total = 0;
  const uint64_t before = free_bytes(&total);
  void* memory = &total;
  CHECK_EQ(bince_device_allocate(context, total + 1, &memory), BINCE_OUT_OF_MEMORY);
  CHECK(memory == nullptr);
  char expected[120];
  std::snprintf(expected, sizeof expected, "CUDA device 0 is out of memory: %llu bytes were asked for",
                static_cast<unsigned long long>(total + 1));
  CHECK(std::strstr(bince_last_error(), expected) != nullptr);
  CHECK(std::strstr(bince_last_error(), (std::to_string(total) + " are free").c_str()) != nullptr);
  check_free(before);
  CHECK_OK(bince_device_allocate(context, 1 << 20, &memory));  // the next smaller one works
  CHECK_OK(bince_device_free(context, memory));
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2}) {
    CHECK_EQ(bince_device_allocate(context, bytes, &memory), BINCE_OUT_OF_MEMORY);
    CHECK_EQ(bince_pinned_allocate(context, bytes, &memory), BINCE_OUT_OF_MEMORY);
    const Context cpu("ref");
    CHECK_EQ(bince_device_allocate(cpu, bytes, &memory), BINCE_OUT_OF_MEMORY);
  }
}

TEST(memory_goes_to_the_device_and_back) {
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str());
    void* stream = bince_context_stream(context);
    for (const size_t size : {0, 1, 63, 64, 4096, 100003}) {
      const std::vector<uint8_t> sent = pattern(size, 1);
      std::vector<uint8_t> received(size);
      void *a = nullptr, *b = nullptr, *pinned = nullptr;
      CHECK_OK(bince_device_allocate(context, size, &a));
      CHECK_OK(bince_device_allocate(context, size, &b));
      CHECK_OK(bince_pinned_allocate(context, size, &pinned));
      CHECK(a && b && pinned && a != b);
      CHECK_EQ(reinterpret_cast<uintptr_t>(a) % (name == "cuda" ? 256 : 64), 0u);
      if (size > 0) std::memcpy(pinned, sent.data(), size);
      CHECK_OK(bince_copy_to_device(context, a, pinned, size, stream));
      CHECK_OK(bince_copy_on_device(context, b, a, size, stream));
      CHECK_OK(bince_copy_to_host(context, received.data(), b, size, stream));
      CHECK_OK(bince_stream_synchronize(context, stream));
      CHECK(sent == received);
      CHECK_OK(bince_device_free(context, a));
      CHECK_OK(bince_device_free(context, b));
      CHECK_OK(bince_pinned_free(context, pinned));
    }
    CHECK_OK(bince_device_free(context, nullptr));
    CHECK_OK(bince_pinned_free(context, nullptr));
    CHECK_EQ(bince_device_allocate(context, 1, nullptr), BINCE_INVALID_ARGUMENT);
    char byte = 0;
    CHECK_EQ(bince_copy_to_device(context, nullptr, &byte, 1, stream), BINCE_INVALID_ARGUMENT);
    CHECK_EQ(bince_copy_to_host(context, &byte, nullptr, 1, stream), BINCE_INVALID_ARGUMENT);
  }
}

TEST(host_memory_is_no_device_memory) {
  NEED_CUDA;
  const Context context("cuda");
  DeviceArray<uint8_t> array(context, size_t{64});
  std::vector<uint8_t> host(64);
  CHECK_EQ(bince_copy_to_device(context, host.data(), host.data(), 64, nullptr), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "to: expected memory of CUDA device 0") != nullptr);
  CHECK_EQ(bince_copy_to_host(context, host.data(), host.data(), 64, nullptr), BINCE_INVALID_ARGUMENT);
  CHECK(std::strstr(bince_last_error(), "from: expected memory of CUDA device 0") != nullptr);
  CHECK_EQ(bince_copy_on_device(context, array.data(), host.data(), 64, nullptr), BINCE_INVALID_ARGUMENT);
}

TEST(the_cache_hands_blocks_out_again) {
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str());
    bince::DeviceCache cache(context);
    void* first = cache.take(100000);
    void* second = cache.take(100000);
    CHECK(first && second && first != second);
    CHECK_EQ(cache.counts().blocks, 2);
    CHECK(cache.counts().bytes >= 200000 && cache.counts().bytes < 230000);
    cache.give(first, 100000);
    CHECK_EQ(cache.counts().blocks, 1);
    CHECK(cache.counts().cached >= 100000);
    CHECK(cache.take(99000) == first);  // of the same class of sizes
    CHECK_EQ(cache.counts().cached, 0);
    CHECK(cache.counts().peak == cache.counts().bytes);
    cache.give(first, 99000);
    cache.give(second, 100000);
    cache.give(nullptr, 5);
    cache.trim();
    CHECK_EQ(cache.counts().blocks, 0);
    CHECK_EQ(cache.counts().bytes, 0);
    CHECK_EQ(cache.counts().cached, 0);
    CHECK(cache.counts().peak > 0);
    cache.reset_peak();
    CHECK_EQ(cache.counts().peak, 0);
    void* nothing = cache.take(0);
    CHECK(nothing != nullptr);
    cache.give(nothing, 0);
  }
}

TEST(the_cache_gives_back_before_it_gives_up) {
  NEED_CUDA;
  const Context context("cuda");
  uint64_t total = 0;
  const uint64_t before = free_bytes(&total);
  const size_t third = static_cast<size_t>(before / 3);
  bince::DeviceCache cache(context);
  void* a = cache.take(third);
  void* b = cache.take(third);
  CHECK(a && b);
  cache.give(a, third);
  cache.give(b, third);
  void* large = cache.take(third * 2);  // only when what is kept was freed
  CHECK(large != nullptr);
  CHECK(cache.take(third * 2) == nullptr);
  CHECK(std::strstr(bince_last_error(), "is out of memory") != nullptr);
  CHECK(std::strstr(bince_last_error(), "bytes are in use by 1 others of this context") != nullptr);
  void* small = cache.take(1000);
  CHECK(small != nullptr);
  cache.give(small, 1000);
  cache.give(large, third * 2);
  CHECK(cache.take(SIZE_MAX) == nullptr);
  cache.trim();
  check_free(before);
}

TEST(the_cache_serves_several_threads) {
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str());
    bince::DeviceCache cache(context);
    std::vector<int> wrong(6);
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t)
      threads.emplace_back([&, t] {
        for (int round = 0; round < 100; ++round) {
          const size_t bytes = static_cast<size_t>(1000 + 777 * ((round + t) % 5));
          void* block = cache.take(bytes);
          const std::vector<uint8_t> sent(bytes, static_cast<uint8_t>(t));
          std::vector<uint8_t> received(bytes);
          void* stream = bince_context_stream(context);
          wrong[t] += !block;
          wrong[t] += bince_copy_to_device(context, block, sent.data(), bytes, stream) != BINCE_OK;
          wrong[t] += bince_copy_to_host(context, received.data(), block, bytes, stream) != BINCE_OK;
          wrong[t] += bince_stream_synchronize(context, stream) != BINCE_OK;
          wrong[t] += sent != received;
          cache.give(block, bytes);
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const int count : wrong) CHECK_EQ(count, 0);
    CHECK_EQ(cache.counts().blocks, 0);
  }
}

TEST(staged_copies_arrive_whole) {
  constexpr size_t kPiece = 1000;
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str(), 2);
    bince::Staging staging(context, kPiece);
    for (const size_t size : {size_t{0}, size_t{1}, kPiece - 1, kPiece, kPiece + 1, 2 * kPiece,
                              7 * kPiece + 13, size_t{700001}}) {
      const std::vector<uint8_t> sent = pattern(size, 3);
      std::vector<uint8_t> source = sent;
      DeviceArray<uint8_t> array(context, size);
      CHECK_OK(staging.copy_to_device(array.data(), source.data(), size));
      std::fill(source.begin(), source.end(), uint8_t{0});  // the copy is done with it
      CHECK(array.read() == sent);
      CHECK_OK(staging.copy_to_host(source.data(), array.data(), size));
      CHECK(source == sent);
    }
    bince::Staging wide(context);  // pieces that several threads fill
    const size_t size = 2 * bince::Staging::kPieceBytes + 99991;
    const std::vector<uint8_t> sent = pattern(size, 4);
    std::vector<uint8_t> received(size);
    DeviceArray<uint8_t> array(context, size);
    CHECK_OK(wide.copy_to_device(array.data(), sent.data(), size));
    CHECK_OK(wide.copy_to_host(received.data(), array.data(), size));
    CHECK(received == sent);
  }
}

TEST(staged_copies_refuse_what_copies_refuse) {
  NEED_CUDA;
  const Context context("cuda");
  bince::Staging staging(context, 100);
  DeviceArray<uint8_t> array(context, size_t{1000});
  std::vector<uint8_t> host(1000);
  CHECK_EQ(staging.copy_to_device(host.data(), host.data(), 1000), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(staging.copy_to_device(array.data(), nullptr, 1000), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(staging.copy_to_device(nullptr, host.data(), 1000), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(staging.copy_to_host(host.data(), host.data(), 1000), BINCE_INVALID_ARGUMENT);
  CHECK_EQ(staging.copy_to_host(nullptr, array.data(), 1000), BINCE_INVALID_ARGUMENT);
  CHECK_OK(staging.copy_to_device(array.data(), host.data(), 1000));
  CHECK(array.read() == host);
}

TEST(one_staging_serves_several_threads) {
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str(), 2);
    bince::Staging staging(context, 4096);
    std::vector<int> wrong(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        const std::vector<uint8_t> sent = pattern(30011, static_cast<unsigned>(t));
        std::vector<uint8_t> received(sent.size());
        void* memory = nullptr;
        wrong[t] += bince_device_allocate(context, sent.size(), &memory) != BINCE_OK;
        for (int round = 0; round < 10; ++round) {
          wrong[t] += staging.copy_to_device(memory, sent.data(), sent.size()) != BINCE_OK;
          wrong[t] += staging.copy_to_host(received.data(), memory, sent.size()) != BINCE_OK;
          wrong[t] += sent != received;
        }
        wrong[t] += bince_device_free(context, memory) != BINCE_OK;
      });
    for (std::thread& thread : threads) thread.join();
    for (const int count : wrong) CHECK_EQ(count, 0);
  }
}

TEST(guard_zones_find_writes_beside_an_array) {
  for (const std::string& name : bince_test::available_backends()) {
    const Context context(name.c_str());
    DeviceArray<int32_t> array(context, std::vector<int32_t>{1, 2, 3}, 1);
    CHECK_EQ(array.read()[2], 3);
    CHECK_EQ(reinterpret_cast<uintptr_t>(array.data()) % 64, sizeof(int32_t));
    for (const int beside : {-1, 3}) {
      const int32_t intruder = 0, guard = static_cast<int32_t>(0xa5a5a5a5u);
      void* at = array.data() + beside;
      CHECK_OK(bince_copy_to_device(context, at, &intruder, 4, bince_context_stream(context)));
      const int before = bince_test::failures;
      bince_test::failures = 1000;  // reported without a line
      (void)array.read();
      const bool found = bince_test::failures == 1001;
      bince_test::failures = before;
      CHECK(found);
      CHECK_OK(bince_copy_to_device(context, at, &guard, 4, bince_context_stream(context)));
    }
  }
}
