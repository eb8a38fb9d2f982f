// What kernels that code blocks share: tables in shared memory, and the steps of a block.
//
// A warp codes a block: lane l holds the state of the block's lane l.  A step is one row group at one
// channel; rows of 32 steps (a tile) are read and written as whole lines with lane = step, and turned in
// shared memory for the coder, where lane = row.
#ifndef BINCE_CODING_TILES_CUH_
#define BINCE_CODING_TILES_CUH_

#include "native/coding/coding_cuda.h"
#include "native/coding/quantize.h"
#include "native/cuda/device_runtime.h"
#include "native/cuda/language.cuh"
#include "native/cuda/report.cuh"

namespace bince {
namespace {

constexpr uint32_t kTileStride = kTileSteps + 1;  // so that a column of 16-bit numbers meets every bank
constexpr int kMostWarps = 16;

// A channel's table as the coder needs it at a step.
struct alignas(16) StepTable {
  uint32_t table;
  uint32_t first;
  uint32_t escape;
  uint32_t unused;
};

struct BlockShape {
  const bince_tables* tables;
  const DeviceChannel* channels;
  const uint32_t* indexes;  // the table of each symbol, or null
  uint32_t C;
  uint32_t lanes;
  uint32_t staged;  // tables [0, staged) lie in shared memory
  uint32_t staged_entries;
};

// Where the 32 symbols of a step stand.
struct StepPlace {
  uint64_t at;  // of lane 0's, in elements from the block's first; the next lane's is C further
  uint32_t channel;
  uint32_t lanes;  // that have a row; 0 behind the last step
};

__device__ __forceinline__ StepPlace step_place(const BlockShape& shape, uint64_t rows, uint64_t step) {
  StepPlace place;
  const uint64_t group = step <= 0xffffffffu ? static_cast<uint32_t>(step) / shape.C : step / shape.C;
  place.channel = static_cast<uint32_t>(step - group * shape.C);
  const uint64_t row = group * shape.lanes;
  place.at = row * shape.C + place.channel;
  place.lanes = row < rows ? static_cast<uint32_t>(lanes_used(shape.lanes, rows - row)) : 0;
  return place;
}

__device__ __forceinline__ uint64_t step_count(const BlockShape& shape, uint64_t rows) {
  return (rows + shape.lanes - 1) / shape.lanes * shape.C;
}

// The steps of a tile: `full` of them with all the block's lanes, the rest with `tail_lanes`.
struct TileSteps {
  uint32_t count, full, tail_lanes;
};

__device__ __forceinline__ TileSteps tile_steps(const BlockShape& shape, uint64_t rows, uint64_t tile) {
  const uint64_t steps = step_count(shape, rows), full = rows / shape.lanes * shape.C;
  const uint64_t count = steps - tile < kTileSteps ? steps - tile : uint64_t{kTileSteps};
  const uint64_t whole = full <= tile ? 0 : full - tile < count ? full - tile : count;
  return {static_cast<uint32_t>(count), static_cast<uint32_t>(whole),
          static_cast<uint32_t>(rows % shape.lanes)};
}

// Where a tile's tables are looked up: all in shared memory, in the uploaded tables, or each lane's own
// there.
enum class Look { kShared, kUploaded, kIndexed };

// The tables of a tile's symbols, for arrays with indexes.
struct IndexTile {
  uint32_t at[kLanes * kTileStride];
};

// The channel of a symbol with a table of its own.
__device__ __forceinline__ DeviceChannel indexed_channel(const bince_tables* tables, uint32_t table) {
  const TableHead head = tables_at<TableHead>(tables, tables->heads_at)[table];
  return {table, static_cast<uint32_t>(head.first), head.entries - 1, head.offset, 0.0f, 1.0f, 1.0f, 0.0f};
}

// The table of an element; one that names none is noted, and table 0 serves.
__device__ __forceinline__ uint32_t checked_index(const BlockShape& shape, uint64_t element,
                                                  DeviceReport* report) {
  const uint32_t table = shape.indexes[element];
  if (table < shape.tables->tables) return table;
  note_offence(report, Offence::kIndexOutOfRange, static_cast<int64_t>(element));
  return 0;
}

// A symbol as what codes it.
struct Token {
  uint32_t entry;
  uint32_t escape_bytes;  // 0 inside the table
  uint64_t escape_value;
};

// False where the bits are a float32 that no symbol stands for.
__device__ __forceinline__ bool token_of(RowType type, uint32_t bits, const DeviceChannel& channel,
                                         Token* token) {
  int32_t symbol = static_cast<int32_t>(bits);
  const bool valid = type == kSymbolRows ||
                     quantize(__uint_as_float(bits), channel.median, channel.gain, channel.shift, &symbol);
  if (!valid) symbol = channel.offset;
  const int64_t v = int64_t{symbol} - channel.offset;
  const bool inside = static_cast<uint64_t>(v) < channel.escape;
  token->entry = inside ? static_cast<uint32_t>(v) : channel.escape;
  token->escape_value = inside ? 0 : escape_value(v, channel.escape);
  token->escape_bytes = inside ? 0 : static_cast<uint32_t>(varint_bytes(token->escape_value));
  return valid;
}

// Copies whole 16-byte pieces to shared memory, all threads of the block together.
__device__ __forceinline__ void stage_bytes(void* shared, const void* global, uint64_t bytes) {
  uint4* to = static_cast<uint4*>(shared);
  const uint4* from = static_cast<const uint4*>(global);
  const uint32_t pieces = static_cast<uint32_t>((bytes + 15) / 16);
#pragma unroll 8
  for (uint32_t i = threadIdx.x; i < pieces; i += blockDim.x) to[i] = from[i];
}

__device__ __forceinline__ uint32_t lane_id() {
  return threadIdx.x & 31;
}

__device__ __forceinline__ uint32_t lanes_below(uint32_t lane) {
  return (1u << lane) - 1;
}

__device__ __forceinline__ uint64_t warp_sum(uint64_t value) {
  for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(kAllLanes, value, by);
  return value;
}

// The sum over the lanes before this one.
__device__ __forceinline__ uint64_t warp_sum_before(uint64_t value) {
  uint64_t sum = value;
  for (uint32_t by = 1; by < 32; by *= 2) {
    const uint64_t other = __shfl_up_sync(kAllLanes, sum, by);
    if (lane_id() >= by) sum += other;
  }
  return sum - value;
}

// The sum over the threads before this one, and of all in *total; shared: [blockDim.x / 32 + 1].
__device__ __forceinline__ uint64_t block_sum_before(uint64_t value, uint64_t* shared, uint64_t* total) {
  const uint32_t warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const uint64_t before = warp_sum_before(value);
  __syncthreads();  // the last call's numbers have been read
  if (lane_id() == 31) shared[warp] = before + value;
  __syncthreads();
  uint64_t sum = before;
  *total = 0;
  for (uint32_t w = 0; w < warps; ++w) {
    if (w < warp) sum += shared[w];
    *total += shared[w];
  }
  return sum;
}

// Bytes of shared memory that a block of the current device may have.
inline bince_status most_shared(size_t* bytes) {
  int device = 0, found = 0;
  BINCE_RETURN_IF_ERROR(cuda_status(cudaGetDevice(&device), "cudaGetDevice"));
  BINCE_RETURN_IF_ERROR(
      cuda_status(cudaDeviceGetAttribute(&found, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
                  "cudaDeviceGetAttribute"));
  *bytes = static_cast<size_t>(found);
  return BINCE_OK;
}

// Tables [0, result) whose entries fit `bytes` at `entry_bytes` each and, where `narrow`, a bucket of
// kBuckets bytes a table; then none has more than kNarrowEntries entries.
inline uint32_t tables_that_fit(const bince_tables* host, size_t bytes, size_t entry_bytes, bool narrow,
                                uint32_t* entries) {
  const TableHead* heads = tables_at<TableHead>(host, host->heads_at);
  uint32_t count = 0;
  *entries = 0;
  size_t used = 0;
  while (count < host->tables) {
    const uint32_t n = heads[count].entries;
    used += n * entry_bytes + (narrow ? kBuckets : 0);
    if (used > bytes || (narrow && n > kNarrowEntries)) break;
    *entries += n;
    ++count;
  }
  return count;
}

}  // namespace
}  // namespace bince

#endif  // BINCE_CODING_TILES_CUH_
