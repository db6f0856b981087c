// What a task of attention is, for strips of queries (attention.h) and for a single one (attention-alone.h): which keys it sees, in
// which order, and where its results go.
#pragma once
#include <cfloat>

#include "gemm.h"
#include "kernels.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Keys are processed in blocks at fixed positions. The scores of a strip for a block, and its products, stay in the first-level cache.
constexpr size_t blockKeys = 64;
constexpr size_t scratchAlignment = 64;

inline float* alignedScratch(const AttentionTask& task) {
  char* start = static_cast<char*>(task.scratch);
  return reinterpret_cast<float*>(start + (scratchAlignment - reinterpret_cast<uintptr_t>(start) % scratchAlignment) % scratchAlignment);
}

// Keys from, ..., to - 1.
struct KeyRange {
  size_t from, to;
};

// The keys visible to the task's query at `row`.
inline KeyRange seenBy(const AttentionTask& task, size_t row) {
  const size_t after = task.past + row + 1;
  const size_t to = task.causal && after < task.keys ? after : task.keys;
  const size_t from = task.window > 0 && after > task.window ? after - task.window : 0;
  return {from < to ? from : to, to};
}

inline KeyRange inBlock(KeyRange keys, size_t block) {
  const auto clamp = [&](size_t key) { return key < block ? 0 : key - block < blockKeys ? key - block : blockKeys; };
  return {clamp(keys.from), clamp(keys.to)};
}

// The same queries with the prefix as keys. It comes before all other keys.
inline AttentionTask ofPrefix(const AttentionTask& task) {
  AttentionTask before = task;
  before.k = task.prefixK, before.v = task.prefixV, before.keyColumn = task.prefixColumn;
  before.keyRow = 0, before.keys = task.prefix, before.past = task.prefix + task.past;
  return before;
}

// With a softcap, the product gives scores divided by it.
inline float scoreFactor(const AttentionTask& task) { return task.softcap > 0 ? task.scale / task.softcap : task.scale; }

// One vector of a row of out; `count` of its columns belong to the head.
STEPLOG_INLINE void putHead(const AttentionTask& task, size_t row, size_t column, F v, size_t count) {
  if (!task.out.bf16) {
    float* to = task.out.f32(task.side, row) + column;
    return count < lanes ? storePart(to, v, count) : store(to, v);
  }
  uint16_t* to = task.out.half(task.side, row) + column;
  if (count >= lanes) return storeBf16(to, v);
  uint16_t halves[lanes];
  storeBf16(halves, v);
  std::memcpy(to, halves, count * sizeof(uint16_t));
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
