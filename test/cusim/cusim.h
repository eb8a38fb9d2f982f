// The CUDA language as kernels of this project use it, for a host compiler: see native/cuda/language.cuh for
// the rules, README.md for what is simulated and how.
#ifndef BINCE_TEST_CUSIM_CUSIM_H_
#define BINCE_TEST_CUSIM_CUSIM_H_

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "test/cusim/cusim_engine.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define threadIdx (*::cusim::thread_index)
#define blockIdx (::cusim::block_index)
#define blockDim (::cusim::block_size)
#define gridDim (::cusim::grid_size)
constexpr int warpSize = 32;

// --- launches and shared memory
// --------------------------------------------------------------------------------

namespace cusim {

template <class... Parameters, class... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, Arguments&&... arguments) {
  // As at a real launch the arguments are converted and copied once; each thread then has its own copy.
  using Call = std::pair<void (*)(Parameters...), std::tuple<std::decay_t<Parameters>...>>;
  const Call call = {kernel, {static_cast<Parameters>(std::forward<Arguments>(arguments))...}};
  launch(Launch{name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream,
                [](const void* call) {
                  const Call& bound = *static_cast<const Call*>(call);
                  std::apply(bound.first, bound.second);
                },
                &call});
}

}  // namespace cusim

#define BINCE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)       \
  ::cusim::launch_kernel(#kernel, kernel, (grid), (block), (shared_bytes), \
                         static_cast<cudaStream_t>(stream) __VA_OPT__(, ) __VA_ARGS__)
#define BINCE_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::cusim::shared_memory())

// --- barriers and warp operations
// ------------------------------------------------------------------------------

inline void __syncthreads(cusim::Place place = cusim::Place::here()) {
  cusim::barrier(cusim::Combine::kNone, 0, place);
}
inline int __syncthreads_count(int predicate, cusim::Place place = cusim::Place::here()) {
  return cusim::barrier(cusim::Combine::kCount, predicate, place);
}
inline int __syncthreads_and(int predicate, cusim::Place place = cusim::Place::here()) {
  return cusim::barrier(cusim::Combine::kAll, predicate, place);
}
inline int __syncthreads_or(int predicate, cusim::Place place = cusim::Place::here()) {
  return cusim::barrier(cusim::Combine::kAny, predicate, place);
}
inline void __threadfence() {
  cusim::memory_fence();
}
inline void __threadfence_block() {
  cusim::memory_fence();
}
unsigned __activemask() = delete;  // which lanes are active is an accident: name the lanes

