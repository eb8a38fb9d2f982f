// The coding family's slots of the operations table.
//
// The slots code one or more blocks' payloads between rows and words; sections, checksums and threads are
// block_sections.cc's.  Every backend writes the same bytes.
#ifndef BINCE_CODING_CODING_OPS_H_
#define BINCE_CODING_CODING_OPS_H_

#include <stddef.h>

#include "native/coding/prepared_tables.h"
#include "native/core/ops.h"

namespace bince {

enum RowType : int32_t { kFloatRows, kSymbolRows };

// How a vector coder with byte look-ups in registers finds the entries of a pair of channels: in which form
// their tables are, and in how many halvings.
enum class LaneWay : uint8_t { kSmall3, kSmall5, kMedium4, kMedium6, kLarge };

// Channels [begin, end) that go the same way; begin is even.
struct LaneRun {
  uint32_t begin, end;
  LaneWay way;
};

// What every channel needs, as arrays over the C channels.
struct ChannelPlan {
  uint32_t channels;
  uint32_t lanes;
  const bince_tables* tables;
  const uint32_t* table;       // [C] below T
  const int32_t* offset;       // [C] the symbol of entry 0
  const uint32_t* escape;      // [C] m
  const float* median;         // [C]
  const float* step;           // [C]
  const float* gain;           // [C] 1 / step
  const float* shift;          // [C]
  bool far;                    // some table has symbols of 2^30 and beyond
  uint32_t largest;            // entries of the largest table that a channel uses
  bool small;                  // largest <= kSmallEntries
  const SmallDecode** decode;  // [C], null where a table is not small
  const PairDecode** pairs;    // [C], likewise
  const ByteEncode** bytes;    // [C], likewise
  const SmallEncode** encode;  // [C], likewise
  // Only if narrow.  A channel of a small way has LaneDecode<32> (and SmallEncode above), of a medium way
  // LaneDecode<64> and LaneEncode.
  bool narrow;                     // largest <= kNarrowEntries
  const void** lane_decode;        // [C]
  const LaneEncode** lane_encode;  // [C]
  const LaneRun* runs;
  uint32_t run_count;
};

// One block to encode.  Words and escape bytes are written downwards from their ends.
struct EncodeJob {
  const void* rows;         // [rows, C] float32 values or int32 symbols
  const uint32_t* indexes;  // [rows, C] the table of each symbol, or null: that of its channel
  RowType type;
  bool count_cost;
  uint64_t row_count;
  uint8_t* words_end;     // room for 2 bytes a symbol below it
  uint8_t* escapes_end;   // room for kMaxEscapeBytes a symbol below it
  const int32_t* cancel;  // or null; polled by the reference, which long arrays go through
  // Results.
  uint32_t states[kLanes];
  uint8_t* words;
  uint8_t* escapes;
  uint64_t cost;   // in 2^-25 bits, without the escape bytes; modulo 2^64
  bool invalid;    // a value that cannot be quantised; nothing else is meant then
  bool cancelled;  // likewise
};

// One block to decode.
struct DecodeJob {
  void* rows;  // [rows, C]
  const uint32_t* indexes;
  RowType type;
  uint64_t row_count;
  const uint8_t* payload;
  uint64_t payload_bytes;
  uint64_t escape_bytes;
  const int32_t* cancel;  // as above
  const char* damage;     // null, or what is wrong with the block
  bool cancelled;
  bool past_caches;  // the call's rows are more than caches hold: they may be written straight to memory
};

// Symbols between two looks at a cancel flag.
enum { kCancelSymbols = 1 << 16 };

// Blocks that a slot takes at once, to hide latency.
enum { kBlocksAtOnce = 4 };

struct StringJob;  // native/coding/compressai.h

struct CodingOps {
  // `count` is 1 to kBlocksAtOnce; scratch as large as coding_scratch_bytes() says, 64-byte aligned.
  void (*encode_rans)(const ChannelPlan* plan, EncodeJob* jobs, int count, char* scratch);
  void (*decode_rans)(const ChannelPlan* plan, DecodeJob* jobs, int count, char* scratch);
  uint32_t (*crc32c)(uint32_t crc, const uint8_t* bytes, size_t count);
  // `count` strings of one length, 1 to kStringsAtOnce.
  void (*encode_strings)(const bince_tables* tables, StringJob* jobs, int count);
  void (*decode_strings)(const bince_tables* tables, StringJob* jobs, int count);
};

// The tile of a row group for each of the blocks at once, and one group's entries in row order.
static inline size_t coding_scratch_bytes(uint32_t channels) {
  return (size_t{kBlocksAtOnce} + 1) * (size_t{channels} + 64) * kLanes;
}

// Each replaces the slots that its target does better.
#if defined(BINCE_X86)
void coding_fill_crc_avx2(CodingOps* ops);
void coding_fill_blocks_avx2(CodingOps* ops);
void coding_fill_blocks_avx512(CodingOps* ops);
void coding_fill_string_decoder_avx512(CodingOps* ops);
void coding_fill_string_encoder_avx512(CodingOps* ops);
#endif
#if defined(BINCE_ARM64)
void coding_fill_crc_neon(CodingOps* ops);  // where the processor has CRC-32C's instructions
void coding_fill_blocks_neon(CodingOps* ops);
#endif

}  // namespace bince

#endif  // BINCE_CODING_CODING_OPS_H_
