// Rows by index and the derivative of that.
#include "native/tensor/tensor_ops.h"

namespace bince {
namespace {

void gather_rows(const GatherArgs& args, const Run&) {
  for (int64_t i = 0; i < args.count; ++i)
    for (int64_t k = 0; k < args.width; ++k)
      args.y[i * args.width + k] = args.x[args.index[i] * args.width + k];
}

// Contributions to a row are added in the order of the index.
void scatter_add_rows(const GatherArgs& args, const Run&) {
  for (int64_t i = 0; i < args.rows * args.width; ++i) args.y[i] = 0;
  for (int64_t i = 0; i < args.count; ++i)
    for (int64_t k = 0; k < args.width; ++k)
      args.y[args.index[i] * args.width + k] += args.x[i * args.width + k];
}

}  // namespace

void fill_gather_ref(TensorOps* ops) {
  ops->gather_rows = gather_rows;
  ops->scatter_add_rows = scatter_add_rows;
}

}  // namespace bince
