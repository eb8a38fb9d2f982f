// Tensor-core products of one warp (mma.sync) and the loads that feed them (ldmatrix).
//
// Fragments, lane l of the warp, g = l / 4, t = l % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k16" and
// "mma.m16n8k8"):
//   bfloat16, D[16][8] = A[16][16] B[16][8] + C
//     a[i] holds A[g + 8 (i % 2)][2 t + 8 (i / 2)] in its lower half, the next column in its upper half
//     b[i] holds B[2 t + 8 i][g] in its lower half, the next row in its upper half
//   tf32, D[16][8] = A[16][8] B[8][8] + C
//     a[i] holds A[g + 8 (i % 2)][t + 4 (i / 2)];  b[i] holds B[t + 4 i][g]
//   both: c[i] and d[i] hold C and D [g + 8 (i / 2)][2 t + i % 2]
// All 32 lanes take part.
#ifndef BINCE_CUDA_MMA_CUH_
#define BINCE_CUDA_MMA_CUH_

#include "native/cuda/language.cuh"

#if defined(BINCE_CUSIM)
// The same functions (macros that add the place of the call) on the simulated warp.
#include "test/cusim/cusim_mma.h"
#else

namespace bince {

__device__ __forceinline__ void mma_bfloat16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
        "f"(c[3]));
}

// The operands are the bits of floats that to_tf32 has rounded.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                         const float (&c)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]),
        "f"(c[3]));
}

// To 10 bits of mantissa, to nearest, ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float value) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}

// Four 8 x 8 matrices of 16-bit elements from shared memory.  Lane l gives the address of row l % 8 (16
// bytes, 16-byte aligned) of matrix l / 8.  r[i] of lane l holds matrix i's elements [l / 4][2 (l % 4)] and
// the next one; with _transposed, those of the transposed matrix.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* shared_row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* shared_row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

}  // namespace bince
#endif

#endif  // BINCE_CUDA_MMA_CUH_
