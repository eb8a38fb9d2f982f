// Blocks from rows to sections: a warp codes a block backwards into its room; sizes are summed to places;
// then a thread block a section writes header, states, words, escapes and checksum where they belong.
#include "native/coding/crc32c.cuh"
#include "native/coding/range_coder.h"
#include "native/coding/symbol_stream.h"
#include "native/cuda/device_runtime.h"

namespace bince {
namespace {

// Fewer than decoding has: a lane holds a tile's 32 symbols of the next tile in registers.
constexpr int kMostEncodeWarps = 12;

struct EncodeArgs {
  BlockShape shape;
  SectionRules rules;
  const void* rows;
  RowType type;
  bool array;
  bool count_cost;
  uint64_t row_count;
  uint64_t first_block;
  EncodeRoom room;
  uint8_t* out;
  uint64_t capacity;
  int64_t* section_bytes;
  uint64_t* bytes;
  double* ideal_bits;
  DeviceReport* report;
};

// An entry in shared memory.
struct alignas(8) StagedEntry {
  uint32_t packed;  // start, frequency
  uint32_t reciprocal;
};

struct EncodeWarp {
  StepTable steps[kTileSteps];
  uint16_t tile[kLanes * kTileStride];  // [lane][step]: entries
};

__device__ __forceinline__ uint64_t rows_of_block(const EncodeArgs& a, uint64_t block) {
  if (a.array) return a.row_count;
  const uint64_t left = a.row_count - block * a.rules.block_rows;
  return left < a.rules.block_rows ? left : a.rules.block_rows;
}

__device__ __forceinline__ uint64_t first_row_of_block(const EncodeArgs& a, uint64_t block) {
  return a.array ? 0 : block * a.rules.block_rows;
}

__device__ __forceinline__ uint32_t element_bits(const EncodeArgs& a, uint64_t element) {
  return static_cast<const uint32_t*>(a.rows)[element];
}

__global__ void name_channels(const bince_tables* tables, DeviceChannel* channels, uint32_t count) {
  for (uint32_t c = blockIdx.x * blockDim.x + threadIdx.x; c < count; c += gridDim.x * blockDim.x)
    channels[c] = indexed_channel(tables, c);
}

// --- rANS ---

// The symbols of a tile, lane = step, as numbers of 32 bits; fetched a tile ahead.
struct Fetched {
  uint32_t bits[kLanes];
};

__device__ __forceinline__ void fetch_tile(const EncodeArgs& a, uint64_t first, const StepPlace& place,
                                           Fetched* fetched) {
#pragma unroll
  for (uint32_t l = 0; l < kLanes; ++l)
    if (l < place.lanes) fetched->bits[l] = element_bits(a, first + place.at + uint64_t{l} * a.shape.C);
}

// Turns symbols into entries; returns this step's escape bytes.
template <bool kIndexed>
__device__ __forceinline__ uint32_t quantize_tile(const EncodeArgs& a, uint64_t first, const StepPlace& place,
                                                  const Fetched& fetched, DeviceChannel channel,
                                                  uint16_t* tile, uint32_t* indexes, uint64_t* cost) {
  const uint32_t lane = lane_id();
  const uint32_t* costs = tables_at<uint32_t>(a.shape.tables, a.shape.tables->costs_at);
  uint32_t escape_bytes = 0;
#pragma unroll
  for (uint32_t l = 0; l < kLanes; ++l) {
    if (l >= place.lanes) continue;
    const uint64_t element = first + place.at + uint64_t{l} * a.shape.C;
    if (kIndexed) {
      indexes[l * kTileStride + lane] = checked_index(a.shape, element, a.report);
      channel = indexed_channel(a.shape.tables, indexes[l * kTileStride + lane]);
    }
    Token token;
    if (!token_of(a.type, fetched.bits[l], channel, &token))
      note_offence(a.report, Offence::kUnquantizable, static_cast<int64_t>(element));
    tile[l * kTileStride + lane] = static_cast<uint16_t>(token.entry);
    escape_bytes += token.escape_bytes;
    if (a.count_cost) *cost += costs[channel.first + token.entry];
  }
  return escape_bytes;
}

// An entry to code.
struct Coded {
  uint32_t start, frequency, reciprocal;
};

template <Look kLook>
__device__ __forceinline__ Coded coded_entry(const BlockShape& shape, const StagedEntry* staged,
                                             const StepTable& t, uint32_t index, uint32_t entry) {
  if (kLook == Look::kShared) {
    const StagedEntry e = staged[t.first + entry];
    return {packed_start(e.packed), packed_frequency(e.packed), e.reciprocal};
  }
  const uint64_t first = kLook == Look::kIndexed
                             ? tables_at<TableHead>(shape.tables, shape.tables->heads_at)[index].first
                             : uint64_t{t.first};
  const uint32_t packed = tables_at<uint32_t>(shape.tables, shape.tables->decode_at)[first + entry];
  return {packed_start(packed), packed_frequency(packed), rans_reciprocal(packed_frequency(packed))};
}

// A block on its way: what a warp keeps from tile to tile.
struct Encoding {
  uint64_t rows, first;  // first: element of the block's first row
  uint16_t* words;
  uint64_t next_word;  // the first that is written
  uint32_t x;
};

template <Look kLook>
__device__ __forceinline__ void encode_steps(const BlockShape& shape, const StagedEntry* staged,
                                             const TileSteps& tile, const EncodeWarp* w,
                                             const uint32_t* indexes, Encoding* e) {
  const uint32_t lane = lane_id();
  uint32_t x = e->x;
  uint64_t next_word = e->next_word;
  for (uint32_t step = tile.count; step-- > 0;) {
    const bool active = lane < (step < tile.full ? shape.lanes : tile.tail_lanes);
    Coded c = {0, 1, 0};
    if (active)
      c = coded_entry<kLook>(shape, staged, w->steps[step],
                             kLook == Look::kIndexed ? indexes[lane * kTileStride + step] : 0,
                             w->tile[lane * kTileStride + step]);
    const bool due = active && rans_due(x, c.frequency);
    const uint32_t mask = __ballot_sync(kAllLanes, due);
    next_word -= static_cast<uint64_t>(__popc(mask));
    if (due) {
      e->words[next_word + static_cast<uint64_t>(__popc(mask & lanes_below(lane)))] =
          static_cast<uint16_t>(x);
      x >>= 16;
    }
    if (active) x = rans_before(x, c.start, c.frequency, c.reciprocal);
  }
  e->x = x;
  e->next_word = next_word;
}

template <bool kIndexed>
__device__ void encode_rans(const EncodeArgs& a, const StagedEntry* staged, EncodeWarp* w, uint32_t* indexes,
                            uint64_t block) {
  const uint32_t lane = lane_id();
  const uint64_t rows = rows_of_block(a, block);
  Encoding e = {rows, first_row_of_block(a, block) * a.shape.C, a.room.words + block * a.room.block_words,
                a.room.block_words, kRansLow};
  uint32_t* tile_escapes = a.room.tile_escapes + block * a.room.block_tiles;
  uint64_t cost = 0, escape_bytes = 0;
  const uint64_t tiles = (step_count(a.shape, rows) + kTileSteps - 1) / kTileSteps;
  Fetched fetched = {};
  if (tiles > 0) fetch_tile(a, e.first, step_place(a.shape, rows, (tiles - 1) * kTileSteps + lane), &fetched);
  for (uint64_t tile = tiles; tile-- > 0;) {
    const uint64_t base = tile * kTileSteps;
    const StepPlace place = step_place(a.shape, rows, base + lane);
    const TileSteps steps = tile_steps(a.shape, rows, base);
    DeviceChannel channel = {};
    if (!kIndexed) {
      channel = a.shape.channels[place.channel];
      w->steps[lane] = {channel.table, channel.first, channel.escape, 0};
    }
    const bool shared = __all_sync(kAllLanes, !kIndexed && channel.table < a.shape.staged);
    const uint64_t mine =
        quantize_tile<kIndexed>(a, e.first, place, fetched, channel, w->tile, indexes, &cost);
    if (tile > 0) fetch_tile(a, e.first, step_place(a.shape, rows, base - kTileSteps + lane), &fetched);
    const uint64_t all = __any_sync(kAllLanes, mine != 0) ? warp_sum(mine) : 0;
    if (lane == 0) tile_escapes[tile] = static_cast<uint32_t>(all);
    escape_bytes += all;
    __syncwarp();
    if (kIndexed)
      encode_steps<Look::kIndexed>(a.shape, staged, steps, w, indexes, &e);
    else if (shared)
      encode_steps<Look::kShared>(a.shape, staged, steps, w, indexes, &e);
    else
      encode_steps<Look::kUploaded>(a.shape, staged, steps, w, indexes, &e);
    __syncwarp();
  }
  EncodedPart* part = &a.room.parts[block];
  part->states[lane] = e.x;
  if (a.count_cost) cost = warp_sum(cost);
  if (lane != 0) return;
  part->first_word = e.next_word;
  part->words = a.room.block_words - e.next_word;
  part->escape_bytes = escape_bytes;
  part->cost = cost;
}

template <bool kIndexed>
__global__ void __launch_bounds__(kMostEncodeWarps * 32, 1) encode_blocks_kernel(EncodeArgs a) {
  BINCE_DYNAMIC_SHARED(uint8_t, shared);
  StagedEntry* staged = reinterpret_cast<StagedEntry*>(shared);
  const uint32_t warp = threadIdx.x / 32, warps = blockDim.x / 32;
  EncodeWarp* warp_rooms =
      reinterpret_cast<EncodeWarp*>(shared + (a.shape.staged_entries * 8 + 15) / 16 * 16);
  IndexTile* index_tile = reinterpret_cast<IndexTile*>(warp_rooms + warps);  // of the only warp
  const uint32_t* decode = tables_at<uint32_t>(a.shape.tables, a.shape.tables->decode_at);
  for (uint32_t i = threadIdx.x; i < a.shape.staged_entries; i += blockDim.x)
    staged[i] = {decode[i], rans_reciprocal(packed_frequency(decode[i]))};
  __syncthreads();
  for (uint64_t block = uint64_t{warp} * gridDim.x + blockIdx.x; block < a.room.blocks;
       block += uint64_t{warps} * gridDim.x)
    encode_rans<kIndexed>(a, staged, warp_rooms + warp, index_tile->at, block);
}

// --- the range coder: a thread a block ---

__device__ void encode_range_block(const EncodeArgs& a, uint64_t block) {
  const uint64_t rows = rows_of_block(a, block);
  uint64_t element = first_row_of_block(a, block) * a.shape.C, step = 0;
  uint8_t* begin = reinterpret_cast<uint8_t*>(a.room.words + block * a.room.block_words);
  RangeWriter writer;
  range_start(&writer, begin, begin + 2 * a.room.block_words);
  uint32_t* tile_escapes = a.room.tile_escapes + block * a.room.block_tiles;
  EncodedPart part = {};
  uint32_t tile_bytes = 0;
  const uint32_t* costs = tables_at<uint32_t>(a.shape.tables, a.shape.tables->costs_at);
  const uint32_t* entries = tables_at<uint32_t>(a.shape.tables, a.shape.tables->decode_at);
  for (uint64_t row = 0; row < rows; ++row)
    for (uint32_t c = 0; c < a.shape.C; ++c, ++element) {
      const DeviceChannel channel = a.shape.channels[c];
      Token token;
      if (!token_of(a.type, element_bits(a, element), channel, &token))
        note_offence(a.report, Offence::kUnquantizable, static_cast<int64_t>(element));
      const uint32_t packed = entries[channel.first + token.entry];
      range_put(&writer, packed_start(packed), packed_frequency(packed));
      part.cost += costs[channel.first + token.entry];
      part.escape_bytes += token.escape_bytes;
      tile_bytes += token.escape_bytes;
      if (++step % kTileSteps == 0) {
        tile_escapes[step / kTileSteps - 1] = tile_bytes;
        tile_bytes = 0;
      }
    }
  if (step % kTileSteps != 0) tile_escapes[step / kTileSteps] = tile_bytes;
  range_finish(&writer);
  part.words = static_cast<uint64_t>(writer.at - begin) / 2;
  a.room.parts[block] = part;
}

__device__ void encode_range_array(const EncodeArgs& a) {
  uint8_t* begin = reinterpret_cast<uint8_t*>(a.room.words);
  RangeWriter writer;
  range_start(&writer, begin, begin + 2 * a.room.block_words);
  uint64_t element = 0;
  for (uint64_t row = 0; row < a.row_count; ++row)
    for (uint32_t c = 0; c < a.shape.C; ++c, ++element) {
      const uint32_t table = a.shape.indexes ? checked_index(a.shape, element, a.report) : c;
      stream_put(&writer, table_view(a.shape.tables, table), static_cast<int32_t>(element_bits(a, element)));
    }
  range_finish(&writer);
  EncodedPart part = {};
  part.words = static_cast<uint64_t>(writer.at - begin) / 2;
  a.room.parts[0] = part;
}

__global__ void encode_range_kernel(EncodeArgs a) {
  const uint64_t block = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (block >= a.room.blocks) return;
  if (a.array)
    encode_range_array(a);
  else
    encode_range_block(a, block);
}

// --- sizes and places ---

__device__ __forceinline__ Section section_of(const EncodeArgs& a, uint64_t block) {
  const EncodedPart& part = a.room.parts[block];
  const uint64_t rows = rows_of_block(a, block);
  const uint64_t states = a.rules.coder == BINCE_RANS ? 4 * lanes_used(a.rules.lanes, rows) : 0;
  return {rows, states + 2 * part.words + part.escape_bytes, part.escape_bytes, 0, nullptr};
}

// What stands before the payload.
__device__ __forceinline__ uint64_t frame_bytes(const EncodeArgs& a, const Section& s) {
  if (!a.array) return static_cast<uint64_t>(section_header_bytes(a.rules, s));
  return a.rules.coder == BINCE_RANS ? static_cast<uint64_t>(varint_bytes(s.escape_bytes)) : 0;
}

// One thread block.
__global__ void __launch_bounds__(1024) place_encoded(EncodeArgs a) {
  BINCE_DYNAMIC_SHARED(uint64_t, shared);
  uint64_t bytes_before = 0, cost = 0, escape_bytes = 0;
  for (uint64_t base = 0; base < a.room.blocks; base += blockDim.x) {
    const uint64_t block = base + threadIdx.x;
    uint64_t size = 0;
    if (block < a.room.blocks) {
      const Section s = section_of(a, block);
      size = frame_bytes(a, s) + s.payload_bytes;
      cost += a.room.parts[block].cost;
      escape_bytes += s.escape_bytes;
      if (a.section_bytes) a.section_bytes[block] = static_cast<int64_t>(size);
    }
    uint64_t all = 0;
    const uint64_t offset = bytes_before + block_sum_before(size, shared, &all);
    bytes_before += all;
    if (block < a.room.blocks) a.room.parts[block].offset = offset;
  }
  uint64_t all_cost = 0, all_escapes = 0;
  block_sum_before(cost, shared, &all_cost);
  block_sum_before(escape_bytes, shared, &all_escapes);
  if (threadIdx.x != 0) return;
  *a.room.total = bytes_before;
  if (a.bytes) *a.bytes = bytes_before;
  if (a.ideal_bits)
    *a.ideal_bits = static_cast<double>(all_cost) / (1 << kCostBits) + 8.0 * static_cast<double>(all_escapes);
  if (bytes_before > a.capacity)
    note_offence(a.report, Offence::kOutputTooSmall, static_cast<int64_t>(bytes_before));
}

// --- sections ---

// The escapes of one tile, in coding order: a lane writes those of its step.
__device__ void write_tile_escapes(const EncodeArgs& a, uint64_t first, const StepPlace& place,
                                   const DeviceChannel& of_step, uint8_t* out) {
  uint64_t bytes = 0;
  for (int pass = 0; pass < 2; ++pass) {
    uint8_t* at = pass == 0 ? out : out + warp_sum_before(bytes);
    for (uint32_t l = 0; l < place.lanes; ++l) {
      const uint64_t element = first + place.at + uint64_t{l} * a.shape.C;
      DeviceChannel channel = of_step;
      if (a.shape.indexes)
        channel = indexed_channel(a.shape.tables, checked_index(a.shape, element, a.report));
      Token token;
      token_of(a.type, element_bits(a, element), channel, &token);
      if (pass == 0)
        bytes += token.escape_bytes;
      else if (token.escape_bytes)
        at = write_varint(at, token.escape_value);
    }
  }
}

// The escapes of a block: each warp takes a stretch of its tiles.
__device__ void write_escapes(const EncodeArgs& a, uint64_t block, uint64_t rows, uint8_t* out) {
  const uint32_t lane = lane_id(), warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const uint32_t* counts = a.room.tile_escapes + block * a.room.block_tiles;
  const uint64_t tiles = (step_count(a.shape, rows) + kTileSteps - 1) / kTileSteps;
  const uint64_t share = (tiles + warps - 1) / warps;
  const uint64_t begin = warp * share < tiles ? warp * share : tiles;
  const uint64_t end = begin + share < tiles ? begin + share : tiles;
  uint64_t before = 0;
  for (uint64_t i = lane; i < begin; i += 32) before += counts[i];
  uint8_t* at = out + warp_sum(before);
  const uint64_t first = first_row_of_block(a, block) * a.shape.C;
  for (uint64_t tile = begin; tile < end; ++tile) {
    const uint32_t count = counts[tile];
    if (count == 0) continue;
    const StepPlace place = step_place(a.shape, rows, tile * kTileSteps + lane);
    const DeviceChannel channel = a.shape.indexes ? DeviceChannel{} : a.shape.channels[place.channel];
    write_tile_escapes(a, first, place, channel, at);
    at += count;
  }
}

// A thread block a section.
__global__ void write_sections(EncodeArgs a) {
  BINCE_DYNAMIC_SHARED(uint32_t, crc);
  if (*a.room.total > a.capacity) return;  // all threads: place_encoded noted it
  if (!a.array) make_crc_tables(crc, crc + kCrcTableWords);
  for (uint64_t block = blockIdx.x; block < a.room.blocks; block += gridDim.x) {
    const EncodedPart& part = a.room.parts[block];
    Section s = section_of(a, block);
    uint8_t* out = a.out + part.offset;
    uint8_t* payload = out + frame_bytes(a, s);
    const uint64_t states = s.payload_bytes - 2 * part.words - s.escape_bytes;
    if (threadIdx.x < states / 4) store_u32(payload + 4 * threadIdx.x, part.states[threadIdx.x]);
    const uint8_t* words =
        reinterpret_cast<const uint8_t*>(a.room.words + block * a.room.block_words + part.first_word);
#pragma unroll 4
    for (uint64_t i = threadIdx.x; i < 2 * part.words; i += blockDim.x) payload[states + i] = words[i];
    if (s.escape_bytes) write_escapes(a, block, s.rows, payload + states + 2 * part.words);
    __syncthreads();
    if (threadIdx.x < 32 && !a.array) {
      s.payload = payload;
      s.crc = section_checksum(a.rules, a.first_block + block, s, crc);
      if (threadIdx.x == 0) write_section_header(a.rules, s, out);
    } else if (threadIdx.x == 0 && a.rules.coder == BINCE_RANS) {
      write_varint(out, s.escape_bytes);
    }
  }
}

// --- launches ---

bince_status encode_rans_blocks(const Run& run, const EncodeBlocksCall& call, EncodeArgs* args) {
  size_t most = 0;
  BINCE_RETURN_IF_ERROR(most_shared(&most));
  const uint64_t processors = static_cast<uint64_t>(multiprocessors());
  const uint64_t blocks = args->room.blocks;
  const unsigned grid = static_cast<unsigned>(blocks < processors ? blocks : processors);
  const uint64_t share = (blocks + grid - 1) / grid;
  const bool indexed = call.indexes != nullptr;
  unsigned warps = share < kMostEncodeWarps ? static_cast<unsigned>(share) : kMostEncodeWarps;
  size_t fixed = 0;
  for (int round = 0; round < 2; ++round) {
    fixed = 16 + warps * sizeof(EncodeWarp) + (indexed ? sizeof(IndexTile) : 0);
    if (!indexed)
      args->shape.staged =
          tables_that_fit(call.format.host_tables, most - fixed, 8, false, &args->shape.staged_entries);
    if (args->shape.staged_entries > 4096) warps = kMostEncodeWarps;  // to stage them fast
  }
  const size_t shared = fixed + (size_t{args->shape.staged_entries} * 8 + 15) / 16 * 16;
  const auto kernel = indexed ? encode_blocks_kernel<true> : encode_blocks_kernel<false>;
  BINCE_RETURN_IF_ERROR(allow_shared(reinterpret_cast<const void*>(kernel), shared, "encode_blocks_kernel"));
  if (indexed)
    BINCE_LAUNCH((encode_blocks_kernel<true>), grid, 32 * warps, shared, run.stream, *args);
  else
    BINCE_LAUNCH((encode_blocks_kernel<false>), grid, 32 * warps, shared, run.stream, *args);
  return launch_status("encode_blocks_kernel");
}

bince_status encode_range_blocks(const Run& run, const EncodeArgs& args) {
  const unsigned threads = args.room.blocks < 32 * static_cast<uint64_t>(multiprocessors()) ? 32 : 128;
  BINCE_LAUNCH(encode_range_kernel, static_cast<unsigned>((args.room.blocks + threads - 1) / threads),
               threads, 0, run.stream, args);
  return launch_status("encode_range_kernel");
}

bince_status write_all(const Run& run, const EncodeArgs& args) {
  const uint64_t wanted = (args.room.blocks + 31) / 32 * 32;
  const unsigned threads = wanted < 32 ? 32 : wanted < 1024 ? static_cast<unsigned>(wanted) : 1024;
  BINCE_LAUNCH(place_encoded, 1, threads, 33 * sizeof(uint64_t), run.stream, args);
  BINCE_RETURN_IF_ERROR(launch_status("place_encoded"));
  if (args.room.blocks == 0) return BINCE_OK;
  const uint64_t most = 16 * static_cast<uint64_t>(multiprocessors());
  const unsigned grid = static_cast<unsigned>(args.room.blocks < most ? args.room.blocks : most);
  BINCE_LAUNCH(write_sections, grid, 128, 4 * kCrcTableWords + 128, run.stream, args);
  return launch_status("write_sections");
}

}  // namespace

bince_status encode_blocks_cuda(const Run& run, const EncodeBlocksCall& call) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  Workspace workspace = {run.workspace, 0};
  EncodeArgs args = {};
  args.room =
      carve_encode_room(&workspace, call.format.rules, call.format.channels, call.row_count, call.array);
  args.shape.tables = call.format.tables;
  args.shape.channels = call.array ? args.room.channels : call.format.channel_values;
  args.shape.indexes = call.indexes;
  args.shape.C = call.format.channels;
  args.shape.lanes = call.format.rules.lanes;
  args.rules = call.format.rules;
  args.rows = call.rows;
  args.type = call.type;
  args.array = call.array;
  args.count_cost = call.ideal_bits != nullptr;
  args.row_count = call.row_count;
  args.first_block = call.first_block;
  args.out = call.out;
  args.capacity = call.capacity;
  args.section_bytes = call.section_bytes;
  args.bytes = call.bytes;
  args.ideal_bits = call.ideal_bits;
  args.report = run.report;
  if (call.array) {
    BINCE_LAUNCH(name_channels, (call.format.channels + 127) / 128, 128, 0, run.stream, call.format.tables,
                 args.room.channels, call.format.channels);
    BINCE_RETURN_IF_ERROR(launch_status("name_channels"));
  }
  if (args.room.blocks > 0)
    BINCE_RETURN_IF_ERROR(call.format.rules.coder == BINCE_RANS ? encode_rans_blocks(run, call, &args)
                                                                : encode_range_blocks(run, args));
  return write_all(run, args);
}

}  // namespace bince
