// Blocks from sections to rows: every section's place and header, then a warp for each block's coder and
// another for its checksum, in one kernel.
#include "native/coding/crc32c.cuh"
#include "native/coding/range_coder.h"
#include "native/coding/symbol_stream.h"
#include "native/cuda/device_runtime.h"

namespace bince {
namespace {

constexpr uint32_t kRingWords = 128;
// The words in the ring that no lane has taken yet are more than this before each step, which takes up to 32.
constexpr uint32_t kLeastAhead = 64;

struct DecodeArgs {
  BlockShape shape;
  SectionRules rules;
  const DecodedPart* parts;
  uint64_t blocks;
  uint64_t first_block;
  void* rows;
  RowType type;
  bool checked;  // sections have checksums
  DeviceReport* report;
};

// What one warp needs of shared memory.
struct DecodeWarp {
  StepTable steps[kTileSteps];
  uint16_t ring[kRingWords];
  uint16_t tile[kLanes * kTileStride];  // [lane][step]: entries
};

// --- places ---

struct PlaceArgs {
  SectionRules rules;
  const uint8_t* bytes;
  uint64_t byte_count;
  const int64_t* section_bytes;
  uint64_t blocks;
  uint64_t first_block;
  uint64_t row_count;
  DecodedPart* parts;
  DeviceReport* report;
};

// One thread block: a thread reads a header.
__global__ void __launch_bounds__(1024) place_sections(PlaceArgs a) {
  BINCE_DYNAMIC_SHARED(uint64_t, shared);
  uint64_t bytes_before = 0, rows_before = 0;
  for (uint64_t base = 0; base < a.blocks; base += blockDim.x) {
    const uint64_t block = base + threadIdx.x;
    const int64_t size = block < a.blocks ? a.section_bytes[block] : 0;
    // Nothing behind a size that lies can be found.
    const bool sane = size >= 0 && static_cast<uint64_t>(size) <= a.byte_count;
    uint64_t all = 0;
    const uint64_t offset =
        bytes_before + block_sum_before(sane ? static_cast<uint64_t>(size) : a.byte_count + 1, shared, &all);
    bytes_before += all;
    Section s = {};
    SectionDamage damage = SectionDamage::kLength;
    if (block < a.blocks && sane && offset <= a.byte_count &&
        static_cast<uint64_t>(size) <= a.byte_count - offset) {
      const uint8_t* at = a.bytes + offset;
      damage = parse_section(a.rules, at, at + size, &s);
      if (damage == SectionDamage::kNone && s.payload + s.payload_bytes != at + size)
        damage = SectionDamage::kLength;
    }
    const uint64_t rows = damage == SectionDamage::kNone ? s.rows : 0;
    const uint64_t first_row = rows_before + block_sum_before(rows, shared, &all);
    rows_before += all;
    if (block >= a.blocks) continue;
    if (damage == SectionDamage::kNone && first_row + rows > a.row_count) damage = SectionDamage::kRows;
    a.parts[block] = {s, first_row, damage == SectionDamage::kNone ? 1u : 0u};
    if (damage != SectionDamage::kNone)
      note_offence(a.report,
                   damage == SectionDamage::kCut || damage == SectionDamage::kPayloadCut
                       ? Offence::kBlockCutShort
                       : Offence::kBlockHeader,
                   static_cast<int64_t>(a.first_block + block));
  }
  if (threadIdx.x == 0 && rows_before != a.row_count)
    note_offence(a.report, Offence::kBlockRows, static_cast<int64_t>(rows_before));
}

struct ArrayArgs {
  SectionRules rules;
  const bince_tables* tables;
  const uint8_t* bytes;
  uint64_t byte_count;
  uint64_t rows;
  DecodedPart* part;
  DeviceChannel* channels;
  uint32_t channel_count;
  DeviceReport* report;
};

// Of an array: its channels, and the frame, a varint.
__global__ void place_array(ArrayArgs a) {
  const uint32_t first = blockIdx.x * blockDim.x + threadIdx.x;
  for (uint32_t c = first; c < a.channel_count; c += gridDim.x * blockDim.x)
    a.channels[c] = indexed_channel(a.tables, c);
  if (first != 0 || !a.part) return;
  Section s = {a.rows, a.byte_count, 0, 0, a.bytes};
  bool whole = true;
  if (a.rules.coder == BINCE_RANS) {
    const uint8_t* end = a.bytes + a.byte_count;
    whole = read_varint(&s.payload, end, &s.escape_bytes);
    s.payload_bytes = static_cast<uint64_t>(end - s.payload);
    whole = whole && s.escape_bytes <= s.payload_bytes &&
            s.payload_bytes - s.escape_bytes >= 4 * lanes_used(a.rules.lanes, a.rows);
  }
  *a.part = {s, 0, whole ? 1u : 0u};
  if (!whole) note_offence(a.report, Offence::kBlockCutShort, 0);
}

// --- the coder ---

// The words of a block on their way to the lanes: a ring in shared memory, filled 32 at a time from numbers
// that were fetched long before.  Words behind the last are 0.
struct WordStream {
  const uint8_t* bytes;
  uint32_t count;
  uint32_t taken;
  uint32_t filled;   // of the ring
  uint32_t fetched;  // word `filled + lane`