namespace cusim {

extern const Meeting kSyncWarp, kShuffle, kShuffleXor, kShuffleDown, kShuffleUp, kBallot, kAll, kAny, kMatch;

template <class T>
T shuffle(const Meeting& meeting, unsigned mask, T value, int which, int width, Place place) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  bits = meet(meeting, mask, bits, static_cast<int64_t>(width) << 32 | static_cast<uint32_t>(which), place);
  memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace cusim

inline void __syncwarp(unsigned mask = 0xffffffffu, cusim::Place place = cusim::Place::here()) {
  cusim::meet(cusim::kSyncWarp, mask, 0, 0, place);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, cusim::Place place = cusim::Place::here()) {
  return cusim::shuffle(cusim::kShuffle, mask, value, source, width, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32,
                  cusim::Place place = cusim::Place::here()) {
  return cusim::shuffle(cusim::kShuffleXor, mask, value, with, width, place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32,
                   cusim::Place place = cusim::Place::here()) {
  return cusim::shuffle(cusim::kShuffleDown, mask, value, static_cast<int>(by), width, place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32,
                 cusim::Place place = cusim::Place::here()) {
  return cusim::shuffle(cusim::kShuffleUp, mask, value, static_cast<int>(by), width, place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, cusim::Place place = cusim::Place::here()) {
  return static_cast<unsigned>(cusim::meet(cusim::kBallot, mask, predicate != 0, 0, place));
}
inline int __any_sync(unsigned mask, int predicate, cusim::Place place = cusim::Place::here()) {
  return static_cast<int>(cusim::meet(cusim::kAny, mask, predicate != 0, 0, place));
}
inline int __all_sync(unsigned mask, int predicate, cusim::Place place = cusim::Place::here()) {
  return static_cast<int>(cusim::meet(cusim::kAll, mask, predicate != 0, 0, place));
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, cusim::Place place = cusim::Place::here()) {
  return static_cast<unsigned>(cusim::meet(cusim::kMatch, mask, static_cast<uint64_t>(value), 0, place));
}

// --- atomic operations, on integers alone
// ----------------------------------------------------------------------

namespace cusim {

template <class T, class Change>
T atomic_change(T* address, Change change) {
  static_assert(std::is_integral_v<T>, "no atomic operations on floats: results must not depend on an order");
  may_yield();
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (
      !__atomic_compare_exchange_n(address, &old, change(old), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <class T>
using Same = std::common_type_t<T>;  // is not deduced

}  // namespace cusim

template <class T>
T atomicAdd(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMin(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return value > old ? value : old; });
}
template <class T>
T atomicOr(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicAnd(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return static_cast<T>(old & value); });
}
template <class T>
T atomicExch(T* address, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, cusim::Same<T> expected, cusim::Same<T> value) {
  return cusim::atomic_change(address, [=](T old) { return old == expected ? value : old; });
}

// --- bits and integers
// -----------------------------------------------------------------------------------------

namespace cusim {

template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace cusim

inline float __uint_as_float(unsigned bits) {
  return cusim::same_bits<float>(bits);
}
inline unsigned __float_as_uint(float value) {
  return cusim::same_bits<unsigned>(value);
}
inline float __int_as_float(int bits) {
  return cusim::same_bits<float>(bits);
}
inline int __float_as_int(float value) {
  return cusim::same_bits<int>(value);
}
inline double __longlong_as_double(long long bits) {
  return cusim::same_bits<double>(bits);
}
inline long long __double_as_longlong(double value) {
  return cusim::same_bits<long long>(value);
}

inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
inline int __clz(int x) {
  return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}
inline int __clzll(long long x) {
  return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __ffsll(long long x) {
  return __builtin_ffsll(x);
}
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return static_cast<int>(static_cast<long long>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31u) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31u));
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned which = selector >> (4 * i) & 15u;
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (which & 7u))) & 0xffu;
    if (which & 8u) byte = byte & 0x80u ? 0xffu : 0u;
    result |= byte << (8 * i);
  }
  return result;
}

template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  static_assert(std::is_arithmetic_v<T>);
  if constexpr (std::is_floating_point_v<T>) return b != b || T(a) < T(b) ? T(a) : T(b);
  return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  static_assert(std::is_arithmetic_v<T>);
  if constexpr (std::is_floating_point_v<T>) return b != b || T(a) > T(b) ? T(a) : T(b);
  return T(a) < T(b) ? T(b) : T(a);
}

// --- floats
// ----------------------------------------------------------------------------------------------------

namespace cusim {

// As the fast functions are built on a device: the base-2 instruction and a product.
inline float fast_exp(float x) {
  return exp2f(x * 1.44269504f);
}
inline float fast_log(float x) {
  return log2f(x) * 0.693147181f;
}
inline float fast_divide(float a, float b) {
  const float size = fabsf(b);
  if (size > 0x1p126f && size < INFINITY) return a * 0.0f;
  return a / b;
}
template <class To>
To saturate(double value) {
  constexpr double kLow = std::is_same_v<To, int> ? -2147483648.0 : 0.0;
  constexpr double kHigh = std::is_same_v<To, int> ? 2147483647.0 : 4294967295.0;
  if (value != value) return 0;
  return value <= kLow    ? static_cast<To>(kLow)
         : value >= kHigh ? static_cast<To>(kHigh)
                          : static_cast<To>(value);
}

}  // namespace cusim

// Macros, because the C library declares functions of its own with these names.
#define __expf(x) ::cusim::fast_exp(x)
#define __exp10f(x) ::cusim::fast_exp((x)*2.30258509f)
#define __logf(x) ::cusim::fast_log(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) exp2f((y)*log2f(x))
#define __fdividef(a, b) ::cusim::fast_divide(a, b)

inline float rsqrtf(float x) {
  return static_cast<float>(1.0 / sqrt(static_cast<double>(x)));
}
inline float __frsqrt_rn(float x) {
  return rsqrtf(x);
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fsqrt_rn(float x) {
  return sqrtf(x);
}
inline float __fmaf_rn(float a, float b, float c) {
  return fmaf(a, b, c);
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __saturatef(float x) {
  return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}
inline int __float2int_rn(float x) {
  return cusim::saturate<int>(rint(static_cast<double>(x)));
}
inline int __float2int_rz(float x) {
  return cusim::saturate<int>(trunc(static_cast<double>(x)));
}
inline int __float2int_rd(float x) {
  return cusim::saturate<int>(floor(static_cast<double>(x)));
}
inline int __float2int_ru(float x) {
  return cusim::saturate<int>(ceil(static_cast<double>(x)));
}
inline unsigned __float2uint_rn(float x) {
  return cusim::saturate<unsigned>(rint(static_cast<double>(x)));
}
inline unsigned __float2uint_rz(float x) {
  return cusim::saturate<unsigned>(trunc(static_cast<double>(x)));
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
  return static_cast<float>(x);
}
inline float __ull2float_rn(unsigned long long x) {
  return static_cast<float>(x);
}
inline double __hiloint2double(int high, int low) {
  return cusim::same_bits<double>(static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32 |
                                  static_cast<uint32_t>(low));
}

// --- vectors and loads
// -----------------------------------------------------------------------------------------

#define CUSIM_VECTORS(T, name)                                      \
  struct alignas(2 * sizeof(T)) name##2 {                           \
    T x, y;                                                         \
  };                                                                \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { \
    T x, y, z, w;                                                   \
  };                                                                \
  inline name##2 make_##name##2(T x, T y) {                         \
    return {x, y};                                                  \
  }                                                                 \
  inline name##4 make_##name##4(T x, T y, T z, T w) {               \
    return {x, y, z, w};                                            \
  }
CUSIM_VECTORS(float, float)
CUSIM_VECTORS(double, double)
CUSIM_VECTORS(int, int)
CUSIM_VECTORS(unsigned, uint)
CUSIM_VECTORS(short, short)
CUSIM_VECTORS(unsigned short, ushort)
CUSIM_VECTORS(signed char, char)
CUSIM_VECTORS(unsigned char, uchar)
CUSIM_VECTORS(long long, longlong)
CUSIM_VECTORS(unsigned long long, ulonglong)
#undef CUSIM_VECTORS
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) {
  return {x, y, z};
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, cusim::Same<T> value) {
  *address = value;
}
template <class T>
void __stcg(T* address, cusim::Same<T> value) {
  *address = value;
}

#endif  // BINCE_TEST_CUSIM_CUSIM_H_
