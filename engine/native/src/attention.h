// Attention of one head: softmax(scale * q k^T) v for a few rows of queries, without a matrix of queries x keys
// (Dao et al. 2022, "FlashAttention"; the running softmax is Milakov and Gimelshein 2018).
//
// Each lane has a query: a strip of queries, two vectors wide, is transposed once, and then each number of a key or value is
// broadcast from memory. So keys and values are neither packed nor read outside the head, and maxima and sums are computed
// per lane. The alternative, transposed keys and broadcast queries, spent a sixth of its time packing. A single query would
// leave most lanes empty (attention-alone.h).
//
// Keys are processed in blocks at fixed positions, and lanes do not mix: the result of a query has the same bits whichever
// queries share its task; alone, it may differ by a rounding.
#pragma once
#include "attention-alone.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t stripVectors = 2;
constexpr size_t stripQueries = stripVectors * lanes;
// Strips of a task share keys and values through the second-level cache.
constexpr size_t taskQueries = 64;
static_assert(taskQueries % stripQueries == 0, "a task is a whole number of strips");

// Rows of a tile with V vectors of queries: the sums fit the registers and are enough to hide the latency of an FMA.
template <size_t V>
constexpr size_t stripTileRows = STEPLOG_ISA >= STEPLOG_AVX512 || V == 1 ? 12 : 6;

// A strip of queries, and its memory in the task's scratch.
struct Strip {
  size_t row;      // of the first query, among the task's queries
  float* queries;  // [headSize, stripQueries], multiplied by the scale
  float* out;      // [headSize, stripQueries], not divided by the totals yet
  float* scores;   // [blockKeys, stripQueries]; later their exponentials
  float* peaks;    // [stripQueries], maxima of the scores so far
  float* totals;   // [stripQueries], sums of the exponentials so far
};

inline size_t attentionQueries() { return taskQueries; }

inline size_t attentionScratch(size_t headSize) {
  return (2 * headSize + blockKeys + 2) * stripQueries * sizeof(float) + scratchAlignment;
}

inline Strip stripAt(const AttentionTask& task, size_t row) {
  const size_t matrix = task.headSize * stripQueries;
  Strip strip;
  strip.row = row;
  strip.queries = alignedScratch(task);
  strip.out = strip.queries + matrix;
  strip.scores = strip.out + matrix;
  strip.peaks = strip.scores + blockKeys * stripQueries;
  strip.totals = strip.peaks + stripQueries;
  return strip;
}

// The number of the task's queries in a vector of a strip.
inline size_t queriesIn(const AttentionTask& task, const Strip& strip, size_t vector) {
  const size_t row = strip.row + vector * lanes;
  return task.queries <= row ? 0 : task.queries - row < lanes ? task.queries - row : lanes;
}

// ------------------------------------------------------------------ into and out of lanes
// Up to `lanes` columns of a vector of queries. Columns outside the head are not loaded: if out is q, another thread may be
// writing them.
inline void readSquare(const AttentionTask& task, const Strip& strip, size_t vector, size_t c) {
  const float* q = task.q.f32(task.side, task.queryRow + strip.row + vector * lanes) + task.queryColumn + c;
  float* to = strip.queries + c * stripQueries + vector * lanes;
  const size_t rows = queriesIn(task, strip, vector), columns = task.headSize - c;
  if (rows == lanes && columns >= lanes) return transposeSquare(q, task.q.stride, to, stripQueries);
  alignas(64) float square[lanes * lanes] = {}, turned[lanes * lanes];
  for (size_t r = 0; r < rows; r++) store(square + r * lanes, columns < lanes ? loadPart(q + r * task.q.stride, columns, 0.0f) : load(q + r * task.q.stride));
  transposeSquare(square, lanes, turned, lanes);
  for (size_t r = 0; r < lanes && r < columns; r++) store(to + r * stripQueries, load(turned + r * lanes));
}

