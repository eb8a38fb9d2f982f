// The C ABI of CompressAI's strings: checks, and the strings' way over the threads.
#include <cstring>

#include "native/coding/block_sections.h"
#include "native/coding/coding_device_api.h"
#include "native/coding/compressai.h"
#include "native/core/context.h"
#include "native/core/status.h"
#include "native/core/tensor_check.h"

namespace bince {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 40;
// Strings of a task: enough symbols to be worth a thread's while.
constexpr int64_t kTaskSymbols = 1 << 14;

uint64_t string_bound(int64_t length) {
  return kMaxStringSymbolBytes * static_cast<uint64_t>(length) + kStringStateBytes + 4;
}

struct StringsPlan {
  const bince_tables* tables;
  const CodingOps* ops;
  const Run* run;
  const int32_t* symbols_in;
  int32_t* symbols_out;
  const uint32_t* indexes;
  bool shared_indexes;
  int64_t strings, length;
  int64_t per_task;
  StringJob* jobs;  // [strings]
  char* rooms;
  size_t room_bytes;
};

// The same code sizes and carves.
size_t carve_strings(Workspace* workspace, int64_t strings, int64_t length, bool encode, StringsPlan* plan) {
  plan->strings = strings;
  plan->length = length;
  plan->jobs =
      static_cast<StringJob*>(carve_bytes(workspace, static_cast<size_t>(strings), sizeof(StringJob)));
  plan->room_bytes = aligned_size(string_bound(length) + kStringSpareBytes);
  const size_t rooms = encode ? static_cast<size_t>(strings) : 0;
  plan->rooms = static_cast<char*>(carve_bytes(workspace, rooms, plan->room_bytes));
  return workspace->used;
}

bince_status check_shape(int64_t strings, int64_t length) {
  if (strings < 0 || length < 0 || (length > 0 && strings > kMaxCount / length) || strings > kMaxCount)
    return fail(BINCE_INVALID_ARGUMENT,
                "symbols: expected at most 2^40 symbols, received %lld strings of %lld",
                static_cast<long long>(strings), static_cast<long long>(length));
  return BINCE_OK;
}

bince_status check_bytes(const void* bytes) {
  return bytes ? BINCE_OK
               : fail(BINCE_INVALID_ARGUMENT, "bytes: expected a place for the result, received NULL");
}

bince_status check_call(const bince_context* context, const bince_tables* tables, const bince_tensor* symbols,
                        const bince_tensor* indexes, StringsPlan* plan) {
  BINCE_RETURN_IF_ERROR(check_prepared(tables));
  BINCE_RETURN_IF_ERROR(check_tensor(symbols, "symbols", {kInt32}, {-1, -1}));
  const int64_t B = symbols->shape[0], L = symbols->shape[1];
  BINCE_RETURN_IF_ERROR(check_shape(B, L));
  plan->shared_indexes = !indexes || indexes->ndim != 2;
  if (plan->shared_indexes)
    BINCE_RETURN_IF_ERROR(check_tensor(indexes, "indexes", {kInt32}, {L}));
  else
    BINCE_RETURN_IF_ERROR(check_tensor(indexes, "indexes", {kInt32}, {B, L}));
  const int32_t* index = tensor_data<const int32_t>(indexes);
  const int64_t count = context->cuda ? 0 : plan->shared_indexes ? L : B * L;
  for (int64_t i = 0; i < count; ++i)
    if (index[i] < 0 || static_cast<uint32_t>(index[i]) >= tables->tables)
      return fail(BINCE_INVALID_ARGUMENT, "indexes: number %lld: expected 0 to %u, received %d",
                  static_cast<long long>(i), tables->tables - 1, index[i]);
  plan->tables = tables;
  plan->ops = context->ops->coding;
  plan->indexes = tensor_data<const uint32_t>(indexes);
  return BINCE_OK;
}

StringsCall device_call(const StringsPlan& plan, const bince_tensor* symbols, const bince_tensor* strings,
                        const bince_tensor* string_bytes) {
  StringsCall call = {};
  call.symbols = tensor_data<int32_t>(symbols);
  call.indexes = plan.indexes;
  call.shared_indexes = plan.shared_indexes;
  call.strings = symbols->shape[0];
  call.length = symbols->shape[1];
  call.bytes = tensor_data<uint8_t>(strings);
  call.capacity = static_cast<uint64_t>(strings->shape[0]);
  call.string_bytes = tensor_data<int64_t>(string_bytes);
  return call;
}

using CodeStrings = void (*)(const bince_tables*, StringJob*, int);

void for_task(const StringsPlan& plan, int64_t task, CodeStrings code) {
  const int64_t first = task * plan.per_task;
  const int64_t last = plan.strings - first < plan.per_task ? plan.strings : first + plan.per_task;
  for (int64_t s = first; s < last; s += kStringsAtOnce) {
    if (cancelled(*plan.run)) return;
    code(plan.tables, &plan.jobs[s],
         static_cast<int>(last - s < kStringsAtOnce ? last - s : int64_t{kStringsAtOnce}));
  }
}

void encode_task(void* plan, int64_t task, int) {
  const StringsPlan& p = *static_cast<const StringsPlan*>(plan);
  for_task(p, task, p.ops->encode_strings);
}

void decode_task(void* plan, int64_t task, int) {
  const StringsPlan& p = *static_cast<const StringsPlan*>(plan);
  for_task(p, task, p.ops->decode_strings);
}

// Strings do not depend on each other, so the cut may follow the number of threads: whole vectors of 8 each.
int64_t strings_of_task(const StringsPlan& plan, int threads) {
  const int64_t share = ((plan.strings + threads - 1) / threads + 7) / 8 * 8;
  int64_t task = share < kStringsAtOnce ? share : int64_t{kStringsAtOnce};
  while (task > 0 && task * plan.length < kTaskSymbols && task < plan.strings) task *= 2;
  return task > 0 ? task : 1;
}

void run_tasks(const Run& run, StringsPlan* plan, void (*task)(void*, int64_t, int)) {
  plan->run = &run;
  plan->per_task = strings_of_task(*plan, pool_threads(run.pool));
  parallel_for(run.pool, (plan->strings + plan->per_task - 1) / plan->per_task, task, plan);
}

const uint32_t* indexes_of(const StringsPlan& plan, int64_t string) {
  return plan.shared_indexes ? plan.indexes : plan.indexes + string * plan.length;
}

bince_status gather_strings(const StringsPlan& plan, const int32_t* symbols, bince_tensor* strings,
                            int64_t* sizes, uint64_t* bytes) {
  uint8_t* out = tensor_data<uint8_t>(strings);
  const uint64_t capacity = static_cast<uint64_t>(strings->shape[0]);
  *bytes = 0;
  for (int64_t s = 0; s < plan.strings; ++s) {
    const StringJob& job = plan.jobs[s];
    if (job.damage)
      return fail(BINCE_INVALID_VALUE, "symbols: string %lld, symbol %lld: %d is %s",
                  static_cast<long long>(s), static_cast<long long>(job.failed_at),
                  symbols[s * plan.length + job.failed_at], job.damage);
    const uint64_t size = static_cast<uint64_t>(job.end - job.begin);
    if (*bytes <= capacity && size <= capacity - *bytes) std::memcpy(out + *bytes, job.begin, size);
    sizes[s] = static_cast<int64_t>(size);
    *bytes += size;
  }
  if (*bytes > capacity)
    return fail(BINCE_BUFFER_TOO_SMALL, "strings: expected at least %llu bytes, received %llu",
                static_cast<unsigned long long>(*bytes), static_cast<unsigned long long>(capacity));
  return BINCE_OK;
}

}  // namespace
}  // namespace bince

