#include "native/contrastive/gradient_product.h"

#include "native/contrastive/gradient_product.cuh"
#include "native/contrastive/tile_shapes.cuh"
#include "native/cuda/device_runtime.h"

namespace bince {
namespace {

// Rows of `rows` that a block's depth reads, and no others: what lies behind them is taken as zeros.
TileRows ending_at(TileRows rows, int64_t end) {
  if (rows.count > end) rows.count = end;
  return rows;
}

ProductSide side_of(const TileRows& operand, int64_t first, int64_t depth, int64_t lines, bool by_rows,
                    const ProductOutput& out) {
  const bool aligned = reinterpret_cast<uintptr_t>(out.data) % 16 == 0 && out.stride % 4 == 0;
  return {ending_at(operand, first + depth),
          first,
          out.data,
          out.stride,
          lines,
          0,
          by_rows,
          out.accumulate,
          aligned};
}

int64_t tiles_of(int64_t lines, int64_t dim, int64_t rows, int64_t columns) {
  return (lines + rows - 1) / rows * ((dim + columns - 1) / columns);
}

template <class Precision, class Shape>
bince_status launch_shape(void* stream, ProductArguments arguments, int sides) {
  using Product = GradientProduct<Precision, Shape>;
  int64_t tiles = 0;
  for (int s = 0; s < sides; ++s) {
    ProductSide& side = arguments.side[s];
    side.tiles = tiles_of(side.lines, arguments.dim, Shape::kRows, Shape::kColumns);
    tiles = side.tiles > tiles ? side.tiles : tiles;
  }
  if (tiles > INT32_MAX)
    return fail(BINCE_UNSUPPORTED, "a gradient product of %lld tiles", static_cast<long long>(tiles));
  const auto kernel = gradient_product_kernel<Precision, Shape>;
  BINCE_RETURN_IF_ERROR(
      allow_shared(reinterpret_cast<const void*>(kernel), Product::kSharedBytes, "gradient_product_kernel"));
  BINCE_LAUNCH(kernel, dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(sides)), Shape::kThreads,
               Product::kSharedBytes, stream, arguments);
  return launch_status("gradient_product_kernel");
}

// The large tile needs fewer bytes of the L2 cache a product, but only if it gives every multiprocessor work.
template <class Precision>
bince_status launch_sides(void* stream, const ProductArguments& arguments, int sides) {
  using Large = typename ProductShapes<Precision>::Large;
  using Small = typename ProductShapes<Precision>::Small;
  int64_t tiles = 0;
  for (int s = 0; s < sides; ++s)
    tiles += tiles_of(arguments.side[s].lines, arguments.dim, Large::kRows, Large::kColumns);
  if (arguments.dim > Small::kColumns && tiles * 4 >= multiprocessors() * 3)
    return launch_shape<Precision, Large>(stream, arguments, sides);
  return launch_shape<Precision, Small>(stream, arguments, sides);
}

bince_status launch(void* stream, ProductPrecision precision, const ProductArguments& arguments, int sides) {
  switch (precision) {
    case ProductPrecision::kBfloat16:
      return launch_sides<Bfloat16Product>(stream, arguments, sides);
    case ProductPrecision::kTf32:
      return launch_sides<Tf32Product>(stream, arguments, sides);
    case ProductPrecision::kFloat32:
      return launch_sides<Float32Product>(stream, arguments, sides);
  }
  return fail(BINCE_INTERNAL, "an unknown precision of gradient products");
}

ProductArguments arguments_of(const GradientBlock& g, int dim, float factor) {
  return {{g.data, nullptr, g.rows, g.rows, g.stride}, g.columns, dim, factor, {}};
}

}  // namespace

bince_status launch_row_product(void* stream, ProductPrecision precision, const GradientBlock& g,
                                const TileRows& b, int64_t b_first, int dim, float factor,
                                const ProductOutput& out) {
  ProductArguments arguments = arguments_of(g, dim, factor);
  arguments.side[0] = side_of(b, b_first, g.columns, g.rows, true, out);
  return launch(stream, precision, arguments, 1);
}

bince_status launch_column_product(void* stream, ProductPrecision precision, const GradientBlock& g,
                                   const TileRows& a, int64_t a_first, int dim, float factor,
                                   const ProductOutput& out) {
  ProductArguments arguments = arguments_of(g, dim, factor);
  arguments.side[0] = side_of(a, a_first, g.rows, g.columns, false, out);
  return launch(stream, precision, arguments, 1);
}

bince_status launch_products(void* stream, ProductPrecision precision, const GradientBlock& g,
                             const TileRows& a, int64_t a_first, const TileRows& b, int64_t b_first, int dim,
                             float factor, const ProductOutput& row_out, const ProductOutput& column_out) {
  ProductArguments arguments = arguments_of(g, dim, factor);
  arguments.side[0] = side_of(b, b_first, g.columns, g.rows, true, row_out);
  arguments.side[1] = side_of(a, a_first, g.rows, g.columns, false, column_out);
  return launch(stream, precision, arguments, 2);
}

}  // namespace bince
