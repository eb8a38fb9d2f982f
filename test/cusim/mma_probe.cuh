// Whether the instructions behind native/cuda/mma.cuh treat registers as its head says: tagged matrices go
// through them, and every element of every lane is looked at.  Runs in the simulator (cusim_mma_test.cc) and,
// built by nvcc (target mma_probe), on a device.
#ifndef BINCE_TEST_CUSIM_MMA_PROBE_CUH_
#define BINCE_TEST_CUSIM_MMA_PROBE_CUH_

#include <cstdio>
#include <cstring>
#include <vector>

#include "native/cuda/async_copy.cuh"
#include "native/cuda/bfloat16.cuh"
#include "native/cuda/mma.cuh"

namespace mma_probe {

constexpr int kLanes = 32, kRows = 16, kColumns = 8;
constexpr int kDepthBfloat16 = 16, kDepthTf32 = 8;

// --- kernels: registers in, registers out; one warp
// ------------------------------------------------------------

// a [count][32][4], b [count][32][2], c and d [count][32][4]: registers by product, lane and number.
template <bool kTf32>
__global__ void product_kernel(const uint32_t* a, const uint32_t* b, const float* c, float* d, int count) {
  const int lane = static_cast<int>(threadIdx.x);
  for (int n = 0; n < count; ++n) {
    const int at = n * kLanes + lane;
    uint32_t own_a[4], own_b[2];
    float own_c[4], own_d[4];
    for (int i = 0; i < 4; ++i) own_a[i] = a[4 * at + i];
    for (int i = 0; i < 2; ++i) own_b[i] = b[2 * at + i];
    for (int i = 0; i < 4; ++i) own_c[i] = c[4 * at + i];
    if constexpr (kTf32) {
      bince::mma_tf32(own_d, own_a, own_b, own_c);
    } else {
      bince::mma_bfloat16(own_d, own_a, own_b, own_c);
    }
    for (int i = 0; i < 4; ++i) d[4 * at + i] = own_d[i];
  }
}

// in [512] as shared memory: matrix m's row r begins at element 8 order[8 m + r].  r [2][32][4]: the
// registers without and with transposition.
__global__ void load_kernel(const uint16_t* in, const int* order, uint32_t* r) {
  BINCE_DYNAMIC_SHARED(uint16_t, shared);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 512; i += kLanes) shared[i] = in[i];
  __syncthreads();
  uint32_t own[4];
  bince::load_matrices(own, shared + 8 * order[lane]);
  for (int i = 0; i < 4; ++i) r[4 * lane + i] = own[i];
  bince::load_matrices_transposed(own, shared + 8 * order[lane]);
  for (int i = 0; i < 4; ++i) r[4 * (kLanes + lane) + i] = own[i];
}

// out [3][count]: to_tf32, float_to_bfloat16, and pack_bfloat16 of the number and its negative.
__global__ void round_kernel(const float* in, uint32_t* out, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kLanes) {
    out[i] = bince::to_tf32(in[i]);
    out[count + i] = bince::float_to_bfloat16(in[i]);
    out[2 * count + i] = bince::pack_bfloat16(in[i], -in[i]);
  }
}

// Copies four pieces of 16 bytes, the last two as invalid ones; out [64] bytes.
__global__ void copy_kernel(const uint8_t* in, uint8_t* out) {
  BINCE_DYNAMIC_SHARED(uint8_t, shared);
  const int lane = static_cast<int>(threadIdx.x);
  if (lane < 4) bince::copy_async_16(shared + 16 * lane, in + 16 * lane, lane < 2);
  bince::commit_copies();
  bince::wait_for_copies<0>();
  __syncthreads();
  for (int i = lane; i < 64; i += kLanes) out[i] = shared[i];
}

// --- the host's side
// -------------------------------------------------------------------------------------------

// An array on the device.
template <class T>
class Array {
 public:
  explicit Array(const std::vector<T>& values) : count_(values.size()) {
    ok_ = cudaMalloc(reinterpret_cast<void**>(&data_), count_ * sizeof(T)) == cudaSuccess &&
          cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, nullptr) ==
              cudaSuccess;
  }
  ~Array() { (void)cudaFree(data_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    const bool read = ok_ && cudaGetLastError() == cudaSuccess &&
                      cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost,
                                      nullptr) == cudaSuccess &&
                      cudaStreamSynchronize(nullptr) == cudaSuccess;
    if (!read) values.clear();
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
  bool ok_;
};

