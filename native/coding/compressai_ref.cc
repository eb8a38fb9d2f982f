// CompressAI's strings, symbol by symbol.  Several strings are coded side by side: each has one serial chain
// of states, and the processor works on the others while one waits.
#include "native/coding/compressai.h"

namespace bince {
namespace {

const char* text_of(StringDamage damage) {
  switch (damage) {
    case StringDamage::kNone:
      return nullptr;
    case StringDamage::kTooShort:
      return "it ends too early";
    case StringDamage::kLongEscape:
      return "an escape of more than 28 bits";
    case StringDamage::kLeadingZeros:
      return "an escape with leading zeros";
    case StringDamage::kBeyondInt32:
      return "a symbol beyond 32 bits";
    case StringDamage::kLength:
      return "its length is not 8 bytes and whole 32-bit words";
    case StringDamage::kState:
      return "its state is not one that encoders reach";
    case StringDamage::kEnd:
      return "it does not end where encoders begin";
    case StringDamage::kWordsLeft:
      break;
  }
  return "words are left over";
}

// Whether all have the same tables, so that one look-up serves them.
bool shared_indexes(const StringJob* jobs, int count) {
  for (int k = 1; k < count; ++k)
    if (jobs[k].indexes != jobs[0].indexes) return false;
  return true;
}

template <int K, bool Shared>
void encode_side_by_side(const bince_tables* tables, StringJob* jobs) {
  uint64_t x[K];
  uint8_t* words[K];
  for (int k = 0; k < K; ++k) {
    x[k] = kStringStateLow;
    words[k] = jobs[k].end;
    jobs[k].damage = nullptr;
  }
  for (int64_t i = jobs[0].length; i-- > 0;) {
    TableView table = table_view(tables, jobs[0].indexes[i]);
    for (int k = 0; k < K; ++k) {
      if (!Shared) table = table_view(tables, jobs[k].indexes[i]);
      if (__builtin_expect(!put_string_symbol(table, jobs[k].symbols[i], &x[k], &words[k]), 0)) {
        jobs[k].damage = "too far outside its table for a CompressAI string";
        jobs[k].failed_at = i;
      }
    }
  }
  for (int k = 0; k < K; ++k) jobs[k].begin = put_string_state(x[k], words[k]);
}

// False where one of them is damaged: the others may be half decoded then.
template <int K, bool Shared>
bool decode_side_by_side(const bince_tables* tables, StringJob* jobs) {
  StringReader readers[K];
  for (int k = 0; k < K; ++k) {
    jobs[k].failed_at = 0;
    jobs[k].damage = text_of(start_string(jobs[k].begin, jobs[k].end, &readers[k]));
    if (jobs[k].damage) return false;
  }
  for (int64_t i = 0; i < jobs[0].length; ++i) {
    TableView table = table_view(tables, jobs[0].indexes[i]);
    for (int k = 0; k < K; ++k) {
      if (!Shared) table = table_view(tables, jobs[k].indexes[i]);
      const StringDamage damage = take_string_symbol(&readers[k], table, &jobs[k].symbols[i]);
      if (__builtin_expect(damage != StringDamage::kNone, 0)) {
        jobs[k].damage = text_of(damage);
        jobs[k].failed_at = i;
        return false;
      }
    }
  }
  bool whole = true;
  for (int k = 0; k < K; ++k) {
    jobs[k].failed_at = jobs[k].length;
    jobs[k].damage = text_of(end_string(readers[k]));
    whole = whole && !jobs[k].damage;
  }
  return whole;
}

// Groups of K strings from *first on.
template <int K>
void encode_groups(const bince_tables* tables, StringJob* jobs, int count, int* first) {
  const bool shared = shared_indexes(jobs, count);
  for (; *first + K <= count; *first += K)
    shared ? encode_side_by_side<K, true>(tables, &jobs[*first])
           : encode_side_by_side<K, false>(tables, &jobs[*first]);
}

template <int K>
void decode_groups(const bince_tables* tables, StringJob* jobs, int count, int* first) {
  const bool shared = shared_indexes(jobs, count);
  for (; *first + K <= count; *first += K) {
    StringJob* group = &jobs[*first];
    const bool whole =
        shared ? decode_side_by_side<K, true>(tables, group) : decode_side_by_side<K, false>(tables, group);
    for (int k = 0; !whole && k < K; ++k) decode_side_by_side<1, true>(tables, &group[k]);
  }
}

}  // namespace

void encode_strings_ref(const bince_tables* tables, StringJob* jobs, int count) {
  int first = 0;
  encode_groups<8>(tables, jobs, count, &first);
  encode_groups<4>(tables, jobs, count, &first);
  encode_groups<1>(tables, jobs, count, &first);
}

void decode_strings_ref(const bince_tables* tables, StringJob* jobs, int count) {
  int first = 0;
  decode_groups<8>(tables, jobs, count, &first);
  decode_groups<4>(tables, jobs, count, &first);
  decode_groups<1>(tables, jobs, count, &first);
}

}  // namespace bince
