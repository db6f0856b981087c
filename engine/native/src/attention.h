// Attention of one head: softmax(scale * q k^T) v for a few rows of queries, without a matrix of queries x keys
// (Dao et al. 2022, "FlashAttention"; the running softmax is Milakov and Gimelshein 2018).
//
// Keys are taken a block at a time. A block's keys are transposed and its values copied into scratch, so that both
// products are tiles of broadcast queries times vectors. Each query keeps the peak and the sum of its scores so far, and
// what it has summed is scaled down when the peak grows. For a query or two, as in generation, packing would cost more
// than the products: those read keys and values where they lie.
//
// Columns beyond the head hold other heads or rubbish: they may be loaded with a vector of values, never into a sum that
// is kept. Blocks lie at fixed positions, so that a query's result does not depend on the queries it shares a task with.
#pragma once
#include <type_traits>

#include "gemm.h"
#include "kernels.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// 64 x 64 keeps queries, keys, values and scores of a head of 64 in the second-level cache, two of them in the first.
constexpr size_t blockQueries = 64;
constexpr size_t blockKeys = 128;
// Tasks of no more queries than this do not pack.
constexpr size_t fewQueries = 3;
// A tile of sums: low and wide, because causal attention computes a tile's masked corner in vain.
constexpr size_t headTileRows = 6;
constexpr size_t headTileVectors = STEPLOG_ISA >= STEPLOG_AVX512 ? 4 : 2;
constexpr size_t groupQueries = 4 * headTileRows;
constexpr size_t scratchAlignment = 64;
static_assert(blockKeys % lanes == 0, "blocks of keys are whole vectors");

// Keys from, ..., to - 1.
struct KeyRange {
  size_t from, to;
};

// Where a task's intermediate values lie in its scratch; rows of a head are padded to whole vectors.
struct HeadScratch {
  size_t stride;   // of rows of a head
  float* keys;     // [stride, blockKeys]
  float* values;   // [blockKeys, stride]
  float* scores;   // [groupQueries, blockKeys], of the queries at work; then their powers
  float* out;      // [blockQueries, stride], not yet divided by the totals
  float* totals;   // [blockQueries, lanes], to be added up at the end
  float* peaks;    // [blockQueries]
};

inline size_t headStride(size_t headSize) { return roundUp(headSize, lanes); }

inline size_t attentionQueries() { return blockQueries; }

inline size_t attentionScratch(size_t headSize) {
  const size_t floats = headStride(headSize) * (blockQueries + 2 * blockKeys) + groupQueries * blockKeys + blockQueries * (lanes + 1);
  return floats * sizeof(float) + scratchAlignment;
}

inline HeadScratch placeScratch(const AttentionTask& task) {
  const size_t stride = headStride(task.headSize);
  char* start = static_cast<char*>(task.scratch);
  start += (scratchAlignment - reinterpret_cast<uintptr_t>(start) % scratchAlignment) % scratchAlignment;
  HeadScratch at;
  at.stride = stride;
  at.keys = reinterpret_cast<float*>(start);
  at.values = at.keys + blockKeys * stride;
  at.scores = at.values + blockKeys * stride;
  at.out = at.scores + groupQueries * blockKeys;
  at.totals = at.out + blockQueries * stride;
  at.peaks = at.totals + blockQueries * lanes;
  return at;
}

// What the task's query at `row` sees.
inline KeyRange seenBy(const AttentionTask& task, size_t row) {
  const size_t after = task.past + row + 1;
  const size_t to = task.causal && after < task.keys ? after : task.keys;
  const size_t from = task.window > 0 && after > task.window ? after - task.window : 0;
  return {from < to ? from : to, to};
}

// The part of a range that lies in a block, counted from the block's first key.
inline KeyRange inBlock(KeyRange range, size_t block) {
  const auto clamp = [&](size_t key) { return key < block ? 0 : key - block < blockKeys ? key - block : blockKeys; };
  return {clamp(range.from), clamp(range.to)};
}

inline bool few(const AttentionTask& task) { return task.queries <= fewQueries; }

// ------------------------------------------------------------------ packing
// Transposes a block's first `count` keys; up to a whole vector of keys, the rest are zeros.
inline void packKeys(const AttentionTask& task, const HeadScratch& at, size_t block, size_t count) {
  const float* k = task.k.f32(task.side, task.keyRow + block) + task.keyColumn;
  for (size_t key = 0; key < count; key += lanes) {
    const float* rows = k + key * task.k.stride;
    const size_t left = count - key;
    for (size_t c = 0; c < task.headSize; c += lanes) {
      float* to = at.keys + c * blockKeys + key;
      if (left >= lanes) {
        transposeSquare(rows + c, task.k.stride, to, blockKeys);
        continue;
      }
      alignas(64) float square[lanes * lanes] = {};
      for (size_t r = 0; r < left; r++) store(square + r * lanes, load(rows + r * task.k.stride + c));
      transposeSquare(square, lanes, to, blockKeys);
    }
  }
}

