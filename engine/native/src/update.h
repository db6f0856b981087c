// The update, w <- w - a*n (docs/STEP_LOG.md, "Update"; engine/replay/update.ts is the readable twin), and the perturbed
// values w +- e*n. A block of a tensor stays in the first-level cache while all entries are applied to it.
//
// a*n and e*n are exact, so a fused multiply-add rounds like the single subtraction. The decay is a separate rounded multiply,
// which is why this is compiled without contraction.
#pragma once
#include "kernels.h"
#include "philox.h"
#include "signs.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t blockElements = 4096;
// Entries whose rademacher bits are kept at a time.
constexpr size_t bitEntries = 16;

inline bool decays(const Entry* entries, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (entries[i].decay != 1.0f) return true;
  return false;
}

// w, as float32 values, after one entry whose noise is n (and rounding bits r, for bfloat16).
template <bool rounds>
STEPLOG_INLINE void applyEntry(float* w, size_t count, const int16_t* n, const uint16_t* r, const Entry& entry) {
  const F a = set1(entry.scalar), d = set1(entry.decay);
  const bool decayed = entry.decay != 1.0f;
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    F v = load(w + i);
    if (decayed) v = mul(v, d);
    v = fnma(a, fromInt16(n + i), v);
    if (rounds) v = roundStochastic(v, r + i);
    store(w + i, v);
  }
  if (i < count) {  // n and r may be read beyond the last element
    F v = loadPart(w + i, count - i, 0.0f);
    if (decayed) v = mul(v, d);
    v = fnma(a, fromInt16(n + i), v);
    if (rounds) v = roundStochastic(v, r + i);
    storePart(w + i, v, count - i);
  }
}

// The same for rademacher noise as bits: n = 1 - 2 * bit.
template <bool rounds>
STEPLOG_INLINE void applySigns(float* w, size_t count, const uint8_t* bits, const uint16_t* r, const Entry& entry) {
  const F a = set1(entry.scalar), minus = set1(-entry.scalar), d = set1(entry.decay);
  const bool decayed = entry.decay != 1.0f;
  for (size_t i = 0; i < count; i += lanes) {
    const bool whole = i + lanes <= count;
    F v = whole ? load(w + i) : loadPart(w + i, count - i, 0.0f);
    if (decayed) v = mul(v, d);
    v = addSigned(v, bits, i, a, minus);
    if (rounds) v = roundStochastic(v, r + i);
    if (whole) store(w + i, v);
    else storePart(w + i, v, count - i);
  }
}

#if STEPLOG_ISA == STEPLOG_AVX2
// Elements whose words are made in advance.
constexpr size_t batchElements = 768;
constexpr size_t pairElements = 2 * normalPerBlock;
static_assert(batchElements % (mostChains * chainBlocks * normalPerBlock) == 0, "a batch is a whole number of chains, as they are written");

// Applies one entry with normal noise to all whole pairs of Philox blocks; returns the number of elements done.
template <bool rounds, bool decayed>
inline size_t updatePairs(float* w, size_t count, uint64_t block, const Keys& keys, const Keys& roundingKeys, const Entry& entry) {
  alignas(32) W n[batchElements / pairElements], r[batchElements / pairElements];
  const F a = set1(entry.scalar), d = set1(entry.decay);
  const size_t whole = count - count % pairElements;
  for (size_t at = 0; at < whole; at += batchElements) {
    const size_t some = whole - at < batchElements ? whole - at : batchElements;
    philoxInto<Layout::split>(n, some / normalPerBlock, block + at / normalPerBlock, keys);
    if (rounds) philoxInto<Layout::split>(r, some / normalPerBlock, block + at / normalPerBlock, roundingKeys);
    for (size_t pair = 0; pair < some / pairElements; pair++) {
      float* p = w + at + pair * pairElements;
      F z[2], v[2] = {load(p), load(p + lanes)};
      normalPair(n[pair], z);
      for (size_t i = 0; i < 2; i++) v[i] = fnma(a, z[i], decayed ? mul(v[i], d) : v[i]);
      if (rounds) roundPair(r[pair], v);
      store(p, v[0]);
      store(p + lanes, v[1]);
    }
  }
  return whole;
}