using namespace bince;

bince_status bince_compressai_bound(int64_t strings, int64_t length, uint64_t* bytes) {
  BINCE_RETURN_IF_ERROR(check_bytes(bytes));
  BINCE_RETURN_IF_ERROR(check_shape(strings, length));
  *bytes = static_cast<uint64_t>(strings) * string_bound(length);
  return BINCE_OK;
}

bince_status bince_compressai_workspace(const bince_context* context, int64_t strings, int64_t length,
                                        size_t* bytes) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  BINCE_RETURN_IF_ERROR(check_bytes(bytes));
  BINCE_RETURN_IF_ERROR(check_shape(strings, length));
  Workspace workspace;
  if (context->cuda) {
    carve_strings_room(&workspace, strings, length, true);
    *bytes = workspace_bytes(context, workspace.used);
    return BINCE_OK;
  }
  StringsPlan plan;
  *bytes = carve_strings(&workspace, strings, length, true, &plan);
  return BINCE_OK;
}

bince_status bince_compressai_encode(const bince_context* context, const bince_tables* tables,
                                     const bince_tensor* symbols, const bince_tensor* indexes,
                                     bince_tensor* strings, bince_tensor* string_bytes, uint64_t* bytes,
                                     const bince_launch* launch) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  if (!context->cuda) BINCE_RETURN_IF_ERROR(check_bytes(bytes));
  const DeviceCall scope(context);
  StringsPlan plan = {};
  BINCE_RETURN_IF_ERROR(check_call(context, tables, symbols, indexes, &plan));
  const int64_t B = symbols->shape[0], L = symbols->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(strings, "strings", {kUint8}, {-1}));
  BINCE_RETURN_IF_ERROR(check_tensor(string_bytes, "string_bytes", {kInt64}, {B}));
  if (context->cuda) {
    StringsCall call = device_call(plan, symbols, strings, string_bytes);
    call.total = bytes;
    return strings_on_device(context, launch, true, tables, &call);
  }
  size_t needed;
  BINCE_RETURN_IF_ERROR(bince_compressai_workspace(context, B, L, &needed));
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, needed, &run));
  Workspace workspace = {run.workspace, 0};
  carve_strings(&workspace, B, L, true, &plan);
  int32_t* values = tensor_data<int32_t>(symbols);
  for (int64_t s = 0; s < B; ++s) {
    uint8_t* room = reinterpret_cast<uint8_t*>(plan.rooms) + static_cast<size_t>(s) * plan.room_bytes;
    plan.jobs[s] = {
        values + s * L, indexes_of(plan, s), L, room, room + plan.room_bytes - kStringSpareBytes, 0, nullptr};
  }
  run_tasks(run, &plan, encode_task);
  if (cancelled(run)) return fail(BINCE_CANCELLED, "encoding was cancelled");
  return gather_strings(plan, values, strings, tensor_data<int64_t>(string_bytes), bytes);
}

