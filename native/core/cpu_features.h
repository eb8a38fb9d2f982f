// What the processor and the operating system together allow.
#ifndef BINCE_CORE_CPU_FEATURES_H_
#define BINCE_CORE_CPU_FEATURES_H_

namespace bince {

struct CpuFeatures {
  // AVX2, FMA, F16C and BMI2, with the operating system saving the 256-bit state.
  bool avx2 = false;
  // AVX-512 F, BW, DQ, VL, VBMI and VBMI2 (Ice Lake and Zen 4 on), with the 512-bit state saved.
  bool avx512 = false;
  // avx512 and the dot products of 16-bit integers.
  bool avx512_vnni = false;
  // Advanced SIMD, which every AArch64 processor has.
  bool neon = false;
  // The CRC-32 instructions of AArch64, among them CRC-32C's.
  bool arm_crc32 = false;
  // All flags seen, for reports.
  char names[256] = "";
};

const CpuFeatures& cpu_features();

}  // namespace bince

#endif  // BINCE_CORE_CPU_FEATURES_H_