// plus = w + e*n, minus = w - e*n for all whole pairs of Philox blocks; returns the number of elements done.
inline size_t perturbPairs(const float* w, size_t count, uint64_t block, const Keys& keys, float size, float* plus, float* minus) {
  alignas(32) W n[batchElements / pairElements];
  const F e = set1(size);
  const size_t whole = count - count % pairElements;
  for (size_t at = 0; at < whole; at += batchElements) {
    const size_t some = whole - at < batchElements ? whole - at : batchElements;
    philoxInto<Layout::split>(n, some / normalPerBlock, block + at / normalPerBlock, keys);
    for (size_t pair = 0; pair < some / pairElements; pair++) {
      const size_t i = at + pair * pairElements;
      F z[2];
      normalPair(n[pair], z);
      for (size_t half = 0; half < 2; half++) {
        const F v = load(w + i + half * lanes);
        store(plus + i + half * lanes, fma(e, z[half], v));
        store(minus + i + half * lanes, fnma(e, z[half], v));
      }
    }
  }
  return whole;
}
#endif

// Applies one entry to a block, a group of Philox blocks at a time.
template <bool rounds>
inline void updateBlock(float* w, size_t count, uint64_t first, Noise noise, const Keys& keys, const Keys& roundingKeys, const Entry& entry) {
  alignas(64) int16_t n[noiseRoom(normalGroup)];
  alignas(64) uint16_t r[noiseRoom(normalGroup)];
  if (noise == Noise::normal && first % normalPerBlock == 0) {
    size_t at = 0;
#if STEPLOG_ISA == STEPLOG_AVX2
    at = (entry.decay == 1.0f ? updatePairs<rounds, false> : updatePairs<rounds, true>)(w, count, first / normalPerBlock, keys, roundingKeys, entry);
#else
    for (; at + normalGroup <= count; at += normalGroup) {
      const uint64_t block = (first + at) / normalPerBlock;
      storeNormal(n, wordsAt(block, keys));
      if (rounds) storeWords(r, wordsAt(block, roundingKeys));
      applyEntry<rounds>(w + at, normalGroup, n, r, entry);
    }
#endif
    if (at == count) return;
    noiseInto(n, count - at, first + at, noise, keys);
    if (rounds) roundingInto(r, count - at, first + at, roundingKeys);
    return applyEntry<rounds>(w + at, count - at, n, r, entry);
  }
  if (noise == Noise::rademacher && first % rademacherPerBlock == 0) {
    alignas(64) uint8_t bits[wordBytes + 8];
    for (size_t at = 0; at < count; at += rademacherGroup) {
      const size_t part = count - at < rademacherGroup ? count - at : rademacherGroup;
      wordsInto(bits, (part + rademacherPerBlock - 1) / rademacherPerBlock, (first + at) / rademacherPerBlock, keys);
      if (rounds) roundingInto(r, part, first + at, roundingKeys);
      applySigns<rounds>(w + at, part, bits, r, entry);
    }
    return;
  }
  // Parts that end with a Philox block, for both kinds of noise.
  for (size_t at = 0; at < count;) {
    const size_t room = rademacherGroup - size_t((first + at) % rademacherPerBlock);
    const size_t part = count - at < room ? count - at : room;
    const size_t skip = noiseInto(n, part, first + at, noise, keys);
    const size_t skipRounding = rounds ? roundingInto(r, part, first + at, roundingKeys) : 0;
    applyEntry<rounds>(w + at, part, n + skip, r + skipRounding, entry);
    at += part;
  }
}

// Applies all entries with rademacher noise to a block of float32 that is whole Philox blocks: weights stay in registers for a
// few entries.
template <bool withDecay>
inline void updateSigns(float* w, size_t count, uint64_t first, uint32_t tensor, const Entry* entries, size_t entryCount) {
  constexpr size_t registers = STEPLOG_ISA >= STEPLOG_AVX512 ? 16 : 8;
  alignas(64) static thread_local uint8_t memory[bitEntries][blockElements / 8 + wordBytes];
  auto* const bits = memory;  // thread-local memory is looked up at every access
  float plus[bitEntries], minus[bitEntries];
  for (size_t from = 0; from < entryCount; from += bitEntries) {
    const size_t some = entryCount - from < bitEntries ? entryCount - from : bitEntries;
    for (size_t e = 0; e < some; e++) {
      const Keys keys = makeKeys(entries[from + e].seed, tensor, streamRademacher);
      plus[e] = entries[from + e].scalar, minus[e] = -entries[from + e].scalar;
      wordsInto(bits[e], (count + rademacherPerBlock - 1) / rademacherPerBlock, first / rademacherPerBlock, keys);
    }
    for (size_t at = 0; at < count; at += registers * lanes) {
      F v[registers];
#pragma GCC unroll 16
      for (size_t i = 0; i < registers; i++) v[i] = load(w + at + i * lanes);
      for (size_t e = 0; e < some; e++) {
        const F a = set1(plus[e]), negative = set1(minus[e]), d = set1(withDecay ? entries[from + e].decay : 1.0f);
#pragma GCC unroll 16
        for (size_t i = 0; i < registers; i += signVectors) {
#pragma GCC unroll 4
          for (size_t j = 0; withDecay && j < signVectors; j++) v[i + j] = mul(v[i + j], d);
          addSignedWord(v + i, bits[e], at + i * lanes, a, negative);
        }
      }
#pragma GCC unroll 16
      for (size_t i = 0; i < registers; i++) store(w + at + i * lanes, v[i]);
    }
  }
}

