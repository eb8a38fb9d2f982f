// Pooling and up-sampling from JavaScript; images lie as [N][H][W][C].
#include "native/addon/tensor_arguments.h"

namespace bince::addon {
namespace {

// Windows must meet the image: pad <= k / 2, and the last one must start inside.
void check_axis(const Arguments& arguments, const char* axis, int64_t size, int64_t k, int64_t stride,
                int64_t pad, int64_t out) {
  const std::string name = std::string("geometry, ") + axis + ": ";
  if (k < 1 || stride < 1 || pad < 0 || pad > k / 2 || size < 0 || out < 0)
    arguments.fail(name +
                   "expected sizes from 0, a window and a stride from 1 and a padding of at most half the "
                   "window, received window " +
                   std::to_string(k) + ", stride " + std::to_string(stride) + ", padding " +
                   std::to_string(pad));
  const int64_t possible = size + 2 * pad < k ? 0 : (size + 2 * pad - k) / stride + 1;
  if (out != possible)
    arguments.fail(name + "expected an output of " + std::to_string(possible) + ", received " +
                   std::to_string(out));
}

PoolGeometry read_geometry(Arguments* arguments) {
  const int32_t* v = arguments->integers("geometry", 12, 12).data;
  const PoolGeometry g = {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]};
  if (g.N < 0 || g.C < 0) arguments->fail("geometry: expected sizes from 0");
  check_axis(*arguments, "height", g.H, g.kh, g.stride_y, g.pad_y, g.OH);
  check_axis(*arguments, "width", g.W, g.kw, g.stride_x, g.pad_x, g.OW);
  return g;
}

// (kind, geometry, x, y)
Napi::Value pool(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  PoolArgs args = {};
  args.kind = static_cast<PoolKind>(arguments.whole("kind", 0, kPoolKinds - 1));
  args.g = read_geometry(&arguments);
  const PoolGeometry& g = args.g;
  args.x = arguments.tensor<float>("x", product(arguments, {g.N, g.H, g.W, g.C}));
  args.y = arguments.tensor<float>("y", product(arguments, {g.N, g.OH, g.OW, g.C}));
  const TensorCall call(arguments);
  call.slot(&TensorOps::pool, "pool")(args, call.run());
  return arguments.env().Undefined();
}

// (kind, geometry, x, y, dy, dx); the mean needs neither x nor y, which may be undefined then.
Napi::Value pool_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  PoolBackwardArgs args = {};
  args.kind = static_cast<PoolKind>(arguments.whole("kind", 0, kPoolKinds - 1));
  args.g = read_geometry(&arguments);
  const PoolGeometry& g = args.g;
  const int64_t in = product(arguments, {g.N, g.H, g.W, g.C}),
                out = product(arguments, {g.N, g.OH, g.OW, g.C});
  args.x = arguments.optional<float>("x", in);
  args.y = arguments.optional<float>("y", out);
  if (args.kind == kMaxPool && !(args.x && args.y))
    arguments.fail("x and y: expected tensors for the maximum, received undefined");
  args.dy = arguments.tensor<float>("dy", out);
  args.dx = arguments.tensor<float>("dx", in);
  const TensorCall call(arguments);
  call.slot(&TensorOps::pool_backward, "poolBackward")(args, call.run());
  return arguments.env().Undefined();
}

// (kind, N, H, W, C, OH, OW, x, y), backward: dy, dx in the last two
UpsampleArgs read_upsample(Arguments* arguments, bool backward) {
  UpsampleArgs args = {};
  args.kind = static_cast<UpsampleKind>(arguments->whole("kind", 0, kUpsampleKinds - 1));
  args.N = arguments->whole("N", 0, INT32_MAX);
  args.H = arguments->whole("H", 1, INT32_MAX);
  args.W = arguments->whole("W", 1, INT32_MAX);
  args.C = arguments->whole("C", 0, INT32_MAX);
  args.OH = arguments->whole("OH", 1, INT32_MAX);
  args.OW = arguments->whole("OW", 1, INT32_MAX);
  const int64_t in = product(*arguments, {args.N, args.H, args.W, args.C});
  const int64_t out = product(*arguments, {args.N, args.OH, args.OW, args.C});
  args.x = arguments->tensor<float>(backward ? "dy" : "x", backward ? out : in);
  args.y = arguments->tensor<float>(backward ? "dx" : "y", backward ? in : out);
  return args;
}

Napi::Value upsample(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const UpsampleArgs args = read_upsample(&arguments, false);
  const TensorCall call(arguments);
  call.slot(&TensorOps::upsample, "upsample")(args, call.run());
  return arguments.env().Undefined();
}

Napi::Value upsample_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const UpsampleArgs args = read_upsample(&arguments, true);
  const TensorCall call(arguments);
  call.slot(&TensorOps::upsample_backward, "upsampleBackward")(args, call.run());
  return arguments.env().Undefined();
}

}  // namespace

void register_tensor_images(Napi::Env env, Napi::Object exports) {
  const TensorFunction functions[] = {
      {"poolSync", pool},
      {"poolBackwardSync", pool_backward},
      {"upsampleSync", upsample},
      {"upsampleBackwardSync", upsample_backward},
  };
  export_all(env, exports, functions);
}

}  // namespace bince::addon
