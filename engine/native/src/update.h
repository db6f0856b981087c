// The update, w <- w - a*n (docs/STEP_LOG.md, "Update"; engine/update.ts is the readable twin), and the perturbed values
// w +- e*n. A block of a tensor stays in the first-level cache while all entries pass over it.
//
// a*n and e*n are exact, so that a fused multiply-add rounds as the one subtraction does; the decay is a rounded multiply
// of its own, which is why this is compiled without contraction.
#pragma once
#include "kernels.h"
#include "philox.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t blockElements = 4096;
// Entries whose bits are kept at once when the noise is rademacher.
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
  if (i < count) {  // n and r have room beyond the last element
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

// One entry over a block, a group of Philox blocks at a time.
template <bool rounds>
inline void updateBlock(float* w, size_t count, uint64_t first, Noise noise, const Keys& keys, const Keys& roundingKeys, const Entry& entry) {
  alignas(64) int16_t n[noiseRoom(normalGroup)];
  alignas(64) uint16_t r[noiseRoom(normalGroup)];
  if (noise == Noise::normal && first % normalPerBlock == 0) {
    size_t at = 0;
    uint64_t block = first / normalPerBlock;
    for (; at + normalGroup <= count; at += normalGroup, block += philoxBlocks) {
      storeNormal(n, wordsAt(block, keys));
      if (rounds) storeWords(r, wordsAt(block, roundingKeys));
      applyEntry<rounds>(w + at, normalGroup, n, r, entry);
    }
    if (at == count) return;
    storeNormal(n, wordsAt(block, keys));
    if (rounds) storeWords(r, wordsAt(block, roundingKeys));
    return applyEntry<rounds>(w + at, count - at, n, r, entry);
  }
  if (noise == Noise::rademacher && first % rademacherPerBlock == 0) {
    alignas(64) uint8_t bits[wordBytes + 8];
    for (size_t at = 0; at < count; at += rademacherGroup) {
      const size_t part = count - at < rademacherGroup ? count - at : rademacherGroup;
      storeWords(bits, wordsAt((first + at) / rademacherPerBlock, keys));
      if (rounds) roundingInto(r, part, first + at, roundingKeys);
      applySigns<rounds>(w + at, part, bits, r, entry);
    }
    return;
  }
  // Parts that end with a Philox block of either kind.
  for (size_t at = 0; at < count;) {
    const size_t room = rademacherGroup - size_t((first + at) % rademacherPerBlock);
    const size_t part = count - at < room ? count - at : room;
    const size_t skip = noiseInto(n, part, first + at, noise, keys);
    const size_t skipRounding = rounds ? roundingInto(r, part, first + at, roundingKeys) : 0;
    applyEntry<rounds>(w + at, part, n + skip, r + skipRounding, entry);
    at += part;
  }
}

// All entries over a block of float32 whose noise is rademacher, whole Philox blocks: the weights stay in registers while
// a few entries pass.
template <bool withDecay>
inline void updateSigns(float* w, size_t count, uint64_t first, uint32_t tensor, const Entry* entries, size_t entryCount) {
  constexpr size_t registers = STEPLOG_ISA >= STEPLOG_AVX512 ? 16 : 8;
  alignas(64) static thread_local uint8_t bits[bitEntries][blockElements / 8 + wordBytes];
  for (size_t from = 0; from < entryCount; from += bitEntries) {
    const size_t some = entryCount - from < bitEntries ? entryCount - from : bitEntries;
    for (size_t e = 0; e < some; e++) {
      const Keys keys = makeKeys(entries[from + e].seed, tensor, streamRademacher);
      for (size_t at = 0; at < count; at += rademacherGroup)
        storeWords(bits[e] + at / 8, wordsAt((first + at) / rademacherPerBlock, keys));
    }
    for (size_t at = 0; at < count; at += registers * lanes) {
      F v[registers];
#pragma GCC unroll 16
      for (size_t i = 0; i < registers; i++) v[i] = load(w + at + i * lanes);
      for (size_t e = 0; e < some; e++) {
        const F a = set1(entries[from + e].scalar), minus = set1(-entries[from + e].scalar);
#pragma GCC unroll 16
        for (size_t i = 0; i < registers; i++) {
          if (withDecay) v[i] = mul(v[i], set1(entries[from + e].decay));
          v[i] = addSigned(v[i], bits[e], at + i * lanes, a, minus);
        }
      }
#pragma GCC unroll 16
      for (size_t i = 0; i < registers; i++) store(w + at + i * lanes, v[i]);
    }
  }
}

// Keys of an entry for one tensor, made once for many small pieces of it.
struct EntryKeys {
  Keys noise, rounding;
  Entry entry;
};

inline EntryKeys entryKeys(const Entry& entry, Noise noise, uint32_t tensor) {
  return {noiseKeys(noise, entry.seed, tensor), makeKeys(entry.seed, tensor, streamRounding), entry};
}

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

// A short run of elements, as packing takes them; leaves the values as float32 in `values`, unless the weights are float32
// already, and stores what changed.
inline const float* updateRun(void* weights, Dtype dtype, size_t count, uint64_t first, Noise noise, const EntryKeys* entries, size_t entryCount, float* values) {
  if (dtype == Dtype::F32) {
    float* w = static_cast<float*>(weights);
    for (size_t e = 0; e < entryCount; e++) updateBlock<false>(w, count, first, noise, entries[e].noise, entries[e].rounding, entries[e].entry);
    return w;
  }
  uint16_t* w = static_cast<uint16_t*>(weights);
  widen(w, values, count);
  for (size_t e = 0; e < entryCount; e++) updateBlock<true>(values, count, first, noise, entries[e].noise, entries[e].rounding, entries[e].entry);
  if (entryCount > 0) narrow(values, w, count);
  return values;
}

inline void updateFloats(float* w, size_t count, Place place, Noise noise, const Entry* entries, size_t entryCount) {
  const size_t registers = STEPLOG_ISA >= STEPLOG_AVX512 ? 16 : 8;
  if (noise == Noise::rademacher && place.first % rademacherPerBlock == 0) {
    const size_t whole = count - count % (registers * lanes);
    if (decays(entries, entryCount)) updateSigns<true>(w, whole, place.first, place.tensor, entries, entryCount);
    else updateSigns<false>(w, whole, place.first, place.tensor, entries, entryCount);
    w += whole, count -= whole, place.first += whole;
    if (count == 0) return;
  }
  for (size_t e = 0; e < entryCount; e++) {
    const Keys keys = noiseKeys(noise, entries[e].seed, place.tensor);
    updateBlock<false>(w, count, place.first, noise, keys, keys, entries[e]);
  }
}

inline void update(void* weights, Dtype dtype, size_t count, Place place, Noise noise, const Entry* entries, size_t entryCount) {
  alignas(64) static thread_local float values[blockElements];
  for (size_t at = 0; at < count;) {
    // The first block ends where the tensor's blocks do, so that all others are aligned with the noise.
    const size_t room = blockElements - size_t((place.first + at) % blockElements);
    const size_t some = count - at < room ? count - at : room;
    const Place here = {place.tensor, place.first + at};
    if (dtype == Dtype::F32) {
      updateFloats(static_cast<float*>(weights) + at, some, here, noise, entries, entryCount);
    } else {
      uint16_t* w = static_cast<uint16_t*>(weights) + at;
      widen(w, values, some);
      for (size_t e = 0; e < entryCount; e++) {
        const EntryKeys keys = entryKeys(entries[e], noise, place.tensor);
        updateBlock<true>(values, some, here.first, noise, keys.noise, keys.rounding, entries[e]);
      }
      narrow(values, w, some);
    }
    at += some;
  }
}

// plus = w + e*n, minus = w - e*n of a run of float32 values; plus and minus have room for whole vectors.
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

inline void perturb(const void* weights, Dtype dtype, size_t count, Place place, const Perturbation* perturbation, float* plus, float* minus) {
  alignas(64) float values[normalGroup];
  alignas(64) int16_t n[noiseRoom(normalGroup)];
  Keys keys;
  if (perturbation) keys = noiseKeys(perturbation->noise, perturbation->seed, place.tensor);
  for (size_t at = 0; at < count; at += normalGroup) {
    const size_t some = count - at < normalGroup ? count - at : normalGroup;
    const float* w = static_cast<const float*>(weights) + at;
    if (dtype == Dtype::BF16) {
      widen(static_cast<const uint16_t*>(weights) + at, values, some);
      w = values;
    }
    if (!perturbation) {
      std::memmove(plus + at, w, some * 4);
      continue;
    }
    const size_t skip = noiseInto(n, some, place.first + at, perturbation->noise, keys);
    perturbRun(w, some, n + skip, perturbation->size, plus + at, minus + at);
  }
}

inline void noise(int8_t* out, size_t count, Place place, Noise kind, uint64_t seed) {
  alignas(64) int16_t n[noiseRoom(normalGroup)];
  const Keys keys = noiseKeys(kind, seed, place.tensor);
  for (size_t at = 0; at < count; at += normalGroup) {
    const size_t some = count - at < normalGroup ? count - at : normalGroup;
    const size_t skip = noiseInto(n, some, place.first + at, kind, keys);
    for (size_t i = 0; i < some; i++) out[at + i] = int8_t(n[skip + i]);
  }
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