// The part of a tensor's noise that many of its small pieces share, made once.
struct RunNoise {
  Keys keys;
  Signs signs;
};

// The same for an entry.
struct RunEntry {
  RunNoise noise;
  Keys rounding;
  Entry entry;
};

inline void widen(const uint16_t* from, float* to, size_t count) {
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) store(to + i, fromBf16(from + i));
  for (; i < count; i++) {
    const uint32_t bits = uint32_t(from[i]) << 16;
    std::memcpy(to + i, &bits, 4);
  }
}

inline void narrow(const float* from, uint16_t* to, size_t count) {
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) storeUpper(to + i, load(from + i));
  for (; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, from + i, 4);
    to[i] = uint16_t(bits >> 16);
  }
}

// Most elements of a run.
constexpr size_t runElements = Signs::mostElements;

template <bool rounds>
inline void updateRunValues(float* w, size_t count, uint64_t first, Noise noise, RunEntry& entry) {
  const Keys& keys = entry.noise.keys;
  const uint8_t* bits = noise == Noise::rademacher ? entry.noise.signs.of(first, count, keys) : nullptr;
  if (!bits) return updateBlock<rounds>(w, count, first, noise, keys, entry.rounding, entry.entry);
  alignas(64) uint16_t r[noiseRoom(runElements)];
  if (rounds) roundingInto(r, count, first, entry.rounding);
  applySigns<rounds>(w, count, bits, r, entry.entry);
}

// Updates a run of elements for packing: stores changed elements, and leaves the values as float32 in `values`, unless the
// weights are float32 already.
inline const float* updateRun(void* weights, Dtype dtype, size_t count, uint64_t first, Noise noise, RunEntry* entries, size_t entryCount, float* values) {
  if (dtype == Dtype::F32) {
    float* w = static_cast<float*>(weights);
    for (size_t e = 0; e < entryCount; e++) updateRunValues<false>(w, count, first, noise, entries[e]);
    return w;
  }
  uint16_t* w = static_cast<uint16_t*>(weights);
  widen(w, values, count);
  for (size_t e = 0; e < entryCount; e++) updateRunValues<true>(values, count, first, noise, entries[e]);
  if (entryCount > 0) narrow(values, w, count);
  return values;
}

inline void updateFloats(float* w, size_t count, Position position, Noise noise, const Entry* entries, size_t entryCount) {
  const size_t registers = STEPLOG_ISA >= STEPLOG_AVX512 ? 16 : 8;
  if (noise == Noise::rademacher && position.first % rademacherPerBlock == 0) {
    const size_t whole = count - count % (registers * lanes);
    if (decays(entries, entryCount)) updateSigns<true>(w, whole, position.first, position.tensor, entries, entryCount);
    else updateSigns<false>(w, whole, position.first, position.tensor, entries, entryCount);
    w += whole, count -= whole, position.first += whole;
    if (count == 0) return;
  }
  for (size_t e = 0; e < entryCount; e++) {
    const Keys keys = noiseKeys(noise, entries[e].seed, position.tensor);
    updateBlock<false>(w, count, position.first, noise, keys, keys, entries[e]);
  }
}

// Prefetches into the second-level cache what is needed soon.
STEPLOG_INLINE void askFor(const char* memory, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(memory + at, 0, 2);
}

