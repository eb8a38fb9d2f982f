// The dense family as seen from JavaScript: argument checks and scratch, no arithmetic.
#include <cmath>

#include "native/addon/addon.h"
#include "native/addon/storage.h"
#include "native/core/context.h"
#include "native/dense/dense_ops.h"

namespace bince::addon {
namespace {

constexpr double kLargestCount = 9007199254740992.0;  // sizes beyond it are no exact numbers
constexpr double kLargestImage = 1e12;                // elements; its copy would not fit any memory

bool refuse(Napi::Env env, const std::string& message) {
  make_error(env, BINCE_INVALID_ARGUMENT, message).ThrowAsJavaScriptException();
  return false;
}

bool read_size(Napi::Value value, const char* name, int64_t least, int64_t* size) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(least) && number < kLargestCount && number == std::floor(number)))
    return refuse(value.Env(), std::string(name) + ": expected a whole number of at least " +
                                   std::to_string(least) + ", received " +
                                   std::string(value.ToString().Utf8Value()));
  *size = static_cast<int64_t>(number);
  return true;
}

// A float32 tensor of `elements` (or, with at_least, more).  The count is a double because a product of sizes
// may exceed every integer; a tensor that passes is in memory, so the sizes are then known to be harmless.
template <typename T>
bool read_tensor(Napi::Value value, const char* name, double elements, bool at_least, T** data) {
  View<float> view;
  if (!read_view(value, name, &view)) return false;
  if (value.IsUndefined() || value.IsNull())
    return refuse(value.Env(), std::string(name) + ": expected a tensor, received " +
                                   (value.IsNull() ? "null" : "undefined"));
  const double size = static_cast<double>(view.size);
  if (size == elements || (at_least && size > elements)) {
    *data = view.data;
    return true;
  }
  char expected[32];
  std::snprintf(expected, sizeof expected, "%.0f", elements);
  return refuse(value.Env(), std::string(name) + ": expected " + (at_least ? "at least " : "") + expected +
                                 " elements, received " + std::to_string(view.size));
}

bool read_optional(Napi::Value value, const char* name, int64_t elements, const float** data) {
  *data = nullptr;
  if (value.IsUndefined() || value.IsNull()) return true;
  return read_tensor(value, name, static_cast<double>(elements), false, data);
}

// Runs a slot with the workspace that it asks for.  A backend without the slot is an error that names both.
template <typename Problem>
Napi::Value run_slot(Napi::Env env, const char* name, const Problem& problem,
                     size_t (*DenseOps::*workspace)(const Problem&, int),
                     void (*DenseOps::*slot)(const Problem&, const Run&)) {
  const bince_context* context = context_of(env);
  if (!context) return env.Undefined();
  const DenseOps* ops = context->ops->dense;
  if (!ops || !(ops->*slot)) {
    make_error(env, BINCE_UNSUPPORTED,
               std::string(name) + ": the backend " + context->ops->name + " lacks this operation")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const Scratch scratch(env, (ops->*workspace)(problem, pool_threads(context->pool)));
  if (!scratch.data()) {
    make_error(env, BINCE_OUT_OF_MEMORY,
               std::string(name) + ": a workspace of " + std::to_string(scratch.bytes()) +
                   " bytes could not be allocated")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  (ops->*slot)(problem, Run{context->pool, scratch.data(), nullptr});
  return env.Undefined();
}

// One operand of a batched product: `rows` x `columns` elements a matrix.
template <typename T>
bool read_matrices(Napi::Value value, Napi::Value stride_value, const char* name, const char* stride_name,
                   int64_t batch, int64_t rows, int64_t columns, T** data, int64_t* stride) {
  if (!read_size(stride_value, stride_name, 0, stride)) return false;
  const double one = static_cast<double>(rows) * static_cast<double>(columns);
  const double elements = static_cast<double>(batch - 1) * static_cast<double>(*stride) + one;
  const bool dense = batch == 1 || *stride == 0 || static_cast<double>(*stride) == one;
  return read_tensor(value, name, elements, !dense, data);
}

// (batch, M, N, K, a, transA, strideA, b, transB, strideB, bias | undefined, c, accumulate)
Napi::Value matmul_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  MatmulProblem p = {};
  if (!read_size(info[0], "batch", 1, &p.batch) || !read_size(info[1], "M", 1, &p.M) ||
      !read_size(info[2], "N", 1, &p.N) || !read_size(info[3], "K", 1, &p.K))
    return env.Undefined();
  p.trans_a = info[5].ToBoolean();
  p.trans_b = info[8].ToBoolean();
  p.accumulate = info[12].ToBoolean();
  const double c_elements =
      static_cast<double>(p.batch) * static_cast<double>(p.M) * static_cast<double>(p.N);
  if (!read_matrices(info[4], info[6], "a", "strideA", p.batch, p.M, p.K, &p.a, &p.stride_a) ||
      !read_matrices(info[7], info[9], "b", "strideB", p.batch, p.K, p.N, &p.b, &p.stride_b) ||
      !read_optional(info[10], "bias", p.N, &p.bias) || !read_tensor(info[11], "c", c_elements, false, &p.c))
    return env.Undefined();
  if (p.c == p.a || p.c == p.b || p.c == p.bias) {
    refuse(env, "c: expected another tensor than the inputs");
    return env.Undefined();
  }
  return run_slot(env, "matmul", p, &DenseOps::matmul_workspace, &DenseOps::matmul);
}

// Element counts of a convolution's tensors.
struct ConvCounts {
  double x, w, y;
};

// geometry: Int32Array[13] = N, H, W, C, kh, kw, strideY, strideX, padY, padX, O, OH, OW.
bool read_geometry(Napi::Value value, ConvGeometry* g, ConvCounts* counts) {
  static constexpr const char* kNames[13] = {"N",       "H",    "W",    "C", "kh", "kw", "strideY",
                                             "strideX", "padY", "padX", "O", "OH", "OW"};
  Napi::Env env = value.Env();
  View<int32_t> view;
  if (!read_view(value, "geometry", &view)) return false;
  if (view.size != 13)
    return refuse(env, "geometry: expected 13 numbers, received " + std::to_string(view.size));
  for (int i = 0; i < 13; ++i) {
    const int32_t least = i == 8 || i == 9 ? 0 : 1;
    if (view.data[i] < least)
      return refuse(env, std::string("geometry: expected ") + kNames[i] + " of at least " +
                             std::to_string(least) + ", received " + std::to_string(view.data[i]));
  }
  const int32_t* v = view.data;
  *g = {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12]};
  const int64_t room_y = g->H + 2 * g->pad_y - g->kh, room_x = g->W + 2 * g->pad_x - g->kw;
  if (room_y < 0 || room_x < 0)
    return refuse(env, "geometry: a kernel of " + std::to_string(g->kh) + " x " + std::to_string(g->kw) +
                           " is larger than the padded image, " + std::to_string(g->H + 2 * g->pad_y) +
                           " x " + std::to_string(g->W + 2 * g->pad_x));
  const int64_t height = room_y / g->stride_y + 1, width = room_x / g->stride_x + 1;
  if (g->OH != height || g->OW != width)
    return refuse(env, "geometry: expected OH x OW of " + std::to_string(height) + " x " +
                           std::to_string(width) + ", received " + std::to_string(g->OH) + " x " +
                           std::to_string(g->OW));
  const double padded = static_cast<double>(g->H + 2 * g->pad_y) * static_cast<double>(g->W + 2 * g->pad_x) *
                        static_cast<double>(g->C > g->O ? g->C : g->O);
  if (padded > kLargestImage)
    return refuse(env, "geometry: the padded image of " + std::to_string(g->H + 2 * g->pad_y) + " x " +
                           std::to_string(g->W + 2 * g->pad_x) + " is too large");
  const auto product = [](int64_t a, int64_t b, int64_t c, int64_t d) {
    return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c) * static_cast<double>(d);
  };
  *counts = {product(g->N, g->H, g->W, g->C), product(g->kh, g->kw, g->C, g->O),
             product(g->N, g->OH, g->OW, g->O)};
  return true;
}

