// The tensor family's slots of the operations table: elementwise arithmetic, reductions, normalisation,
// pooling, random numbers and optimiser steps on contiguous float32 tensors, channels last.
//
// Arguments are checked by the caller (native/addon/tensor_*_addon.cc). Outputs never overlap inputs, except
// that elementwise slots may write over an input of the same shape. Results are the same for any number of
// threads.
#ifndef BINCE_TENSOR_TENSOR_OPS_H_
#define BINCE_TENSOR_TENSOR_OPS_H_

#include <stddef.h>
#include <stdint.h>

#include "native/core/ops.h"

namespace bince {

enum { kMaxRank = 6 };

// The numbers are known to the TypeScript side.
enum Unary : int32_t {
  kNegate,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kSquare,
  kAbs,
  kReciprocal,
  kRelu,
  kLeakyRelu,  // slope a
  kElu,        // a (e^x - 1) below 0
  kGelu,       // x Phi(x)
  kSilu,
  kSigmoid,
  kTanh,
  kSoftplus,
  kSin,
  kCos,
  kPower,   // x^a
  kClamp,   // to [a, b]
  kAffine,  // a x + b
  kRound,   // half to even; derivative 1
  kLog1p,
  kExpm1,
  kSign,   // derivative 0
  kFloor,  // derivative 0
  kUnaryOps
};
enum Binary : int32_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kMaximum,  // NaN where either is, as kMinimum
  kMinimum,
  kPow,
  kGreater,  // 1 or 0, as the next two
  kGreaterEqual,
  kEqual,
  kBinaryOps
};
enum Reduction : int32_t { kSum, kMean, kLargest, kSmallest, kReductions };
enum Activation : int32_t { kNone, kActRelu, kActLeakyRelu, kActSoftplus, kActivations };
enum ElementType : int32_t { kF32, kI32, kU8 };

struct FillArgs {
  int64_t n;
  float value;
  float* x;
};

// Element i takes the random word of index offset + i (random.h).
struct RandomArgs {
  int32_t kind;  // 0: uniform in [a, b), 1: normal with mean a and standard deviation b
  float a, b;
  uint64_t seed, offset;
  int64_t n;
  float* x;
};
struct DropoutArgs {
  float p;
  uint64_t seed, offset;
  int64_t n;
  const float* x;
  float* y;
};

struct UnaryArgs {
  Unary op;
  float a, b;
  int64_t n;
  const float* x;
  float* y;
};
struct UnaryBackwardArgs {
  Unary op;
  float a, b;
  int64_t n;
  const float *x, *y, *dy;
  float* dx;
};

// z is contiguous with shape dims; strides count elements, 0 repeats.
struct BinaryArgs {
  Binary op;
  int32_t rank;  // 1 .. kMaxRank
  int64_t dims[kMaxRank], x_strides[kMaxRank], y_strides[kMaxRank];
  const float *x, *y;
  float* z;
};
struct CopyArgs {
  ElementType type;
  bool accumulate;  // y += x
  int32_t rank;
  int64_t dims[kMaxRank], x_strides[kMaxRank], y_strides[kMaxRank];
  const void* x;  // at the first element
  void* y;
};
struct ConvertArgs {
  ElementType from, to;
  float scale;
  int64_t n;
  const void* x;
  void* y;
};

struct ReduceArgs {
  Reduction op;
  int64_t outer, n, inner;
  const float* x;  // [outer][n][inner]
  float* y;        // [outer][inner]
};
struct ArgmaxArgs {
  int64_t rows, n;
  const float* x;  // [rows][n]
  int32_t* out;    // [rows], the first largest; NaN counts as larger than all
};

struct GatherArgs {
  int64_t rows, width, count;
  const int32_t* index;  // [count]
  const float* x;        // gather: [rows][width], scatter: dy [count][width]
  float* y;              // gather: [count][width], scatter: dx [rows][width], overwritten
};