inline void update(void* weights, Dtype dtype, size_t count, Position position, Noise noise, const Entry* entries, size_t entryCount) {
  const size_t size = dtype == Dtype::F32 ? 4 : 2;
  alignas(64) static thread_local float values[blockElements];
  for (size_t at = 0; at < count;) {
    // The first block ends at a block of the tensor, so that all others are aligned with the noise.
    const size_t room = blockElements - size_t((position.first + at) % blockElements);
    const size_t some = count - at < room ? count - at : room;
    const Position here = {position.tensor, position.first + at};
    const size_t left = count - at - some;
    askFor(static_cast<const char*>(weights) + (at + some) * size, (left < blockElements ? left : blockElements) * size);
    if (dtype == Dtype::F32) {
      updateFloats(static_cast<float*>(weights) + at, some, here, noise, entries, entryCount);
    } else {
      uint16_t* w = static_cast<uint16_t*>(weights) + at;
      widen(w, values, some);
      for (size_t e = 0; e < entryCount; e++) {
        const uint64_t seed = entries[e].seed;
        const Keys keys = noiseKeys(noise, seed, position.tensor), rounding = makeKeys(seed, position.tensor, streamRounding);
        updateBlock<true>(values, some, here.first, noise, keys, rounding, entries[e]);
      }
      narrow(values, w, some);
    }
    at += some;
  }
}

// plus = w + e*n, minus = w - e*n for a run of float32 values. plus and minus have room for whole vectors.
STEPLOG_INLINE void perturbRun(const float* w, size_t count, const int16_t* n, float size, float* plus, float* minus) {
  const F e = set1(size);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const F v = load(w + i), z = fromInt16(n + i);
    store(plus + i, fma(e, z, v));
    store(minus + i, fnma(e, z, v));
  }
  if (i < count) {
    const F v = loadPart(w + i, count - i, 0.0f), z = fromInt16(n + i);
    storePart(plus + i, fma(e, z, v), count - i);
    storePart(minus + i, fnma(e, z, v), count - i);
  }
}

// The same for rademacher noise as bits.
STEPLOG_INLINE void perturbSigns(const float* w, size_t count, const uint8_t* bits, float size, float* plus, float* minus) {
  const F e = set1(size), negative = set1(-size);
  for (size_t i = 0; i < count; i += lanes) {
    const bool whole = i + lanes <= count;
    const F v = whole ? load(w + i) : loadPart(w + i, count - i, 0.0f);
    const F up = addSigned(v, bits, i, negative, e), down = addSigned(v, bits, i, e, negative);
    if (whole) {
      store(plus + i, up);
      store(minus + i, down);
    } else {
      storePart(plus + i, up, count - i);
      storePart(minus + i, down, count - i);
    }
  }
}

// A run of float32 values from `first` on, both sides perturbed with the same noise.
inline void perturbValues(const float* w, size_t count, uint64_t first, const Perturbation& perturbation, RunNoise& noise, float* plus, float* minus) {
  if (perturbation.noise == Noise::rademacher) {
    if (const uint8_t* bits = noise.signs.of(first, count, noise.keys)) return perturbSigns(w, count, bits, perturbation.size, plus, minus);
  }
  size_t at = 0;
#if STEPLOG_ISA == STEPLOG_AVX2
  if (perturbation.noise == Noise::normal && first % normalPerBlock == 0)
    at = perturbPairs(w, count, first / normalPerBlock, noise.keys, perturbation.size, plus, minus);
#endif
  if (at == count) return;
  alignas(64) int16_t n[noiseRoom(runElements)];
  const size_t skip = noiseInto(n, count - at, first + at, perturbation.noise, noise.keys);
  perturbRun(w + at, count - at, n + skip, perturbation.size, plus + at, minus + at);
}

inline void perturb(const void* weights, Dtype dtype, size_t count, Position position, const Perturbation* perturbation, float* plus, float* minus) {
  alignas(64) float values[runElements];
  RunNoise noise;
  if (perturbation) noise.keys = noiseKeys(perturbation->noise, perturbation->seed, position.tensor);
  for (size_t at = 0; at < count; at += runElements) {
    const size_t some = count - at < runElements ? count - at : runElements;
    const float* w = static_cast<const float*>(weights) + at;
    if (dtype == Dtype::BF16) {
      widen(static_cast<const uint16_t*>(weights) + at, values, some);
      w = values;
    }
    if (perturbation) perturbValues(w, some, position.first + at, *perturbation, noise, plus + at, minus + at);
    else std::memmove(plus + at, w, some * 4);
  }
}

inline void noise(int8_t* out, size_t count, Position position, Noise kind, uint64_t seed) {
  alignas(64) int16_t n[noiseRoom(normalGroup)];
  const Keys keys = noiseKeys(kind, seed, position.tensor);
  for (size_t at = 0; at < count; at += normalGroup) {
    const size_t some = count - at < normalGroup ? count - at : normalGroup;
    const size_t skip = noiseInto(n, some, position.first + at, kind, keys);
    for (size_t i = 0; i < some; i++) out[at + i] = int8_t(n[skip + i]);
  }
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
