// Batch and layer normalisation and rows of unit length from JavaScript.
#include "native/addon/tensor_arguments.h"

namespace bince::addon {
namespace {

// (x, rows, C, training, gamma?, beta?, eps, momentum, runningMean?, runningVar?, mean, rstd, act, slope, y);
// the running ones may be missing in training alone.
Napi::Value batch_norm(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  BatchNormArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.positive("rows");
  args.C = arguments.positive("C");
  arguments.check_size("x", product(arguments, {args.rows, args.C}), x.size);
  args.x = x.data;
  args.training = arguments.flag();
  args.gamma = arguments.optional<float>("gamma", args.C);
  args.beta = arguments.optional<float>("beta", args.C);
  args.eps = static_cast<float>(arguments.number("eps"));
  args.momentum = static_cast<float>(arguments.number("momentum"));
  args.running_mean = arguments.optional<float>("runningMean", args.C);
  args.running_var = arguments.optional<float>("runningVar", args.C);
  if (!args.training && !(args.running_mean && args.running_var))
    arguments.fail("runningMean and runningVar: expected outside training, received undefined");
  args.mean = arguments.tensor<float>("mean", args.C);
  args.rstd = arguments.tensor<float>("rstd", args.C);
  args.act = static_cast<Activation>(arguments.whole("act", 0, kActivations - 1));
  args.slope = static_cast<float>(arguments.number("slope"));
  args.y = arguments.tensor<float>("y", args.rows * args.C);
  const TensorCall call(arguments, column_workspace(args.rows, args.C));
  call.slot(&TensorOps::batch_norm, "batchNorm")(args, call.run());
  return arguments.env().Undefined();
}

// (x, dy, rows, C, training, gamma?, beta?, mean, rstd, act, slope, dx, dgamma?, dbeta?)
Napi::Value batch_norm_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  BatchNormBackwardArgs args = {};
  const View<float> x = arguments.any<float>("x"), dy = arguments.any<float>("dy");
  args.rows = arguments.positive("rows");
  args.C = arguments.positive("C");
  const int64_t elements = product(arguments, {args.rows, args.C});
  arguments.check_size("x", elements, x.size);
  arguments.check_size("dy", elements, dy.size);
  args.x = x.data;
  args.dy = dy.data;
  args.training = arguments.flag();
  args.gamma = arguments.optional<float>("gamma", args.C);
  args.beta = arguments.optional<float>("beta", args.C);
  args.mean = arguments.tensor<float>("mean", args.C);
  args.rstd = arguments.tensor<float>("rstd", args.C);
  args.act = static_cast<Activation>(arguments.whole("act", 0, kActivations - 1));
  args.slope = static_cast<float>(arguments.number("slope"));
  args.dx = arguments.tensor<float>("dx", elements);
  args.dgamma = arguments.optional<float>("dgamma", args.C);
  args.dbeta = arguments.optional<float>("dbeta", args.C);
  const TensorCall call(arguments, column_workspace(args.rows, args.C));
  call.slot(&TensorOps::batch_norm_backward, "batchNormBackward")(args, call.run());
  return arguments.env().Undefined();
}

// (x, rows, n, gamma?, beta?, eps, mean, rstd, y)
Napi::Value layer_norm(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  LayerNormArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.size("rows");
  args.n = arguments.positive("n");
  arguments.check_size("x", product(arguments, {args.rows, args.n}), x.size);
  args.x = x.data;
  args.gamma = arguments.optional<float>("gamma", args.n);
  args.beta = arguments.optional<float>("beta", args.n);
  args.eps = static_cast<float>(arguments.number("eps"));
  args.mean = arguments.tensor<float>("mean", args.rows);
  args.rstd = arguments.tensor<float>("rstd", args.rows);
  args.y = arguments.tensor<float>("y", args.rows * args.n);
  const TensorCall call(arguments);
  call.slot(&TensorOps::layer_norm, "layerNorm")(args, call.run());
  return arguments.env().Undefined();
}

// (x, dy, rows, n, gamma?, mean, rstd, dx, dgamma?, dbeta?)
Napi::Value layer_norm_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  LayerNormBackwardArgs args = {};
  const View<float> x = arguments.any<float>("x"), dy = arguments.any<float>("dy");
  args.rows = arguments.size("rows");
  args.n = arguments.positive("n");
  const int64_t elements = product(arguments, {args.rows, args.n});
  arguments.check_size("x", elements, x.size);
  arguments.check_size("dy", elements, dy.size);
  args.x = x.data;
  args.dy = dy.data;
  args.gamma = arguments.optional<float>("gamma", args.n);
  args.mean = arguments.tensor<float>("mean", args.rows);
  args.rstd = arguments.tensor<float>("rstd", args.rows);
  args.dx = arguments.tensor<float>("dx", elements);
  args.dgamma = arguments.optional<float>("dgamma", args.n);
  args.dbeta = arguments.optional<float>("dbeta", args.n);
  const TensorCall call(arguments, column_workspace(args.rows, args.n));
  call.slot(&TensorOps::layer_norm_backward, "layerNormBackward")(args, call.run());
  return arguments.env().Undefined();
}

// (x, rows, n, eps, y, inverseNorm)
Napi::Value normalize(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  NormalizeArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.size("rows");
  args.n = arguments.size("n");
  arguments.check_size("x", product(arguments, {args.rows, args.n}), x.size);
  args.x = x.data;
  args.eps = static_cast<float>(arguments.number("eps"));
  args.y = arguments.tensor<float>("y", args.rows * args.n);
  args.inverse_norm = arguments.tensor<float>("inverseNorm", args.rows);
  const TensorCall call(arguments);
  call.slot(&TensorOps::normalize, "normalize")(args, call.run());
  return arguments.env().Undefined();
}

// (y, inverseNorm, dy, rows, n, dx)
Napi::Value normalize_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  NormalizeBackwardArgs args = {};
  const View<float> y = arguments.any<float>("y"), inverse = arguments.any<float>("inverseNorm");
  const View<float> dy = arguments.any<float>("dy");
  args.rows = arguments.size("rows");
  args.n = arguments.size("n");
  const int64_t elements = product(arguments, {args.rows, args.n});
  arguments.check_size("y", elements, y.size);
  arguments.check_size("inverseNorm", args.rows, inverse.size);
  arguments.check_size("dy", elements, dy.size);
  args.y = y.data;
  args.inverse_norm = inverse.data;
  args.dy = dy.data;
  args.dx = arguments.tensor<float>("dx", elements);
  const TensorCall call(arguments);
  call.slot(&TensorOps::normalize_backward, "normalizeBackward")(args, call.run());
  return arguments.env().Undefined();
}

}  // namespace

void register_tensor_normalization(Napi::Env env, Napi::Object exports) {
  const TensorFunction functions[] = {
      {"batchNormSync", batch_norm}, {"batchNormBackwardSync", batch_norm_backward},
      {"layerNormSync", layer_norm}, {"layerNormBackwardSync", layer_norm_backward},
      {"normalizeSync", normalize},  {"normalizeBackwardSync", normalize_backward},
  };
  export_all(env, exports, functions);
}

}  // namespace bince::addon
