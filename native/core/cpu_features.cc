#include "native/core/cpu_features.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "bince.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace bince {
namespace {

#if defined(__x86_64__) || defined(__aarch64__)
void append(CpuFeatures& features, bool present, const char* name) {
  if (!present) return;
  const size_t used = std::strlen(features.names);
  std::snprintf(features.names + used, sizeof features.names - used, "%s%s", used ? " " : "", name);
}

#endif

#if defined(__x86_64__)
uint64_t read_xcr0() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

CpuFeatures detect() {
  CpuFeatures features;
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return features;
  const uint32_t leaf1_ecx = ecx;
  const bool osxsave = leaf1_ecx & bit_OSXSAVE;
  const uint64_t xcr0 = osxsave ? read_xcr0() : 0;
  const bool ymm_saved = (xcr0 & 0x6) == 0x6;    // SSE and AVX state
  const bool zmm_saved = (xcr0 & 0xe6) == 0xe6;  // and opmask, upper halves of ZMM0-15, ZMM16-31
  uint32_t leaf7_eax = 0, leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
  __get_cpuid_count(7, 0, &leaf7_eax, &leaf7_ebx, &leaf7_ecx, &leaf7_edx);
  uint32_t leaf71_eax = 0;
  if (leaf7_eax >= 1) __get_cpuid_count(7, 1, &leaf71_eax, &ebx, &ecx, &edx);

  const bool fma = leaf1_ecx & bit_FMA, f16c = leaf1_ecx & bit_F16C, popcnt = leaf1_ecx & bit_POPCNT;
  const bool avx2 = leaf7_ebx & (1u << 5), bmi2 = leaf7_ebx & (1u << 8);
  const bool avx512f = leaf7_ebx & (1u << 16), avx512dq = leaf7_ebx & (1u << 17);
  const bool avx512bw = leaf7_ebx & (1u << 30), avx512vl = leaf7_ebx & (1u << 31);
  const bool vbmi = leaf7_ecx & (1u << 1), vbmi2 = leaf7_ecx & (1u << 6);
  const bool vnni = leaf7_ecx & (1u << 11);
  const bool bf16 = leaf71_eax & (1u << 5);
  append(features, leaf1_ecx & bit_SSE4_2, "sse4.2");
  append(features, popcnt, "popcnt");
  append(features, leaf1_ecx & bit_AVX, "avx");
  append(features, fma, "fma");
  append(features, f16c, "f16c");
  append(features, avx2, "avx2");
  append(features, bmi2, "bmi2");
  append(features, avx512f, "avx512f");
  append(features, avx512bw, "avx512bw");
  append(features, avx512dq, "avx512dq");
  append(features, avx512vl, "avx512vl");
  append(features, vbmi, "avx512_vbmi");
  append(features, vbmi2, "avx512_vbmi2");
  append(features, vnni, "avx512_vnni");
  append(features, bf16, "avx512_bf16");
  if (!ymm_saved) append(features, true, "(AVX state not saved by the system)");

  features.avx2 = ymm_saved && avx2 && fma && f16c && bmi2 && popcnt;
  features.avx512 =
      features.avx2 && zmm_saved && avx512f && avx512dq && avx512bw && avx512vl && vbmi && vbmi2;
  features.avx512_vnni = features.avx512 && vnni;
  return features;
}
#elif defined(__aarch64__)
// The bits of AT_HWCAP and AT_HWCAP2 are Linux's, from asm/hwcap.h.
CpuFeatures detect() {
  CpuFeatures features;
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  features.neon = first & 1ul << 1;
  features.arm_crc32 = first & 1ul << 7;
  append(features, features.neon, "asimd");
  append(features, features.arm_crc32, "crc32");
  append(features, first & 1ul << 10, "asimdhp");
  append(features, first & 1ul << 20, "asimddp");
  append(features, first & 1ul << 22, "sve");
  append(features, second & 1ul << 1, "sve2");
  append(features, second & 1ul << 13, "i8mm");
  append(features, second & 1ul << 14, "bf16");
  return features;
}
#else
CpuFeatures detect() {
  return {};
}
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace bince

const char* bince_cpu_features(void) {
  return bince::cpu_features().names;
}
