// Times shapes of tiles for the contrastive kernels: scores without an epilogue, and gradient products.
//
//   contrastive_tune [rows [columns [dim]]]      default: 4096 x 4096 of dim 128, 512 and 1024
//
// The figures choose the shapes of score_shapes.cuh and tile_shapes.cuh.  Before a shape is timed, sums of
// its results are compared with sums by a plain loop in double; one that fails is reported and not timed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "native/contrastive/gradient_product.cuh"
#include "native/contrastive/score_tile.cuh"
#include "native/cuda/bfloat16.cuh"

namespace bince {
namespace {

struct Sizes {
  int64_t rows, columns;
  int dim;
  bool timed;  // else each kernel runs once, for its checks
};

int failures = 0;

bool ok(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return true;
  std::printf("  %s: %s\n", call, cudaGetErrorString(error));
  ++failures;
  return false;
}

// Memory of the device, and what it was filled with.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t count) : host(count) {
    void* pointer = nullptr;
    if (ok(cudaMalloc(&pointer, count * sizeof(T)), "cudaMalloc")) device = static_cast<T*>(pointer);
  }
  ~Buffer() { (void)cudaFree(device); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void upload() {
    ok(cudaMemcpyAsync(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice, nullptr),
       "upload");
    ok(cudaStreamSynchronize(nullptr), "upload");
  }
  void download() {
    ok(cudaMemcpyAsync(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost, nullptr),
       "download");
    ok(cudaStreamSynchronize(nullptr), "download");
  }
  std::vector<T> host;
  T* device = nullptr;
};

// A matrix of multiples of 1/64 in [-1, 1): exact in every precision.
template <class Element>
struct Matrix {
  Matrix(int64_t count, int64_t width, uint32_t seed)
      : stride((width + 7) / 8 * 8), memory(static_cast<size_t>(count * stride)) {
    for (int64_t i = 0; i < count * stride; ++i) {
      seed = seed * 1664525u + 1013904223u;
      const float value = i % stride < width ? static_cast<float>(static_cast<int>(seed >> 25) - 64) / 64 : 0;
      if constexpr (sizeof(Element) == 2) {
        memory.host[static_cast<size_t>(i)] =
            static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
      } else {
        memory.host[static_cast<size_t>(i)] = value;
      }
    }
    memory.upload();
    rows = {memory.device, nullptr, count, count, stride};
  }
  double at(int64_t row, int64_t column) const {
    const Element element = memory.host[static_cast<size_t>(row * stride + column)];
    if constexpr (sizeof(Element) == 2) {
      return __builtin_bit_cast(float, static_cast<uint32_t>(element) << 16);
    } else {
      return element;
    }
  }
  int64_t stride;
  Buffer<Element> memory;
  TileRows rows;
};

// sums[tile][warp rows of 8]: the sum of each row of eight's scores, so that every score is needed.  Blocks
// take bands of 16 rows of tiles, column by column.
template <class Precision, class Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    tune_scores(TileRows a, TileRows b, int dim, int row_tiles, int column_tiles, float* sums) {
  BINCE_DYNAMIC_SHARED(char, shared);
  using Tile = ScoreTile<Precision, Shape>;
  const int block = static_cast<int>(blockIdx.x), band = block / (16 * column_tiles);
  const int height = row_tiles - 16 * band < 16 ? row_tiles - 16 * band : 16,
            within = block % (16 * column_tiles);
  const int row_tile = 16 * band + within % height, column_tile = within / height;
  Tile tile;
  tile.multiply(a, static_cast<int64_t>(row_tile) * Shape::kRows, b,
                static_cast<int64_t>(column_tile) * Shape::kColumns, dim, shared);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < Tile::kRowsPerThread; ++i)
#pragma unroll
    for (int j = 0; j < Tile::kColumnsPerThread; ++j) sum += tile.value[i][j];
  sums[(static_cast<int64_t>(row_tile) * column_tiles + column_tile) * Shape::kThreads + threadIdx.x] = sum;
}

