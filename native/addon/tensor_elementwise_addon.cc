// Elementwise calls, broadcasting, strided copies, conversion and random numbers from JavaScript.
#include <cmath>

#include "native/addon/tensor_arguments.h"

namespace bince::addon {
namespace {

// (x, value)
Napi::Value fill(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const View<float> x = arguments.any<float>("x");
  const FillArgs args = {static_cast<int64_t>(x.size), static_cast<float>(arguments.number("value")), x.data};
  const TensorCall call(arguments);
  call.slot(&TensorOps::fill, "fill")(args, call.run());
  return arguments.env().Undefined();
}

// (x, kind, a, b, seedLow, seedHigh, offset)
Napi::Value random(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  RandomArgs args = {};
  const View<float> x = arguments.any<float>("x");
  args.kind = static_cast<int32_t>(arguments.whole("kind", 0, 1));
  args.a = static_cast<float>(arguments.number("a"));
  args.b = static_cast<float>(arguments.number("b"));
  args.seed = arguments.seed();
  args.offset = static_cast<uint64_t>(arguments.size("offset"));
  args.n = static_cast<int64_t>(x.size);
  args.x = x.data;
  const TensorCall call(arguments);
  call.slot(&TensorOps::random, "random")(args, call.run());
  return arguments.env().Undefined();
}

// (x, p, seedLow, seedHigh, offset, y)
Napi::Value dropout(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  DropoutArgs args = {};
  const View<float> x = arguments.any<float>("x");
  const double p = arguments.number("p");
  if (!(p >= 0 && p <= 1)) arguments.fail("p: expected a number from 0 to 1, received " + std::to_string(p));
  args.p = static_cast<float>(p);
  args.seed = arguments.seed();
  args.offset = static_cast<uint64_t>(arguments.size("offset"));
  args.n = static_cast<int64_t>(x.size);
  args.x = x.data;
  args.y = arguments.tensor<float>("y", args.n);
  const TensorCall call(arguments);
  call.slot(&TensorOps::dropout, "dropout")(args, call.run());
  return arguments.env().Undefined();
}

// (op, a, b, x, y)
Napi::Value unary(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  UnaryArgs args = {};
  args.op = static_cast<Unary>(arguments.whole("op", 0, kUnaryOps - 1));
  args.a = static_cast<float>(arguments.number("a"));
  args.b = static_cast<float>(arguments.number("b"));
  const View<float> x = arguments.any<float>("x");
  args.n = static_cast<int64_t>(x.size);
  args.x = x.data;
  args.y = arguments.tensor<float>("y", args.n);
  const TensorCall call(arguments);
  call.slot(&TensorOps::unary, "unary")(args, call.run());
  return arguments.env().Undefined();
}

// (op, a, b, x, y, dy, dx)
Napi::Value unary_backward(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  UnaryBackwardArgs args = {};
  args.op = static_cast<Unary>(arguments.whole("op", 0, kUnaryOps - 1));
  args.a = static_cast<float>(arguments.number("a"));
  args.b = static_cast<float>(arguments.number("b"));
  const View<float> x = arguments.any<float>("x");
  args.n = static_cast<int64_t>(x.size);
  args.x = x.data;
  args.y = arguments.tensor<float>("y", args.n);
  args.dy = arguments.tensor<float>("dy", args.n);
  args.dx = arguments.tensor<float>("dx", args.n);
  const TensorCall call(arguments);
  call.slot(&TensorOps::unary_backward, "unaryBackward")(args, call.run());
  return arguments.env().Undefined();
}

// Shape and strides; returns the number of elements.
int64_t read_dims(const Arguments& arguments, const View<int32_t>& dims, int32_t* rank, int64_t* sizes) {
  *rank = static_cast<int32_t>(dims.size);
  int64_t elements = 1;
  for (size_t d = 0; d < dims.size; ++d) {
    sizes[d] = dims.data[d];
    if (sizes[d] < 0) arguments.fail("dims: expected sizes from 0, received " + std::to_string(sizes[d]));
    elements = product(arguments, {elements, sizes[d]});
  }
  return elements;
}

// Reads as many strides as there are sizes; the elements first + index * stride must lie in [0, available).
void read_strides(Arguments* arguments, const char* name, const View<int32_t>& strides, int32_t rank,
                  const int64_t* sizes, int64_t first, size_t available, int64_t* out) {
  if (strides.size != static_cast<size_t>(rank))
    arguments->fail(std::string(name) + ": expected " + std::to_string(rank) + " strides, received " +
                    std::to_string(strides.size));
  double lowest = static_cast<double>(first), highest = lowest;
  bool empty = false;
  for (int d = 0; d < rank; ++d) {
    out[d] = strides.data[d];
    empty = empty || sizes[d] == 0;
    const double reach = static_cast<double>(sizes[d] - 1) * static_cast<double>(out[d]);
    (reach < 0 ? lowest : highest) += reach;
  }
  if (!empty && !(lowest >= 0 && highest < static_cast<double>(available)))
    arguments->fail(
        std::string(name) + ": reach from element " + std::to_string(static_cast<int64_t>(lowest)) + " to " +
        std::to_string(static_cast<int64_t>(highest)) + " of a tensor of " + std::to_string(available));
}

// (op, x, y, z, dims, xStrides, yStrides); without the last three all have one shape, which spares reading
// arrays: most of what a small call costs.
Napi::Value binary(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  BinaryArgs args = {};
  args.op = static_cast<Binary>(arguments.whole("op", 0, kBinaryOps - 1));
  const View<float> x = arguments.any<float>("x"), y = arguments.any<float>("y"),
                    z = arguments.any<float>("z");
  int64_t elements = static_cast<int64_t>(z.size);
  if (info.Length() == 4) {
    arguments.check_size("x", elements, x.size);
    arguments.check_size("y", elements, y.size);
    args.rank = 1;
    args.dims[0] = elements;
    args.x_strides[0] = args.y_strides[0] = 1;
  } else {
    const View<int32_t> dims = arguments.integers("dims", 1, kMaxRank);
    elements = read_dims(arguments, dims, &args.rank, args.dims);
    arguments.check_size("z", elements, z.size);
    read_strides(&arguments, "xStrides", arguments.integers("xStrides", 1, kMaxRank), args.rank, args.dims, 0,
                 x.size, args.x_strides);
    read_strides(&arguments, "yStrides", arguments.integers("yStrides", 1, kMaxRank), args.rank, args.dims, 0,
                 y.size, args.y_strides);
  }
  args.x = x.data;
  args.y = y.data;
  args.z = z.data;
  const TensorCall call(arguments);
  if (elements > 0) call.slot(&TensorOps::binary, "binary")(args, call.run());
  return arguments.env().Undefined();
}

// (x, xFirst, xStrides, y, yFirst, yStrides, dims, accumulate)
Napi::Value copy_strided(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  CopyArgs args = {};
  const Storage& x = arguments.storage("x");
  const int64_t x_first = arguments.size("xFirst");
  const View<int32_t> x_strides = arguments.integers("xStrides", 1, kMaxRank);
  const Storage& y = arguments.storage("y");
  const int64_t y_first = arguments.size("yFirst");
  const View<int32_t> y_strides = arguments.integers("yStrides", 1, kMaxRank);
  const View<int32_t> dims = arguments.integers("dims", 1, kMaxRank);
  args.accumulate = arguments.flag();
  if (x.type != y.type)
    arguments.fail(std::string("y: expected ") + type_name(x.type) + ", received " + type_name(y.type));
  const int64_t elements = read_dims(arguments, dims, &args.rank, args.dims);
  read_strides(&arguments, "xStrides", x_strides, args.rank, args.dims, x_first, x.elements, args.x_strides);
  read_strides(&arguments, "yStrides", y_strides, args.rank, args.dims, y_first, y.elements, args.y_strides);
  args.type = static_cast<ElementType>(x.type);
  const int64_t width = x.type == StorageType::kUint8 ? 1 : 4;
  args.x = static_cast<const char*>(x.data) + x_first * width;
  args.y = static_cast<char*>(y.data) + y_first * width;
  const TensorCall call(arguments);
  if (elements > 0) call.slot(&TensorOps::copy_strided, "copyStrided")(args, call.run());
  return arguments.env().Undefined();
}

// (x, y, scale)
Napi::Value convert(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const Storage& x = arguments.storage("x");
  const Storage& y = arguments.storage("y");
  const bool to_float = x.type != StorageType::kFloat32 && y.type == StorageType::kFloat32;
  if (!to_float && !(x.type == StorageType::kFloat32 && y.type == StorageType::kInt32))
    arguments.fail(std::string("y: uint8 and int32 convert to float32, float32 to int32; received ") +
                   type_name(x.type) + " to " + type_name(y.type));
  arguments.check_size("y", static_cast<int64_t>(x.elements), y.elements);
  ConvertArgs args = {};
  args.from = static_cast<ElementType>(x.type);
  args.to = static_cast<ElementType>(y.type);
  args.scale = static_cast<float>(arguments.number("scale"));
  args.n = static_cast<int64_t>(x.elements);
  args.x = x.data;
  args.y = y.data;
  const TensorCall call(arguments);
  call.slot(&TensorOps::convert, "convert")(args, call.run());
  return arguments.env().Undefined();
}

}  // namespace

void register_tensor_elementwise(Napi::Env env, Napi::Object exports) {
  const TensorFunction functions[] = {
      {"fillSync", fill},
      {"randomSync", random},
      {"dropoutSync", dropout},
      {"unarySync", unary},
      {"unaryBackwardSync", unary_backward},
      {"binarySync", binary},
      {"copyStridedSync", copy_strided},
      {"convertSync", convert},
  };
  export_all(env, exports, functions);
}

}  // namespace bince::addon