class Report {
 public:
  explicit Report(std::FILE* to) : to_(to) {}
  void expect(bool right, const char* what, int lane, int i, double found, double expected) {
    if (right) return;
    if (++mismatches_ <= 20)
      std::fprintf(to_, "%s: lane %d, register %d: %.9g, expected %.9g\n", what, lane, i, found, expected);
  }
  void fail(const char* what) {
    ++mismatches_;
    std::fprintf(to_, "%s: %s\n", what, cudaGetErrorString(cudaGetLastError()));
  }
  int mismatches() const { return mismatches_; }

 private:
  std::FILE* to_;
  int mismatches_ = 0;
};

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// The place of a register's element as tables in the PTX ISA's words: groupID = lane >> 2, threadID_in_group
// = lane % 4.  "Matrix Fragments for mma.m16n8k16 with floating point type", .bf16, and "for mma.m16n8k8",
// .tf32.
struct Place {
  int row, column;
};
inline Place place_of_a(bool tf32, int lane, int element) {  // element: a0..a7 or a0..a3
  const int group = lane >> 2, in_group = lane % 4;
  if (tf32) return {element == 0 || element == 2 ? group : group + 8, element < 2 ? in_group : in_group + 4};
  return {(element >= 0 && element < 2) || (element >= 4 && element < 6) ? group : group + 8,
          element < 4 ? in_group * 2 + (element & 1) : in_group * 2 + (element & 1) + 8};
}
inline Place place_of_b(bool tf32, int lane, int element) {  // element: b0..b3 or b0..b1
  const int group = lane >> 2, in_group = lane % 4;
  if (tf32) return {element == 0 ? in_group : in_group + 4, group};
  return {element < 2 ? in_group * 2 + (element & 1) : in_group * 2 + (element & 1) + 8, group};
}
inline Place place_of_c(int lane, int element) {
  return {element < 2 ? lane >> 2 : (lane >> 2) + 8, (lane % 4) * 2 + (element & 1)};
}

// Puts a small whole number, exact in both formats, into element `element` of a lane's registers.
inline void put(bool tf32, uint32_t* registers, int element, float value) {
  if (tf32) {
    registers[element] = bits_of(value);
  } else {
    registers[element / 2] |= (bits_of(value) >> 16) << (16 * (element % 2));
  }
}

