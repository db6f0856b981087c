// Attention of a single query of one head, as in generation. Lanes are columns of the head in products, and keys in exponentials.
// The order of sums is that of a strip with one query: maxima and exponentials are of blocks of keys, and each sum goes over the
// keys in order.
#pragma once
#include "attention-task.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Vectors of columns whose sums are in registers together.
constexpr size_t aloneVectors = 4;

// What is known after some blocks of keys.
struct Alone {
  float* out;              // [headSize, to a whole vector], not divided by the total yet
  float peak = -INFINITY;  // of the scores so far
  float total = 0;         // of the exponentials so far
  alignas(64) float scores[blockKeys];  // of the block; later their exponentials
};

STEPLOG_INLINE F loadHead(const float* p, size_t left) { return left < lanes ? loadPart(p, left, 0.0f) : load(p); }

inline float dotHead(const float* x, const float* y, size_t headSize) {
  F total = zero();
  for (size_t c = 0; c < headSize; c += lanes) total = fma(loadHead(x + c, headSize - c), loadHead(y + c, headSize - c), total);
  return sum(total);
}

// The scores of `count` keys from row `key` on, and -inf up to a whole vector.
inline void scoreKeysAlone(const AttentionTask& task, Alone& alone, size_t key, size_t count) {
  const float* q = task.q.f32(task.side, task.queryRow) + task.queryColumn;
  const float* k = task.k.f32(task.side, key) + task.keyColumn;
  const float factor = scoreFactor(task);
  for (size_t i = 0; i < count; i++) alone.scores[i] = factor * dotHead(q, k + i * task.k.stride, task.headSize);
  const size_t padded = roundUp(count, lanes);
  for (size_t i = count; i < padded; i++) alone.scores[i] = 0;
  if (task.softcap > 0)
    for (size_t i = 0; i < count; i += lanes) store(alone.scores + i, mul(set1(task.softcap), tanh(load(alone.scores + i))));
  for (size_t i = count; i < padded; i++) alone.scores[i] = -INFINITY;
}

// Rescales what was summed under a lower maximum.
inline void shrinkAlone(const AttentionTask& task, Alone& alone, float before) {
  // The maximum was -inf: nothing has been summed yet.
  if (!(before < alone.peak) || !(-FLT_MAX < before)) return;
  const F shrink = exp(sub(set1(before), set1(alone.peak)));
  alignas(64) float factor[lanes];
  store(factor, shrink);
  alone.total *= factor[0];
  for (size_t c = 0; c < task.headSize; c += lanes) store(alone.out + c, mul(load(alone.out + c), shrink));
}

// Replaces the scores of `count` keys by exp(score - maximum).
inline void softmaxAlone(const AttentionTask& task, Alone& alone, size_t count) {
  const float before = alone.peak;
  F peak = set1(before);
  for (size_t i = 0; i < count; i += lanes) peak = vmax(load(alone.scores + i), peak);
  alone.peak = maximum(peak);
  shrinkAlone(task, alone, before);
  // A query that has seen no key yet has the maximum -inf, and -inf - -inf would be NaN.
  const F center = set1(alone.peak < -FLT_MAX ? 0 : alone.peak);
  for (size_t i = 0; i < count; i += lanes) store(alone.scores + i, exp(sub(load(alone.scores + i), center)));
  for (size_t i = 0; i < count; i++) alone.total += alone.scores[i];
}

// out [V vectors] += scores [count] times values [count, V vectors]. `left`: columns of the head from the first on.
template <size_t V>
STEPLOG_INLINE void addValues(const float* scores, const float* v, size_t stride, size_t count, size_t left, float* out) {
  F sums[V];
#pragma GCC unroll 4
  for (size_t i = 0; i < V; i++) sums[i] = zero();
  for (size_t key = 0; key < count; key++) {
    const F weight = set1(scores[key]);
#pragma GCC unroll 4
    for (size_t i = 0; i < V; i++) sums[i] = fma(weight, V > 1 ? load(v + key * stride + i * lanes) : loadHead(v + key * stride, left), sums[i]);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < V; i++) store(out + i * lanes, STEPLOG_NAMESPACE::add(load(out + i * lanes), sums[i]));
}

inline void addValuesAlone(const AttentionTask& task, Alone& alone, size_t key, size_t count) {
  const float* v = task.v.f32(task.side, key) + task.keyColumn;
  size_t c = 0;
  for (; c + aloneVectors * lanes <= task.headSize; c += aloneVectors * lanes)
    addValues<aloneVectors>(alone.scores, v + c, task.v.stride, count, task.headSize - c, alone.out + c);
  for (; c < task.headSize; c += lanes) addValues<1>(alone.scores, v + c, task.v.stride, count, task.headSize - c, alone.out + c);
}

inline void attendKeysAlone(const AttentionTask& task, Alone& alone) {
  const KeyRange seen = seenBy(task, 0);
  for (size_t block = seen.from / blockKeys * blockKeys; block < seen.to; block += blockKeys) {
    const KeyRange keys = inBlock(seen, block);
    if (keys.from >= keys.to) continue;
    const size_t key = task.keyRow + block + keys.from, count = keys.to - keys.from;
    scoreKeysAlone(task, alone, key, count);
    softmaxAlone(task, alone, count);
    addValuesAlone(task, alone, key, count);
  }
}

inline void attendAlone(const AttentionTask& task) {
  Alone alone;
  alone.out = alignedScratch(task);
  for (size_t c = 0; c < task.headSize; c += lanes) store(alone.out + c, zero());
  if (task.prefix > 0) attendKeysAlone(ofPrefix(task), alone);
  attendKeysAlone(task, alone);
  const F inverse = div(set1(1.0f), set1(alone.total));
  for (size_t c = 0; c < task.headSize; c += lanes)
    putHead(task, task.queryRow, task.queryColumn + c, mul(inverse, load(alone.out + c)), task.headSize - c);
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
