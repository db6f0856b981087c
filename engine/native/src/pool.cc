#include "pool.h"

namespace steplog {

// How often a helper checks for the next round before it sleeps: within a pass, rounds follow within microseconds.
constexpr int spins = 4000;

static inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

Pool::Pool(size_t threads) {
  for (size_t i = 1; i < threads; i++) helpers_.emplace_back([this, i] { help(i); });
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    announced_.store(++round_, std::memory_order_release);
  }
  begun_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Pool::run(size_t count, const std::function<void(size_t, size_t)>& work) {
  if (count == 0) return;
  // Not worth waking the others for, nor waiting until they have looked.
  if (count == 1) return work(0, 0);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    work_ = &work;
    count_ = count;
    failure_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    working_.store(helpers_.size(), std::memory_order_relaxed);
    announced_.store(++round_, std::memory_order_release);
  }
  begun_.notify_all();
  take(0);
  for (int i = 0; i < spins && working_.load(std::memory_order_acquire) > 0; i++) pause();
  if (working_.load(std::memory_order_acquire) > 0) {
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return working_.load(std::memory_order_acquire) == 0; });
  }
  if (failure_) std::rethrow_exception(failure_);
}

void Pool::take(size_t thread) {
  try {
    for (size_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) (*work_)(task, thread);
  } catch (...) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    next_.store(count_, std::memory_order_relaxed);
  }
}

void Pool::help(size_t thread) {
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < spins && announced_.load(std::memory_order_acquire) == seen; i++) pause();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      begun_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (stopping_) return;
    }
    take(thread);
    if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_.notify_one();
    }
  }
}

}  // namespace steplog
