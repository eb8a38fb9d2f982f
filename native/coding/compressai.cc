// CompressAI's strings.  Several strings are coded side by side: each has one serial chain of states, and the
// processor works on the others while one waits.  Scalar on every backend.
#include "native/coding/compressai.h"

#include "native/coding/escape.h"
#include "native/coding/rans.h"

namespace bince {
namespace {

constexpr uint64_t kStateLow = uint64_t{1} << 31;
constexpr uint64_t kStateEnd = uint64_t{1} << 63;
constexpr int kBypassBits = 4;
constexpr int kMaxNibbles = 7;  // of a number below 2^28

inline void emit(uint64_t* x, uint8_t** words) {
  *words -= 4;
  store_u32(*words, static_cast<uint32_t>(*x));
  *x >>= 32;
}

inline void put_entry(const EncodeEntry& entry, uint64_t* x, uint8_t** words) {
  if (*x >= static_cast<uint64_t>(entry.frequency) << 47) emit(x, words);
  const uint64_t q = divide_by_frequency(*x, entry);
  *x = (q << 16) + (*x - q * entry.frequency) + entry.start;
}

inline void put_bypass(uint32_t nibble, uint64_t* x, uint8_t** words) {
  if (*x >= uint64_t{1} << 59) emit(x, words);
  *x = *x << kBypassBits | nibble;
}

// The tokens of an escape, last to first, as the state is a stack; the entry itself follows.
void put_escape(uint64_t raw, uint64_t* x, uint8_t** words) {
  int nibbles = 0;
  while (raw >> (kBypassBits * nibbles)) ++nibbles;
  for (int i = nibbles; i-- > 0;) put_bypass(raw >> (kBypassBits * i) & 15, x, words);
  put_bypass(static_cast<uint32_t>(nibbles), x, words);
}

template <int K>
void encode_side_by_side(const bince_tables* tables, StringJob* jobs) {
  uint64_t x[K];
  uint8_t* words[K];
  for (int k = 0; k < K; ++k) {
    x[k] = kStateLow;
    words[k] = jobs[k].end;
    jobs[k].damage = nullptr;
  }
  for (int64_t i = jobs[0].length; i-- > 0;) {
    for (int k = 0; k < K; ++k) {
      const TableView table = table_view(tables, jobs[k].indexes[i]);
      const int64_t v = int64_t{jobs[k].symbols[i]} - table.offset;
      uint32_t entry = static_cast<uint32_t>(v);
      if (__builtin_expect(v < 0 || v >= table.escape, 0)) {
        const uint64_t raw = escape_value(v, table.escape);
        if (raw >= kMaxStringEscape) {
          jobs[k].damage = "too far outside its table for a CompressAI string";
          jobs[k].failed_at = i;
          continue;
        }
        put_escape(raw, &x[k], &words[k]);
        entry = table.escape;
      }
      put_entry(table.encode[entry], &x[k], &words[k]);
    }
  }
  for (int k = 0; k < K; ++k) {
    jobs[k].begin = words[k] - kStringStateBytes;
    store_u32(jobs[k].begin, static_cast<uint32_t>(x[k]));
    store_u32(jobs[k].begin + 4, static_cast<uint32_t>(x[k] >> 32));
  }
}

struct Reader {
  uint64_t x;
  const uint8_t* at;
  const uint8_t* end;
};

// Without a branch on the state, which nobody can predict.
inline bool renormalize(Reader* r) {
  if (__builtin_expect(r->end - r->at < 4, 0)) return r->x >= kStateLow;
  const bool due = r->x < kStateLow;
  const uint64_t renewed = r->x << 32 | load_u32(r->at);
  r->x = due ? renewed : r->x;
  r->at += due ? 4 : 0;
  return true;
}

inline bool take_bypass(Reader* r, uint32_t* nibble) {
  *nibble = r->x & 15;
  r->x >>= kBypassBits;
  return renormalize(r);
}

const char* kTooShort = "it ends too early";

const char* take_escape(Reader* r, const TableView& table, int32_t* symbol) {
  uint32_t nibbles, nibble = 1;
  if (!take_bypass(r, &nibbles)) return kTooShort;
  if (nibbles > kMaxNibbles) return "an escape of more than 28 bits";
  uint64_t raw = 0;
  for (uint32_t i = 0; i < nibbles; ++i) {
    if (!take_bypass(r, &nibble)) return kTooShort;
    raw |= uint64_t{nibble} << (kBypassBits * i);
  }
  if (nibble == 0) return "an escape with leading zeros";
  return escaped_symbol(raw, table.escape, table.offset, symbol) ? nullptr : "a symbol beyond 32 bits";
}

inline const char* take_symbol(Reader* r, const TableView& table, int32_t* symbol) {
  const uint32_t slot = r->x & 0xffff;
  const uint32_t entry = find_entry(table.decode, table.bucket, slot);
  const DecodeEntry e = table.decode[entry];
  r->x = e.frequency * (r->x >> 16) + slot - e.start;
  if (__builtin_expect(!renormalize(r), 0)) return kTooShort;
  if (__builtin_expect(entry == table.escape, 0)) return take_escape(r, table, symbol);
  *symbol = table.offset + static_cast<int32_t>(entry);
  return nullptr;
}

const char* start_reading(const StringJob& job, Reader* r) {
  const int64_t size = job.end - job.begin;
  if (size < kStringStateBytes || size % 4 != 0) return "its length is not 8 bytes and whole 32-bit words";
  *r = {load_u32(job.begin) | uint64_t{load_u32(job.begin + 4)} << 32, job.begin + kStringStateBytes,
        job.end};
  return r->x < kStateLow || r->x >= kStateEnd ? "its state is not one that encoders reach" : nullptr;
}

const char* check_end(const Reader& r) {
  if (r.x != kStateLow) return "it does not end where encoders begin";
  return r.at == r.end ? nullptr : "words are left over";
}

// False where one of them is damaged: the others may be half decoded then.
template <int K>
bool decode_side_by_side(const bince_tables* tables, StringJob* jobs) {
  Reader readers[K];
  for (int k = 0; k < K; ++k) {
    jobs[k].failed_at = 0;
    jobs[k].damage = start_reading(jobs[k], &readers[k]);
    if (jobs[k].damage) return false;
  }
  for (int64_t i = 0; i < jobs[0].length; ++i) {
    for (int k = 0; k < K; ++k) {
      const TableView table = table_view(tables, jobs[k].indexes[i]);
      jobs[k].damage = take_symbol(&readers[k], table, &jobs[k].symbols[i]);
      if (__builtin_expect(jobs[k].damage != nullptr, 0)) {
        jobs[k].failed_at = i;
        return false;
      }
    }
  }
  bool whole = true;
  for (int k = 0; k < K; ++k) {
    jobs[k].failed_at = jobs[k].length;
    jobs[k].damage = check_end(readers[k]);
    whole = whole && !jobs[k].damage;
  }
  return whole;
}

}  // namespace

void encode_strings(const bince_tables* tables, StringJob* jobs, int count) {
  if (count == kStringsAtOnce) return encode_side_by_side<kStringsAtOnce>(tables, jobs);
  for (int i = 0; i < count; ++i) encode_side_by_side<1>(tables, &jobs[i]);
}

void decode_strings(const bince_tables* tables, StringJob* jobs, int count) {
  if (count == kStringsAtOnce && decode_side_by_side<kStringsAtOnce>(tables, jobs)) return;
  for (int i = 0; i < count; ++i) decode_side_by_side<1>(tables, &jobs[i]);
}

}  // namespace bince