// Transposes queries into the lanes, with zeros in empty lanes, and multiplies them by the scale.
inline void readStrip(const AttentionTask& task, const Strip& strip) {
  for (size_t vector = 0; vector < stripVectors; vector++)
    for (size_t c = 0; c < task.headSize; c += lanes) readSquare(task, strip, vector, c);
  const F factor = set1(scoreFactor(task));
  for (size_t i = 0; i < task.headSize * stripQueries; i += lanes) store(strip.queries + i, mul(factor, load(strip.queries + i)));
}

inline void clearStrip(const AttentionTask& task, const Strip& strip) {
  for (size_t i = 0; i < task.headSize * stripQueries; i += lanes) store(strip.out + i, zero());
  for (size_t i = 0; i < stripQueries; i += lanes) {
    store(strip.peaks + i, set1(-INFINITY));
    store(strip.totals + i, zero());
  }
}

// Up to `lanes` columns of a vector of queries.
inline void writeSquare(const AttentionTask& task, const Strip& strip, size_t vector, size_t c) {
  const float* from = strip.out + c * stripQueries + vector * lanes;
  const size_t row = task.queryRow + strip.row + vector * lanes, column = task.queryColumn + c;
  const size_t rows = queriesIn(task, strip, vector), columns = task.headSize - c;
  if (rows == lanes && columns >= lanes && !task.out.bf16)
    return transposeSquare(from, stripQueries, task.out.f32(task.side, row) + column, task.out.stride);
  alignas(64) float square[lanes * lanes] = {}, turned[lanes * lanes];
  for (size_t r = 0; r < lanes && r < columns; r++) store(square + r * lanes, load(from + r * stripQueries));
  transposeSquare(square, lanes, turned, lanes);
  for (size_t r = 0; r < rows; r++) putHead(task, row + r, column, load(turned + r * lanes), columns);
}

// Divides by the totals, and transposes back into rows.
inline void writeStrip(const AttentionTask& task, const Strip& strip) {
  for (size_t vector = 0; vector < stripVectors; vector++) {
    const F inverse = div(set1(1.0f), load(strip.totals + vector * lanes));
    for (size_t c = 0; c < task.headSize; c++) {
      float* out = strip.out + c * stripQueries + vector * lanes;
      store(out, mul(inverse, load(out)));
    }
    for (size_t c = 0; c < task.headSize; c += lanes) writeSquare(task, strip, vector, c);
  }
}

// ------------------------------------------------------------------ products
// y [R, V vectors] (+)= x [R, inner] times b [inner, V vectors].
template <size_t R, size_t V>
STEPLOG_INLINE void stripTile(const float* x, size_t rowStride, size_t innerStride, size_t inner, const float* b, float* y, bool onto) {
  F sums[R][V];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++)
    for (size_t v = 0; v < V; v++) sums[r][v] = onto ? load(y + r * stripQueries + v * lanes) : zero();
  for (size_t k = 0; k < inner; k++) {
    // Not an array: GCC 12 would reload its vectors for every row.
    const F b0 = load(b + k * stripQueries), b1 = V > 1 ? load(b + k * stripQueries + lanes) : b0;
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++) {
      const F a = set1(x[r * rowStride + k * innerStride]);
      sums[r][0] = fma(a, b0, sums[r][0]);
      if constexpr (V > 1) sums[r][1] = fma(a, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++)
    for (size_t v = 0; v < V; v++) store(y + r * stripQueries + v * lanes, sums[r][v]);
}

// The same for any number of rows, in tiles of similar height.
template <size_t V>
STEPLOG_INLINE void multiplyStrip(const float* x, size_t rowStride, size_t innerStride, size_t rows, size_t inner, const float* b, float* y, bool onto) {
  constexpr size_t most = stripTileRows<V>;
  const size_t tiles = (rows + most - 1) / most;
  for (size_t tile = 0; tile < tiles; tile++) {
    const size_t row = tile * rows / tiles, next = (tile + 1) * rows / tiles;
    withRows<most>(next - row, [&](auto count) {
      stripTile<decltype(count)::value, V>(x + row * rowStride, rowStride, innerStride, inner, b, y + row * stripQueries, onto);
    });
  }
}