// Milliseconds a run: the least of several, each of enough runs to be timed.
template <class Run>
float time_of(const Sizes& sizes, const Run& run) {
  cudaEvent_t begin, end;
  if (!ok(cudaEventCreate(&begin), "cudaEventCreate") || !ok(cudaEventCreate(&end), "cudaEventCreate"))
    return 0;
  float least = INFINITY, once = 0;
  int runs = 1;
  for (int repeat = 0; repeat < (sizes.timed ? 6 : 1); ++repeat) {
    ok(cudaEventRecord(begin, nullptr), "cudaEventRecord");
    for (int i = 0; i < runs; ++i) run();
    ok(cudaEventRecord(end, nullptr), "cudaEventRecord");
    ok(cudaEventSynchronize(end), "the kernel");
    ok(cudaEventElapsedTime(&once, begin, end), "cudaEventElapsedTime");
    if (repeat) least = std::min(least, once / static_cast<float>(runs));
    runs = std::max(1, std::min(200, static_cast<int>(20 * static_cast<float>(runs) / (once + 1e-3f))));
  }
  ok(cudaEventDestroy(begin), "cudaEventDestroy");
  ok(cudaEventDestroy(end), "cudaEventDestroy");
  return least;
}

template <class Kernel>
bool prepare(Kernel kernel, size_t bytes) {
  return ok(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
            "shared memory");
}

template <class Kernel>
void print_line(const char* what, const char* precision, const char* shape, Kernel kernel, int threads,
                size_t bytes, const Sizes& sizes, float milliseconds, double flops) {
  int blocks = 0, registers = 0;
#if !defined(BINCE_CUSIM)
  cudaFuncAttributes attributes;
  ok(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)), "cudaFuncGetAttributes");
  registers = attributes.numRegs;
  ok(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reinterpret_cast<const void*>(kernel), threads,
                                                   bytes),
     "occupancy");
#else
  (void)kernel;
#endif
  std::printf("%-9s%-9s%-22s dim %-5d %3d threads %3d registers %6zu bytes %d a multiprocessor", what,
              precision, shape, sizes.dim, threads, registers, bytes, blocks);
  if (sizes.timed)
    std::printf("  %8.3f ms %6.1f TFLOP/s", static_cast<double>(milliseconds),
                flops / static_cast<double>(milliseconds) * 1e-9);
  std::printf("\n");
  std::fflush(stdout);
}

// Whether a float32 sum stands for this one: the terms are multiples of 2^-12 up to 1.
bool close(float got, double exact, double terms) {
  return std::fabs(static_cast<double>(got) - exact) <= 1e-5 * std::sqrt(terms) * 8 + 1e-6 * terms;
}

template <class Precision>
struct Problem {
  using Element = typename Precision::Element;
  explicit Problem(const Sizes& s)
      : sizes(s), a(s.rows, s.dim, 1), b(s.columns, s.dim, 2), g(s.rows, s.columns, 3) {}
  Sizes sizes;
  Matrix<Element> a, b, g;
};

template <class Precision, class Shape>
bool scores_are_right(const Problem<Precision>& p, const Buffer<float>& sums, int column_tiles) {
  using Tile = ScoreTile<Precision, Shape>;
  const Sizes& s = p.sizes;
  const size_t samples[] = {0, sums.host.size() / 3, sums.host.size() / 2, sums.host.size() - 1};
  for (const size_t at : samples) {
    const int thread = static_cast<int>(at % Shape::kThreads), warp = thread / 32, lane = thread % 32;
    const int64_t tile = static_cast<int64_t>(at / Shape::kThreads);
    const int64_t row =
        tile / column_tiles * Shape::kRows + warp / Shape::kWarpColumns * 8 * Tile::kRowsPerThread;
    const int64_t column =
        tile % column_tiles * Shape::kColumns + warp % Shape::kWarpColumns * 4 * Tile::kColumnsPerThread;
    double exact = 0;
    for (int i = 0; i < Tile::kRowsPerThread; ++i)
      for (int j = 0; j < Tile::kColumnsPerThread; ++j) {
        const int64_t r = row + 8 * i + lane / 4, c = column + 8 * (j / 2) + 2 * (lane % 4) + j % 2;
        if (r < s.rows && c < s.columns)
          for (int d = 0; d < s.dim; ++d) exact += p.a.at(r, d) * p.b.at(c, d);
      }
    if (close(sums.host[at], exact, double(s.dim) * Tile::kRowsPerThread * Tile::kColumnsPerThread)) continue;
    std::printf("  wrong: sum %zu is %g, not %g\n", at, static_cast<double>(sums.host[at]), exact);
    ++failures;
    return false;
  }
  return true;
}

