// What the coding family of the CUDA plugin offers to the C ABI: whole batches in device memory.
//
// Pointers are the device's unless they say "host".  A slot queues its kernels on run.stream and returns; the
// workspaces are carved by the functions below, on both sides of the plugin.
#ifndef BINCE_CODING_CODING_CUDA_H_
#define BINCE_CODING_CODING_CUDA_H_

#include "native/coding/coding_ops.h"
#include "native/coding/compressai_step.h"
#include "native/coding/section_format.h"
#include "native/core/workspace.h"

namespace bince {

// What a kernel needs of one channel: bince_blocks_upload makes them.
struct alignas(32) DeviceChannel {
  uint32_t table;   // below T
  uint32_t first;   // the table's first entry in the per-entry arrays
  uint32_t escape;  // n - 1
  int32_t offset;   // the symbol of entry 0
  float median, step, gain, shift;
};

// Steps of a block are its (row group, channel) pairs in coding order; a tile is 32 of them, all lanes.
enum { kTileSteps = 32 };

// What the blocks of a call share.
struct DeviceFormat {
  SectionRules rules;
  uint32_t channels;
  const bince_tables* host_tables;      // host
  const bince_tables* tables;           // the same, uploaded
  const DeviceChannel* channel_values;  // [C]; null for arrays, whose channel c is table c
};

// A block on its way out: what the coder left of it, and its place.
struct EncodedPart {
  uint32_t states[kLanes];
  uint64_t first_word;  // in the block's room
  uint64_t words;
  uint64_t escape_bytes;
  uint64_t cost;    // in 2^-25 bits
  uint64_t offset;  // of its section in the output
};

// A block on its way in.
struct DecodedPart {
  Section section;
  uint64_t first_row;
  uint32_t usable;  // 0: its header is damaged
};

struct EncodeBlocksCall {
  DeviceFormat format;
  const void* rows;         // [n, C]
  const uint32_t* indexes;  // arrays: [n] the table of each symbol, or null
  RowType type;
  bool array;  // one block without a frame: varint escape_bytes, payload
  uint64_t row_count;
  uint64_t first_block;
  uint8_t* out;
  uint64_t capacity;
  int64_t* section_bytes;  // [blocks], or null
  uint64_t* bytes;         // or null
  double* ideal_bits;      // or null
};

struct DecodeBlocksCall {
  DeviceFormat format;
  const uint8_t* bytes;
  uint64_t byte_count;
  const int64_t* section_bytes;  // [blocks]; null for arrays
  uint64_t blocks;
  uint64_t first_block;
  void* rows;
  const uint32_t* indexes;
  RowType type;
  bool array;
  uint64_t row_count;
};

struct StringsCall {
  const bince_tables* tables;
  int32_t* symbols;         // [strings, length]
  const uint32_t* indexes;  // [length] or [strings, length]
  bool shared_indexes;
  int64_t strings, length;
  uint8_t* bytes;  // the strings
  uint64_t capacity;
  int64_t* string_bytes;  // [strings]
  uint64_t* total;        // or null
};

struct CodingCudaOps {
  bince_status (*encode_blocks)(const Run& run, const EncodeBlocksCall& call);
  bince_status (*decode_blocks)(const Run& run, const DecodeBlocksCall& call);
  bince_status (*encode_strings)(const Run& run, const StringsCall& call);
  bince_status (*decode_strings)(const Run& run, const StringsCall& call);
};

const CodingCudaOps* coding_cuda_ops();  // of the plugin

// --- workspaces ---

struct EncodeRoom {
  uint64_t blocks, block_words, block_tiles;
  EncodedPart* parts;       // [blocks]
  uint64_t* total;          // [1] bytes of all sections
  uint32_t* tile_escapes;   // [blocks, block_tiles] escape bytes of each tile
  uint16_t* words;          // [blocks, block_words]
  DeviceChannel* channels;  // [C], arrays without indexes alone
};

static inline EncodeRoom carve_encode_room(Workspace* workspace, const SectionRules& rules, uint32_t channels,
                                           uint64_t rows, bool array) {
  EncodeRoom room = {};
  const uint64_t block_rows = array || rows < rules.block_rows ? rows : rules.block_rows;
  room.blocks = array ? 1 : (rows + rules.block_rows - 1) / rules.block_rows;
  const uint64_t groups = (block_rows + rules.lanes - 1) / rules.lanes;
  room.block_tiles = (groups * channels + kTileSteps - 1) / kTileSteps;
  // A word for each symbol and what the range coder adds.  An escape in an array's range coder is part of
  // the stream: a word for each of its bytes.
  const uint64_t per_symbol = array && rules.coder == BINCE_RANGE ? 1 + kMaxEscapeBytes : 1;
  room.block_words = (per_symbol * block_rows * channels + 8 + 31) & ~uint64_t{31};
  room.parts = static_cast<EncodedPart*>(carve_bytes(workspace, room.blocks, sizeof(EncodedPart)));
  room.total = static_cast<uint64_t*>(carve_bytes(workspace, 1, sizeof(uint64_t)));
  room.tile_escapes =
      static_cast<uint32_t*>(carve_bytes(workspace, room.blocks * room.block_tiles, sizeof(uint32_t)));
  room.words =
      static_cast<uint16_t*>(carve_bytes(workspace, room.blocks * room.block_words, sizeof(uint16_t)));
  room.channels =
      static_cast<DeviceChannel*>(carve_bytes(workspace, array ? channels : 0, sizeof(DeviceChannel)));
  return room;
}

struct DecodeRoom {
  DecodedPart* parts;       // [blocks]
  DeviceChannel* channels;  // [C], arrays alone
};

static inline DecodeRoom carve_decode_room(Workspace* workspace, uint32_t channels, uint64_t blocks,
                                           bool array) {
  DecodeRoom room;
  room.parts = static_cast<DecodedPart*>(carve_bytes(workspace, blocks, sizeof(DecodedPart)));
  room.channels =
      static_cast<DeviceChannel*>(carve_bytes(workspace, array ? channels : 0, sizeof(DeviceChannel)));
  return room;
}

struct StringsRoom {
  uint64_t room_bytes;  // of a string
  uint64_t* offsets;    // [strings + 1] of their bytes; the last is the sum
  uint64_t* begins;     // [strings] of the strings in their rooms, encoding alone
  uint8_t* rooms;       // [strings, room_bytes], encoding alone
};

static inline StringsRoom carve_strings_room(Workspace* workspace, int64_t strings, int64_t length,
                                             bool encode) {
  StringsRoom room;
  const size_t count = static_cast<size_t>(strings);
  room.room_bytes = aligned_size(kMaxStringSymbolBytes * static_cast<size_t>(length) + kStringStateBytes + 4);
  room.offsets = static_cast<uint64_t*>(carve_bytes(workspace, count + 1, sizeof(uint64_t)));
  room.begins = static_cast<uint64_t*>(carve_bytes(workspace, encode ? count : 0, sizeof(uint64_t)));
  room.rooms = static_cast<uint8_t*>(carve_bytes(workspace, encode ? count : 0, room.room_bytes));
  return room;
}

}  // namespace bince

#endif  // BINCE_CODING_CODING_CUDA_H_
