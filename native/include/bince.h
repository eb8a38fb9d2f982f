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
 *
 * Fused InfoNCE and its family, forward and backward, without ever storing the N x C score matrix.
 *
 * Columns are the M rows of k followed by the rows of the queue, if there is one: C = M + queue rows.
 *   d_ij   = <q_i, k_j>                        (both L2-normalised first with BINCE_CONTRASTIVE_COSINE)
 *   raw_ij = scale * d_ij + bias
 *   s_ij   = raw_ij, or clip * tanh(raw_ij / clip) when clip > 0
 * Each pair is a positive, a negative or excluded:
 *   positive   j == positive[i]; or row_group[i] == column_group[j] >= 0 where groups are given; else j == i
 *   excluded   i == j with BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL (also as a positive); negatives whose ids are
 *              equal and >= 0, or whose d_ij exceeds the threshold; with BINCE_CONTRASTIVE_OWN_KEY, keys
 *              other than the row's own
 * With P_i the positives of row i, n_i their number, t_ij = s_ij + negative_log_weight for a negative:
 *   ALL        l_i = mean_p (lse_i - s_ip),  lse_i over positives and negatives
 *                    (InfoNCE, CLIP, NT-Xent, SupCon's L_out, MoCo)
 *   NEGATIVES  the same with lse_i over the negatives alone (decoupled contrastive learning)
 *   EACH       l_i = mean_p (log(exp(s_ip) + exp(lse_i)) - s_ip),  lse_i over the negatives (AMDIM)
 *   SIGMOID    l_i = sum_p log(1 + exp(-s_ip)) + exp(negative_log_weight) sum_n log(1 + exp(s_in))  (SigLIP)
 *   loss = sum_i w_i l_i / sum of w_i over the rows that count, + regularizer * mean(raw^2)
 * A row counts when it has a positive (in SIGMOID always); one that does not contributes zero.  A row whose
 * denominator is empty contributes zero too.  The mean of raw^2 runs over the pairs that are scored: all but
 * an excluded diagonal and keys that are not a row's own.  SYMMETRIC adds the same loss over columns, in the
 * same pass, and halves the sum of both.  Sources: van den Oord et al. 2018; Radford et al. 2021; Chen et
 * al. 2020; Khosla et al. 2020; He et al. 2020; Yeh et al. 2022; Bachman et al. 2019; Zhai et al. 2023.
 */
enum { /* bince_contrastive.denominator */
       BINCE_DENOMINATOR_ALL = 0,
       BINCE_DENOMINATOR_NEGATIVES = 1,
       BINCE_DENOMINATOR_EACH = 2,
       BINCE_DENOMINATOR_SIGMOID = 3
};
enum {                                         /* bince_contrastive.flags */
       BINCE_CONTRASTIVE_SYMMETRIC = 1,        /* rows and columns; not with SIGMOID or OWN_KEY */
       BINCE_CONTRASTIVE_COSINE = 2,           /* a row of zeros stays zero and gets no gradient */
       BINCE_CONTRASTIVE_EXCLUDE_DIAGONAL = 4, /* pair (i, i) is neither positive nor negative */
       BINCE_CONTRASTIVE_OWN_KEY = 8,          /* MoCo: a row sees its own key and the queue */
       BINCE_CONTRASTIVE_SUM = 16,             /* loss = sum_i w_i l_i, not their mean */
       BINCE_CONTRASTIVE_UNCHECKED = 32        /* skip the search for NaN and infinity in q, k and queue */
};
enum { /* the call that a workspace is for */
       BINCE_CONTRASTIVE_FORWARD = 1,
       BINCE_CONTRASTIVE_BACKWARD = 2,
       BINCE_CONTRASTIVE_FORWARD_BACKWARD = 3
};

/* One contrastive problem.  Fill it with bince_contrastive_init, then set what differs. */
typedef struct bince_contrastive {
  uint32_t struct_size;
  uint32_t denominator;              /* BINCE_DENOMINATOR_ALL */
  uint32_t flags;                    /* 0 */
  float scale;                       /* 1; the logit scale, 1 / temperature */
  float bias;                        /* 0 */
  float clip;                        /* 0: none */
  float regularizer;                 /* 0; not scaled by weights or the reduction */
  float negative_log_weight;         /* 0 */
  float threshold;                   /* infinity; in units of d_ij, before the scale */
  float grad_loss;                   /* 1; every gradient is multiplied by it */
  const bince_tensor* q;             /* [N, D] float32 or bfloat16; N, D >= 1 */
  const bince_tensor* k;             /* [M, D], the dtype of q; M >= 1 */
  const bince_tensor* queue;         /* [Q, D], the dtype of q, or NULL; gets no gradient */
  const bince_tensor* positive;      /* int32 [N], a key's column or -1; NULL: the diagonal, or groups */
  const bince_tensor* row_group;     /* int32 [N], negative: none; with column_group, not with positive */
  const bince_tensor* column_group;  /* int32 [C] */
  const bince_tensor* row_id;        /* int32 [N], negative: none; with column_id */
  const bince_tensor* column_id;     /* int32 [C] */
  const bince_tensor* row_weight;    /* float32 [N] >= 0; NULL: ones */
  const bince_tensor* column_weight; /* float32 [C] >= 0; only with SYMMETRIC */
} bince_contrastive;

/* Where results go; a NULL tensor is not computed.  All float32. */
typedef struct bince_contrastive_results {
  uint32_t struct_size;
  const bince_tensor* loss;        /* [1], the regulariser included */
  const bince_tensor* regularizer; /* [1], that part alone */
  const bince_tensor* row_loss;    /* [N] */
  const bince_tensor* row_lse;     /* [N]; -infinity for an empty denominator; not in SIGMOID */
  const bince_tensor* column_loss; /* [C], SYMMETRIC only */
  const bince_tensor* column_lse;  /* [C], SYMMETRIC only */
  const bince_tensor* dq;          /* [N, D] */
  const bince_tensor* dk;          /* [M, D] */
  const bince_tensor* dscale;      /* [1] */
  const bince_tensor* dbias;       /* [1] */
} bince_contrastive_results;

/* Sets every field to the value named beside it above, and every tensor to NULL. */
BINCE_API void bince_contrastive_init(bince_contrastive* problem);

/* The workspace of `call` (BINCE_CONTRASTIVE_FORWARD, ...), in bytes: at most 64 MiB beyond a few numbers a
 * row and a column, whatever N and M.  Checks the problem as the call itself does, but for the values. */
BINCE_API bince_status bince_contrastive_workspace(const bince_context* context,
                                                   const bince_contrastive* problem, uint32_t call,
                                                   size_t* bytes);

/* Loss, loss and LSE per row (and column).  The gradients in `results` must be NULL.  BINCE_INVALID_VALUE
 * names the row of a NaN or infinity in q, k or queue, of a positive outside [-1, M) or of a negative weight.
 */
BINCE_API bince_status bince_contrastive_forward(bince_context* context, const bince_launch* launch,
                                                 const bince_contrastive* problem,
                                                 const bince_contrastive_results* results);

/* Gradients of the loss times grad_loss, from the row_lse (and, if SYMMETRIC, column_lse) that a forward of
 * the same problem left in `results`; SIGMOID needs neither.  The other statistics in `results` are ignored.
 */
BINCE_API bince_status bince_contrastive_backward(bince_context* context, const bince_launch* launch,
                                                  const bince_contrastive* problem,
                                                  const bince_contrastive_results* results);

/* Both in one call, which shares the scores between the two where it can. */
BINCE_API bince_status bince_contrastive_forward_backward(bince_context* context, const bince_launch* launch,
                                                          const bince_contrastive* problem,
                                                          const bince_contrastive_results* results);

/* ---- entropy ----------------------------------------------------------------------------------------------
 */

/* ---- coding -----------------------------------------------------------------------------------------------
 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BINCE_H_ */