template <class Precision, class Shape>
void tune_scores_of(const Problem<Precision>& p, const char* precision, const char* shape) {
  const Sizes& s = p.sizes;
  const int row_tiles = static_cast<int>((s.rows + Shape::kRows - 1) / Shape::kRows);
  const int column_tiles = static_cast<int>((s.columns + Shape::kColumns - 1) / Shape::kColumns);
  Buffer<float> sums(static_cast<size_t>(row_tiles) * static_cast<size_t>(column_tiles) * Shape::kThreads);
  constexpr size_t kBytes = ScoreTile<Precision, Shape>::kSharedBytes;
  const auto kernel = tune_scores<Precision, Shape>;
  if (!prepare(kernel, kBytes)) return;
  const auto run = [&] {
    BINCE_LAUNCH(kernel, static_cast<unsigned>(row_tiles * column_tiles), Shape::kThreads, kBytes, nullptr,
                 p.a.rows, p.b.rows, s.dim, row_tiles, column_tiles, sums.device);
  };
  run();
  if (!ok(cudaGetLastError(), "tune_scores")) return;
  sums.download();
  if (!scores_are_right<Precision, Shape>(p, sums, column_tiles)) return;
  const float milliseconds = s.timed ? time_of(s, run) : 0;
  print_line("scores", precision, shape, kernel, Shape::kThreads, kBytes, s, milliseconds,
             2.0 * static_cast<double>(s.rows) * static_cast<double>(s.columns) * s.dim);
}

template <class Precision>
bool products_are_right(const Problem<Precision>& p, const Buffer<float>& out, bool by_rows) {
  const Sizes& s = p.sizes;
  const int64_t lines = by_rows ? s.rows : s.columns, depth = by_rows ? s.columns : s.rows;
  for (const int64_t at : {int64_t{0}, lines * s.dim / 3, lines * s.dim / 2 + 1, lines * s.dim - 1}) {
    const int64_t line = at / s.dim, d = at % s.dim;
    double exact = 0;
    for (int64_t k = 0; k < depth; ++k)
      exact += by_rows ? p.g.at(line, k) * p.b.at(k, d) : p.g.at(k, line) * p.a.at(k, d);
    const float got = out.host[static_cast<size_t>(at)];
    if (close(got, exact, static_cast<double>(depth))) continue;
    std::printf("  wrong: d%s[%lld] is %g, not %g\n", by_rows ? "q" : "k", static_cast<long long>(at),
                static_cast<double>(got), exact);
    ++failures;
    return false;
  }
  return true;
}

// Both products of one block in one grid, as a backward pass has them; the results are overwritten.
template <class Precision, class Shape>
void tune_products_of(const Problem<Precision>& p, const char* precision, const char* shape) {
  const Sizes& s = p.sizes;
  using Product = GradientProduct<Precision, Shape>;
  Buffer<float> dq(static_cast<size_t>(s.rows * s.dim)), dk(static_cast<size_t>(s.columns * s.dim));
  const auto tiles = [&](int64_t lines) {
    return (lines + Shape::kRows - 1) / Shape::kRows * ((s.dim + Shape::kColumns - 1) / Shape::kColumns);
  };
  const bool aligned = s.dim % 4 == 0;
  const ProductArguments arguments = {
      p.g.rows,
      s.columns,
      s.dim,
      1,
      {{p.b.rows, 0, dq.device, s.dim, s.rows, tiles(s.rows), true, false, aligned},
       {p.a.rows, 0, dk.device, s.dim, s.columns, tiles(s.columns), false, false, aligned}}};
  const auto kernel = gradient_product_kernel<Precision, Shape>;
  if (!prepare(kernel, Product::kSharedBytes)) return;
  const auto run = [&] {
    BINCE_LAUNCH(kernel, dim3(static_cast<unsigned>(std::max(tiles(s.rows), tiles(s.columns))), 2),
                 Shape::kThreads, Product::kSharedBytes, nullptr, arguments);
  };
  run();
  if (!ok(cudaGetLastError(), "gradient_product_kernel")) return;
  dq.download();
  dk.download();
  if (!products_are_right(p, dq, true) || !products_are_right(p, dk, false)) return;
  const float milliseconds = s.timed ? time_of(s, run) : 0;
  print_line("products", precision, shape, kernel, Shape::kThreads, Product::kSharedBytes, s, milliseconds,
             4.0 * static_cast<double>(s.rows) * static_cast<double>(s.columns) * s.dim);
}

