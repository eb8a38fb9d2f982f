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
#define BINCE_ABI_VERSION 2

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
  /* NULL: BINCE_BACKEND, else the fastest that runs: "ref"; "avx2", "avx512" (x86-64); "neon" (AArch64); or
   * "cuda". */
  const char* backend;
  int32_t device; /* of "cuda": its index, from 0 */
} bince_context_options;

typedef struct bince_launch {
  void* stream;    /* a CUDA stream of the context's device, NULL: its default stream; ignored on the CPU */
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
 * threads at once, each call with a workspace of its own: on the CPU one caller at a time has the context's
 * threads and the others compute alone; on CUDA calls are ordered where they share a stream, and nowhere
 * else. Setting the threads and destroying are for when no other call is under way. */
BINCE_API bince_status bince_context_create(const bince_context_options* options, bince_context** context);
BINCE_API void bince_context_destroy(bince_context* context);
BINCE_API const char* bince_context_backend(const bince_context* context); /* "avx512" */
BINCE_API int32_t bince_context_threads(const bince_context* context);
BINCE_API bince_status bince_context_set_threads(bince_context* context, int32_t threads);
/* The CPU's backends of this build that this machine can run, best first, separated by commas:
 * "avx512,avx2,ref" or "neon,ref".  Whether there is "cuda" too, bince_cuda_device_count() tells: it opens a
 * library. */
BINCE_API const char* bince_available_backends(void);
/* What the machine offers, for reports: "sse4.2 avx avx2 fma avx512f ...", "asimd crc32 ...". */
BINCE_API const char* bince_cpu_features(void);

/* ---- devices ----------------------------------------------------------------------------------------------
 *
 * The CUDA kernels live in a library of their own, libbince_cuda.so, that is opened on the first use: from
 * the path in BINCE_CUDA_LIBRARY, or beside this library.  Without it, without a driver or without a device
 * every call below is BINCE_UNSUPPORTED and bince_last_error() says what to do.
 *
 * A context of the backend "cuda" belongs to one device.  The tensors of its calls lie in that device's
 * memory, the structs and shapes that describe them on the host.  Calls queue work on launch->stream and
 * return: their checks of values (NaN, indexes) run on the device, and bince_finish() tells what they found.
 * The stream and the memory may be those of another framework; the cancel flag is looked at before kernels
 * are queued.  A call that CUDA does not have is BINCE_UNSUPPORTED with its name.
 *
 * A stream that is NULL is the legacy default stream, which other streams made without
 * cudaStreamNonBlocking wait for; that of bince_context_stream() does not.  Work on two streams is ordered by
 * events or by waiting, never by itself.
 */
typedef struct bince_cuda_info {
  uint32_t struct_size; /* sizeof(bince_cuda_info) */
  int32_t device;
  char name[256];
  int32_t compute_major, compute_minor; /* 9, 0 */
  int32_t multiprocessors;
  int32_t driver_version, runtime_version; /* 13000: CUDA 13.0 */
  uint64_t total_bytes, free_bytes;
  uint64_t shared_bytes; /* of shared memory that a block may use */
  uint64_t l2_bytes;
} bince_cuda_info;

/* The number of devices, at least 1. */
BINCE_API bince_status bince_cuda_device_count(int32_t* count);
BINCE_API bince_status bince_cuda_device_info(int32_t device, bince_cuda_info* info);

/* The device of a context: {BINCE_CUDA, index}, or {BINCE_CPU, 0}. */
BINCE_API bince_device bince_context_device(const bince_context* context);
/* A stream that belongs to the context; NULL on the CPU. */
BINCE_API void* bince_context_stream(const bince_context* context);

/* Waits for the stream of `launch` and reports what the last call with its workspace found wrong with values
 * in the data (BINCE_INVALID_VALUE, BINCE_CORRUPT_DATA), or an error of the device (BINCE_INTERNAL, with the
 * runtime's words).  On the CPU calls report by themselves, and this is BINCE_OK. */
BINCE_API bince_status bince_finish(bince_context* context, const bince_launch* launch);

/* Device memory, 256-byte aligned, for callers that have no allocator of their own; on a CPU context host
 * memory, 64-byte aligned.  BINCE_OUT_OF_MEMORY names the bytes asked for, free and in all. */
BINCE_API bince_status bince_device_allocate(bince_context* context, size_t bytes, void** pointer);
BINCE_API bince_status bince_device_free(bince_context* context, void* pointer);
/* Host memory that the device reads and writes directly, so that copies run beside other work. */
BINCE_API bince_status bince_pinned_allocate(bince_context* context, size_t bytes, void** pointer);
BINCE_API bince_status bince_pinned_free(bince_context* context, void* pointer);
/* Copies between host and the context's device, in the order of the stream.  From ordinary host memory they
 * return when that may be changed again, to ordinary host memory when it is filled; with pinned memory, and
 * on the device, they are queued.  The device's side is checked to be memory of the device. */
BINCE_API bince_status bince_copy_to_device(bince_context* context, void* device_to, const void* host_from,
                                            size_t bytes, void* stream);
BINCE_API bince_status bince_copy_to_host(bince_context* context, void* host_to, const void* device_from,
                                          size_t bytes, void* stream);
BINCE_API bince_status bince_copy_on_device(bince_context* context, void* to, const void* from, size_t bytes,
                                            void* stream);
BINCE_API bince_status bince_stream_synchronize(bince_context* context, void* stream);

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
 * same pass, and halves the sum of both.  On CUDA bfloat16 inputs have bfloat16 products, with the gradients'
 * weights rounded to bfloat16 and sums in float32, and COSINE takes rows of norms from 2^-50 to 2^50, and 0.
 * On the CPU they are widened to float32, or, with COSINE, D <= 4096, no groups and AVX512-VNNI, unit rows
 * and gradients are held in 16-bit fixed point, nearer to exact than bfloat16 products.
 * Sources: van den Oord et al. 2018; Radford et al. 2021; Chen et al. 2020; Khosla et al. 2020; He et al.
 * 2020; Yeh et al. 2022; Bachman et al. 2019; Zhai et al. 2023.
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
       BINCE_CONTRASTIVE_UNCHECKED = 32,       /* accept NaN and infinity in q, k, queue and results */
       BINCE_CONTRASTIVE_TF32 = 64             /* CUDA, float32 inputs: products of 10-bit mantissas on the
                                                  tensor cores; elsewhere it changes nothing */
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
 * row and a column, whatever N and M; on CUDA also copies of q, k or queue whose rows are no whole pieces of
 * 16 bytes, aligned to 16.  Checks the problem as the call itself does, but for the values. */
BINCE_API bince_status bince_contrastive_workspace(const bince_context* context,
                                                   const bince_contrastive* problem, uint32_t call,
                                                   size_t* bytes);

/* Loss, loss and LSE per row (and column).  The gradients in `results` must be NULL.  BINCE_INVALID_VALUE
 * names the row of a NaN or infinity in q, k or queue, of a positive outside [-1, M) or of a negative weight,
 * and the first row or column whose loss is no finite float32 because its scores are too large for one. */
BINCE_API bince_status bince_contrastive_forward(bince_context* context, const bince_contrastive* problem,
                                                 const bince_contrastive_results* results,
                                                 const bince_launch* launch);

/* Gradients of the loss times grad_loss, from the row_lse (and, if SYMMETRIC, column_lse) that a forward of
 * the same problem left in `results`; SIGMOID needs neither.  The other statistics in `results` are ignored.
 */
BINCE_API bince_status bince_contrastive_backward(bince_context* context, const bince_contrastive* problem,
                                                  const bince_contrastive_results* results,
                                                  const bince_launch* launch);

/* Both in one call, which shares the scores between the two where it can. */
BINCE_API bince_status bince_contrastive_forward_backward(bince_context* context,
                                                          const bince_contrastive* problem,
                                                          const bince_contrastive_results* results,
                                                          const bince_launch* launch);

/* ---- entropy ----------------------------------------------------------------------------------------------
 *
 * The factorised entropy model (Balle et al. 2018, appendix 6.1).  Every channel has a monotone network
 * F: R -> R of cumulative logits: h <- softplus(H) h + b and, but after the last layer, h <- h + tanh(a)
 * tanh(h). The likelihood of a value v is sigmoid(F(v + 1/2)) - sigmoid(F(v - 1/2)), and its bits are -log2
 * of max(likelihood, floor).  Values come from x by y = (x - shift) * exp(log_gain), in float32, and
 *   BINCE_QUANTIZE_NONE   v = y (values given)
 *   BINCE_QUANTIZE_NOISE  v = y + u, u uniform in (-1/2, 1/2): Philox4x32-10 keyed by the seed, counted by
 * row and column, the same on every backend and in the backward call BINCE_QUANTIZE_ROUND  v =
 * round_half_even(y - median) + median Rows N, channels C, inner elements I; x is [N, C] or [N, C, I].
 * Parameters are [P, C], parameter-major; the P of a channel are, a layer: matrix [out, in] row-major (H,
 * before softplus), bias, factor (a, before tanh; none in the last layer): P = 58 for the default hidden
 * widths 3, 3, 3, 3.
 *
 * On a CUDA context the calls with a launch and bince_uniform_noise run on the device; logits, the quantiles'
 * loss and tables are CPU calls (BINCE_UNSUPPORTED there): copy the parameters, which are few.
 */
enum { BINCE_QUANTIZE_NONE = 0, BINCE_QUANTIZE_NOISE = 1, BINCE_QUANTIZE_ROUND = 2 };

typedef struct bince_factorized_options {
  uint32_t struct_size;    /* sizeof(bince_factorized_options) */
  int32_t quantize;        /* one of the three above */
  uint64_t seed;           /* of the noise */
  uint64_t first_row;      /* number of x's first row in the noise: batches cut anyhow draw the same */
  double likelihood_floor; /* 0: 1e-9; from 1e-30 to 1 */
  double dbits;            /* backward: the cotangent of the total bits, for every row */
  const int32_t* filters;  /* hidden widths, 1 to 16 each; NULL: 3, 3, 3, 3 */
  int32_t filter_count;    /* 1 to 8 */
} bince_factorized_options;

typedef struct bince_factorized_inputs {
  uint32_t struct_size;              /* sizeof(bince_factorized_inputs) */
  const bince_tensor* x;             /* float32 or bfloat16 [N, C] or [N, C, I] */
  const bince_tensor* params;        /* float32 [P, C] */
  const bince_tensor* log_gain;      /* float32 [C], or NULL: 0 */
  const bince_tensor* shift;         /* float32 [C], or NULL: 0 */
  const bince_tensor* medians;       /* float32 [C], or NULL: 0; read by BINCE_QUANTIZE_ROUND alone */
  const bince_tensor* dbits_per_row; /* backward: float32 [N] added to dbits, or NULL */
  const bince_tensor* dlikelihood;   /* backward: float32 of x's shape, cotangent of likelihood, or NULL */
} bince_factorized_inputs;

/* Outputs; each may be NULL and is then not computed.  The gradients are those of
 * sum_n (dbits + dbits_per_row[n]) * bits_per_row[n] + sum dlikelihood * likelihood, at the values v:
 * rounding passes the gradient straight through.  Below the floor the gradient passes where it would raise
 * the likelihood, and is 0 elsewhere. */
typedef struct bince_factorized_outputs {
  uint32_t struct_size;       /* sizeof(bince_factorized_outputs) */
  bince_tensor* bits;         /* float64 [1]: the total */
  bince_tensor* bits_per_row; /* float32 [N] */
  bince_tensor* likelihood;   /* float32 of x's shape, floored */
  bince_tensor* values;       /* float32 of x's shape: v */
  bince_tensor* dx;           /* backward: float32 of x's shape */
  bince_tensor* dparams;      /* backward: float32 [P, C] */
  bince_tensor* dlog_gain;    /* backward: float32 [C] */
  bince_tensor* dshift;       /* backward: float32 [C] */
} bince_factorized_outputs;

/* Bits, likelihoods and values.  No rows give 0 bits.  BINCE_INVALID_VALUE names the row of a NaN or an
 * infinity in x, or after scale and shift, and the channel of one in the parameters; it also refuses
 * parameters so large that the network or its gradients overflow. */
BINCE_API bince_status bince_factorized_forward(bince_context* context,
                                                const bince_factorized_options* options,
                                                const bince_factorized_inputs* inputs,
                                                const bince_factorized_outputs* outputs,
                                                const bince_launch* launch);
BINCE_API bince_status bince_factorized_forward_workspace(bince_context* context,
                                                          const bince_factorized_options* options,
                                                          const bince_factorized_inputs* inputs,
                                                          const bince_factorized_outputs* outputs,
                                                          size_t* bytes);
/* The forward outputs asked for and the gradients, in one pass.  Gradients are written, not added to. */
BINCE_API bince_status bince_factorized_backward(bince_context* context,
                                                 const bince_factorized_options* options,
                                                 const bince_factorized_inputs* inputs,
                                                 const bince_factorized_outputs* outputs,
                                                 const bince_launch* launch);
BINCE_API bince_status bince_factorized_backward_workspace(bince_context* context,
                                                           const bince_factorized_options* options,
                                                           const bince_factorized_inputs* inputs,
                                                           const bince_factorized_outputs* outputs,
                                                           size_t* bytes);

/* F at given values, in double precision: values and logits float32 [C, K], row c through channel c's
 * network. */
BINCE_API bince_status bince_factorized_logits(bince_context* context,
                                               const bince_factorized_options* options,
                                               const bince_tensor* params, const bince_tensor* values,
                                               bince_tensor* logits);

/* The auxiliary loss sum |F(q) - {-t, 0, t}|, t = ln(2 / tail_mass - 1), of the quantiles [C, 3] float32
 * (lower tail, median, upper tail), the network held constant.  loss: float64 [1]; dquantiles: float32 [C, 3]
 * or NULL. */
BINCE_API bince_status bince_quantiles_loss(bince_context* context, const bince_factorized_options* options,
                                            const bince_tensor* params, const bince_tensor* quantiles,
                                            double tail_mass, bince_tensor* loss, bince_tensor* dquantiles);

/* Solves F(q) = {-t, 0, t} by bisection from a bracket that doubles: quantiles float32 [C, 3].  A quantile
 * beyond +-2^24 does not bracket: it is set to that bound; where the network overflows it is set to 0.  Both
 * are counted in unsolved (int32 [C], 0 to 3, or NULL). */
BINCE_API bince_status bince_quantiles_solve(bince_context* context, const bince_factorized_options* options,
                                             const bince_tensor* params, double tail_mass,
                                             bince_tensor* quantiles, bince_tensor* unsolved,
                                             const bince_launch* launch);
/* Its workspace in bytes, whatever the problem. */
BINCE_API size_t bince_quantiles_workspace(const bince_context* context);

/* A float32 pmf [n] (the last entry is the tail), 2 <= n <= 65536, to the cumulative table int32 [n + 1] from
 * 0 to 65536, strictly rising; exactly CompressAI's integers.  BINCE_INVALID_VALUE: a negative or non-finite
 * entry, or a sum of 0. */
BINCE_API bince_status bince_pmf_to_cdf(const bince_tensor* pmf, bince_tensor* cdf);

/* Where the mass of a table's escape entry comes from. */
enum {
  BINCE_TAIL_OWN = 0,       /* beyond the channel's own last entry */
  BINCE_TAIL_COMPRESSAI = 1 /* as CompressAI's update(): beyond the longest table's last entry */
};

/* CompressAI's update(): integer tables of every channel from parameters and quantiles [C, 3], in float32 by
 * the C library's functions.  Call first with cdf NULL: writes offset int32 [C] and start int32 [C + 1]
 * (start[C] is the number of entries of cdf); then with cdf int32 [start[C]].  Workspace:
 * bince_tables_workspace(). */
BINCE_API bince_status bince_factorized_tables(bince_context* context,
                                               const bince_factorized_options* options,
                                               const bince_tensor* params, const bince_tensor* quantiles,
                                               int32_t tail, bince_tensor* offset, bince_tensor* start,
                                               bince_tensor* cdf, const bince_launch* launch);
/* Enough for any call of the two table builders. */
BINCE_API size_t bince_tables_workspace(void);

/* ---- entropy: the Gaussian conditional.  Values v of y with a mean and a scale an element; likelihood
 * Phi((v - mean + 1/2) / s) - Phi((v - mean - 1/2) / s), s = max(scale, scale_bound), taken at -|v - mean|
 * where it does not cancel; floored as above.  BINCE_QUANTIZE_ROUND: v = round_half_even(y - mean) + mean. */
typedef struct bince_gaussian_options {
  uint32_t struct_size; /* sizeof(bince_gaussian_options) */
  int32_t quantize;
  uint64_t seed;
  uint64_t first_row;
  double likelihood_floor; /* 0: 1e-9; from 1e-30 to 1 */
  double scale_bound;      /* 0: 0.11; from 1e-30 to 1 */
  double dbits;
} bince_gaussian_options;

typedef struct bince_gaussian_inputs {
  uint32_t struct_size;              /* sizeof(bince_gaussian_inputs) */
  const bince_tensor* y;             /* float32 [N, J] */
  const bince_tensor* mean;          /* float32 [N, J], or NULL: 0 */
  const bince_tensor* scale;         /* float32 [N, J] */
  const bince_tensor* dbits_per_row; /* float32 [N] added to dbits, or NULL */
  const bince_tensor* dlikelihood;   /* float32 [N, J], or NULL */
} bince_gaussian_inputs;

/* Gradients as in bince_factorized_outputs; rounding passes them straight through, so that dmean = -dy.  A
 * scale below the bound gets its gradient where that would raise it, and 0 elsewhere. */
typedef struct bince_gaussian_outputs {
  uint32_t struct_size;       /* sizeof(bince_gaussian_outputs) */
  bince_tensor* bits;         /* float64 [1] */
  bince_tensor* bits_per_row; /* float32 [N] */
  bince_tensor* likelihood;   /* float32 [N, J] */
  bince_tensor* values;       /* float32 [N, J] */
  bince_tensor* dy;           /* backward: float32 [N, J] */
  bince_tensor* dmean;        /* backward: float32 [N, J] */
  bince_tensor* dscale;       /* backward: float32 [N, J] */
} bince_gaussian_outputs;

BINCE_API bince_status bince_gaussian_forward(bince_context* context, const bince_gaussian_options* options,
                                              const bince_gaussian_inputs* inputs,
                                              const bince_gaussian_outputs* outputs,
                                              const bince_launch* launch);
BINCE_API bince_status bince_gaussian_backward(bince_context* context, const bince_gaussian_options* options,
                                               const bince_gaussian_inputs* inputs,
                                               const bince_gaussian_outputs* outputs,
                                               const bince_launch* launch);
/* Of both. */
BINCE_API bince_status bince_gaussian_workspace(bince_context* context, const bince_gaussian_options* options,
                                                const bince_gaussian_inputs* inputs,
                                                const bince_gaussian_outputs* outputs, size_t* bytes);
/* The index of the smallest table scale >= each scale, the last index where none is.  scale: float32 [N, J];
 * scale_table: float32 [S], rising; indexes: int32 [N, J]. */
BINCE_API bince_status bince_gaussian_indexes(const bince_tensor* scale, const bince_tensor* scale_table,
                                              bince_tensor* indexes);
/* Integer tables of a scale table [S], as CompressAI's GaussianConditional.update(); calls as
 * bince_factorized_tables. */
BINCE_API bince_status bince_gaussian_tables(const bince_tensor* scale_table, double tail_mass,
                                             bince_tensor* offset, bince_tensor* start, bince_tensor* cdf,
                                             const bince_launch* launch);

/* The noise of BINCE_QUANTIZE_NOISE: float32 [N, J], J = C * I, rows first_row .. first_row + N - 1.  On CUDA
 * it is queued on the context's own stream. */
BINCE_API bince_status bince_uniform_noise(bince_context* context, uint64_t seed, uint64_t first_row,
                                           bince_tensor* noise);

/* ---- coding -----------------------------------------------------------------------------------------------
 * Symbols (int32) under integer tables of 16-bit precision, as docs/FORMAT.md describes them: blocks of rows,
 * plain arrays, a streaming range coder, and the strings of CompressAI.  Decoders take any bytes: what no
 * encoder wrote is BINCE_CORRUPT_DATA.  A call that failed leaves its outputs unspecified.
 */

/* Prepared tables, inside a buffer that the caller owns and that must stay until their last use. */
typedef struct bince_tables bince_tables;

/* T tables.  cdf: int32 [numbers], start: int32 [T + 1], the place of each table in cdf.  A table of n
 * entries, 2 to 65536, is n + 1 numbers that rise strictly from 0 to 65536; the last entry is the escape,
 * which stands for every symbol outside the table.  Gives the size of the buffer that bince_tables_prepare
 * needs. */
BINCE_API bince_status bince_tables_bytes(const bince_tensor* cdf, const bince_tensor* start, size_t* bytes);
/* offset: int32 [T], the symbol of each table's first entry.  buffer: 64-byte aligned. */
BINCE_API bince_status bince_tables_prepare(const bince_tensor* cdf, const bince_tensor* start,
                                            const bince_tensor* offset, void* buffer, size_t buffer_bytes,
                                            const bince_tables** prepared);

/* On a CUDA context symbols, indexes, rows, coded bytes and sizes are in the device's memory, while formats
 * and prepared tables stay on the host: what kernels need of them is uploaded once, into memory of the
 * caller's. Tables, the format's own too, must have been uploaded to the context's device before a call takes
 * them. Results by pointer (bytes, ideal_bits) are then places in the device's memory, 8-byte aligned, and
 * bytes may be NULL; a buffer that is too small, like all that is wrong with the data, is told by
 * bince_finish. */
BINCE_API bince_status bince_tables_upload_bytes(const bince_tables* tables, size_t* bytes);
/* Queues a copy of prepared tables to `device`, 64-byte aligned memory of the context's device, and notes the
 * place in the tables: no other call may use them meanwhile, both must stay until the last use, and tables
 * have one copy at a time.  The copy does not hold up the host if the tables lie in pinned memory. */
BINCE_API bince_status bince_tables_upload(bince_context* context, const bince_tables* tables, void* device,
                                           size_t bytes, void* stream);

/* CRC-32C of `count` bytes; `crc` is 0, or the result for the bytes before them. */
BINCE_API uint32_t bince_crc32c(uint32_t crc, const void* bytes, size_t count);

enum { BINCE_RANS = 0, BINCE_RANGE = 1 };

/* What the blocks of a file share. */
typedef struct bince_block_format {
  uint32_t struct_size;
  int32_t coder;       /* BINCE_RANS or BINCE_RANGE */
  uint32_t lanes;      /* 1, 2, 4, 8, 16 or 32; 1 for the range coder */
  uint32_t channels;   /* C, 1 to 2^20 */
  uint32_t block_rows; /* 1 to 2^20 */
  uint32_t header_crc; /* enters every block's checksum */
  const bince_tables* tables;
  const bince_tensor* table_index; /* int32 [C], each below T; NULL: T = C and channel c uses table c */
  const bince_tensor* median;      /* float32 [C], finite; NULL: 0 */
  const bince_tensor* step;        /* float32 [C], finite, above 0, with a finite reciprocal; NULL: 1 */
  const bince_tensor* shift;       /* float32 [C], finite; NULL: 0 */
  const void* uploaded;            /* CUDA: what bince_blocks_upload filled; NULL on the CPU */
} bince_block_format;

BINCE_API bince_status bince_blocks_upload_bytes(const bince_block_format* format, size_t* bytes);
/* Makes what kernels need of the format's channels in `host` (64-byte aligned, `bytes` of it) and queues its
 * copy to `device` (64-byte aligned memory of the context's device), which then goes into format->uploaded.
 * Its tables must have been uploaded.  `host` must stay until the stream has passed; pinned memory does not
 * hold up the host. */
BINCE_API bince_status bince_blocks_upload(bince_context* context, const bince_block_format* format,
                                           void* host, void* device, size_t bytes, void* stream);

/* Bytes that hold the sections of n rows whatever the rows are.  Much more than usual. */
BINCE_API bince_status bince_blocks_bound(const bince_block_format* format, int64_t rows, uint64_t* bytes);
BINCE_API bince_status bince_blocks_encode_workspace(const bince_context* context,
                                                     const bince_block_format* format, int64_t rows,
                                                     size_t* bytes);
/* Encodes rows [n, C], float32 values or int32 symbols, into ceil(n / block_rows) whole sections, numbered
 * from first_block, one after the other in `sections` (uint8 [capacity]).  section_bytes: int64 [blocks],
 * optional. *bytes is the size of all sections, also when that is more than the capacity
 * (BINCE_BUFFER_TOO_SMALL).  ideal_bits, optional: the cross-entropy of the symbols under the tables and 8
 * bits for each escape byte.  A value that is not finite or whose symbol is not below 2^30 is
 * BINCE_INVALID_VALUE; the message names the row and the channel. */
BINCE_API bince_status bince_blocks_encode(const bince_context* context, const bince_block_format* format,
                                           const bince_tensor* rows, uint64_t first_block,
                                           bince_tensor* sections, bince_tensor* section_bytes,
                                           uint64_t* bytes, double* ideal_bits, const bince_launch* launch);
/* How many values of the rows [n, C], float32 values or int32 symbols, come before the first that cannot be
 * encoded; n * C if all can.  Symbols of 2^30 and more, which no file can hold, count as such.  copy:
 * optional, the rows' type and shape, at the same place or apart; gets at least those values. */
BINCE_API bince_status bince_blocks_check_rows(const bince_block_format* format, const bince_tensor* rows,
                                               bince_tensor* copy, int64_t* valid);
/* Counts the blocks and rows of whole sections in the host's memory, from their headers alone.  first_block
 * only serves the messages.  section_bytes: int64 [most], optional, gets the sizes of the first `most`. */
BINCE_API bince_status bince_blocks_scan(const bince_block_format* format, const bince_tensor* sections,
                                         uint64_t first_block, bince_tensor* section_bytes, int64_t* blocks,
                                         int64_t* rows);
/* blocks: the most that a call decodes; it matters on CUDA alone. */
BINCE_API bince_status bince_blocks_decode_workspace(const bince_context* context,
                                                     const bince_block_format* format, int64_t blocks,
                                                     size_t* bytes);
/* Decodes whole sections (uint8 [bytes]) numbered from first_block into rows [n, C], float32 values or int32
 * symbols; n as bince_blocks_scan counted.  section_bytes: int64 [blocks], their sizes, as the encoder or
 * bince_blocks_scan gave them; bytes behind the last section are then not looked at.  The CPU also finds the
 * sections by itself (NULL); on CUDA, where headers read one after the other would take longer than all the
 * rest, the sizes are needed.  Checks checksums, end states, and that everything was used; the message of
 * BINCE_CORRUPT_DATA names the first bad block (CUDA: the first of the most basic kind of damage). */
BINCE_API bince_status bince_blocks_decode(const bince_context* context, const bince_block_format* format,
                                           const bince_tensor* sections, const bince_tensor* section_bytes,
                                           uint64_t first_block, bince_tensor* rows,
                                           const bince_launch* launch);

/* Plain arrays.  symbols: int32 [count]; indexes: int32 [count], the table of each symbol (as for a Gaussian
 * conditional); NULL: symbol i uses table i mod T, and count is a multiple of T.
 *   rANS: varint escape_bytes, then a block's payload; a row is one symbol with indexes, else T symbols.
 *   range coder: the stream of bince_range_encoder.
 * No checksum: damage is found where the coder does not end as encoders do. */
BINCE_API bince_status bince_symbols_bound(int64_t count, uint64_t* bytes);
BINCE_API bince_status bince_symbols_encode_workspace(const bince_context* context,
                                                      const bince_tables* tables, int64_t count,
                                                      size_t* bytes);
BINCE_API bince_status bince_symbols_encode(const bince_context* context, const bince_tables* tables,
                                            int32_t coder, uint32_t lanes, const bince_tensor* symbols,
                                            const bince_tensor* indexes, bince_tensor* coded, uint64_t* bytes,
                                            const bince_launch* launch);
BINCE_API bince_status bince_symbols_decode_workspace(const bince_context* context,
                                                      const bince_tables* tables, size_t* bytes);
BINCE_API bince_status bince_symbols_decode(const bince_context* context, const bince_tables* tables,
                                            int32_t coder, uint32_t lanes, const bince_tensor* coded,
                                            const bince_tensor* indexes, bince_tensor* symbols,
                                            const bince_launch* launch);

/* A range coder symbol by symbol, for models that decode one symbol to predict the next.  The structs are the
 * caller's; their fields are private.  Words are those of the range coder of docs/FORMAT.md; the bytes of an
 * escape's varint follow its entry in the same stream, each coded as 2^8 of 2^16 from 2^8 times the byte. */
typedef struct bince_range_encoder {
  const bince_tables* tables;
  uint64_t state[5];
} bince_range_encoder;
typedef struct bince_range_decoder {
  const bince_tables* tables;
  uint64_t state[6];
} bince_range_decoder;
BINCE_API bince_status bince_range_encoder_init(bince_range_encoder* encoder, const bince_tables* tables,
                                                void* buffer, size_t buffer_bytes);
/* BINCE_BUFFER_TOO_SMALL: nothing was written, the encoder may be finished or moved to a larger buffer with
 * bince_range_encoder_move. */
BINCE_API bince_status bince_range_encoder_put(bince_range_encoder* encoder, uint32_t table, int32_t symbol);
/* Goes on in a larger buffer, to which the caller has copied the old one's bytes. */
BINCE_API bince_status bince_range_encoder_move(bince_range_encoder* encoder, void* buffer,
                                                size_t buffer_bytes);
/* Writes the last word; *bytes is the size of the stream.  The encoder must be initialised before its next
 * use. */
BINCE_API bince_status bince_range_encoder_finish(bince_range_encoder* encoder, size_t* bytes);
BINCE_API bince_status bince_range_decoder_init(bince_range_decoder* decoder, const bince_tables* tables,
                                                const void* bytes, size_t count);
BINCE_API bince_status bince_range_decoder_get(bince_range_decoder* decoder, uint32_t table, int32_t* symbol);
/* BINCE_OK when the symbols taken are all that the stream holds. */
BINCE_API bince_status bince_range_decoder_finish(const bince_range_decoder* decoder);

/* CompressAI's strings, as EntropyBottleneck.compress and GaussianConditional.compress write them.  symbols:
 * int32 [B, L]; indexes: int32 [L] or [B, L], the table of each symbol.  One string a row, one after the
 * other in `strings` (uint8 [capacity]), their sizes in string_bytes (int64 [B]).  *bytes as for
 * bince_blocks_encode.  A symbol whose escape needs more than 28 bits is BINCE_INVALID_VALUE: the original
 * never ends on it. */
BINCE_API bince_status bince_compressai_bound(int64_t strings, int64_t length, uint64_t* bytes);
BINCE_API bince_status bince_compressai_workspace(const bince_context* context, int64_t strings,
                                                  int64_t length, size_t* bytes);
BINCE_API bince_status bince_compressai_encode(const bince_context* context, const bince_tables* tables,
                                               const bince_tensor* symbols, const bince_tensor* indexes,
                                               bince_tensor* strings, bince_tensor* string_bytes,
                                               uint64_t* bytes, const bince_launch* launch);
/* strings: uint8 [bytes]; string_bytes: int64 [B]; symbols: int32 [B, L].  Also checks what the original does
 * not: the final state and that every word was used. */
BINCE_API bince_status bince_compressai_decode(const bince_context* context, const bince_tables* tables,
                                               const bince_tensor* strings, const bince_tensor* string_bytes,
                                               const bince_tensor* indexes, bince_tensor* symbols,
                                               const bince_launch* launch);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BINCE_H_ */
