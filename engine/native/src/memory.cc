#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace steplog {

// From this size on, large pages save more in translation cache misses than they waste in memory.
constexpr size_t largeFrom = size_t(4) << 20;

Pages::~Pages() { release(); }

Pages::Pages(Pages&& other) noexcept { *this = std::move(other); }

Pages& Pages::operator=(Pages&& other) noexcept {
  if (this == &other) return *this;
  release();
  start_ = std::exchange(other.start_, nullptr);
  mapped_ = std::exchange(other.mapped_, 0);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void Pages::release() {
  if (start_) munmap(start_, mapped_);
  start_ = nullptr;
}

Pages Pages::anonymous(size_t bytes) {
  Pages pages;
  if (bytes == 0) return pages;
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (bytes >= largeFrom) madvise(start, bytes, MADV_HUGEPAGE);
#endif
  pages.start_ = start, pages.mapped_ = bytes;
  pages.data_ = static_cast<char*>(start), pages.size_ = bytes;
  return pages;
}

void Pages::grow(size_t bytes) {
  if (bytes <= size_) return;
#ifdef MREMAP_MAYMOVE
  if (start_ && start_ == data_) {
    void* start = mremap(start_, mapped_, bytes, MREMAP_MAYMOVE);
    if (start == MAP_FAILED) throw std::bad_alloc();
    start_ = start, mapped_ = bytes;
    data_ = static_cast<char*>(start), size_ = bytes;
    return;
  }
#endif
  Pages larger = anonymous(bytes);
  if (size_ > 0) std::memcpy(larger.data_, data_, size_);
  *this = std::move(larger);
}

Pages Pages::ofFile(const std::string& path, uint64_t offset, size_t bytes) {
  Pages pages;
  if (bytes == 0) return pages;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  struct stat status;
  const bool long_enough = fstat(file, &status) == 0 && uint64_t(status.st_size) >= offset + bytes;
  const uint64_t page = uint64_t(sysconf(_SC_PAGESIZE));
  const uint64_t skip = offset % page;
  void* start = long_enough ? mmap(nullptr, bytes + skip, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, off_t(offset - skip)) : MAP_FAILED;
  const int reason = errno;
  close(file);
  if (!long_enough) throw std::runtime_error(path + ": the file ends before byte " + std::to_string(offset + bytes));
  if (start == MAP_FAILED) throw std::runtime_error(path + ": " + std::strerror(reason));
  pages.start_ = start, pages.mapped_ = bytes + skip;
  pages.data_ = static_cast<char*>(start) + skip, pages.size_ = bytes;
  return pages;
}

namespace {

// Bytes that a thread reads at a time: several large pages.
constexpr size_t readBytes = size_t(8) << 20;

// 0, or errno; EIO for a file that ends too early.
int readPart(int file, uint64_t offset, char* to, size_t bytes) {
  while (bytes > 0) {
    const ssize_t count = pread(file, to, bytes, off_t(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    offset += size_t(count), to += count, bytes -= size_t(count);
  }
  return 0;
}

}  // namespace

void readFile(const std::string& path, uint64_t offset, char* to, size_t bytes, size_t threads) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  struct stat status;
  if (fstat(file, &status) != 0 || uint64_t(status.st_size) < offset + bytes) {
    close(file);
    throw std::runtime_error(path + ": the file ends before byte " + std::to_string(offset + bytes));
  }
  std::atomic<size_t> next{0};
  std::atomic<int> failure{0};
  const auto work = [&] {
    for (size_t at = next.fetch_add(readBytes); at < bytes && failure == 0; at = next.fetch_add(readBytes)) {
      if (const int reason = readPart(file, offset + at, to + at, std::min(readBytes, bytes - at))) failure = reason;
    }
  };
  std::vector<std::thread> helpers(std::min(threads, (bytes + readBytes - 1) / readBytes));
  if (!helpers.empty()) helpers.pop_back();  // this thread reads too
  for (std::thread& helper : helpers) helper = std::thread(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  close(file);
  if (failure != 0) throw std::runtime_error(path + ": " + std::strerror(failure));
}

}  // namespace steplog