// (geometry, x, w, bias | undefined, y)
Napi::Value conv2d_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ConvForward p = {};
  ConvCounts counts;
  if (!read_geometry(info[0], &p.g, &counts) || !read_tensor(info[1], "x", counts.x, false, &p.x) ||
      !read_tensor(info[2], "w", counts.w, false, &p.w) || !read_optional(info[3], "bias", p.g.O, &p.bias) ||
      !read_tensor(info[4], "y", counts.y, false, &p.y))
    return env.Undefined();
  if (p.y == p.x || p.y == p.w || p.y == p.bias) {
    refuse(env, "y: expected another tensor than the inputs");
    return env.Undefined();
  }
  return run_slot(env, "conv2d", p, &DenseOps::conv2d_workspace, &DenseOps::conv2d);
}

// (geometry, dy, w, bias | undefined, dx)
Napi::Value conv2d_backward_input_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ConvBackwardInput p = {};
  ConvCounts counts;
  if (!read_geometry(info[0], &p.g, &counts) || !read_tensor(info[1], "dy", counts.y, false, &p.dy) ||
      !read_tensor(info[2], "w", counts.w, false, &p.w) || !read_optional(info[3], "bias", p.g.C, &p.bias) ||
      !read_tensor(info[4], "dx", counts.x, false, &p.dx))
    return env.Undefined();
  if (p.dx == p.dy || p.dx == p.w || p.dx == p.bias) {
    refuse(env, "dx: expected another tensor than the inputs");
    return env.Undefined();
  }
  return run_slot(env, "conv2dBackwardInput", p, &DenseOps::conv2d_backward_input_workspace,
                  &DenseOps::conv2d_backward_input);
}

// (geometry, x, dy, dw, dbias | undefined)
Napi::Value conv2d_backward_weight_sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ConvBackwardWeight p = {};
  ConvCounts counts;
  if (!read_geometry(info[0], &p.g, &counts) || !read_tensor(info[1], "x", counts.x, false, &p.x) ||
      !read_tensor(info[2], "dy", counts.y, false, &p.dy) ||
      !read_tensor(info[3], "dw", counts.w, false, &p.dw))
    return env.Undefined();
  if (!info[4].IsUndefined() && !info[4].IsNull() &&
      !read_tensor(info[4], "dbias", static_cast<double>(p.g.O), false, &p.dbias))
    return env.Undefined();
  if (p.dw == p.x || p.dw == p.dy || p.dbias == p.x || p.dbias == p.dy || p.dbias == p.dw) {
    refuse(env, "dw, dbias: expected tensors of their own");
    return env.Undefined();
  }
  return run_slot(env, "conv2dBackwardWeight", p, &DenseOps::conv2d_backward_weight_workspace,
                  &DenseOps::conv2d_backward_weight);
}

}  // namespace

void register_dense(Napi::Env env, Napi::Object exports) {
  exports.Set("matmulSync", Napi::Function::New(env, matmul_sync));
  exports.Set("conv2dSync", Napi::Function::New(env, conv2d_sync));
  exports.Set("conv2dBackwardInputSync", Napi::Function::New(env, conv2d_backward_input_sync));
  exports.Set("conv2dBackwardWeightSync", Napi::Function::New(env, conv2d_backward_weight_sync));
}

}  // namespace bince::addon