// Scores of some keys for V vectors of queries, from `vector` on.
template <size_t V>
inline void scoreKeys(const AttentionTask& task, const Strip& strip, size_t block, size_t vector, KeyRange keys) {
  const float* k = task.k.f32(task.side, task.keyRow + block + keys.from) + task.keyColumn;
  multiplyStrip<V>(k, task.k.stride, 1, keys.to - keys.from, task.headSize, strip.queries + vector * lanes,
                   strip.scores + keys.from * stripQueries + vector * lanes, false);
}

template <size_t V>
inline void addValues(const AttentionTask& task, const Strip& strip, size_t block, size_t vector, KeyRange keys) {
  const float* v = task.v.f32(task.side, task.keyRow + block + keys.from) + task.keyColumn;
  multiplyStrip<V>(v, 1, task.v.stride, task.headSize, keys.to - keys.from, strip.scores + keys.from * stripQueries + vector * lanes,
                   strip.out + vector * lanes, true);
}

// ------------------------------------------------------------------ the softmax
// The keys of a block visible to any query, and to every query, of a vector, counted from the first key of the block.
struct Seen {
  KeyRange any, every;
};

inline Seen seenInBlock(const AttentionTask& task, const Strip& strip, size_t vector, size_t block) {
  const size_t count = queriesIn(task, strip, vector), row = strip.row + vector * lanes;
  if (count == 0) return {{blockKeys, blockKeys}, {blockKeys, blockKeys}};
  const KeyRange first = inBlock(seenBy(task, row), block), last = inBlock(seenBy(task, row + count - 1), block);
  return {{first.from, last.to}, {last.from, first.to}};
}

// Scores of a key; -inf in lanes whose query does not see it. `distance` is from the key to the query of the first lane.
STEPLOG_INLINE F maskKey(const AttentionTask& task, F score, int64_t distance) {
  alignas(64) static constexpr float numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const F at = add(load(numbers), set1(float(distance))), masked = set1(-INFINITY);
  if (task.causal) score = selectLess(at, zero(), masked, score);
  return task.window > 0 ? selectLess(at, set1(float(task.window)), score, masked) : score;
}

// Caps and masks scores of a vector of queries.
inline void maskScores(const AttentionTask& task, const Strip& strip, size_t vector, size_t block, const Seen& seen) {
  float* scores = strip.scores + vector * lanes;
  const int64_t first = int64_t(task.past + strip.row + vector * lanes) - int64_t(block);
  if (task.softcap > 0)
    for (size_t key = seen.any.from; key < seen.any.to; key++)
      store(scores + key * stripQueries, mul(set1(task.softcap), tanh(load(scores + key * stripQueries))));
  const auto mask = [&](size_t from, size_t to) {
    for (size_t key = from; key < to; key++) store(scores + key * stripQueries, maskKey(task, load(scores + key * stripQueries), first - int64_t(key)));
  };
  const size_t from = seen.every.from < seen.any.to ? seen.every.from : seen.any.to, to = seen.every.to > from ? seen.every.to : from;
  mask(seen.any.from, from);
  mask(to, seen.any.to);
}

// The maximum of scores and `peak` per lane. Two at a time, because a maximum takes several cycles.
inline F highest(const float* scores, KeyRange keys, F peak) {
  F other = peak;
  size_t key = keys.from;
  for (; key + 2 <= keys.to; key += 2) {
    peak = vmax(load(scores + key * stripQueries), peak);
    other = vmax(load(scores + (key + 1) * stripQueries), other);
  }
  if (key < keys.to) peak = vmax(load(scores + key * stripQueries), peak);
  return vmax(peak, other);
}