// Products of whole numbers, all exact.  Product n has a single 1 in A, at lane n / elements and element n %
// elements, and tags k * 8 + column + 1 in B: D's row and its tags tell the element's row and column.  Then
// as many with a single 1 in B and tags in A, and one where C alone has tags.
template <bool kTf32>
void probe_products(Report& report) {
  constexpr int kDepth = kTf32 ? kDepthTf32 : kDepthBfloat16;
  constexpr int kInA = kRows * kDepth / kLanes, kInB = kDepth * kColumns / kLanes;
  constexpr int kCount = kLanes * (kInA + kInB) + 1;
  const char* const name = kTf32 ? "mma_tf32" : "mma_bfloat16";
  std::vector<uint32_t> a(kCount * kLanes * 4), b(kCount * kLanes * 2);
  std::vector<float> c(kCount * kLanes * 4), expected(c.size());
  for (int n = 0; n < kCount; ++n) {
    const bool one_in_a = n < kLanes * kInA, c_alone = n == kCount - 1;
    const int m = one_in_a ? n : n - kLanes * kInA, in_one = one_in_a ? kInA : kInB;
    const Place one = one_in_a ? place_of_a(kTf32, m / in_one, m % in_one)
                               : place_of_b(kTf32, m / in_one % kLanes, m % in_one);
    for (int lane = 0; lane < kLanes; ++lane) {
      uint32_t* const own_a = &a[static_cast<size_t>(n * kLanes + lane) * 4];
      uint32_t* const own_b = &b[static_cast<size_t>(n * kLanes + lane) * 2];
      for (int e = 0; e < kInA && !c_alone; ++e) {
        const Place p = place_of_a(kTf32, lane, e);
        if (!one_in_a) put(kTf32, own_a, e, static_cast<float>(p.row * kDepth + p.column + 1));
        if (one_in_a && lane == m / in_one && e == m % in_one) put(kTf32, own_a, e, 1);
      }
      for (int e = 0; e < kInB && !c_alone; ++e) {
        const Place p = place_of_b(kTf32, lane, e);
        if (one_in_a) put(kTf32, own_b, e, static_cast<float>(p.row * kColumns + p.column + 1));
        if (!one_in_a && lane == m / in_one && e == m % in_one) put(kTf32, own_b, e, 1);
      }
      for (int e = 0; e < 4; ++e) {
        const Place p = place_of_c(lane, e);
        const size_t at = static_cast<size_t>(n * kLanes + lane) * 4 + static_cast<size_t>(e);
        c[at] = c_alone ? static_cast<float>(p.row * kColumns + p.column + 1) : 1000.0f;
        expected[at] = c[at];
        if (!c_alone && one_in_a && p.row == one.row)
          expected[at] += static_cast<float>(one.column * kColumns + p.column + 1);
        if (!c_alone && !one_in_a && p.column == one.column)
          expected[at] += static_cast<float>(p.row * kDepth + one.row + 1);
      }
    }
  }
  const Array<uint32_t> device_a(a), device_b(b);
  const Array<float> device_c(c), device_d(std::vector<float>(c.size()));
  BINCE_LAUNCH(product_kernel<kTf32>, 1, kLanes, 0, nullptr, device_a.data(), device_b.data(),
               device_c.data(), device_d.data(), kCount);
  const std::vector<float> d = device_d.read();
  if (d.empty()) return report.fail(name);
  for (size_t i = 0; i < d.size(); ++i)
    report.expect(d[i] == expected[i], name, static_cast<int>(i / 4 % kLanes), static_cast<int>(i % 4), d[i],
                  expected[i]);
}

// Lower bits that to_tf32 would have rounded away: the instruction does not read them.
inline void probe_tf32_bits(Report& report) {
  std::vector<uint32_t> a(kLanes * 4, bits_of(1.0f) | 0x1fffu), b(kLanes * 2, bits_of(1.0f) | 0x1fffu);
  const Array<uint32_t> device_a(a), device_b(b);
  const Array<float> device_c(std::vector<float>(kLanes * 4, 0.0f));
  const Array<float> device_d(std::vector<float>(kLanes * 4, 0.0f));
  BINCE_LAUNCH(product_kernel<true>, 1, kLanes, 0, nullptr, device_a.data(), device_b.data(), device_c.data(),
               device_d.data(), 1);
  const std::vector<float> d = device_d.read();
  if (d.empty()) return report.fail("mma_tf32");
  for (int i = 0; i < kLanes * 4; ++i)
    report.expect(d[static_cast<size_t>(i)] == 8.0f, "mma_tf32, lower bits", i / 4, i % 4,
                  d[static_cast<size_t>(i)], 8.0);
}

inline void probe_loads(Report& report) {
  std::vector<uint16_t> in(512);
  for (int i = 0; i < 512; ++i) in[static_cast<size_t>(i)] = static_cast<uint16_t>(0x4000 + i);
  std::vector<int> order(kLanes);
  for (int i = 0; i < kLanes; ++i) order[static_cast<size_t>(i)] = (i * 37 + 5) % 64;  // scattered rows
  const Array<uint16_t> device_in(in);
  const Array<int> device_order(order);
  const Array<uint32_t> device_r(std::vector<uint32_t>(2 * kLanes * 4));
  BINCE_LAUNCH(load_kernel, 1, kLanes, 1024, nullptr, device_in.data(), device_order.data(), device_r.data());
  const std::vector<uint32_t> r = device_r.read();
  if (r.empty()) return report.fail("load_matrices");
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      // Element [row][column] of matrix i.
      const auto element = [&](int row, int column) {
        return static_cast<uint32_t>(
            in[static_cast<size_t>(8 * order[static_cast<size_t>(8 * i + row)] + column)]);
      };
      const int row = lane / 4, column = 2 * (lane % 4);
      const uint32_t plain = element(row, column) | element(row, column + 1) << 16;
      const uint32_t transposed = element(column, row) | element(column + 1, row) << 16;
      const uint32_t found = r[static_cast<size_t>(4 * lane + i)];
      const uint32_t found_transposed = r[static_cast<size_t>(4 * (kLanes + lane) + i)];
      report.expect(found == plain, "load_matrices", lane, i, found, plain);
      report.expect(found_transposed == transposed, "load_matrices_transposed", lane, i, found_transposed,
                    transposed);
    }
  }
}

