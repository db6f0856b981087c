// A pool of threads that runs numbered tasks. The caller works too, so a pool of one starts no threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace steplog {

class Pool {
 public:
  explicit Pool(size_t threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  size_t threads() const { return helpers_.size() + 1; }

  // Calls work(task, thread) for tasks 0, ..., count - 1 in any order, and returns when all have run. `thread` is below
  // threads(). One call at a time. Rethrows the first exception of a task.
  void run(size_t count, const std::function<void(size_t task, size_t thread)>& work);

 private:
  void help(size_t thread);
  void take(size_t thread);

  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  uint64_t round_ = 0;   // guarded by mutex_; also read by waiting helpers before they sleep
  std::atomic<uint64_t> announced_{0};
  std::atomic<size_t> working_{0};
  bool stopping_ = false;

  const std::function<void(size_t, size_t)>* work_ = nullptr;
  size_t count_ = 0;
  std::atomic<size_t> next_{0};
  std::exception_ptr failure_;
};

}  // namespace steplog
