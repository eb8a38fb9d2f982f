// The environment's one native thread for long calls.
#ifndef BINCE_ADDON_JOB_THREAD_H_
#define BINCE_ADDON_JOB_THREAD_H_

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "native/addon/addon.h"

namespace bince::addon {

// A job with its promise; created and destroyed on the JavaScript thread.
struct Pending {
  explicit Pending(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  std::unique_ptr<Job> job;
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference cancel_array;  // keeps `cancel` alive
  int32_t* cancel = nullptr;
  bince_status status = BINCE_OK;
  std::string message;
};

class JobThread {
 public:
  explicit JobThread(Napi::Env env);
  ~JobThread() = default;
  // On the JavaScript thread.  Returns false when the environment is shutting down.
  bool push(bince_context* context, Pending* pending);

 private:
  static void clean_up(void* self);  // the environment ends: cancels what runs, drops what waits, joins
  static void settle(napi_env env, napi_value, void* self, void* pending);
  void serve(bince_context* context);

  Napi::Env env_;
  napi_threadsafe_function settle_ = nullptr;
  int outstanding_ = 0;  // promises not yet settled; JavaScript thread only; > 0 keeps the event loop alive
  std::mutex mutex_;     // guards the four below
  std::condition_variable wake_;
  std::deque<Pending*> queue_;
  Pending* running_ = nullptr;
  bool stopping_ = false;
  int32_t own_cancel_ = 0;  // the flag of jobs that came without one
  std::deque<Pending*>
      finished_;  // run but not settled, guarded by mutex_: freed here when the environment ends first
  std::thread thread_;
};

}  // namespace bince::addon

#endif  // BINCE_ADDON_JOB_THREAD_H_