// Rescales the sums of a vector of queries whose maxima have grown.
inline void shrinkSums(const AttentionTask& task, const Strip& strip, size_t vector, F before, F peak) {
  // The maximum was -inf: nothing has been summed yet.
  const F grown = selectLess(before, peak, selectLess(set1(-FLT_MAX), before, set1(1.0f), zero()), zero());
  if (maximum(grown) == 0) return;
  const F shrink = selectLess(zero(), grown, exp(sub(before, peak)), set1(1.0f));
  float* totals = strip.totals + vector * lanes;
  store(totals, mul(load(totals), shrink));
  for (size_t c = 0; c < task.headSize; c++) {
    float* out = strip.out + c * stripQueries + vector * lanes;
    store(out, mul(load(out), shrink));
  }
}

// Replaces the scores of a vector of queries by exp(score - maximum).
inline void softmaxVector(const AttentionTask& task, const Strip& strip, size_t vector, size_t block, const Seen& seen) {
  const KeyRange keys = seen.any;
  if (keys.from >= keys.to) return;
  maskScores(task, strip, vector, block, seen);
  const F before = load(strip.peaks + vector * lanes), peak = highest(strip.scores + vector * lanes, keys, before);
  shrinkSums(task, strip, vector, before, peak);
  store(strip.peaks + vector * lanes, peak);
  // A query that has seen no key yet has the maximum -inf, and -inf - -inf would be NaN.
  const F center = selectLess(peak, set1(-FLT_MAX), zero(), peak);
  F total = load(strip.totals + vector * lanes);
  for (size_t key = keys.from; key < keys.to; key++) {
    float* at = strip.scores + key * stripQueries + vector * lanes;
    const F power = exp(sub(load(at), center));
    store(at, power);
    total = add(total, power);
  }
  store(strip.totals + vector * lanes, total);
}

// ------------------------------------------------------------------ the task
// One block of keys for one strip. Both vectors of queries are multiplied together if both see the keys; near the diagonal of
// causal attention, and at the start of a window, only one does.
inline void attendStrip(const AttentionTask& task, const Strip& strip, size_t block) {
  const Seen seen[] = {seenInBlock(task, strip, 0, block), seenInBlock(task, strip, 1, block)};
  const KeyRange first = seen[0].any, second = seen[1].any;
  const KeyRange before = {first.from, first.to < second.from ? first.to : second.from};
  const KeyRange both = {second.from, first.to};
  const KeyRange after = {first.to < second.from ? second.from : first.to, second.to};
  const auto some = [](KeyRange keys) { return keys.from < keys.to; };
  if (some(before)) scoreKeys<1>(task, strip, block, 0, before);
  if (some(both)) scoreKeys<2>(task, strip, block, 0, both);
  if (some(after)) scoreKeys<1>(task, strip, block, 1, after);
  softmaxVector(task, strip, 0, block, seen[0]);
  softmaxVector(task, strip, 1, block, seen[1]);
  if (some(before)) addValues<1>(task, strip, block, 0, before);
  if (some(both)) addValues<2>(task, strip, block, 0, both);
  if (some(after)) addValues<1>(task, strip, block, 1, after);
}

inline void attendKeys(const AttentionTask& task, const Strip& strip) {
  const size_t end = strip.row + stripQueries < task.queries ? strip.row + stripQueries : task.queries;
  const KeyRange seen = {seenBy(task, strip.row).from, seenBy(task, end - 1).to};
  for (size_t block = seen.from / blockKeys * blockKeys; block < seen.to; block += blockKeys) attendStrip(task, strip, block);
}

inline void attention(const AttentionTask& task) {
  if (task.queries == 0) return;
  if (task.alone) return attendAlone(task);
  const AttentionTask before = ofPrefix(task);
  for (size_t row = 0; row < task.queries; row += stripQueries) {
    const Strip strip = stripAt(task, row);
    readStrip(task, strip), clearStrip(task, strip);
    if (task.prefix > 0) attendKeys(before, strip);
    attendKeys(task, strip);
    writeStrip(task, strip);
  }
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
