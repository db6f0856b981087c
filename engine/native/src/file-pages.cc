#include "file-pages.h"

#ifdef __linux__
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace steplog {
namespace {

// /proc/self/pagemap has a word for each page (Linux, Documentation/admin-guide/mm/pagemap.rst).
constexpr uint64_t present = uint64_t(1) << 63, ofFile = uint64_t(1) << 61;

struct Work {
  int pagemap;
  uintptr_t pageSize;
  size_t givenBack = 0;
};

// A page that was changed is no longer one of the file, and dropping it would lose the change: a breakpoint, a program that moved
// itself to large pages. So each page is looked at, and only those of the file go.
void giveBackRange(Work& work, uintptr_t start, uintptr_t end) {
  std::vector<uint64_t> words((end - start) / work.pageSize);
  const size_t bytes = words.size() * sizeof(uint64_t);
  if (pread(work.pagemap, words.data(), bytes, off_t(start / work.pageSize * sizeof(uint64_t))) != ssize_t(bytes)) return;
  const auto goes = [&](size_t page) { return (words[page] & (present | ofFile)) == (present | ofFile); };
  for (size_t first = 0, next; first < words.size(); first = next) {
    for (next = first + 1; next < words.size() && goes(next) == goes(first);) next++;
    if (!goes(first)) continue;
    const size_t size = (next - first) * work.pageSize;
    if (madvise(reinterpret_cast<void*>(start + first * work.pageSize), size, MADV_DONTNEED) == 0) work.givenBack += size;
  }
}

// The parts of a program or library that are never writable, so that nobody changes a page between the look and the deed.
int giveBackObject(dl_phdr_info* object, size_t, void* data) {
  Work& work = *static_cast<Work*>(data);
  for (size_t i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) & part = object->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
    // Whole pages within it: the first and the last may belong to a neighbour too.
    const uintptr_t begin = object->dlpi_addr + part.p_vaddr, end = begin + part.p_filesz;
    const uintptr_t first = (begin + work.pageSize - 1) / work.pageSize * work.pageSize, last = end / work.pageSize * work.pageSize;
    if (first < last) giveBackRange(work, first, last);
  }
  return 0;
}

}  // namespace

size_t giveBackFilePages() {
  Work work{open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), uintptr_t(sysconf(_SC_PAGESIZE))};
  if (work.pagemap < 0) return 0;
  dl_iterate_phdr(giveBackObject, &work);
  close(work.pagemap);
  return work.givenBack;
}

}  // namespace steplog
#else
namespace steplog {
size_t giveBackFilePages() { return 0; }
}  // namespace steplog
#endif
