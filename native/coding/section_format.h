// The frame of a block (docs/FORMAT.md): its header, as the CPU and kernels read and write it.
#ifndef BINCE_CODING_SECTION_FORMAT_H_
#define BINCE_CODING_SECTION_FORMAT_H_

#include "bince.h"
#include "native/coding/escape.h"
#include "native/coding/rans.h"

namespace bince {

enum : uint8_t { kTag = 0x40, kTagRows = 1, kTagEscapes = 2 };

// Tag, three varints, checksum.
enum { kMaxSectionHeader = 1 + 3 * 8 + 4, kChecksumHead = 24 };

// What the blocks of a file share and their headers are checked against.
struct SectionRules {
  int32_t coder;
  uint32_t lanes;
  uint32_t header_crc;
  uint64_t block_rows;
  uint64_t row_cost;  // the least that a row costs, in 2^-25 bits
};

// One section's header, read and checked against what is left of the bytes.
struct Section {
  uint64_t rows;
  uint64_t payload_bytes;
  uint64_t escape_bytes;
  uint32_t crc;
  const uint8_t* payload;
};

enum class SectionDamage : int32_t { kNone, kCut, kTag, kRows, kLength, kPayloadCut, kLengths, kTooShort };

// Lanes that have rows at all, whose states stand in the payload.
BINCE_INLINE uint64_t lanes_used(uint32_t lanes, uint64_t rows) {
  return rows < lanes ? rows : lanes;
}

// Whether the payload could hold that many rows: a length that lies must not make anyone allocate or loop.  A
// step of rANS adds at least 0.4 times the symbol's cost to the state (with x >= 2^16, x div f >= 2/3 x/f, or
// f > 2^15 and half the cost), and what is added must fit the words and the lanes' states.
BINCE_INLINE bool holds_rows(const SectionRules& rules, const Section& s) {
  const double bits =
      0.4 * static_cast<double>(rules.row_cost) / (1 << kCostBits) * static_cast<double>(s.rows);
  return bits <= 8.0 * static_cast<double>(s.payload_bytes - s.escape_bytes) + 64;
}

// Reads the section at `at`.
BINCE_INLINE SectionDamage parse_section(const SectionRules& rules, const uint8_t* at, const uint8_t* end,
                                         Section* s) {
  if (at == end) return SectionDamage::kCut;
  const uint8_t tag = *at++;
  if ((tag & ~(kTagRows | kTagEscapes)) != kTag) return SectionDamage::kTag;
  s->rows = rules.block_rows;
  s->escape_bytes = 0;
  if ((tag & kTagRows) && !read_varint(&at, end, &s->rows)) return SectionDamage::kCut;
  if ((tag & kTagEscapes) && !read_varint(&at, end, &s->escape_bytes)) return SectionDamage::kCut;
  if (!read_varint(&at, end, &s->payload_bytes) || end - at < 4) return SectionDamage::kCut;
  s->crc = load_u32(at);
  s->payload = at + 4;
  if (s->rows < 1 || s->rows > rules.block_rows) return SectionDamage::kRows;
  if (s->payload_bytes > UINT32_MAX) return SectionDamage::kLength;
  if (s->payload_bytes > static_cast<uint64_t>(end - s->payload)) return SectionDamage::kPayloadCut;
  const uint64_t least = rules.coder == BINCE_RANS ? 4 * lanes_used(rules.lanes, s->rows) : 2;
  if (s->escape_bytes > s->payload_bytes || s->payload_bytes - s->escape_bytes < least ||
      (s->payload_bytes - s->escape_bytes) % 2 != 0)
    return SectionDamage::kLengths;
  return holds_rows(rules, *s) ? SectionDamage::kNone : SectionDamage::kTooShort;
}

BINCE_INLINE int section_header_bytes(const SectionRules& rules, const Section& s) {
  return 1 + (s.rows != rules.block_rows ? varint_bytes(s.rows) : 0) +
         (s.escape_bytes ? varint_bytes(s.escape_bytes) : 0) + varint_bytes(s.payload_bytes) + 4;
}

// Writes the header with its checksum; returns what comes behind it.
BINCE_INLINE uint8_t* write_section_header(const SectionRules& rules, const Section& s, uint8_t* out) {
  uint8_t* at = out + 1;
  uint8_t tag = kTag;
  if (s.rows != rules.block_rows) {
    tag |= kTagRows;
    at = write_varint(at, s.rows);
  }
  if (s.escape_bytes) {
    tag |= kTagEscapes;
    at = write_varint(at, s.escape_bytes);
  }
  at = write_varint(at, s.payload_bytes);
  store_u32(at, s.crc);
  out[0] = tag;
  return at + 4;
}

// Word i of the kChecksumHead bytes that enter a section's checksum before its payload.
BINCE_INLINE uint32_t checksum_head(const SectionRules& rules, uint64_t block, const Section& s, int i) {
  switch (i) {
    case 0:
      return rules.header_crc;
    case 1:
      return static_cast<uint32_t>(block);
    case 2:
      return static_cast<uint32_t>(block >> 32);
    case 3:
      return static_cast<uint32_t>(s.rows);
    case 4:
      return static_cast<uint32_t>(s.payload_bytes);
    default:
      return static_cast<uint32_t>(s.escape_bytes);
  }
}

}  // namespace bince

#endif  // BINCE_CODING_SECTION_FORMAT_H_
