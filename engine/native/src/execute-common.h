// Shared by the parts of the executor.
#pragma once
#include <chrono>

#include "execute.h"

namespace steplog {

// Most entries that packing can apply in its pass over a weight (PackNoise).
constexpr size_t foldedEntries = 8;

inline int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Timer {
 public:
  explicit Timer(int64_t& total) : total_(total), start_(now()) {}
  ~Timer() { total_ += now() - start_; }

 private:
  int64_t& total_;
  int64_t start_;
};

inline size_t ceilDivide(size_t a, size_t b) { return (a + b - 1) / b; }

}  // namespace steplog
