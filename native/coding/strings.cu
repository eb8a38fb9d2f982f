// CompressAI's strings: a thread a string, then sizes to places, and a warp to move each string to its place.
#include "native/coding/tiles.cuh"

namespace bince {
namespace {

constexpr unsigned kStringThreads = 64;

struct StringsArgs {
  StringsCall call;
  StringsRoom room;
  DeviceReport* report;
};

__device__ __forceinline__ uint32_t string_index(const StringsArgs& a, int64_t string, int64_t i) {
  const int64_t element = a.call.shared_indexes ? i : string * a.call.length + i;
  const uint32_t table = a.call.indexes[element];
  if (table < a.call.tables->tables) return table;
  note_offence(a.report, Offence::kIndexOutOfRange, element);
  return 0;
}

__global__ void encode_strings_kernel(StringsArgs a) {
  const int64_t string = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (string >= a.call.strings) return;
  uint8_t* room = a.room.rooms + static_cast<uint64_t>(string) * a.room.room_bytes;
  uint8_t* words = room + a.room.room_bytes;
  uint64_t x = kStringStateLow;
  for (int64_t i = a.call.length; i-- > 0;) {
    const int64_t element = string * a.call.length + i;
    const TableView table = table_view(a.call.tables, string_index(a, string, i));
    if (!put_string_symbol(table, a.call.symbols[element], &x, &words))
      note_offence(a.report, Offence::kStringSymbol, element);
  }
  const uint64_t begin = static_cast<uint64_t>(put_string_state(x, words) - room);
  a.room.begins[string] = begin;
  a.call.string_bytes[string] = static_cast<int64_t>(a.room.room_bytes - begin);
}

// One thread block: offsets of strings by their sizes, for both directions.
__global__ void __launch_bounds__(1024) place_strings(StringsArgs a, bool encode) {
  BINCE_DYNAMIC_SHARED(uint64_t, shared);
  const uint64_t count = static_cast<uint64_t>(a.call.strings);
  uint64_t before = 0;
  for (uint64_t base = 0; base < count; base += blockDim.x) {
    const uint64_t string = base + threadIdx.x;
    const int64_t size = string < count ? a.call.string_bytes[string] : 0;
    const bool sane = size >= 0 && (encode || static_cast<uint64_t>(size) <= a.call.capacity);
    if (!sane) note_offence(a.report, Offence::kString, static_cast<int64_t>(string));
    uint64_t all = 0;
    const uint64_t offset =
        before + block_sum_before(sane ? static_cast<uint64_t>(size) : a.call.capacity + 1, shared, &all);
    before += all;
    if (string < count) a.room.offsets[string] = offset;
  }
  if (threadIdx.x != 0) return;
  a.room.offsets[count] = before;
  if (a.call.total) *a.call.total = before;
  if (encode && before > a.call.capacity)
    note_offence(a.report, Offence::kOutputTooSmall, static_cast<int64_t>(before));
  if (!encode && before != a.call.capacity)
    note_offence(a.report, Offence::kString, count > 0 ? a.call.strings - 1 : 0);
}

__global__ void move_strings(StringsArgs a) {
  const uint64_t count = static_cast<uint64_t>(a.call.strings);
  if (a.room.offsets[count] > a.call.capacity) return;
  const uint64_t warps = uint64_t{gridDim.x} * blockDim.x / 32;
  for (uint64_t s = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32; s < count; s += warps) {
    const uint8_t* from = a.room.rooms + s * a.room.room_bytes + a.room.begins[s];
    const uint64_t size = a.room.room_bytes - a.room.begins[s];
    for (uint64_t i = lane_id(); i < size; i += 32) a.call.bytes[a.room.offsets[s] + i] = from[i];
  }
}

__global__ void decode_strings_kernel(StringsArgs a) {
  const int64_t string = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (string >= a.call.strings) return;
  const uint64_t begin = a.room.offsets[string], end = a.room.offsets[string + 1];
  if (end > a.call.capacity) return;  // noted by place_strings
  StringReader reader;
  StringDamage damage = start_string(a.call.bytes + begin, a.call.bytes + end, &reader);
  for (int64_t i = 0; i < a.call.length && damage == StringDamage::kNone; ++i) {
    const TableView table = table_view(a.call.tables, string_index(a, string, i));
    damage = take_string_symbol(&reader, table, &a.call.symbols[string * a.call.length + i]);
  }
  if (damage == StringDamage::kNone) damage = end_string(reader);
  if (damage != StringDamage::kNone) note_offence(a.report, Offence::kString, string);
}

bince_status place(const Run& run, const StringsArgs& args, bool encode) {
  const int64_t wanted = (args.call.strings + 31) / 32 * 32;
  const unsigned threads = wanted < 32 ? 32 : wanted < 1024 ? static_cast<unsigned>(wanted) : 1024;
  BINCE_LAUNCH(place_strings, 1, threads, 33 * sizeof(uint64_t), run.stream, args, encode);
  return launch_status("place_strings");
}

unsigned string_blocks(const StringsArgs& args) {
  return static_cast<unsigned>((args.call.strings + kStringThreads - 1) / kStringThreads);
}

}  // namespace

bince_status encode_strings_cuda(const Run& run, const StringsCall& call) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  Workspace workspace = {run.workspace, 0};
  const StringsArgs args = {call, carve_strings_room(&workspace, call.strings, call.length, true),
                            run.report};
  if (call.strings > 0) {
    BINCE_LAUNCH(encode_strings_kernel, string_blocks(args), kStringThreads, 0, run.stream, args);
    BINCE_RETURN_IF_ERROR(launch_status("encode_strings_kernel"));
  }
  BINCE_RETURN_IF_ERROR(place(run, args, true));
  if (call.strings == 0) return BINCE_OK;
  const uint64_t most = 32 * static_cast<uint64_t>(multiprocessors());
  const uint64_t wanted = (static_cast<uint64_t>(call.strings) + 1) / 2;
  BINCE_LAUNCH(move_strings, static_cast<unsigned>(wanted < most ? wanted : most), kStringThreads, 0,
               run.stream, args);
  return launch_status("move_strings");
}

bince_status decode_strings_cuda(const Run& run, const StringsCall& call) {
  const DeviceScope scope(run.device);
  BINCE_RETURN_IF_ERROR(scope.status());
  Workspace workspace = {run.workspace, 0};
  const StringsArgs args = {call, carve_strings_room(&workspace, call.strings, call.length, false),
                            run.report};
  BINCE_RETURN_IF_ERROR(place(run, args, false));
  if (call.strings == 0) return BINCE_OK;
  BINCE_LAUNCH(decode_strings_kernel, string_blocks(args), kStringThreads, 0, run.stream, args);
  return launch_status("decode_strings_kernel");
}

}  // namespace bince