#define TUNE(precision, name, ...)                                          \
  tune_scores_of<precision, TileShape<__VA_ARGS__>>(p, name, #__VA_ARGS__); \
  tune_products_of<precision, TileShape<__VA_ARGS__>>(p, name, #__VA_ARGS__)

void tune_bfloat16(const Problem<Bfloat16Product>& p) {
  TUNE(Bfloat16Product, "bfloat16", 64, 128, 2, 2, 64, 4);
#if !defined(BINCE_CUSIM)  // the simulator checks the program, one shape of each kind
  TUNE(Bfloat16Product, "bfloat16", 128, 128, 2, 2, 128, 3);
  TUNE(Bfloat16Product, "bfloat16", 128, 128, 2, 2, 64, 4);
  TUNE(Bfloat16Product, "bfloat16", 128, 128, 2, 4, 64, 4);
  TUNE(Bfloat16Product, "bfloat16", 128, 256, 2, 4, 128, 3);
  TUNE(Bfloat16Product, "bfloat16", 128, 256, 2, 4, 128, 4);
  TUNE(Bfloat16Product, "bfloat16", 128, 256, 2, 4, 64, 3);
  TUNE(Bfloat16Product, "bfloat16", 128, 256, 2, 4, 64, 4);
  TUNE(Bfloat16Product, "bfloat16", 256, 128, 4, 2, 64, 4);
  TUNE(Bfloat16Product, "bfloat16", 64, 64, 2, 2, 64, 4);
#endif
}

void tune_tf32(const Problem<Tf32Product>& p) {
  TUNE(Tf32Product, "tf32", 64, 128, 2, 2, 64, 4);
#if !defined(BINCE_CUSIM)
  TUNE(Tf32Product, "tf32", 128, 128, 2, 2, 128, 3);
  TUNE(Tf32Product, "tf32", 128, 128, 2, 2, 64, 4);
  TUNE(Tf32Product, "tf32", 128, 256, 2, 4, 64, 3);
#endif
}

void tune_float32(const Problem<Float32Product>& p) {
  TUNE(Float32Product, "float32", 64, 128, 2, 2, 64, 4);
#if !defined(BINCE_CUSIM)
  TUNE(Float32Product, "float32", 128, 128, 2, 2, 64, 4);
#endif
}

}  // namespace
}  // namespace bince

int main(int argc, char** argv) {
  using namespace bince;
  const auto argument = [&](int at, long otherwise) { return argc > at ? std::atol(argv[at]) : otherwise; };
#if defined(BINCE_CUSIM)
  constexpr bool kTimed = false;
#else
  constexpr bool kTimed = true;
#endif
  const Sizes sizes = {argument(1, 4096), argument(2, 4096), static_cast<int>(argument(3, 0)), kTimed};
  if (sizes.rows < 1 || sizes.columns < 1 || sizes.dim < 0) {
    std::printf("usage: contrastive_tune [rows [columns [dim]]]\n");
    return 2;
  }
  std::printf("%lld x %lld\n", static_cast<long long>(sizes.rows), static_cast<long long>(sizes.columns));
  for (const int dim : {128, 512, 1024})
    if (sizes.dim == 0 || dim == 128) {
      const Sizes now = {sizes.rows, sizes.columns, sizes.dim ? sizes.dim : dim, sizes.timed};
      tune_bfloat16(Problem<Bfloat16Product>(now));
      tune_tf32(Problem<Tf32Product>(now));
      tune_float32(Problem<Float32Product>(now));
    }
  std::printf("%d failed\n", failures);
  return failures ? 1 : 0;
}