struct SoftmaxArgs {
  int64_t rows, n;
  bool log;
  const float* x;  // [rows][n]
  float* y;
};
struct SoftmaxBackwardArgs {
  int64_t rows, n;
  bool log;
  const float *y, *dy;
  float* dx;
};
struct CrossEntropyArgs {
  int64_t rows, classes;
  float smoothing;
  const float* logits;    // [rows][classes]
  const int32_t* labels;  // [rows]
  float* row_loss;        // [rows]
  float* dlogits;         // d(sum of row_loss)/dlogits, or null
};
struct BceArgs {
  int64_t rows, n;
  const float *logits, *targets;  // [rows][n]
  float* row_loss;                // [rows], summed over n
  float* dlogits;                 // or null
};

struct BatchNormArgs {
  int64_t rows, C;
  bool training;
  float eps, momentum, slope;
  Activation act;
  const float* x;                     // [rows][C]
  const float *gamma, *beta;          // [C] or null: 1 and 0
  float *running_mean, *running_var;  // [C]; null in training: not kept
  float *mean, *rstd;                 // [C]
  float* y;
};
struct BatchNormBackwardArgs {
  int64_t rows, C;
  bool training;
  float slope;
  Activation act;
  const float *x, *dy;
  const float *gamma, *beta;  // or null
  const float *mean, *rstd;
  float* dx;
  float *dgamma, *dbeta;  // or null
};
struct LayerNormArgs {
  int64_t rows, n;
  float eps;
  const float* x;             // [rows][n]
  const float *gamma, *beta;  // [n] or null
  float *mean, *rstd;         // [rows]
  float* y;
};
struct LayerNormBackwardArgs {
  int64_t rows, n;
  const float *x, *dy;
  const float* gamma;  // or null
  const float *mean, *rstd;
  float* dx;
  float *dgamma, *dbeta;  // or null
};
// y = x / max(|x|, eps) by rows.
struct NormalizeArgs {
  int64_t rows, n;
  float eps;
  const float* x;
  float* y;
  float* inverse_norm;  // [rows]
};
struct NormalizeBackwardArgs {
  int64_t rows, n;
  const float *y, *inverse_norm, *dy;
  float* dx;
};

enum PoolKind : int32_t { kMaxPool, kAveragePool, kPoolKinds };
struct PoolGeometry {
  int64_t N, H, W, C, kh, kw, stride_y, stride_x, pad_y, pad_x, OH, OW;
};
struct PoolArgs {
  PoolKind kind;
  PoolGeometry g;
  const float* x;  // [N][H][W][C]
  float* y;        // [N][OH][OW][C]
};
struct PoolBackwardArgs {
  PoolKind kind;
  PoolGeometry g;
  const float *x, *y, *dy;
  float* dx;
};
enum UpsampleKind : int32_t { kNearest, kBilinear, kUpsampleKinds };
struct UpsampleArgs {
  UpsampleKind kind;
  int64_t N, H, W, C, OH, OW;
  const float* x;  // forward: [N][H][W][C], backward: dy [N][OH][OW][C]
  float* y;        // forward: [N][OH][OW][C], backward: dx [N][H][W][C]
};

struct AdamArgs {
  int64_t n;
  float *p, *m, *v;
  const float* g;
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;  // from 1
  double grad_scale;
};
struct SgdArgs {
  int64_t n;
  float* p;
  const float* g;
  float* momentum_buffer;  // or null
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first;  // first: the buffer is filled with the gradient
  double grad_scale;
};
struct EmaArgs {
  int64_t n;
  float* target;
  const float* source;
  double decay;
};

