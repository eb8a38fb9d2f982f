#include "native/coding/block_sections.h"

#include <cstring>

#include "native/coding/block_ref.h"
#include "native/coding/escape.h"
#include "native/coding/quantize.h"
#include "native/coding/rans.h"
#include "native/core/status.h"
#include "native/core/thread_pool.h"

namespace bince {
namespace {

// Two tasks of the most blocks for every thread: enough to even out, few enough to bound the room.
constexpr int kBlocksPerThread = 2 * kBlocksAtOnce;

// Decoded rows of a call that are more than this do not wait in caches for whoever reads them.
constexpr uint64_t kCachedBytes = 4 << 20;

// Blocks of a task: several where every thread still gets work.  The bytes do not depend on it.
int blocks_per_task(uint64_t blocks, int threads) {
  const uint64_t share = blocks / static_cast<uint64_t>(threads);
  return share >= kBlocksAtOnce ? kBlocksAtOnce : share > 1 ? static_cast<int>(share) : 1;
}

uint32_t section_crc(const SectionPlan& plan, uint64_t block, const Section& s) {
  uint8_t head[kChecksumHead];
  for (int i = 0; i < kChecksumHead / 4; ++i)
    store_u32(head + 4 * i, checksum_head(section_rules(plan), block, s, i));
  return plan.ops->crc32c(0, head, sizeof head);
}

// Room for one block: words grow downwards from the middle (upwards from the start for the range coder),
// escapes downwards from the end.
size_t block_words_bytes(const SectionPlan& plan, uint64_t rows) {
  return aligned_size(2 * (rows * plan.channels.channels + 2) + 64);
}
size_t block_room_bytes(const SectionPlan& plan, uint64_t rows) {
  return block_words_bytes(plan, rows) + aligned_size(kMaxEscapeBytes * rows * plan.channels.channels);
}

// A block that was encoded and waits for its place: header, states, words, escapes.
struct EncodedBlock {
  uint8_t header[kMaxSectionHeader + 4 * kLanes];
  size_t header_bytes;  // with the states
  const uint8_t* words;
  size_t words_bytes;
  const uint8_t* escapes;
  size_t escape_bytes;
  uint64_t at;  // its place in the results
  bool too_large;
};

struct EncodeWave {
  const Run* run;
  const SectionPlan* plan;
  const EncodeSections* call;
  uint64_t first_block;  // within the call
  int blocks;
  int per_task;
  uint64_t slot_rows;
  char* scratch;
  size_t scratch_bytes;
  EncodeJob* jobs;
  EncodedBlock* encoded;
  char* rooms;
};

void finish_block(const EncodeWave& wave, int slot, const uint8_t* words_end, const uint8_t* escapes_end) {
  const SectionPlan& plan = *wave.plan;
  const EncodeJob& job = wave.jobs[slot];
  EncodedBlock* e = &wave.encoded[slot];
  uint8_t states[4 * kLanes];
  size_t state_bytes = 0;
  if (plan.coder == BINCE_RANS)
    for (uint64_t l = 0; l < plan.channels.lanes && l < job.row_count; ++l, state_bytes += 4)
      store_u32(states + state_bytes, job.states[l]);
  e->words = job.words;
  e->words_bytes = static_cast<size_t>(words_end - job.words);
  e->escapes = job.escapes;
  e->escape_bytes = static_cast<size_t>(escapes_end - job.escapes);
  Section s = {job.row_count, state_bytes + e->words_bytes + e->escape_bytes, e->escape_bytes, 0, nullptr};
  e->too_large = s.payload_bytes > UINT32_MAX;
  s.crc = section_crc(plan, wave.call->first_block + wave.first_block + static_cast<uint64_t>(slot), s);
  s.crc = plan.ops->crc32c(s.crc, states, state_bytes);
  s.crc = plan.ops->crc32c(s.crc, e->words, e->words_bytes);
  s.crc = plan.ops->crc32c(s.crc, e->escapes, e->escape_bytes);
  e->header_bytes = static_cast<size_t>(write_section_header(section_rules(plan), s, e->header) - e->header);
  std::memcpy(e->header + e->header_bytes, states, state_bytes);
  e->header_bytes += state_bytes;
}

void encode_task(void* argument, int64_t task, int worker) {
  const EncodeWave& wave = *static_cast<const EncodeWave*>(argument);
  const SectionPlan& plan = *wave.plan;
  const int first = static_cast<int>(task) * wave.per_task;
  const int count = wave.blocks - first < wave.per_task ? wave.blocks - first : wave.per_task;
  const size_t words_bytes = block_words_bytes(plan, wave.slot_rows);
  const size_t room_bytes = block_room_bytes(plan, wave.slot_rows);
  uint8_t* words_ends[kBlocksAtOnce];
  for (int i = 0; i < count; ++i) {
    EncodeJob* job = &wave.jobs[first + i];
    job->invalid = job->cancelled = false;
    job->cancel = nullptr;
    const uint64_t row = (wave.first_block + static_cast<uint64_t>(first + i)) * plan.block_rows;
    const uint64_t left = wave.call->row_count - row;
    uint8_t* room = reinterpret_cast<uint8_t*>(wave.rooms) + static_cast<size_t>(first + i) * room_bytes;
    job->rows = static_cast<const char*>(wave.call->rows) + row * plan.channels.channels * 4;
    job->indexes = nullptr;
    job->type = wave.call->type;
    job->count_cost = wave.call->count_cost;
    job->row_count = left < plan.block_rows ? left : plan.block_rows;
    job->words_end = room + words_bytes;
    job->escapes_end = room + room_bytes;
    words_ends[i] = job->words_end;
  }
  if (cancelled(*wave.run)) return;
  if (plan.coder == BINCE_RANGE)
    for (int i = 0; i < count; ++i)
      encode_range(&plan.channels, &wave.jobs[first + i], wave.jobs[first + i].words_end - words_bytes,
                   &words_ends[i]);
  else
    plan.ops->encode_rans(&plan.channels, &wave.jobs[first], count,
                          wave.scratch + static_cast<size_t>(worker) * wave.scratch_bytes);
  for (int i = 0; i < count; ++i)
    if (!wave.jobs[first + i].invalid)
      finish_block(wave, first + i, words_ends[i], wave.jobs[first + i].escapes_end);
}

// The message for the first value that cannot be quantised, from `row` on.
bince_status name_invalid(const SectionPlan& plan, const EncodeSections& call, uint64_t row) {
  const ChannelPlan& p = plan.channels;
  const float* values = static_cast<const float*>(call.rows);
  for (; row < call.row_count; ++row) {
    for (uint32_t c = 0; c < p.channels; ++c) {
      const float x = values[row * p.channels + c];
      int32_t symbol;
      if (!quantize(x, p.median[c], p.gain[c], p.shift[c], &symbol))
        return fail(
            BINCE_INVALID_VALUE,
            "rows: row %llu, channel %u: expected a finite value whose symbol is below 2^30, received %g",
            static_cast<unsigned long long>(row), c, static_cast<double>(x));
    }
  }
  return fail(BINCE_INTERNAL, "a backend refused rows that the reference takes");
}

// A wave's sections on their way to the caller's bytes.
struct Gathering {
  const EncodeWave* wave;
  uint8_t* out;
  uint64_t capacity;
};

void copy_section(void* argument, int64_t i, int) {
  const Gathering& to = *static_cast<const Gathering*>(argument);
  const EncodedBlock& e = to.wave->encoded[i];
  const size_t bytes = e.header_bytes + e.words_bytes + e.escape_bytes;
  if (e.at > to.capacity || bytes > to.capacity - e.at) return;
  uint8_t* at = to.out + e.at;
  std::memcpy(at, e.header, e.header_bytes);
  std::memcpy(at + e.header_bytes, e.words, e.words_bytes);
  std::memcpy(at + e.header_bytes + e.words_bytes, e.escapes, e.escape_bytes);
}

// Appends the wave's sections to the caller's bytes, those that fit.
bince_status gather(const EncodeWave& wave, EncodeSections* call) {
  for (int i = 0; i < wave.blocks; ++i) {
    const uint64_t block = wave.first_block + static_cast<uint64_t>(i);
    EncodedBlock* e = &wave.encoded[i];
    // Blocks side by side end with the first that is invalid: the row may be in one before.
    if (wave.jobs[i].invalid)
      return name_invalid(*wave.plan, *call, wave.first_block * wave.plan->block_rows);
    if (e->too_large)
      return fail(BINCE_INVALID_ARGUMENT, "block %llu: more than 2^32 bytes; choose smaller blocks",
                  static_cast<unsigned long long>(call->first_block + block));
    e->at = call->bytes;
    call->bytes += e->header_bytes + e->words_bytes + e->escape_bytes;
    if (call->section_bytes) call->section_bytes[block] = static_cast<int64_t>(call->bytes - e->at);
    call->cost += wave.jobs[i].cost;
    call->escape_bytes += e->escape_bytes;
  }
  Gathering to = {&wave, call->out, call->capacity};
  parallel_for(wave.run->pool, wave.blocks, copy_section, &to);
  return BINCE_OK;
}

uint64_t block_count(const SectionPlan& plan, uint64_t rows) {
  return (rows + plan.block_rows - 1) / plan.block_rows;
}

// The same code sizes and carves.
size_t carve_encode(const SectionPlan& plan, uint64_t rows, int threads, Workspace* workspace,
                    EncodeWave* wave) {
  const uint64_t blocks = block_count(plan, rows);
  const uint64_t most = static_cast<uint64_t>(threads) * kBlocksPerThread;
  wave->plan = &plan;
  wave->blocks = static_cast<int>(blocks < most ? blocks : most);
  wave->slot_rows = rows < plan.block_rows ? rows : plan.block_rows;
  wave->scratch_bytes = aligned_size(coding_scratch_bytes(plan.channels.channels));
  wave->scratch =
      static_cast<char*>(carve_bytes(workspace, static_cast<size_t>(threads), wave->scratch_bytes));
  const size_t slots = static_cast<size_t>(wave->blocks);
  wave->jobs = static_cast<EncodeJob*>(carve_bytes(workspace, slots, sizeof(EncodeJob)));
  wave->encoded = static_cast<EncodedBlock*>(carve_bytes(workspace, slots, sizeof(EncodedBlock)));
  wave->rooms = static_cast<char*>(carve_bytes(workspace, slots, block_room_bytes(plan, wave->slot_rows)));
  return workspace->used;
}

}  // namespace

uint64_t section_bound(const SectionPlan& plan, uint64_t rows) {
  const uint64_t per_block = kMaxSectionHeader + 4 * kLanes + 2;
  return block_count(plan, rows) * per_block + rows * plan.channels.channels * (2 + kMaxEscapeBytes);
}

size_t encode_sections_bytes(const SectionPlan& plan, uint64_t rows, int threads) {
  Workspace workspace;
  EncodeWave wave = {};
  return carve_encode(plan, rows, threads, &workspace, &wave);
}

bince_status encode_sections(const Run& run, size_t used, const SectionPlan& plan, EncodeSections* call) {
  const int threads = pool_threads(run.pool);
  Workspace workspace = {run.workspace, used};
  EncodeWave wave = {};
  carve_encode(plan, call->row_count, threads, &workspace, &wave);
  wave.run = &run;
  wave.call = call;
  call->bytes = call->cost = call->escape_bytes = 0;
  const uint64_t blocks = block_count(plan, call->row_count);
  const int slots = wave.blocks;
  for (uint64_t block = 0; block < blocks; block += static_cast<uint64_t>(slots)) {
    wave.first_block = block;
    if (blocks - block < static_cast<uint64_t>(slots)) wave.blocks = static_cast<int>(blocks - block);
    wave.per_task = blocks_per_task(static_cast<uint64_t>(wave.blocks), threads);
    parallel_for(run.pool, (wave.blocks + wave.per_task - 1) / wave.per_task, encode_task, &wave);
    if (cancelled(run)) return fail(BINCE_CANCELLED, "encoding was cancelled");
    BINCE_RETURN_IF_ERROR(gather(wave, call));
  }
  if (call->bytes > call->capacity)
    return fail(BINCE_BUFFER_TOO_SMALL, "sections: expected at least %llu bytes, received %llu",
                static_cast<unsigned long long>(call->bytes),
                static_cast<unsigned long long>(call->capacity));
  return BINCE_OK;
}

// --- decoding ---

const char* read_section(const SectionPlan& plan, const uint8_t* at, const uint8_t* end, Section* s) {
  switch (parse_section(section_rules(plan), at, end, s)) {
    case SectionDamage::kNone:
      return nullptr;
    case SectionDamage::kCut:
      return "its header is cut off";
    case SectionDamage::kTag:
      return "its tag is not a block's";
    case SectionDamage::kRows:
      return "its number of rows is impossible";
    case SectionDamage::kLength:
      return "its length is impossible";
    case SectionDamage::kPayloadCut:
      return "it is cut off";
    case SectionDamage::kLengths:
      return "its lengths contradict each other";
    case SectionDamage::kTooShort:
      break;
  }
  return "its length cannot hold its rows";
}

namespace {

struct DecodeWave {
  const Run* run;
  const SectionPlan* plan;
  uint64_t first_block;
  int blocks;
  int per_task;
  char* scratch;
  size_t scratch_bytes;
  DecodeJob* jobs;
  Section* sections;
};

bool checksum_holds(const DecodeWave& wave, int slot) {
  const Section& s = wave.sections[slot];
  const uint32_t crc = section_crc(*wave.plan, wave.first_block + static_cast<uint64_t>(slot), s);
  return wave.plan->ops->crc32c(crc, s.payload, s.payload_bytes) == s.crc;
}

void decode_task(void* argument, int64_t task, int worker) {
  const DecodeWave& wave = *static_cast<const DecodeWave*>(argument);
  const SectionPlan& plan = *wave.plan;
  const int first = static_cast<int>(task) * wave.per_task;
  const int last = wave.blocks - first < wave.per_task ? wave.blocks : first + wave.per_task;
  if (cancelled(*wave.run)) return;
  int whole = first;
  while (whole < last && checksum_holds(wave, whole)) ++whole;
  if (whole < last) wave.jobs[whole].damage = "its checksum does not match";
  if (plan.coder == BINCE_RANGE)
    for (int i = first; i < whole; ++i) decode_range(&plan.channels, &wave.jobs[i]);
  else if (whole > first)
    plan.ops->decode_rans(&plan.channels, &wave.jobs[first], whole - first,
                          wave.scratch + static_cast<size_t>(worker) * wave.scratch_bytes);
}

size_t carve_decode(const SectionPlan& plan, int threads, Workspace* workspace, DecodeWave* wave) {
  wave->plan = &plan;
  wave->blocks = threads * kBlocksPerThread;
  wave->scratch_bytes = aligned_size(coding_scratch_bytes(plan.channels.channels));
  wave->scratch =
      static_cast<char*>(carve_bytes(workspace, static_cast<size_t>(threads), wave->scratch_bytes));
  const size_t slots = static_cast<size_t>(wave->blocks);
  wave->jobs = static_cast<DecodeJob*>(carve_bytes(workspace, slots, sizeof(DecodeJob)));
  wave->sections = static_cast<Section*>(carve_bytes(workspace, slots, sizeof(Section)));
  return workspace->used;
}

bince_status block_damage(uint64_t block, const char* damage) {
  return fail(BINCE_CORRUPT_DATA, "block %llu is damaged: %s", static_cast<unsigned long long>(block),
              damage);
}

}  // namespace

size_t decode_sections_bytes(const SectionPlan& plan, int threads) {
  Workspace workspace;
  DecodeWave wave = {};
  return carve_decode(plan, threads, &workspace, &wave);
}

bince_status decode_sections(const Run& run, size_t used, const SectionPlan& plan,
                             const DecodeSections& call) {
  const int threads = pool_threads(run.pool);
  Workspace workspace = {run.workspace, used};
  DecodeWave wave = {};
  carve_decode(plan, threads, &workspace, &wave);
  wave.run = &run;
  const int slots = wave.blocks;
  const bool past_caches = call.row_count * plan.channels.channels * 4 >= kCachedBytes;
  const uint8_t* at = call.bytes;
  const uint8_t* end = call.bytes + call.byte_count;
  uint64_t row = 0;
  wave.first_block = call.first_block;
  while (at < end) {
    const char* header_damage = nullptr;
    for (wave.blocks = 0; wave.blocks < slots && at < end; ++wave.blocks) {
      Section* s = &wave.sections[wave.blocks];
      header_damage = read_section(plan, at, end, s);
      if (!header_damage && s->rows > call.row_count - row) header_damage = "more rows than were asked for";
      if (header_damage) break;
      wave.jobs[wave.blocks] = {static_cast<char*>(call.rows) + row * plan.channels.channels * 4,
                                nullptr,
                                call.type,
                                s->rows,
                                s->payload,
                                s->payload_bytes,
                                s->escape_bytes,
                                nullptr,
                                nullptr,
                                false,
                                past_caches};
      row += s->rows;
      at = s->payload + s->payload_bytes;
    }
    wave.per_task = blocks_per_task(static_cast<uint64_t>(wave.blocks), threads);
    parallel_for(run.pool, (wave.blocks + wave.per_task - 1) / wave.per_task, decode_task, &wave);
    if (cancelled(run)) return fail(BINCE_CANCELLED, "decoding was cancelled");
    for (int i = 0; i < wave.blocks; ++i)
      if (wave.jobs[i].damage)
        return block_damage(wave.first_block + static_cast<uint64_t>(i), wave.jobs[i].damage);
    wave.first_block += static_cast<uint64_t>(wave.blocks);
    if (header_damage) return block_damage(wave.first_block, header_damage);
  }
  return row == call.row_count
             ? BINCE_OK
             : fail(BINCE_INVALID_ARGUMENT, "rows: expected %llu rows, received room for %llu",
                    static_cast<unsigned long long>(row), static_cast<unsigned long long>(call.row_count));
}

}  // namespace bince
