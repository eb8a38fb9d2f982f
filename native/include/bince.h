/* bince: fused InfoNCE, the factorised entropy model and range coding.  The stable C ABI, plain C11.
 *
 * Conventions, for every call below:
 * - The result is a bince_status; bince_last_error() tells the thread's last failure in words.
 * - Tensors are described by bince_tensor, which is layout-compatible with DLPack's DLTensor.  They stay the
 *   caller's.  Unless a call says otherwise they are dense and row-major (strides may be NULL).
 * - bince_launch carries the stream (NULL on the CPU), a workspace that the caller owns and whose size the
 * call's
 *   `_workspace` twin returns, and a cancel flag.  No call allocates, synchronises a stream, aborts or
 * throws.
 * - Outputs that are optional may be NULL: they are not computed.
 * - The same inputs give the same bits on the same backend, whatever the number of threads.
 */
#ifndef BINCE_H_
#define BINCE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BINCE_API __attribute__((visibility("default")))
#else
#define BINCE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct or a call below changes in a way that a compiled caller would notice. */
#define BINCE_ABI_VERSION 1

typedef enum bince_status {
  BINCE_OK = 0,
  BINCE_INVALID_ARGUMENT = 1, /* a shape, dtype, option or pointer that the call does not take */
  BINCE_INVALID_VALUE = 2,    /* a value in the data: NaN, infinity, a symbol or a label out of range */
  BINCE_CORRUPT_DATA = 3,     /* coded bytes that no encoder wrote, or that were damaged since */
  BINCE_BUFFER_TOO_SMALL = 4, /* an output buffer or the workspace; the message names the size needed */
  BINCE_UNSUPPORTED = 5,      /* the backend lacks the operation, or the machine lacks the backend */
  BINCE_CANCELLED = 6,        /* the cancel flag was seen; outputs are unspecified */
  BINCE_OUT_OF_MEMORY = 7,    /* only calls that create something */
  BINCE_INTERNAL = 8
} bince_status;

/* DLDevice: device_type 1 is the CPU, 2 is CUDA. */
typedef struct bince_device {
  int32_t device_type;
  int32_t device_id;
} bince_device;
enum { BINCE_CPU = 1, BINCE_CUDA = 2 };

/* DLDataType: code 0 int, 1 unsigned, 2 float, 4 bfloat. */
typedef struct bince_dtype {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} bince_dtype;
enum { BINCE_INT = 0, BINCE_UINT = 1, BINCE_FLOAT = 2, BINCE_BFLOAT = 4 };

/* DLTensor: strides in elements, NULL for dense row-major. */
typedef struct bince_tensor {
  void* data;
  bince_device device;
  int32_t ndim;
  bince_dtype dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
} bince_tensor;

typedef struct bince_context bince_context;

typedef struct bince_context_options {
  uint32_t struct_size; /* sizeof(bince_context_options), so that later fields can be told from absent ones */
  int32_t threads;      /* 0: BINCE_THREADS, else the number of processors this process may use */
  const char* backend;  /* NULL: BINCE_BACKEND, else the fastest that runs: "ref", "avx2", "avx512" */
} bince_context_options;

typedef struct bince_launch {
  void* stream;    /* the device's stream; NULL on the CPU */
  void* workspace; /* 64-byte aligned; may be NULL when the `_workspace` call says 0 */
  size_t workspace_bytes;
  const int32_t* cancel; /* NULL, or a flag that another thread sets to non-zero */
} bince_launch;

BINCE_API uint32_t bince_abi_version(void);
BINCE_API const char* bince_version(void);                    /* "0.1.0" */
BINCE_API const char* bince_status_name(bince_status status); /* "BINCE_INVALID_ARGUMENT" */
/* The calling thread's last failure; valid until its next failing call.  Never NULL. */
BINCE_API const char* bince_last_error(void);

/* Creates a context: a backend and its threads.  options may be NULL.  A context may be used from several
 * threads at once. */
BINCE_API bince_status bince_context_create(const bince_context_options* options, bince_context** context);
BINCE_API void bince_context_destroy(bince_context* context);
BINCE_API const char* bince_context_backend(const bince_context* context); /* "avx512" */
BINCE_API int32_t bince_context_threads(const bince_context* context);
BINCE_API bince_status bince_context_set_threads(bince_context* context, int32_t threads);
/* The backends of this build that this machine can run, best first, separated by commas: "avx512,avx2,ref".
 */
BINCE_API const char* bince_available_backends(void);
/* What the machine offers, for reports: "sse4.2 avx avx2 fma avx512f ...". */
BINCE_API const char* bince_cpu_features(void);

/* ---- contrastive ------------------------------------------------------------------------------------------
 */

/* ---- entropy ----------------------------------------------------------------------------------------------
 */

/* ---- coding -----------------------------------------------------------------------------------------------
 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BINCE_H_ */
