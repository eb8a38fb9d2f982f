#include "native/addon/job_thread.h"

#include <algorithm>

namespace bince::addon {

JobThread::JobThread(Napi::Env env) : env_(env) {
  const napi_value name = Napi::String::New(env, "bince");
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, settle,
                                  &settle_);
  napi_unref_threadsafe_function(env, settle_);
  // Added after the function above, whose own hook then runs later than this one.
  napi_add_env_cleanup_hook(env, clean_up, this);
}

bool JobThread::push(bince_context* context, Pending* pending) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return false;
    if (!thread_.joinable()) thread_ = std::thread([this, context] { serve(context); });
    queue_.push_back(pending);
  }
  if (outstanding_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  wake_.notify_one();
  return true;
}

void JobThread::serve(bince_context* context) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Pending* pending = queue_.front();
    queue_.pop_front();
    running_ = pending;
    lock.unlock();
    const int32_t* cancel = pending->cancel ? pending->cancel : &own_cancel_;
    if (__atomic_load_n(cancel, __ATOMIC_RELAXED)) {
      pending->status = BINCE_CANCELLED;
      pending->message = "the operation was cancelled before it began";
    } else {
      pending->status = pending->job->run(context, cancel);
      if (pending->status != BINCE_OK) pending->message = bince_last_error();
    }
    lock.lock();
    running_ = nullptr;
    finished_.push_back(pending);
    if (stopping_) return;
    napi_call_threadsafe_function(settle_, pending, napi_tsfn_nonblocking);
  }
}

void JobThread::settle(napi_env raw_env, napi_value, void* self_pointer, void* pending_pointer) {
  JobThread* self = static_cast<JobThread*>(self_pointer);
  std::unique_ptr<Pending> pending(static_cast<Pending*>(pending_pointer));
  if (!raw_env) {  // the environment is going: clean_up() has freed or will free it
    pending.release();
    return;
  }
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    self->finished_.erase(std::find(self->finished_.begin(), self->finished_.end(), pending.get()));
  }
  Napi::Env env(raw_env);
  try {
    Napi::HandleScope scope(env);
    if (--self->outstanding_ == 0) napi_unref_threadsafe_function(env, self->settle_);
    if (pending->status != BINCE_OK) {
      pending->deferred.Reject(make_error(env, pending->status, pending->message).Value());
      return;
    }
    try {
      const Napi::Value value = pending->job->result(env);
      pending->deferred.Resolve(value);
    } catch (const Napi::Error& error) {
      pending->deferred.Reject(error.Value());
    }
  } catch (const Napi::Error&) {
    // A worker that is being terminated runs no JavaScript any more: nobody awaits the promise.
  }
}

void JobThread::clean_up(void* self_pointer) {
  JobThread* self = static_cast<JobThread*>(self_pointer);
  std::deque<Pending*> dropped;
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    self->stopping_ = true;
    __atomic_store_n(&self->own_cancel_, 1, __ATOMIC_RELAXED);
    if (self->running_ && self->running_->cancel)
      __atomic_store_n(self->running_->cancel, 1, __ATOMIC_RELAXED);
    dropped.swap(self->queue_);
  }
  self->wake_.notify_all();
  if (self->thread_.joinable()) self->thread_.join();
  for (Pending* pending : dropped) delete pending;
  for (Pending* pending : self->finished_) delete pending;
  self->finished_.clear();
  napi_release_threadsafe_function(self->settle_, napi_tsfn_abort);
}

Napi::Value submit(Napi::Env env, std::unique_ptr<Job> job, Napi::Value cancel) {
  bince_context* context = context_of(env);
  if (!context) return env.Undefined();
  View<int32_t> flag;
  if (!read_view(cancel, "cancel", &flag)) return env.Undefined();
  auto pending = std::make_unique<Pending>(env);
  pending->job = std::move(job);
  if (flag.size > 0) {
    pending->cancel = flag.data;
    pending->cancel_array = Napi::Persistent(cancel.As<Napi::Object>());
  }
  const Napi::Promise promise = pending->deferred.Promise();
  if (!addon_data(env).jobs->push(context, pending.get())) {
    pending->deferred.Reject(make_error(env, BINCE_CANCELLED, "the environment is shutting down").Value());
    return promise;
  }
  pending.release();  // settle() or clean_up() frees it
  return promise;
}

}  // namespace bince::addon
