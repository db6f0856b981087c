// Memory of weights and activations: whole pages from the system, large pages where they help.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace steplog {

// A range of pages, freed by the destructor.
class Pages {
 public:
  Pages() = default;
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  // Zeroed memory. Throws std::bad_alloc.
  static Pages anonymous(size_t bytes);
  // Makes anonymous memory larger. Its content stays, and may move without being copied; what is new is zeroed. Throws std::bad_alloc.
  void grow(size_t bytes);
  // A private mapping of a part of a file: reads share the system's cache of the file, writes do not reach it. Throws
  // std::runtime_error with the system's reason.
  static Pages ofFile(const std::string& path, uint64_t offset, size_t bytes);

  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void release();
  void* start_ = nullptr;  // start of the mapping, at or before data_
  size_t mapped_ = 0;
  char* data_ = nullptr;
  size_t size_ = 0;
};

// Reads a part of a file into memory, with several threads if it is large: most of the time goes into first touches of pages.
// Throws std::runtime_error with the system's reason.
void readFile(const std::string& path, uint64_t offset, char* to, size_t bytes, size_t threads);

}  // namespace steplog
