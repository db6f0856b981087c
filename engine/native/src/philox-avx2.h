// Philox for AVX2, many blocks at a time; philox.h includes this.
//
// A round waits for its multiplication, so one chain of four blocks leaves half of the execution ports idle. Three interleaved
// chains keep them busy, and more would not fit the registers.
#pragma once

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t chainBlocks = 4, mostChains = 3;

// Layout of words in memory. `ordered`: 16-byte little-endian blocks one after the other. `split`: words 0 and 1 of two blocks,
// then words 2 and 3 of both, so that unpacking within 128 bits gives elements in order.
enum class Layout { ordered, split };

// Words 0 to 3 of four blocks, one per 64-bit lane. The upper halves are undefined.
struct Chain {
  W c0, c1, c2, c3;
};

// In practice this keeps GCC from reordering the rounds of different chains, which would spill registers.
STEPLOG_INLINE void settle(W& a, W& b) { asm("" : "+x"(a), "+x"(b)); }

STEPLOG_INLINE Chain firstRounds(W block, const Keys& keys) {
  const W p = wideMul(wideSet(multiplier0), block);
  const W q = wideMul(wideSet(multiplier1), wideHigh(p) ^ keys.c2First);
  return {wideHighShuffled(q) ^ keys.c0Second, q, p ^ keys.c2Second, keys.c3Second};
}

STEPLOG_INLINE void nextRound(Chain& chain, const Keys& keys, int round) {
  chain.c1 ^= keys.k0[round];
  chain.c3 ^= keys.k1[round];
  settle(chain.c1, chain.c3);
  const W p0 = wideMul(wideSet(multiplier0), chain.c0), p1 = wideMul(wideSet(multiplier1), chain.c2);
  chain = {wideHigh(p1) ^ chain.c1, p1, wideHighShuffled(p0) ^ chain.c3, p0};
  settle(chain.c0, chain.c1);
  settle(chain.c2, chain.c3);
}

// The tenth round. A product has the new low word below and the high word above, so shifting the other operand up, instead of
// the product down, leaves each pair of words in one lane, swapped.
template <Layout layout>
STEPLOG_INLINE void lastRound(const Chain& chain, const Keys& keys, W out[2]) {
  const W p0 = wideMul(wideSet(multiplier0), chain.c0), p1 = wideMul(wideSet(multiplier1), chain.c2);
  const W lower = p1 ^ _mm256_slli_epi64(chain.c1 ^ keys.k0[9], 32);
  const W upper = p0 ^ _mm256_slli_epi64(chain.c3 ^ keys.k1[9], 32);
  if constexpr (layout == Layout::split) {
    out[0] = _mm256_shuffle_epi32(_mm256_permute2x128_si256(lower, upper, 0x20), 0xB1);
    out[1] = _mm256_shuffle_epi32(_mm256_permute2x128_si256(lower, upper, 0x31), 0xB1);
  } else {
    const F a = _mm256_castsi256_ps(lower), b = _mm256_castsi256_ps(upper);
    out[0] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x11));
    out[1] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xBB));
  }
}

// The numbers of four blocks in the lanes of a chain. For ordered output, lane 2j + i has block 2i + j, so that shuffling within
// 128 bits leaves blocks in order.
template <Layout layout>
STEPLOG_INLINE W laneBlocks(uint64_t first) {
  return _mm256_add_epi64(wideSet(first), layout == Layout::split ? _mm256_setr_epi64x(0, 1, 2, 3) : _mm256_setr_epi64x(0, 2, 1, 3));
}

template <size_t chains, Layout layout>
STEPLOG_INLINE void philoxChains(W blocks, const Keys& keys, W* out) {
  Chain chain[chains];
#pragma GCC unroll 3
  for (size_t c = 0; c < chains; c++) chain[c] = firstRounds(_mm256_add_epi64(blocks, wideSet(c * chainBlocks)), keys);
#pragma GCC unroll 7
  for (int round = 2; round < 9; round++) {
#pragma GCC unroll 3
    for (size_t c = 0; c < chains; c++) nextRound(chain[c], keys, round);
  }
#pragma GCC unroll 3
  for (size_t c = 0; c < chains; c++) lastRound<layout>(chain[c], keys, out + 2 * c);
}

// Words of blocks first, ..., first + blocks - 1. `out` has room for whole chains.
template <Layout layout>
inline void philoxInto(W* out, size_t blocks, uint64_t first, const Keys& keys) {
  if (__builtin_expect((first >> 32) != keys.high || ((first + blocks + chainBlocks) >> 32) != keys.high, 0)) {
    for (size_t b = 0; b < blocks; b++) {
      const uint64_t block = first + b;
      alignas(32) uint64_t one[8];
      philoxChains<1, Layout::ordered>(laneBlocks<Layout::ordered>(uint32_t(block)), makeKeys(keys.seed, keys.tensor, keys.stream, uint32_t(block >> 32)), reinterpret_cast<W*>(one));
      uint64_t* pair = reinterpret_cast<uint64_t*>(out + b / 2);
      pair[layout == Layout::split ? b % 2 : b % 2 * 2] = one[0];
      pair[layout == Layout::split ? b % 2 + 2 : b % 2 * 2 + 1] = one[1];
    }
    return;
  }
  W at = laneBlocks<layout>(first);
  size_t b = 0;
  for (; b + mostChains * chainBlocks <= blocks; b += mostChains * chainBlocks) {
    philoxChains<mostChains, layout>(at, keys, out + b / 2);
    at = _mm256_add_epi64(at, wideSet(mostChains * chainBlocks));
  }
  if (b + chainBlocks < blocks) {
    philoxChains<2, layout>(at, keys, out + b / 2);
    at = _mm256_add_epi64(at, wideSet(2 * chainBlocks));
    b += 2 * chainBlocks;
  }
  if (b < blocks) philoxChains<1, layout>(at, keys, out + b / 2);
}

// Number of ones in each 16-bit half.
STEPLOG_INLINE W countOnes(W words) {
  const W table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const W nibble = _mm256_set1_epi8(15);
  const W low = _mm256_shuffle_epi8(table, _mm256_and_si256(words, nibble));
  const W high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(words, 4), nibble));
  return _mm256_maddubs_epi16(_mm256_add_epi8(low, high), _mm256_set1_epi8(1));
}

// n of the sixteen elements of two blocks, from split words. A count in the low bits of the float 2^23 makes 2^23 + count.
STEPLOG_INLINE void normalPair(W words, F n[2]) {
  const W counts = countOnes(words), exponent = _mm256_set1_epi16(0x4B00);
  const F offset = set1(8388608.0f + 8.0f);
  n[0] = sub(_mm256_castsi256_ps(_mm256_unpacklo_epi16(counts, exponent)), offset);
  n[1] = sub(_mm256_castsi256_ps(_mm256_unpackhi_epi16(counts, exponent)), offset);
}

// bits(v) + r with the lower half cleared (stochastic rounding), for the sixteen elements of two blocks.
STEPLOG_INLINE void roundPair(W words, F v[2]) {
  const W none = _mm256_setzero_si256(), upper = _mm256_set1_epi32(int(0xffff0000u));
  const W r[2] = {_mm256_unpacklo_epi16(words, none), _mm256_unpackhi_epi16(words, none)};
  for (size_t i = 0; i < 2; i++) v[i] = _mm256_castsi256_ps(_mm256_and_si256(_mm256_add_epi32(_mm256_castps_si256(v[i]), r[i]), upper));
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