bince_status bince_compressai_decode(const bince_context* context, const bince_tables* tables,
                                     const bince_tensor* strings, const bince_tensor* string_bytes,
                                     const bince_tensor* indexes, bince_tensor* symbols,
                                     const bince_launch* launch) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  const DeviceCall scope(context);
  StringsPlan plan = {};
  BINCE_RETURN_IF_ERROR(check_call(context, tables, symbols, indexes, &plan));
  const int64_t B = symbols->shape[0], L = symbols->shape[1];
  BINCE_RETURN_IF_ERROR(check_tensor(strings, "strings", {kUint8}, {-1}));
  BINCE_RETURN_IF_ERROR(check_tensor(string_bytes, "string_bytes", {kInt64}, {B}));
  if (context->cuda) {
    StringsCall call = device_call(plan, symbols, strings, string_bytes);
    return strings_on_device(context, launch, false, tables, &call);
  }
  Workspace sizing;
  const size_t needed = carve_strings(&sizing, B, L, false, &plan);
  Run run;
  BINCE_RETURN_IF_ERROR(begin_run(context, launch, needed, &run));
  Workspace workspace = {run.workspace, 0};
  carve_strings(&workspace, B, L, false, &plan);
  const int64_t* sizes = tensor_data<const int64_t>(string_bytes);
  uint8_t* at = tensor_data<uint8_t>(strings);
  int64_t left = strings->shape[0];
  for (int64_t s = 0; s < B; ++s) {
    if (sizes[s] < 0 || sizes[s] > left)
      return fail(BINCE_INVALID_ARGUMENT, "string_bytes: string %lld: expected 0 to %lld, received %lld",
                  static_cast<long long>(s), static_cast<long long>(left), static_cast<long long>(sizes[s]));
    plan.jobs[s] = {
        tensor_data<int32_t>(symbols) + s * L, indexes_of(plan, s), L, at, at + sizes[s], 0, nullptr};
    at += sizes[s];
    left -= sizes[s];
  }
  if (left != 0)
    return fail(BINCE_INVALID_ARGUMENT, "string_bytes: %lld bytes of strings belong to no string",
                static_cast<long long>(left));
  run_tasks(run, &plan, decode_task);
  if (cancelled(run)) return fail(BINCE_CANCELLED, "decoding was cancelled");
  for (int64_t s = 0; s < B; ++s)
    if (plan.jobs[s].damage)
      return fail(BINCE_CORRUPT_DATA, "string %lld is damaged at symbol %lld: %s", static_cast<long long>(s),
                  static_cast<long long>(plan.jobs[s].failed_at), plan.jobs[s].damage);
  return BINCE_OK;
}
