// Signs of rademacher noise for runs of elements near each other, such as rows of a weight.
//
// Philox makes the bits of hundreds or thousands of elements at a time, and packing uses a hundred or so per run; the runs of
// the next rows often need the others.
#pragma once
#include "philox.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

class Signs {
 public:
  static constexpr size_t mostElements = 256;

  Signs() {
    for (uint64_t& each : group_) each = ~uint64_t(0);
  }

  // The bits of at most mostElements elements from `first` on, valid until the next call; null unless `first` is the start of a
  // byte. Every call must have the same keys.
  const uint8_t* of(uint64_t first, size_t count, const Keys& keys) {
    if (first % 8 != 0) return nullptr;
    const size_t skip = size_t(first % groupElements) / 8, bytes = (count + 7) / 8;
    const uint8_t* start = group(first / groupElements, keys) + skip;
    const size_t here = groupElements / 8 - skip;
    if (bytes <= here) return start;
    std::memcpy(joined_, start, here);
    std::memcpy(joined_ + here, group(first / groupElements + 1, keys), bytes - here);
    return joined_;
  }

 private:
  static constexpr size_t groupBlocks = leastBlocks;
  static constexpr size_t groupElements = groupBlocks * rademacherPerBlock;
  // A prime number: with 16 slots, rows whose length is a power of two would share few of them.
  static constexpr size_t slots = 17;
  // Kernels read a few bytes after the last bit.
  static constexpr size_t beyond = 8;

  const uint8_t* group(uint64_t number, const Keys& keys) {
    const size_t slot = size_t(number % slots);
    if (group_[slot] != number) {
      alignas(64) uint8_t made[16 * groupBlocks];
      wordsInto(made, groupBlocks, number * groupBlocks, keys);
      std::memcpy(bits_[slot], made, sizeof made);
      group_[slot] = number;
    }
    return bits_[slot];
  }

  uint64_t group_[slots];
  uint8_t bits_[slots][16 * groupBlocks + beyond];
  uint8_t joined_[mostElements / 8 + beyond];
};

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
