// A weight on the device, with its pending updates.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"
#include "memory.h"

namespace steplog {

// An error of the caller; its text reaches TypeScript.
struct Invalid : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void invalid(const std::string& what) { throw Invalid(what); }
inline void require(bool holds, const char* what) {
  if (!holds) invalid(what);
}

struct Weight {
  std::vector<size_t> shape;
  Dtype dtype = Dtype::F32;
  bool trainable = false;
  uint32_t tensor = 0;
  Pages pages;
  // Pending entries, in order, all with the same kind of noise.
  std::vector<Entry> pending;
  Noise pendingNoise = Noise::normal;

  size_t elements() const {
    size_t product = 1;
    for (size_t size : shape) product *= size;
    return product;
  }
  size_t bytesPerElement() const { return dtype == Dtype::F32 ? 4 : 2; }
  size_t bytes() const { return elements() * bytesPerElement(); }
  char* data() const { return pages.data(); }
};

// Keys and values of one layer for one sequence in earlier passes.
struct Cache {
  size_t rows = 0, columns = 0, stride = 0, capacity = 0;
  Pages keys, values;
  // Why it has not the rows that it was to be a copy of.
  std::string failure;
};

}  // namespace steplog