inline uint32_t nearest_bfloat16(float value) {
  const uint32_t bits = bits_of(value);
  if (value != value) return bits >> 16 | 0x40u;
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

inline void probe_rounding(Report& report) {
  std::vector<float> in = {0.0f, 1.0f, 3.0e38f, 3.4028235e38f, 1e-40f, INFINITY, 65504.0f, 0.1f};
  for (uint32_t i = 0; i < 4096; ++i) {  // halves of both formats and their neighbours, in many binades
    const uint32_t around = i % 3 == 0 ? 0xfff : i % 3 == 1 ? 0x1000 : 0x1001;
    const uint32_t bits = (i * 0x1f351u & 0x7f7fe000u) | (i % 2 ? around : (i % 4 ? 0x8000u : 0x7fffu));
    float value;
    std::memcpy(&value, &bits, sizeof value);
    in.push_back(value);
    in.push_back(-value);
  }
  const int count = static_cast<int>(in.size());
  const Array<float> device_in(in);
  const Array<uint32_t> device_out(std::vector<uint32_t>(3 * in.size()));
  BINCE_LAUNCH(round_kernel, 1, kLanes, 0, nullptr, device_in.data(), device_out.data(), count);
  const std::vector<uint32_t> out = device_out.read();
  if (out.empty()) return report.fail("to_tf32");
  for (int i = 0; i < count; ++i) {
    const size_t at = static_cast<size_t>(i), all = static_cast<size_t>(count);
    const uint32_t bits = bits_of(in[at]);
    const uint32_t tf32 = bits << 1 == 0xff000000u ? bits : (bits + 0x1000u) & 0xffffe000u;
    const uint32_t bfloat16 = nearest_bfloat16(in[at]), negative = nearest_bfloat16(-in[at]);
    report.expect((out[at] & 0xffffe000u) == tf32, "to_tf32", i % kLanes, i, out[at], tf32);
    report.expect(out[all + at] == bfloat16, "float_to_bfloat16", i % kLanes, i, out[all + at], bfloat16);
    report.expect(out[2 * all + at] == (bfloat16 | negative << 16), "pack_bfloat16", i % kLanes, i,
                  out[2 * all + at], bfloat16 | negative << 16);
  }
}

inline void probe_copies(Report& report) {
  std::vector<uint8_t> in(64);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i + 1);
  const Array<uint8_t> device_in(in), device_out(std::vector<uint8_t>(64, 0xee));
  BINCE_LAUNCH(copy_kernel, 1, kLanes, 64, nullptr, device_in.data(), device_out.data());
  const std::vector<uint8_t> out = device_out.read();
  if (out.empty()) return report.fail("copy_async_16");
  for (int i = 0; i < 64; ++i) {
    const uint8_t expected = i < 32 ? in[static_cast<size_t>(i)] : 0, found = out[static_cast<size_t>(i)];
    report.expect(found == expected, "copy_async_16", i / 16, i, found, expected);
  }
}

// Prints what is not as mma.cuh says; the number of such elements.
inline int run(std::FILE* to) {
  Report report(to);
  probe_products<false>(report);
  probe_products<true>(report);
  probe_tf32_bits(report);
  probe_loads(report);
  probe_rounding(report);
  probe_copies(report);
  return report.mismatches();
}

}  // namespace mma_probe

#endif  // BINCE_TEST_CUSIM_MMA_PROBE_CUH_