// Values close together: at a row's stride of many kilobytes they would share a few sets of the first-level cache.
inline void packValues(const AttentionTask& task, const HeadScratch& at, size_t block, size_t count) {
  for (size_t key = 0; key < count; key++) {
    const float* v = task.v.f32(task.side, task.keyRow + block + key) + task.keyColumn;
    for (size_t c = 0; c < task.headSize; c += lanes) store(at.values + key * at.stride + c, load(v + c));
  }
}

// ------------------------------------------------------------------ products
// y [R, V vectors] (+)= x [R, inner] times b [inner, V vectors].
template <size_t R, size_t V>
STEPLOG_INLINE void headTile(const float* x, size_t xStride, const float* b, size_t bStride, size_t inner, float* y, size_t yStride, bool onto) {
  F sums[R][V];
#pragma GCC unroll 8
  for (size_t r = 0; r < R; r++)
#pragma GCC unroll 4
    for (size_t j = 0; j < V; j++) sums[r][j] = onto ? load(y + r * yStride + j * lanes) : zero();
  for (size_t k = 0; k < inner; k++) {
    // Not an array: GCC 12 would load its vectors anew for every row.
    const float* at = b + k * bStride;
    const F b0 = load(at), b1 = V > 1 ? load(at + lanes) : b0, b2 = V > 2 ? load(at + 2 * lanes) : b0, b3 = V > 3 ? load(at + 3 * lanes) : b0;
#pragma GCC unroll 8
    for (size_t r = 0; r < R; r++) {
      const F a = set1(x[r * xStride + k]);
      sums[r][0] = fma(a, b0, sums[r][0]);
      if constexpr (V > 1) sums[r][1] = fma(a, b1, sums[r][1]);
      if constexpr (V > 2) sums[r][2] = fma(a, b2, sums[r][2]);
      if constexpr (V > 3) sums[r][3] = fma(a, b3, sums[r][3]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < R; r++)
#pragma GCC unroll 4
    for (size_t j = 0; j < V; j++) store(y + r * yStride + j * lanes, sums[r][j]);
}

// y [rows, columns] (+)= x [rows, inner] times b [inner, columns]; rows fit a tile, columns are whole vectors.
inline void multiplyHead(size_t rows, size_t columns, const float* x, size_t xStride, const float* b, size_t bStride, size_t inner, float* y, size_t yStride, bool onto) {
  withRows<headTileRows>(rows, [&](auto r) {
    constexpr size_t R = decltype(r)::value, widest = headTileVectors * lanes;
    size_t c = 0;
    for (; c + widest <= columns; c += widest) headTile<R, headTileVectors>(x, xStride, b + c, bStride, inner, y + c, yStride, onto);
    withRows<headTileVectors - 1>((columns - c) / lanes, [&](auto v) {
      headTile<R, decltype(v)::value>(x, xStride, b + c, bStride, inner, y + c, yStride, onto);
    });
  });
}

inline float dotHead(const float* x, const float* y, size_t count) {
  F total = zero();
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) total = fma(load(x + i), load(y + i), total);
  if (i < count) total = fma(loadPart(x + i, count - i, 0.0f), loadPart(y + i, count - i, 0.0f), total);
  return sum(total);
}

// ------------------------------------------------------------------ a tile of queries and a block of keys
// Scores of the whole vectors of keys that `seen` touches; those of keys beyond it are rubbish.
inline void scoreRows(const AttentionTask& task, const HeadScratch& at, size_t row, size_t rows, size_t block, KeyRange seen, float* scores) {
  const float* q = task.q.f32(task.side, task.queryRow + row) + task.queryColumn;
  if (!few(task)) {
    const size_t from = seen.from / lanes * lanes, columns = roundUp(seen.to, lanes) - from;
    return multiplyHead(rows, columns, q, task.q.stride, at.keys + from, blockKeys, task.headSize, scores + from, blockKeys, false);
  }
  for (size_t key = seen.from; key < seen.to; key++) {
    const float* k = task.k.f32(task.side, task.keyRow + block + key) + task.keyColumn;
    for (size_t r = 0; r < rows; r++) scores[r * blockKeys + key] = dotHead(q + r * task.q.stride, k, task.headSize);
  }
}

// v in lanes whose key (of the first lane: `key`) lies in the range, `rest` elsewhere.
STEPLOG_INLINE F within(F v, size_t key, KeyRange range, F rest) {
  alignas(64) static constexpr float numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const F at = add(load(numbers), set1(float(key)));
  const F low = selectLess(at, set1(float(range.from)), rest, v);
  return selectLess(at, set1(float(range.to)), low, rest);
}

// Scales, caps and masks one query's scores of a block, and returns the highest. `seen`: by its tile; `own`: by itself.
inline float maskScores(const AttentionTask& task, float* scores, KeyRange seen, KeyRange own) {
  const float scale = task.softcap > 0 ? task.scale / task.softcap : task.scale;
  F most = set1(-INFINITY);
  for (size_t key = seen.from / lanes * lanes; key < seen.to; key += lanes) {
    F v = mul(load(scores + key), set1(scale));
    if (task.softcap > 0) v = mul(set1(task.softcap), tanh(v));
    v = within(v, key, own, set1(-INFINITY));
    store(scores + key, v);
    most = vmax(v, most);
  }
  return maximum(most);
}

// Takes a block's highest score into a query's peak, and scales down what it has summed if that grows.
inline void raisePeak(const HeadScratch& at, size_t row, float highest) {
  const float before = at.peaks[row];
  if (highest <= before) return;
  at.peaks[row] = highest;
  if (before == -INFINITY) return;  // nothing has been summed
  const F shrink = exp(set1(before - highest));
  float* total = at.totals + row * lanes;
  float* out = at.out + row * at.stride;
  store(total, mul(load(total), shrink));
  for (size_t c = 0; c < at.stride; c += lanes) store(out + c, mul(load(out + c), shrink));
}

// Scores of a query become powers of their distance to its peak, 0 where they were masked.
STEPLOG_INLINE void takePowers(float* scores, KeyRange seen, float peak, float* totals) {
  // A query that has seen no key yet has no peak to subtract: -inf - -inf would be NaN.
  const F center = set1(peak == -INFINITY ? 0.0f : peak);
  F total = load(totals);
  for (size_t key = seen.from / lanes * lanes; key < seen.to; key += lanes) {
    const F power = exp(sub(load(scores + key), center));
    store(scores + key, power);
    total = add(total, power);
  }
  store(totals, total);
}

// One block of keys and a group of queries. Each step is taken for all of its tiles before the next: a row's powers wait
// for its peak, and the other rows' are under way meanwhile.
inline void attendGroup(const AttentionTask& task, const HeadScratch& at, size_t group, size_t end, size_t block) {
  const auto tiles = [&](auto&& each) {
    for (size_t row = group; row < end; row += headTileRows) {
      const size_t rows = end - row < headTileRows ? end - row : headTileRows;
      const KeyRange seen = {inBlock(seenBy(task, row), block).from, inBlock(seenBy(task, row + rows - 1), block).to};
      if (seen.from < seen.to) each(row, rows, seen, at.scores + (row - group) * blockKeys);
    }
  };
  tiles([&](size_t row, size_t rows, KeyRange seen, float* scores) { scoreRows(task, at, row, rows, block, seen, scores); });
  tiles([&](size_t row, size_t rows, KeyRange seen, float* scores) {
    for (size_t r = 0; r < rows; r++) raisePeak(at, row + r, maskScores(task, scores + r * blockKeys, seen, inBlock(seenBy(task, row + r), block)));
  });
  tiles([&](size_t row, size_t rows, KeyRange seen, float* scores) {
    for (size_t r = 0; r < rows; r++) takePowers(scores + r * blockKeys, seen, at.peaks[row + r], at.totals + (row + r) * lanes);
  });
  const float* v = task.v.f32(task.side, task.keyRow + block) + task.keyColumn;
  const size_t stride = task.v.stride;
  tiles([&](size_t row, size_t rows, KeyRange seen, float* scores) {
    multiplyHead(rows, at.stride, scores + seen.from, blockKeys, v + seen.from * stride, stride, seen.to - seen.from, at.out + row * at.stride, at.stride, true);
  });
}

// ------------------------------------------------------------------ the task
inline void clearSums(const AttentionTask& task, const HeadScratch& at) {
  for (size_t i = 0; i < task.queries * at.stride; i += lanes) store(at.out + i, zero());
  for (size_t row = 0; row < task.queries; row++) {
    store(at.totals + row * lanes, zero());
    at.peaks[row] = -INFINITY;
  }
}

// One vector of a row of out, of which `count` columns are the head's.
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

inline void writeQueries(const AttentionTask& task, const HeadScratch& at) {
  for (size_t row = 0; row < task.queries; row++) {
    const F inverse = set1(1.0f / sum(load(at.totals + row * lanes)));
    for (size_t c = 0; c < task.headSize; c += lanes)
      putHead(task, task.queryRow + row, task.queryColumn + c, mul(load(at.out + row * at.stride + c), inverse), task.headSize - c);
  }
}

inline void attention(const AttentionTask& task) {
  if (task.queries == 0) return;
  const HeadScratch at = placeScratch(task);
  clearSums(task, at);
  const KeyRange seen = {seenBy(task, 0).from, seenBy(task, task.queries - 1).to};
  for (size_t block = seen.from / blockKeys * blockKeys; block < seen.to; block += blockKeys) {
    const size_t count = inBlock(seen, block).to;
    if (!few(task)) packKeys(task, at, block, count);
    for (size_t group = 0; group < task.queries; group += groupQueries)
      attendGroup(task, at, group, task.queries - group < groupQueries ? task.queries : group + groupQueries, block);
  }
  writeQueries(task, at);
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