struct TensorOps {
  void (*fill)(const FillArgs& args, const Run& run);
  void (*random)(const RandomArgs& args, const Run& run);
  void (*dropout)(const DropoutArgs& args, const Run& run);
  void (*unary)(const UnaryArgs& args, const Run& run);
  void (*unary_backward)(const UnaryBackwardArgs& args, const Run& run);
  void (*binary)(const BinaryArgs& args, const Run& run);
  void (*copy_strided)(const CopyArgs& args, const Run& run);
  void (*convert)(const ConvertArgs& args, const Run& run);
  void (*reduce)(const ReduceArgs& args, const Run& run);  // workspace: reduce_workspace(args)
  void (*argmax)(const ArgmaxArgs& args, const Run& run);
  void (*gather_rows)(const GatherArgs& args, const Run& run);
  void (*scatter_add_rows)(const GatherArgs& args, const Run& run);
  void (*softmax)(const SoftmaxArgs& args, const Run& run);
  void (*softmax_backward)(const SoftmaxBackwardArgs& args, const Run& run);
  void (*cross_entropy)(const CrossEntropyArgs& args, const Run& run);
  void (*bce_with_logits)(const BceArgs& args, const Run& run);
  void (*batch_norm)(const BatchNormArgs& args, const Run& run);  // workspace: column_workspace(rows, C)
  void (*batch_norm_backward)(const BatchNormBackwardArgs& args, const Run& run);  // the same
  void (*layer_norm)(const LayerNormArgs& args, const Run& run);
  void (*layer_norm_backward)(const LayerNormBackwardArgs& args,
                              const Run& run);  // column_workspace(rows, n)
  void (*normalize)(const NormalizeArgs& args, const Run& run);
  void (*normalize_backward)(const NormalizeBackwardArgs& args, const Run& run);
  void (*pool)(const PoolArgs& args, const Run& run);
  void (*pool_backward)(const PoolBackwardArgs& args, const Run& run);
  void (*upsample)(const UpsampleArgs& args, const Run& run);
  void (*upsample_backward)(const UpsampleArgs& args, const Run& run);
  void (*adam)(const AdamArgs& args, const Run& run);
  void (*sgd)(const SgdArgs& args, const Run& run);
  void (*ema)(const EmaArgs& args, const Run& run);
  double (*sum_squares)(const float* x, int64_t n, const Run& run);  // workspace: column_workspace(n, 1)
  // The index of the first NaN or infinity, or -1.
  int64_t (*first_non_finite)(const float* x, int64_t n, const Run& run);
};

// Bytes for the partial sums of [rows][columns] over the rows, whatever the backend.
size_t column_workspace(int64_t rows, int64_t columns);
size_t reduce_workspace(int64_t outer, int64_t n, int64_t inner);

// Each fills the slots of its operations; faster backends fill over a copy of the next slower one's table.
void fill_elementwise_ref(TensorOps* ops);
void fill_broadcast_ref(TensorOps* ops);
void fill_reduce_ref(TensorOps* ops);
void fill_gather_ref(TensorOps* ops);
void fill_random_ref(TensorOps* ops);
void fill_softmax_ref(TensorOps* ops);
void fill_normalization_ref(TensorOps* ops);
void fill_pool_ref(TensorOps* ops);
void fill_upsample_ref(TensorOps* ops);
void fill_optimizer_ref(TensorOps* ops);
#if defined(BINCE_X86)
void fill_elementwise_avx2(TensorOps* ops);
void fill_broadcast_avx2(TensorOps* ops);
void fill_reduce_avx2(TensorOps* ops);
void fill_gather_avx2(TensorOps* ops);
void fill_random_avx2(TensorOps* ops);
void fill_softmax_avx2(TensorOps* ops);
void fill_normalization_avx2(TensorOps* ops);
void fill_pool_avx2(TensorOps* ops);
void fill_upsample_avx2(TensorOps* ops);
void fill_optimizer_avx2(TensorOps* ops);
void fill_elementwise_avx512(TensorOps* ops);
void fill_broadcast_avx512(TensorOps* ops);
void fill_reduce_avx512(TensorOps* ops);
void fill_gather_avx512(TensorOps* ops);
void fill_random_avx512(TensorOps* ops);
void fill_softmax_avx512(TensorOps* ops);
void fill_normalization_avx512(TensorOps* ops);
void fill_pool_avx512(TensorOps* ops);
void fill_upsample_avx512(TensorOps* ops);
void fill_optimizer_avx512(TensorOps* ops);
#endif
#if defined(BINCE_ARM64)
void fill_elementwise_neon(TensorOps* ops);
void fill_broadcast_neon(TensorOps* ops);
void fill_reduce_neon(TensorOps* ops);
void fill_gather_neon(TensorOps* ops);
void fill_random_neon(TensorOps* ops);
void fill_softmax_neon(TensorOps* ops);
void fill_normalization_neon(TensorOps* ops);
void fill_pool_neon(TensorOps* ops);
void fill_upsample_neon(TensorOps* ops);
void fill_optimizer_neon(TensorOps* ops);
#endif

}  // namespace bince

#endif  // BINCE_TENSOR_TENSOR_OPS_H_
