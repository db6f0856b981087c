// Noise by Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"), several blocks at a time.
// docs/STEP_LOG.md, "Noise", defines it; engine/numbers/noise.ts is the readable twin.
//
// Each 64-bit lane has one state word: the multiplication reads only the lower 32 bits of a lane, so the full product is the
// next low word as it is, and the product shifted is the high word. Upper halves are never cleared.
#pragma once
#include "kernels.h"
#include "simd.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

#if STEPLOG_ISA >= STEPLOG_AVX512
constexpr size_t wide = 8;  // 64-bit lanes
using W = __m512i;
STEPLOG_INLINE W wideSet(uint64_t v) { return _mm512_set1_epi64(int64_t(v)); }
STEPLOG_INLINE W wideMul(W a, W b) { return _mm512_mul_epu32(a, b); }
STEPLOG_INLINE W wideHigh(W a) { return _mm512_srli_epi64(a, 32); }
// Like wideHigh in the lower 32 bits, but on another execution port.
STEPLOG_INLINE W wideHighShuffled(W a) { return _mm512_shuffle_epi32(a, _MM_PERM_CDAB); }
STEPLOG_INLINE W wideXor(W a, W b, W c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
#elif STEPLOG_ISA == STEPLOG_AVX2
constexpr size_t wide = 4;
using W = __m256i;
STEPLOG_INLINE W wideSet(uint64_t v) { return _mm256_set1_epi64x(int64_t(v)); }
STEPLOG_INLINE W wideMul(W a, W b) { return _mm256_mul_epu32(a, b); }
STEPLOG_INLINE W wideHigh(W a) { return _mm256_srli_epi64(a, 32); }
STEPLOG_INLINE W wideHighShuffled(W a) { return _mm256_shuffle_epi32(a, 0xB1); }
#else
constexpr size_t wide = 2;
typedef uint64_t W __attribute__((vector_size(16)));
STEPLOG_INLINE W wideSet(uint64_t v) { return W{v, v}; }
STEPLOG_INLINE W wideMul(W a, W b) { return (a & 0xffffffff) * (b & 0xffffffff); }
STEPLOG_INLINE W wideHigh(W a) { return a >> 32; }
STEPLOG_INLINE W wideHighShuffled(W a) { return a >> 32; }
STEPLOG_INLINE W wideXor(W a, W b, W c) { return a ^ b ^ c; }
#endif

enum Stream : uint32_t { streamNormal = 0, streamRademacher = 1, streamRounding = 2 };

constexpr size_t normalPerBlock = 8, rademacherPerBlock = 128;
// Blocks that `philox` makes at a time.
constexpr size_t philoxBlocks = 2 * wide;
constexpr uint32_t multiplier0 = 0xd2511f53, multiplier1 = 0xcd9e8d57;

// A key as an operand in memory: AVX-512 can broadcast it while reading, AVX2 cannot.
#if STEPLOG_ISA == STEPLOG_AVX2
using KeyWord = W;
STEPLOG_INLINE KeyWord keyWord(uint64_t v) { return wideSet(v); }
STEPLOG_INLINE KeyWord nextKey(KeyWord key, uint32_t by) { return _mm256_add_epi32(key, wideSet(by)); }
#else
using KeyWord = uint64_t;
STEPLOG_INLINE KeyWord keyWord(uint64_t v) { return v; }
STEPLOG_INLINE KeyWord nextKey(KeyWord key, uint32_t by) { return uint32_t(key) + by; }
#endif

// The keys of the ten rounds, and the parts of the first two rounds that all blocks share.
struct Keys {
  KeyWord k0[10], k1[10];
  KeyWord c2First;                     // what round 1 adds to word 2
  KeyWord c0Second, c2Second, c3Second;  // what round 2 adds to words 0 and 2, and its word 3
  uint64_t seed;
  uint32_t tensor, stream;
  uint32_t high;  // upper word of the block numbers
};

inline Keys makeKeys(uint64_t seed, uint32_t tensor, uint32_t stream, uint32_t high = 0) {
  Keys keys;
  keys.seed = seed, keys.tensor = tensor, keys.stream = stream, keys.high = high;
  const uint32_t a = uint32_t(seed), b = uint32_t(seed >> 32), nextA = 0x9e3779b9, nextB = 0xbb67ae85;
  keys.k0[0] = keyWord(a), keys.k1[0] = keyWord(b);
  for (int i = 1; i < 10; i++) keys.k0[i] = nextKey(keys.k0[i - 1], nextA), keys.k1[i] = nextKey(keys.k1[i - 1], nextB);
  // Round 1: only word 0 differs between blocks.
  const uint64_t p1 = uint64_t(multiplier1) * tensor;
  const uint32_t c0 = uint32_t(p1 >> 32) ^ high ^ a;
  keys.c2First = keyWord(stream ^ b);
  // Round 2: words 0 and 1 are the same for all, 2 and 3 are not.
  const uint64_t p0 = uint64_t(multiplier0) * c0;
  keys.c0Second = keyWord(uint32_t(p1) ^ (a + nextA));
  keys.c2Second = keyWord((p0 >> 32) ^ (b + nextB));
  keys.c3Second = keyWord(uint32_t(p0));
  return keys;
}

#if STEPLOG_ISA == STEPLOG_AVX2
}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
#include "philox-avx2.h"
namespace steplog {
namespace STEPLOG_NAMESPACE {
#else
// Words 0 to 3 of `wide` blocks; `block` has the lower words of their numbers. Upper halves are undefined.
STEPLOG_INLINE void philoxRounds(W block, const Keys& keys, W out[4]) {
  const W m0 = wideSet(multiplier0), m1 = wideSet(multiplier1);
  const W p = wideMul(m0, block);
  const W first2 = wideHigh(p) ^ wideSet(keys.c2First);
  const W q = wideMul(m1, first2);
  W c0 = wideHighShuffled(q) ^ wideSet(keys.c0Second);
  W c1 = q;
  W c2 = p ^ wideSet(keys.c2Second);
  W c3 = wideSet(keys.c3Second);
#pragma GCC unroll 8
  for (int round = 2; round < 10; round++) {
    const W p0 = wideMul(m0, c0), p1 = wideMul(m1, c2);
    c0 = wideXor(wideHigh(p1), c1, wideSet(keys.k0[round]));
    c1 = p1;
    c2 = wideXor(wideHighShuffled(p0), c3, wideSet(keys.k1[round]));
    c3 = p0;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// The words of blocks first, ..., first + philoxBlocks - 1, as 16-byte little-endian blocks in memory. The upper word of all
// their numbers must be that of the keys.
#if STEPLOG_ISA >= STEPLOG_AVX512
struct Words { __m512i v[4]; };

STEPLOG_INLINE Words philoxWords(uint64_t first, const Keys& keys) {
  // Lane 2j + i has block 4i + j, so that unpacking within 128 bits leaves blocks in order.
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  const __m512i base = _mm512_add_epi64(_mm512_set1_epi64(int64_t(first)), order);
  Words words;
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    W c[4];
    philoxRounds(_mm512_add_epi64(base, _mm512_set1_epi64(half * 8)), keys, c);
    const __m512i lower = _mm512_mask_shuffle_epi32(c[0], 0xAAAA, c[1], _MM_PERM_CCAA);
    const __m512i upper = _mm512_mask_shuffle_epi32(c[2], 0xAAAA, c[3], _MM_PERM_CCAA);
    words.v[2 * half] = _mm512_unpacklo_epi64(lower, upper);
    words.v[2 * half + 1] = _mm512_unpackhi_epi64(lower, upper);
  }
  return words;
}
STEPLOG_INLINE void storeWords(void* out, const Words& words) {
  for (int i = 0; i < 4; i++) _mm512_storeu_si512(static_cast<char*>(out) + 64 * i, words.v[i]);
}
#else
struct Words { uint32_t v[4 * philoxBlocks]; };

STEPLOG_INLINE Words philoxWords(uint64_t first, const Keys& keys) {
  Words words;
  for (size_t half = 0; half < 2; half++) {
    W c[4];
    const W block = W{first + 2 * half, first + 2 * half + 1};
    philoxRounds(block, keys, c);
    for (size_t lane = 0; lane < wide; lane++)
      for (size_t word = 0; word < 4; word++) words.v[(half * wide + lane) * 4 + word] = uint32_t(c[word][lane]);
  }
  return words;
}
STEPLOG_INLINE void storeWords(void* out, const Words& words) { std::memcpy(out, words.v, sizeof words.v); }
#endif

// philoxWords for any blocks: a group that crosses into another upper word is made block by block.
STEPLOG_INLINE Words wordsAt(uint64_t first, const Keys& keys) {
  if (__builtin_expect((first >> 32) == keys.high && ((first + philoxBlocks - 1) >> 32) == keys.high, 1)) {
    return philoxWords(first, keys);
  }
  Words words;
  for (size_t b = 0; b < philoxBlocks; b++) {
    alignas(64) char one[sizeof(Words)];
    const uint64_t block = first + b;
    storeWords(one, philoxWords(uint32_t(block), makeKeys(keys.seed, keys.tensor, keys.stream, uint32_t(block >> 32))));
    std::memcpy(reinterpret_cast<char*>(&words) + 16 * b, one, 16);
  }
  return words;
}

// The number of ones in each 16-bit half, minus 8.
STEPLOG_INLINE void storeNormal(int16_t* out, const Words& words) {
#if STEPLOG_ISA >= STEPLOG_AVX512
  for (int i = 0; i < 4; i++)
    _mm512_storeu_si512(out + 32 * i, _mm512_sub_epi16(_mm512_popcnt_epi16(words.v[i]), _mm512_set1_epi16(8)));
#else
  for (size_t i = 0; i < 4 * philoxBlocks; i++) {
    uint32_t v = words.v[i];
    v -= (v >> 1) & 0x55555555;
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333);
    v = (v + (v >> 4)) & 0x0f0f0f0f;
    v = (v + (v >> 8)) & 0x001f001f;
    out[2 * i] = int16_t(int(v & 0xffff) - 8);
    out[2 * i + 1] = int16_t(int(v >> 16) - 8);
  }
#endif
}
#endif

constexpr size_t wordBytes = 16 * philoxBlocks;
// Elements of a whole group of blocks.
constexpr size_t normalGroup = normalPerBlock * philoxBlocks, rademacherGroup = rademacherPerBlock * philoxBlocks;

// 1 - 2 * bit for 128 * philoxBlocks elements.
STEPLOG_INLINE void storeSigns(int16_t* out, const uint8_t* bits, size_t count) {
#if STEPLOG_ISA >= STEPLOG_AVX512
  for (size_t i = 0; i < count; i += 32) {
    uint32_t mask;
    std::memcpy(&mask, bits + i / 8, 4);
    _mm512_storeu_si512(out + i, _mm512_mask_blend_epi16(mask, _mm512_set1_epi16(1), _mm512_set1_epi16(-1)));
  }
#else
  for (size_t i = 0; i < count; i++) out[i] = int16_t(1 - 2 * ((bits[i >> 3] >> (i & 7)) & 1));
#endif
}

// Blocks made in the time of one.
#if STEPLOG_ISA == STEPLOG_AVX2
constexpr size_t leastBlocks = chainBlocks;
#else
constexpr size_t leastBlocks = philoxBlocks;
#endif

// The words of many blocks, in order. `out` is aligned to a vector and has room for whole groups.
inline void wordsInto(void* out, size_t blocks, uint64_t first, const Keys& keys) {
#if STEPLOG_ISA == STEPLOG_AVX2
  philoxInto<Layout::ordered>(static_cast<W*>(out), blocks, first, keys);
#else
  for (size_t b = 0; b < blocks; b += philoxBlocks) storeWords(static_cast<char*>(out) + 16 * b, wordsAt(first + b, keys));
#endif
}

inline Keys noiseKeys(Noise noise, uint64_t seed, uint32_t tensor) {
  return makeKeys(seed, tensor, noise == Noise::normal ? streamNormal : streamRademacher);
}

// Room that noiseInto and roundingInto need for `count` elements, since they write whole groups.
constexpr size_t noiseRoom(size_t count) { return count + rademacherGroup + rademacherPerBlock; }

// n of elements first, ..., first + count - 1, starting at the returned offset of `out`.
inline size_t noiseInto(int16_t* out, size_t count, uint64_t first, Noise noise, const Keys& keys) {
  const bool normal = noise == Noise::normal;
  const size_t perBlock = normal ? normalPerBlock : rademacherPerBlock;
  const uint64_t block = first / perBlock;
  const size_t skip = size_t(first % perBlock);
  if (normal) {
#if STEPLOG_ISA == STEPLOG_AVX2
    const size_t blocks = (skip + count + normalPerBlock - 1) / normalPerBlock;
    W* const words = reinterpret_cast<W*>(out);
    wordsInto(words, blocks, block, keys);
    for (size_t pair = 0; 2 * pair < blocks; pair++) words[pair] = _mm256_sub_epi16(countOnes(words[pair]), _mm256_set1_epi16(8));
#else
    for (size_t at = 0; at < skip + count; at += normalGroup) storeNormal(out + at, wordsAt(block + at / perBlock, keys));
#endif
  } else {
    for (size_t at = 0; at < skip + count; at += rademacherGroup) {
      alignas(64) uint8_t bits[wordBytes];
      wordsInto(bits, philoxBlocks, block + at / perBlock, keys);
      storeSigns(out + at, bits, skip + count - at < rademacherGroup ? skip + count - at : rademacherGroup);
    }
  }
  return skip;
}

// The 16 bits that stochastic rounding adds, likewise.
inline size_t roundingInto(uint16_t* out, size_t count, uint64_t first, const Keys& keys) {
  const size_t skip = size_t(first % normalPerBlock);
  wordsInto(out, (skip + count + normalPerBlock - 1) / normalPerBlock, first / normalPerBlock, keys);
  return skip;
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
