// Sections of blocks (docs/FORMAT.md): headers, checksums, and the blocks' way over the threads.
#ifndef BINCE_CODING_BLOCK_SECTIONS_H_
#define BINCE_CODING_BLOCK_SECTIONS_H_

#include "bince.h"
#include "native/coding/coding_ops.h"
#include "native/coding/section_format.h"
#include "native/core/workspace.h"

namespace bince {

struct SectionPlan {
  ChannelPlan channels;
  const CodingOps* ops;
  int32_t coder;
  uint32_t header_crc;
  uint64_t block_rows;
  uint64_t row_cost;  // the least that a row costs, in 2^-25 bits
};

BINCE_INLINE SectionRules section_rules(const SectionPlan& plan) {
  return {plan.coder, plan.channels.lanes, plan.header_crc, plan.block_rows, plan.row_cost};
}

// Reads the section at `at`; null, or what is wrong with it.
const char* read_section(const SectionPlan& plan, const uint8_t* at, const uint8_t* end, Section* section);

uint64_t section_bound(const SectionPlan& plan, uint64_t rows);

struct EncodeSections {
  const void* rows;
  RowType type;
  uint64_t row_count;
  uint64_t first_block;
  uint8_t* out;
  uint64_t capacity;
  int64_t* section_bytes;  // or null
  bool count_cost;
  // Results.
  uint64_t bytes;
  uint64_t cost;  // in 2^-25 bits, without the escape bytes
  uint64_t escape_bytes;
};

// Cross-entropy, and 8 bits for each escape byte.  Integers until here, so that their order does not matter.
BINCE_INLINE double ideal_bits_of(uint64_t cost, uint64_t escape_bytes) {
  return static_cast<double>(cost) / (1 << kCostBits) + 8.0 * static_cast<double>(escape_bytes);
}

// Workspaces are carved from run.workspace + `used` on; the _bytes functions say how much from there.
size_t encode_sections_bytes(const SectionPlan& plan, uint64_t rows, int threads);
bince_status encode_sections(const Run& run, size_t used, const SectionPlan& plan, EncodeSections* call);

struct DecodeSections {
  const uint8_t* bytes;
  uint64_t byte_count;
  uint64_t first_block;
  void* rows;
  RowType type;
  uint64_t row_count;
};

size_t decode_sections_bytes(const SectionPlan& plan, int threads);
bince_status decode_sections(const Run& run, size_t used, const SectionPlan& plan,
                             const DecodeSections& call);

// Whether the tables were prepared.
bince_status check_prepared(const bince_tables* tables);

}  // namespace bince

#endif  // BINCE_CODING_BLOCK_SECTIONS_H_
