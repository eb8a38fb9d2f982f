#include "native/core/cuda_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "native/core/status.h"
#include "native/cuda/plugin_version.h"

namespace bince {
namespace {

constexpr const char* kLibrary = "libbince_cuda.so";

struct Attempt {
  const CudaPlugin* plugin = nullptr;
  std::string reason;
  Ops ops = {};
};

bince_status take_reason(bince_status status, const char* text) {
  return fail(status, "%s", text);
}

// The folder of the library or addon that holds this function.
std::string own_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&own_folder), &info) || !info.dli_fname) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string library_path() {
  const char* named = std::getenv("BINCE_CUDA_LIBRARY");
  if (!named || !*named) return own_folder() + "/" + kLibrary;
  const std::string path = named;
  // dlopen would look for a bare name in the system's folders.
  return path.find('/') == std::string::npos ? "./" + path : path;
}

Attempt open_plugin() {
  Attempt attempt;
  const std::string path = library_path();
  if (access(path.c_str(), R_OK) != 0) {
    attempt.reason = "the CUDA library was not found at " + path +
                     "; build it with `npx bince build --cuda`, or name it in BINCE_CUDA_LIBRARY";
    return attempt;
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* error = dlerror();
    attempt.reason = "the CUDA library could not be opened: " + std::string(error ? error : path);
    return attempt;
  }
  using Entry = const CudaPlugin* (*)(const CudaHost*);
  const Entry entry = reinterpret_cast<Entry>(dlsym(library, "bince_cuda_plugin"));
  static const CudaHost host = {kCudaPluginVersion, take_reason};
  fail(BINCE_UNSUPPORTED, "%s gives no reason", path.c_str());  // for an entry that does not
  if (!entry) {
    attempt.reason = path + " is not bince's CUDA library: it has no bince_cuda_plugin";
  } else if (const CudaPlugin* plugin = entry(&host); !plugin) {
    attempt.reason = bince_last_error();
  } else if (plugin->version != kCudaPluginVersion) {
    attempt.reason = path + " is of another version; build both from one checkout: `npx bince build --cuda`";
  } else if (!plugin->contrastive || !plugin->entropy || !plugin->coding) {
    attempt.reason = path + " lacks kernels; build it whole: `npx bince build --cuda`";
  } else {
    const Ops& cpu = *best_ops();
    attempt.plugin = plugin;
    attempt.ops = {kOpsVersion,         "cuda",          Backend::kCuda,
                   plugin->contrastive, plugin->entropy, nullptr,  // coding: plugin->coding
                   cpu.dense,           cpu.tensor,      cpu.augment};
  }
  return attempt;  // a library that was refused stays open: nothing in it runs
}

// Never destroyed: contexts may be destroyed while the process exits.
const Attempt& attempt() {
  static const Attempt* const once = new Attempt(open_plugin());
  return *once;
}

}  // namespace

const CudaPlugin* cuda_plugin() {
  const Attempt& once = attempt();
  if (!once.plugin) fail(BINCE_UNSUPPORTED, "CUDA is not available: %s", once.reason.c_str());
  return once.plugin;
}

const Ops* cuda_ops() {
  return cuda_plugin() ? &attempt().ops : nullptr;
}

}  // namespace bince
