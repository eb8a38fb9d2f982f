// Optimiser steps from JavaScript.
#include "native/addon/tensor_arguments.h"

namespace bince::addon {
namespace {

// (p, g, m, v, lr, beta1, beta2, eps, weightDecay, decoupled, step, gradScale)
Napi::Value adam(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  AdamArgs args = {};
  const View<float> p = arguments.any<float>("p");
  args.n = static_cast<int64_t>(p.size);
  args.p = p.data;
  args.g = arguments.tensor<float>("g", args.n);
  args.m = arguments.tensor<float>("m", args.n);
  args.v = arguments.tensor<float>("v", args.n);
  args.lr = arguments.number("lr");
  args.beta1 = arguments.number("beta1");
  args.beta2 = arguments.number("beta2");
  args.eps = arguments.number("eps");
  args.weight_decay = arguments.number("weightDecay");
  args.decoupled = arguments.flag();
  args.step = arguments.positive("step");
  args.grad_scale = arguments.number("gradScale");
  const TensorCall call(arguments);
  call.slot(&TensorOps::adam, "adam")(args, call.run());
  return arguments.env().Undefined();
}

// (p, g, momentumBuffer?, lr, momentum, dampening, nesterov, weightDecay, first, gradScale)
Napi::Value sgd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  SgdArgs args = {};
  const View<float> p = arguments.any<float>("p");
  args.n = static_cast<int64_t>(p.size);
  args.p = p.data;
  args.g = arguments.tensor<float>("g", args.n);
  args.momentum_buffer = arguments.optional<float>("momentumBuffer", args.n);
  args.lr = arguments.number("lr");
  args.momentum = arguments.number("momentum");
  args.dampening = arguments.number("dampening");
  args.nesterov = arguments.flag();
  args.weight_decay = arguments.number("weightDecay");
  args.first = arguments.flag();
  args.grad_scale = arguments.number("gradScale");
  const TensorCall call(arguments);
  call.slot(&TensorOps::sgd, "sgd")(args, call.run());
  return arguments.env().Undefined();
}

// (target, source, decay)
Napi::Value ema(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  EmaArgs args = {};
  const View<float> target = arguments.any<float>("target");
  args.n = static_cast<int64_t>(target.size);
  args.target = target.data;
  args.source = arguments.tensor<float>("source", args.n);
  args.decay = arguments.number("decay");
  const TensorCall call(arguments);
  call.slot(&TensorOps::ema, "ema")(args, call.run());
  return arguments.env().Undefined();
}

}  // namespace

void register_tensor_optimizers(Napi::Env env, Napi::Object exports) {
  const TensorFunction functions[] = {
      {"adamSync", adam},
      {"sgdSync", sgd},
      {"emaSync", ema},
  };
  export_all(env, exports, functions);
}

}  // namespace bince::addon