  __device__ __forceinline__ uint32_t fetch(uint32_t index) const {
    return index < count ? load_word(bytes + 2 * uint64_t{index}) : 0;
  }
};

__device__ __forceinline__ void start_words(WordStream* w, uint16_t* ring, const uint8_t* bytes,
                                            uint32_t count) {
  const uint32_t lane = lane_id();
  *w = {bytes, count, 0, kLeastAhead + 32, 0};
  for (uint32_t i = lane; i < kLeastAhead + 32; i += 32) ring[i] = static_cast<uint16_t>(w->fetch(i));
  w->fetched = w->fetch(w->filled + lane);
  __syncwarp();
}

// The lanes with `due` each take the next word, in their order, into their state.
__device__ __forceinline__ void take_words(WordStream* w, uint16_t* ring, bool due, uint32_t* x) {
  const uint32_t lane = lane_id();
  const uint32_t mask = __ballot_sync(kAllLanes, due);
  const uint32_t word = ring[(w->taken + __popc(mask & lanes_below(lane))) % kRingWords];
  if (due) *x = *x << 16 | word;
  w->taken += __popc(mask);
  if (w->filled - w->taken > kLeastAhead) return;
  // These places were read in earlier steps alone: taken > filled - 128.
  __syncwarp();
  ring[(w->filled + lane) % kRingWords] = static_cast<uint16_t>(w->fetched);
  w->filled += 32;
  w->fetched = w->fetch(w->filled + lane);
  __syncwarp();
}

struct Escapes {
  const uint8_t* at;
  const uint8_t* end;
};

__device__ __forceinline__ void store_value(const DecodeArgs& a, uint64_t element, int32_t symbol,
                                            const DeviceChannel& channel) {
  if (a.type == kSymbolRows)
    static_cast<int32_t*>(a.rows)[element] = symbol;
  else
    static_cast<float*>(a.rows)[element] = dequantize(symbol, channel.median, channel.step, channel.shift);
}

// The escapes of a tile, in coding order; `mine` are the lanes of this thread's step that have one.  All
// lanes read the same bytes.  False where they are damaged.
template <bool kIndexed>
__device__ bool place_escapes(const DecodeArgs& a, Escapes* escapes, uint64_t first, const StepPlace& place,
                              uint32_t mine, DeviceChannel channel) {
  uint32_t steps = __ballot_sync(kAllLanes, mine != 0);
  for (; steps; steps &= steps - 1) {
    const int step = __ffs(static_cast<int>(steps)) - 1;
    uint32_t lanes = __shfl_sync(kAllLanes, mine, step);
    for (; lanes; lanes &= lanes - 1) {
      uint64_t value = 0;
      if (!read_varint(&escapes->at, escapes->end, &value)) return false;
      bool good = true;
      if (static_cast<int>(lane_id()) == step) {
        const uint64_t element =
            first + place.at + static_cast<uint64_t>(__ffs(static_cast<int>(lanes)) - 1) * a.shape.C;
        if (kIndexed) channel = indexed_channel(a.shape.tables, checked_index(a.shape, element, a.report));
        int32_t symbol = 0;
        good = escaped_symbol(value, channel.escape, channel.offset, &symbol);
        if (good) store_value(a, element, symbol, channel);
      }
      if (__any_sync(kAllLanes, !good)) return false;
    }
  }
  return true;
}

// Entries of a tile to rows, lane = step.
template <bool kIndexed>
__device__ bool store_tile(const DecodeArgs& a, const uint16_t* tile, const uint32_t* indexes, uint64_t first,
                           const StepPlace& place, DeviceChannel channel, Escapes* escapes) {
  const uint32_t lane = lane_id();
  uint32_t mine = 0;
#pragma unroll 8
  for (uint32_t l = 0; l < kLanes; ++l) {
    if (l >= place.lanes) break;
    const uint32_t entry = tile[l * kTileStride + lane];
    if (kIndexed) channel = indexed_channel(a.shape.tables, indexes[l * kTileStride + lane]);
    if (entry == channel.escape)
      mine |= 1u << l;
    else
      store_value(a, first + place.at + uint64_t{l} * a.shape.C, channel.offset + static_cast<int32_t>(entry),
                  channel);
  }
  if (!__any_sync(kAllLanes, mine != 0)) return true;
  return place_escapes<kIndexed>(a, escapes, first, place, mine, channel);
}

struct StagedTables {
  const uint8_t* narrow;
  const uint32_t* entries;
};

// The entry of this lane's slot.
template <Look kLook>
__device__ __forceinline__ uint32_t look_up(const BlockShape& shape, const StagedTables& staged,
                                            const StepTable& t, uint32_t index, uint32_t slot,
                                            uint32_t* packed) {
  if (kLook == Look::kShared)
    return find_packed(staged.entries + t.first, staged.narrow + t.table * kBuckets, t.escape, slot, packed);
  const TableView view = table_view(shape.tables, kLook == Look::kIndexed ? index : t.table);
  const uint32_t entry = find_entry(view.decode, view.bucket, slot);
  *packed = reinterpret_cast<const uint32_t*>(view.decode)[entry];
  return entry;
}

template <Look kLook>
__device__ __forceinline__ void decode_steps(const BlockShape& shape, const StagedTables& staged,
                                             const TileSteps& tile, DecodeWarp* w, const uint32_t* indexes,
                                             WordStream* words, uint32_t* state) {
  const uint32_t lane = lane_id();
  uint32_t x = *state;
  StepTable next = w->steps[0];
  for (uint32_t step = 0; step < tile.count; ++step) {
    const StepTable t = next;
    next = w->steps[(step + 1) % kTileSteps];
    const bool active = lane < (step < tile.full ? shape.lanes : tile.tail_lanes);
    uint32_t packed = 0, entry = 0, after = x;
    if (kLook != Look::kIndexed || active) {
      const uint32_t index = kLook == Look::kIndexed ? indexes[lane * kTileStride + step] : 0;
      entry = look_up<kLook>(shape, staged, t, index, x & 0xffff, &packed);
      after = rans_after(x, packed_start(packed), packed_frequency(packed));
    }
    x = active ? after : x;
    w->tile[lane * kTileStride + step] = static_cast<uint16_t>(entry);
    take_words(words, w->ring, active && x < kRansLow, &x);
  }
  *state = x;
}

// A block on its way: what a warp keeps from tile to tile.
struct Decoding {
  uint64_t first;  // element of the block's first row
  uint32_t x;
  WordStream words;
  Escapes escapes;
};

// False where an escape is damaged.
template <bool kIndexed>
__device__ __forceinline__ bool decode_tile(const DecodeArgs& a, const StagedTables& staged, DecodeWarp* w,
                                            uint32_t* indexes, uint64_t rows, uint64_t tile, Decoding* d) {
  const uint32_t lane = lane_id();
  const StepPlace place = step_place(a.shape, rows, tile + lane);
  const TileSteps steps = tile_steps(a.shape, rows, tile);
  DeviceChannel channel = {};
  if (!kIndexed) {
    channel = a.shape.channels[place.channel];
    w->steps[lane] = {channel.table, channel.first, channel.escape, 0};
  }
  for (uint32_t l = 0; kIndexed && l < place.lanes; ++l)
    indexes[l * kTileStride + lane] =
        checked_index(a.shape, d->first + place.at + uint64_t{l} * a.shape.C, a.report);
  const bool shared = __all_sync(kAllLanes, !kIndexed && channel.table < a.shape.staged);
  __syncwarp();
  if (kIndexed)
    decode_steps<Look::kIndexed>(a.shape, staged, steps, w, indexes, &d->words, &d->x);
  else if (shared)
    decode_steps<Look::kShared>(a.shape, staged, steps, w, indexes, &d->words, &d->x);
  else
    decode_steps<Look::kUploaded>(a.shape, staged, steps, w, indexes, &d->words, &d->x);
  __syncwarp();
  const bool whole = store_tile<kIndexed>(a, w->tile, indexes, d->first, place, channel, &d->escapes);
  __syncwarp();
  return whole;
}

template <bool kIndexed>
__device__ void decode_rans(const DecodeArgs& a, const StagedTables& staged, DecodeWarp* w, uint32_t* indexes,
                            const DecodedPart& part, int64_t number) {
  const uint32_t lane = lane_id();
  const Section& s = part.section;
  const uint64_t used = lanes_used(a.shape.lanes, s.rows);
  const uint64_t word_bytes = s.payload_bytes - s.escape_bytes - 4 * used;
  const uint8_t* end = s.payload + s.payload_bytes;
  Decoding d = {part.first_row * a.shape.C, kRansLow, {}, {end - s.escape_bytes, end}};
  if (lane < used) d.x = load_u32(s.payload + 4 * lane);
  bool whole = !__any_sync(kAllLanes, d.x < kRansLow), escapes_whole = true;
  start_words(&d.words, w->ring, s.payload + 4 * used, static_cast<uint32_t>(word_bytes / 2));
  const uint64_t steps = step_count(a.shape, s.rows);
  for (uint64_t tile = 0; tile < steps && whole && escapes_whole; tile += kTileSteps) {
    escapes_whole = decode_tile<kIndexed>(a, staged, w, indexes, s.rows, tile, &d);
    whole = d.words.taken <= d.words.count;
  }
  const bool ended = !__any_sync(kAllLanes, d.x != kRansLow);
  if (lane != 0) return;
  if (d.words.taken > d.words.count)
    note_offence(a.report, Offence::kBlockCutShort, number);
  else if (!escapes_whole || (whole && ended && d.escapes.at != d.escapes.end))
    note_offence(a.report, Offence::kBlockEscape, number);
  else if (!whole || !ended || 2 * uint64_t{d.words.taken} != word_bytes)
    note_offence(a.report, Offence::kBlockState, number);
}

// Jobs of the warps: first the blocks to decode, then their checksums.
template <bool kIndexed>
__global__ void __launch_bounds__(kMostWarps * 32, 1) decode_blocks_kernel(DecodeArgs a) {
  BINCE_DYNAMIC_SHARED(uint8_t, shared);
  const BlockShape& shape = a.shape;
  uint8_t* at = shared;
  const uint8_t* narrow = at;
  at += shape.staged * kBuckets;
  const uint32_t* entries = reinterpret_cast<const uint32_t*>(at);
  at += (shape.staged_entries * 4 + 4 + 15) / 16 * 16;  // one more is read
  uint32_t* crc = reinterpret_cast<uint32_t*>(at);
  at += a.checked ? 4 * kCrcTableWords + 128 : 0;
  DecodeWarp* warp_rooms = reinterpret_cast<DecodeWarp*>(at);
  const uint32_t warp = threadIdx.x / 32, warps = blockDim.x / 32;
  DecodeWarp* w = warp_rooms + warp;
  IndexTile* index_tile = reinterpret_cast<IndexTile*>(warp_rooms + warps);  // of the only warp
  if (shape.staged > 0) {
    stage_bytes(shared, tables_at<uint8_t>(shape.tables, shape.tables->narrow_at),
                uint64_t{shape.staged} * kBuckets);
    stage_bytes(const_cast<uint32_t*>(entries), tables_at<uint32_t>(shape.tables, shape.tables->decode_at),
                uint64_t{shape.staged_entries} * 4);
  }
  if (a.checked) make_crc_tables(crc, crc + kCrcTableWords);
  __syncthreads();
  const uint64_t jobs = a.checked ? 2 * a.blocks : a.blocks;
  for (uint64_t job = uint64_t{warp} * gridDim.x + blockIdx.x; job < jobs;
       job += uint64_t{warps} * gridDim.x) {
    const uint64_t block = job % a.blocks;
    const DecodedPart& part = a.parts[block];
    if (!part.usable) continue;
    const int64_t number = static_cast<int64_t>(a.first_block + block);
    if (job < a.blocks) {
      if (a.rules.coder == BINCE_RANS)
        decode_rans<kIndexed>(a, {narrow, entries}, w, index_tile->at, part, number);
    } else if (section_checksum(a.rules, static_cast<uint64_t>(number), part.section, crc) !=
                   part.section.crc &&
               lane_id() == 0) {
      note_offence(a.report, Offence::kBlockChecksum, number);
    }
    __syncwarp();
  }
}

// --- the range coder: a thread a block ---

__device__ void decode_range_block(const DecodeArgs& a, const DecodedPart& part, int64_t number) {
  const Section& s = part.section;
  const uint8_t* end = s.payload + s.payload_bytes;
  Escapes escapes = {end - s.escape_bytes, end};
  RangeReader reader;
  range_start(&reader, s.payload, escapes.at);
  uint64_t element = part.first_row * a.shape.C;
  for (uint64_t row = 0; row < s.rows; ++row) {
    for (uint32_t c = 0; c < a.shape.C; ++c, ++element) {
      const DeviceChannel channel = a.shape.channels[c];
      const TableView table = table_view(a.shape.tables, channel.table);
      const uint32_t entry = find_entry(table.decode, table.bucket, range_slot(&reader));
      range_take(&reader, table.decode[entry].start, table.decode[entry].frequency);
      int32_t symbol = channel.offset + static_cast<int32_t>(entry);
      uint64_t value = 0;
      if (entry == channel.escape && !(read_varint(&escapes.at, escapes.end, &value) &&
                                       escaped_symbol(value, channel.escape, channel.offset, &symbol)))
        return note_offence(a.report, Offence::kBlockEscape, number);
      store_value(a, element, symbol, channel);
    }
    // Early, so that short payloads do not decode long rows.
    if (2 * reader.words > s.payload_bytes) return note_offence(a.report, Offence::kBlockCutShort, number);
  }
  if (!range_complete(&reader, s.payload))
    note_offence(a.report, Offence::kBlockState, number);
  else if (escapes.at != escapes.end)
    note_offence(a.report, Offence::kBlockEscape, number);
}

__device__ void decode_range_array(const DecodeArgs& a, const DecodedPart& part) {
  const Section& s = part.section;
  RangeReader reader;
  range_start(&reader, s.payload, s.payload + s.payload_bytes);
  uint64_t element = 0;
  for (uint64_t row = 0; row < s.rows; ++row)
    for (uint32_t c = 0; c < a.shape.C; ++c, ++element) {
      const uint32_t table = a.shape.indexes ? checked_index(a.shape, element, a.report) : c;
      int32_t symbol = 0;
      if (stream_get(&reader, table_view(a.shape.tables, table), &symbol))
        return note_offence(a.report, Offence::kBlockEscape, 0);
      if (2 * reader.words > s.payload_bytes) return note_offence(a.report, Offence::kBlockCutShort, 0);
      static_cast<int32_t*>(a.rows)[element] = symbol;
    }
  if (!range_complete(&reader, s.payload)) note_offence(a.report, Offence::kBlockState, 0);
}

__global__ void decode_range_kernel(DecodeArgs a) {
  const uint64_t block = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (block >= a.blocks || !a.parts[block].usable) return;
  if (a.checked)
    decode_range_block(a, a.parts[block], static_cast<int64_t>(a.first_block + block));
  else
    decode_range_array(a, a.parts[block]);
}

// --- launches ---

bince_status place(const Run& run, const DecodeBlocksCall& call, const DecodeRoom& room) {
  if (call.array) {
    const ArrayArgs args = {call.format.rules, call.format.tables,   call.bytes,
                            call.byte_count,   call.row_count,       room.parts,
                            room.channels,     call.format.channels, run.report};
    BINCE_LAUNCH(place_array, (call.format.channels + 127) / 128, 128, 0, run.stream, args);
    return launch_status("place_array");
  }
  const PlaceArgs args = {call.format.rules, call.bytes,     call.byte_count, call.section_bytes, call.blocks,
                          call.first_block,  call.row_count, room.parts,      run.report};
  const uint64_t wanted = (call.blocks + 31) / 32 * 32;
  const unsigned threads = wanted < 32 ? 32 : wanted < 1024 ? static_cast<unsigned>(wanted) : 1024;
  BINCE_LAUNCH(place_sections, 1, threads, 33 * sizeof(uint64_t), run.stream, args);
  return launch_status("place_sections");
}

// Tables in shared memory, and as many warps as find work and room.
struct Plan {
  unsigned grid, warps;
  size_t shared;
  uint32_t staged, staged_entries;
};

bince_status plan_decode(const DecodeBlocksCall& call, bool checked, bool indexed, bool stage, Plan* plan) {
  size_t most = 0;
  BINCE_RETURN_IF_ERROR(most_shared(&most));
  const uint64_t jobs = checked ? 2 * call.blocks : call.blocks;
  const uint64_t processors = static_cast<uint64_t>(multiprocessors());
  plan->grid = static_cast<unsigned>(call.blocks < processors ? call.blocks : processors);
  const size_t fixed = (checked ? 4 * kCrcTableWords + 128 : 0) + 32 + (indexed ? sizeof(IndexTile) : 0);
  const uint64_t share = (jobs + plan->grid - 1) / plan->grid;
  const auto fit = [&](unsigned warps) {
    const size_t room = most - fixed - warps * sizeof(DecodeWarp);
    plan->warps = warps;
    if (stage) plan->staged = tables_that_fit(call.format.host_tables, room, 4, true, &plan->staged_entries);
    plan->shared = fixed + warps * sizeof(DecodeWarp) + size_t{plan->staged} * kBuckets +
                   (size_t{plan->staged_entries} * 4 + 4 + 15) / 16 * 16;
  };
  // Large tables are staged faster by more threads than have a block to decode.
  fit(1);
  const bool large = plan->shared > 32 * 1024;
  const unsigned useful = share > kMostWarps || large ? kMostWarps : static_cast<unsigned>(share);
  fit(indexed ? 1 : useful);
  if (stage && plan->staged < call.format.host_tables->tables && plan->warps > 8) fit(8);
  return BINCE_OK;
}

template <bool kIndexed>
bince_status launch_decode(const Run& run, const DecodeArgs& args, const Plan& plan) {
  const auto kernel = decode_blocks_kernel<kIndexed>;
  BINCE_RETURN_IF_ERROR(
      allow_shared(reinterpret_cast<const void*>(kernel), plan.shared, "decode_blocks_kernel"));
  BINCE_LAUNCH((decode_blocks_kernel<kIndexed>), plan.grid, 32 * plan.warps, plan.shared, run.stream, args);
  return launch_status("decode_blocks_kernel");
}

}  // namespace

bince_status decode_blocks_cuda(const Run& run, const DecodeBlocksCall& call) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  Workspace workspace = {run.workspace, 0};
  const DecodeRoom room = carve_decode_room(&workspace, call.format.channels, call.blocks, call.array);
  BINCE_RETURN_IF_ERROR(place(run, call, room));
  if (call.blocks == 0) return BINCE_OK;
  DecodeArgs args = {};
  args.shape.tables = call.format.tables;
  args.shape.channels = call.array ? room.channels : call.format.channel_values;
  args.shape.indexes = call.indexes;
  args.shape.C = call.format.channels;
  args.shape.lanes = call.format.rules.lanes;
  args.rules = call.format.rules;
  args.parts = room.parts;
  args.blocks = call.blocks;
  args.first_block = call.first_block;
  args.rows = call.rows;
  args.type = call.type;
  args.checked = !call.array;
  args.report = run.report;
  const bool range = call.format.rules.coder == BINCE_RANGE;
  if (range) {
    // A block is one thread's: spread them over the processors.
    const unsigned threads = call.blocks < 32 * static_cast<uint64_t>(multiprocessors()) ? 32 : 128;
    BINCE_LAUNCH(decode_range_kernel, static_cast<unsigned>((call.blocks + threads - 1) / threads), threads,
                 0, run.stream, args);
    BINCE_RETURN_IF_ERROR(launch_status("decode_range_kernel"));
    if (call.array) return BINCE_OK;  // the next kernel checks the sections' checksums
  }
  Plan plan = {};
  BINCE_RETURN_IF_ERROR(
      plan_decode(call, args.checked, call.indexes != nullptr, !call.indexes && !range, &plan));
  args.shape.staged = plan.staged;
  args.shape.staged_entries = plan.staged_entries;
  return call.indexes ? launch_decode<true>(run, args, plan) : launch_decode<false>(run, args, plan);
}

}  // namespace bince
