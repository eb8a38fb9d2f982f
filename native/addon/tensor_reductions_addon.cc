// Reductions, rows by index, softmax and the cross-entropies from JavaScript.
#include "native/addon/tensor_arguments.h"

namespace bince::addon {
namespace {

// (op, x, outer, n, inner, y)
Napi::Value reduce(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  ReduceArgs args = {};
  args.op = static_cast<Reduction>(arguments.whole("op", 0, kReductions - 1));
  const View<float> x = arguments.any<float>("x");
  args.outer = arguments.size("outer");
  args.n = arguments.positive("n");
  args.inner = arguments.size("inner");
  arguments.check_size("x", product(arguments, {args.outer, args.n, args.inner}), x.size);
  args.x = x.data;
  args.y = arguments.tensor<float>("y", args.outer * args.inner);
  const TensorCall call(arguments, reduce_workspace(args.outer, args.n, args.inner));
  if (x.size > 0) call.slot(&TensorOps::reduce, "reduce")(args, call.run());
  return arguments.env().Undefined();
}

// (x, rows, n, out)
Napi::Value argmax(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  ArgmaxArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.size("rows");
  args.n = arguments.whole("n", 1, INT32_MAX);
  arguments.check_size("x", product(arguments, {args.rows, args.n}), x.size);
  args.x = x.data;
  args.out = arguments.tensor<int32_t>("out", args.rows);
  const TensorCall call(arguments);
  call.slot(&TensorOps::argmax, "argmax")(args, call.run());
  return arguments.env().Undefined();
}

// Indexes or labels in [0, limit).
void check_indexes(const Arguments& arguments, const char* name, const char* what, const int32_t* index,
                   int64_t count, int64_t limit) {
  for (int64_t i = 0; i < count; ++i)
    if (index[i] < 0 || index[i] >= limit)
      arguments.fail(std::string(name) + ": " + what + " " + std::to_string(i) + " is " +
                     std::to_string(index[i]) + ", expected 0 to " + std::to_string(limit - 1));
}

// (x, rows, width, index, count, y)
Napi::Value gather_rows(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  GatherArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.size("rows");
  args.width = arguments.size("width");
  arguments.check_size("x", product(arguments, {args.rows, args.width}), x.size);
  const View<int32_t> index = arguments.any<int32_t>("index");
  args.count = arguments.size("count");
  arguments.check_size("index", args.count, index.size);
  args.x = x.data;
  args.index = index.data;
  args.y = arguments.tensor<float>("y", product(arguments, {args.count, args.width}));
  check_indexes(arguments, "index", "element", args.index, args.count, args.rows);
  const TensorCall call(arguments);
  call.slot(&TensorOps::gather_rows, "gatherRows")(args, call.run());
  return arguments.env().Undefined();
}

// (dy, index, count, width, dx, rows)
Napi::Value scatter_add_rows(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  GatherArgs args = {};
  const View<float> dy = arguments.any<float>("dy");
  const View<int32_t> index = arguments.any<int32_t>("index");
  args.count = arguments.size("count");
  arguments.check_size("index", args.count, index.size);
  args.width = arguments.size("width");
  arguments.check_size("dy", product(arguments, {args.count, args.width}), dy.size);
  const View<float> dx = arguments.any<float>("dx");
  args.rows = arguments.size("rows");
  arguments.check_size("dx", product(arguments, {args.rows, args.width}), dx.size);
  args.x = dy.data;
  args.index = index.data;
  args.y = dx.data;
  check_indexes(arguments, "index", "element", args.index, args.count, args.rows);
  const TensorCall call(arguments);
  call.slot(&TensorOps::scatter_add_rows, "scatterAddRows")(args, call.run());
  return arguments.env().Undefined();
}

// (x, rows, n, log, y)
Napi::Value softmax(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  SoftmaxArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.rows = arguments.size("rows");
  args.n = arguments.positive("n");
  arguments.check_size("x", product(arguments, {args.rows, args.n}), x.size);
  args.log = arguments.flag();
  args.x = x.data;
  args.y = arguments.tensor<float>("y", args.rows * args.n);
  const TensorCall call(arguments);
  call.slot(&TensorOps::softmax, "softmax")(args, call.run());
  return arguments.env().Undefined();
}

// (y, dy, rows, n, log, dx)
Napi::Value softmax_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  SoftmaxBackwardArgs args = {};
  const View<float> y = arguments.any<float>("y"), dy = arguments.any<float>("dy");
  args.rows = arguments.size("rows");
  args.n = arguments.positive("n");
  const int64_t elements = product(arguments, {args.rows, args.n});
  arguments.check_size("y", elements, y.size);
  arguments.check_size("dy", elements, dy.size);
  args.log = arguments.flag();
  args.y = y.data;
  args.dy = dy.data;
  args.dx = arguments.tensor<float>("dx", elements);
  const TensorCall call(arguments);
  call.slot(&TensorOps::softmax_backward, "softmaxBackward")(args, call.run());
  return arguments.env().Undefined();
}

// (logits, labels, rows, classes, smoothing, rowLoss, dlogits?)
Napi::Value cross_entropy(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  CrossEntropyArgs args = {};
  const View<float> logits = arguments.any<float>("logits");
  const View<int32_t> labels = arguments.any<int32_t>("labels");
  args.rows = arguments.size("rows");
  args.classes = arguments.whole("classes", 1, INT32_MAX);
  const int64_t elements = product(arguments, {args.rows, args.classes});
  arguments.check_size("logits", elements, logits.size);
  arguments.check_size("labels", args.rows, labels.size);
  const double smoothing = arguments.number("smoothing");
  if (!(smoothing >= 0 && smoothing < 1))
    arguments.fail("smoothing: expected a number from 0 to below 1, received " + std::to_string(smoothing));
  args.smoothing = static_cast<float>(smoothing);
  args.logits = logits.data;
  args.labels = labels.data;
  args.row_loss = arguments.tensor<float>("rowLoss", args.rows);
  args.dlogits = arguments.optional<float>("dlogits", elements);
  check_indexes(arguments, "labels", "the label of row", args.labels, args.rows, args.classes);
  const TensorCall call(arguments);
  call.slot(&TensorOps::cross_entropy, "crossEntropy")(args, call.run());
  return arguments.env().Undefined();
}

// (logits, targets, rows, n, rowLoss, dlogits?)
Napi::Value bce_with_logits(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  BceArgs args = {};
  const View<float> logits = arguments.any<float>("logits"), targets = arguments.any<float>("targets");
  args.rows = arguments.size("rows");
  args.n = arguments.size("n");
  const int64_t elements = product(arguments, {args.rows, args.n});
  arguments.check_size("logits", elements, logits.size);
  arguments.check_size("targets", elements, targets.size);
  args.logits = logits.data;
  args.targets = targets.data;
  args.row_loss = arguments.tensor<float>("rowLoss", args.rows);
  args.dlogits = arguments.optional<float>("dlogits", elements);
  const TensorCall call(arguments);
  call.slot(&TensorOps::bce_with_logits, "bceWithLogits")(args, call.run());
  return arguments.env().Undefined();
}

// (x) => number
Napi::Value sum_squares(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const View<float> x = arguments.any<float>("x");
  const int64_t n = static_cast<int64_t>(x.size);
  const TensorCall call(arguments, column_workspace(n, 1));
  return Napi::Number::New(arguments.env(),
                           call.slot(&TensorOps::sum_squares, "sumSquares")(x.data, n, call.run()));
}

// (x) => index or -1
Napi::Value first_non_finite(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const View<float> x = arguments.any<float>("x");
  const int64_t n = static_cast<int64_t>(x.size);
  const TensorCall call(arguments);
  const int64_t found = call.slot(&TensorOps::first_non_finite, "firstNonFinite")(x.data, n, call.run());
  return Napi::Number::New(arguments.env(), static_cast<double>(found));
}

}  // namespace

void register_tensor_reductions(Napi::Env env, Napi::Object exports) {
  const TensorFunction functions[] = {
      {"reduceSync", reduce},
      {"argmaxSync", argmax},
      {"gatherRowsSync", gather_rows},
      {"scatterAddRowsSync", scatter_add_rows},
      {"softmaxSync", softmax},
      {"softmaxBackwardSync", softmax_backward},
      {"crossEntropySync", cross_entropy},
      {"bceWithLogitsSync", bce_with_logits},
      {"sumSquaresSync", sum_squares},
      {"firstNonFiniteSync", first_non_finite},
  };
  export_all(env, exports, functions);
}

}  // namespace bince::addon
