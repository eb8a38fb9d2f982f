#include "native/core/context.h"

#include <sched.h>
#include <stddef.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "native/core/cuda_loader.h"
#include "native/core/device.h"
#include "native/core/device_report.h"
#include "native/core/status.h"

namespace bince {
namespace {

constexpr int kMaxThreads = 1024;

int processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return count < kMaxThreads ? count : kMaxThreads;
  }
  return 1;
}

bince_status choose_threads(int32_t asked, int* threads) {
  if (asked < 0 || asked > kMaxThreads)
    return fail(BINCE_INVALID_ARGUMENT, "threads: expected 0 to %d, received %d", kMaxThreads, asked);
  *threads = asked;
  if (asked > 0) return BINCE_OK;
  if (const char* text = std::getenv("BINCE_THREADS"); text && *text) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end || value < 1 || value > kMaxThreads)
      return fail(BINCE_INVALID_ARGUMENT, "BINCE_THREADS: expected 1 to %d, received '%s'", kMaxThreads,
                  text);
    *threads = static_cast<int>(value);
    return BINCE_OK;
  }
  *threads = processors();
  return BINCE_OK;
}

}  // namespace

size_t workspace_bytes(const bince_context* context, size_t needed) {
  return context->cuda ? needed + sizeof(DeviceReport) : needed;
}

bince_status begin_run(const bince_context* context, const bince_launch* launch, size_t needed, Run* run) {
  const size_t given = launch ? launch->workspace_bytes : 0;
  char* workspace = launch ? static_cast<char*>(launch->workspace) : nullptr;
  const size_t wanted = workspace_bytes(context, needed);
  if (given < wanted || (wanted > 0 && !workspace))
    return fail(BINCE_BUFFER_TOO_SMALL, "workspace: expected at least %zu bytes, received %zu", wanted,
                workspace ? given : size_t{0});
  if (wanted > 0 && reinterpret_cast<uintptr_t>(workspace) % 64 != 0)
    return fail(BINCE_INVALID_ARGUMENT, "workspace: expected 64-byte alignment, received %p",
                static_cast<void*>(workspace));
  *run = {context->pool, workspace, launch ? launch->cancel : nullptr};
  if (!context->cuda) return BINCE_OK;
  if (cancelled(*run)) return fail(BINCE_CANCELLED, "the call was cancelled");
  BINCE_RETURN_IF_ERROR(context->cuda->check_pointer(context->device, workspace, "workspace"));
  run->stream = launch->stream;
  run->device = context->device;
  run->report = reinterpret_cast<DeviceReport*>(workspace);
  run->workspace = workspace + sizeof(DeviceReport);
  return context->cuda->fill(context->device, workspace, 0xff, sizeof(DeviceReport), launch->stream);
}

bince_status unsupported_call(const bince_context* context, const char* call) {
  return fail(BINCE_UNSUPPORTED, "%s: the backend %s does not have it; call it with a context of the CPU",
              call, context->ops->name);
}

bince_status needs_cpu(const bince_context* context, const char* call) {
  if (!context) return fail(BINCE_INVALID_ARGUMENT, "context: expected a context, received NULL");
  return context->cuda ? unsupported_call(context, call) : BINCE_OK;
}

}  // namespace bince

uint32_t bince_abi_version(void) {
  return BINCE_ABI_VERSION;
}

const char* bince_version(void) {
  return BINCE_VERSION;
}

bince_status bince_context_create(const bince_context_options* options, bince_context** context) {
  using bince::fail;
  if (!context)
    return fail(BINCE_INVALID_ARGUMENT, "context: expected a place for the result, received NULL");
  *context = nullptr;
  bince_context_options chosen = {sizeof(bince_context_options), 0, nullptr, 0};
  if (options) {
    // Callers that were compiled before `device` pass a struct that ends there.
    constexpr size_t kLeast = offsetof(bince_context_options, device);
    if (options->struct_size < kLeast)
      return fail(BINCE_INVALID_ARGUMENT, "options.struct_size: expected %zu, received %u",
                  sizeof(bince_context_options), options->struct_size);
    std::memcpy(&chosen, options, options->struct_size < sizeof chosen ? kLeast : sizeof chosen);
  }
  int threads = 1;
  BINCE_RETURN_IF_ERROR(bince::choose_threads(chosen.threads, &threads));
  const char* backend = chosen.backend;
  const bool from_environment = !backend || !*backend;
  if (from_environment) backend = std::getenv("BINCE_BACKEND");
  const bool cuda = backend && std::strcmp(backend, "cuda") == 0;
  if (cuda) BINCE_RETURN_IF_ERROR(bince::check_device(chosen.device));
  const bince::Ops* ops = cuda                  ? bince::cuda_ops()
                          : backend && *backend ? bince::ops_named(backend)
                                                : bince::best_ops();
  if (!ops)
    return fail(BINCE_UNSUPPORTED, "%s: expected one of %s or cuda, received '%s'",
                from_environment ? "BINCE_BACKEND" : "backend", bince_available_backends(), backend);
  bince_context* created = new (std::nothrow) bince_context{ops, nullptr};
  if (created) {
    try {
      created->pool = bince::create_thread_pool(threads);
    } catch (...) {
    }
  }
  if (!created || !created->pool) {
    delete created;
    return fail(BINCE_OUT_OF_MEMORY, "a context with %d threads could not be created", threads);
  }
  if (cuda) {
    created->cuda = &bince::cuda_plugin()->runtime;
    created->device = chosen.device;
    const bince_status status = created->cuda->create_stream(chosen.device, &created->stream);
    if (status != BINCE_OK) {
      bince::destroy_thread_pool(created->pool);
      delete created;
      return status;
    }
  }
  *context = created;
  return BINCE_OK;
}

void bince_context_destroy(bince_context* context) {
  if (!context) return;
  if (context->cuda) context->cuda->destroy_stream(context->device, context->stream);
  bince::destroy_thread_pool(context->pool);
  delete context;
}

const char* bince_context_backend(const bince_context* context) {
  return context->ops->name;
}

int32_t bince_context_threads(const bince_context* context) {
  return bince::pool_threads(context->pool);
}

bince_status bince_context_set_threads(bince_context* context, int32_t threads) {
  int chosen = 1;
  BINCE_RETURN_IF_ERROR(bince::choose_threads(threads, &chosen));
  bince::ThreadPool* pool = nullptr;
  try {
    pool = bince::create_thread_pool(chosen);
  } catch (...) {
    return bince::fail(BINCE_OUT_OF_MEMORY, "%d threads could not be created", chosen);
  }
  bince::destroy_thread_pool(context->pool);
  context->pool = pool;
  return BINCE_OK;
}
