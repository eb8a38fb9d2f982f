// How shared arithmetic is declared: one header serves the reference, the SIMD files and nvcc.
//
// SIMD files are compiled with instructions that the machine may lack, so nothing in them may be a weak
// symbol: the linker could keep their copy of a common template and run it everywhere.  Shared functions are
// therefore `static inline`, SIMD code lives in unnamed namespaces, and SIMD files include no standard
// containers. A test reads the object files' symbols and fails on a weak one.
#ifndef BINCE_CORE_INLINE_H_
#define BINCE_CORE_INLINE_H_

#if defined(__CUDACC__)
#define BINCE_INLINE static __host__ __device__ __forceinline__
#else
#define BINCE_INLINE static inline __attribute__((always_inline, unused))
#endif

// The same for member functions, which are not `static`; their classes lie in unnamed namespaces or are
// templates of such.
#define BINCE_INLINE_MEMBER inline __attribute__((always_inline))

#endif  // BINCE_CORE_INLINE_H_
