// AVX-512, its bfloat16 and AMX on a processor with AVX2, for tests: SIMDe's functions under Intel's names, and, written lane by
// lane from the Intel Intrinsics Guide, those that SIMDe 0.7.4 lacks. Kernels are compiled with this header included before
// everything else (emulated.sh). Unlike dpbf16, it does not flush denormals.
#pragma once
#include <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace emulated {

template <class To, class From>
inline To bits(const From& from) {
  To to{};
  static_assert(sizeof(To) == sizeof(From), "both have the same size");
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T, size_t N>
struct Lanes {
  T v[N];
};

using Floats = Lanes<float, 16>;
using Words = Lanes<int32_t, 16>;

template <class Out, class In, class Each>
inline Out map(const In& in, Each each) {
  Out out;
  for (size_t i = 0; i < 16; i++) out.v[i] = each(in.v[i]);
  return out;
}

inline __m512i fromInt16(__m256i a) {
  return bits<__m512i>(map<Words>(bits<Lanes<int16_t, 16>>(a), [](int16_t x) { return int32_t(x); }));
}
inline __m512i fromUint16(__m256i a) {
  return bits<__m512i>(map<Words>(bits<Lanes<uint16_t, 16>>(a), [](uint16_t x) { return int32_t(x); }));
}
inline __m256i toInt16(__m512i a) {
  return bits<__m256i>(map<Lanes<int16_t, 16>>(bits<Words>(a), [](int32_t x) { return int16_t(x); }));
}
inline __m512 toFloats(__m512i a) {
  return bits<__m512>(map<Floats>(bits<Words>(a), [](int32_t x) { return float(x); }));
}
inline __m512i toWords(__m512 a) {
  return bits<__m512i>(map<Words>(bits<Floats>(a), [](float x) { return int32_t(std::nearbyint(x)); }));
}
inline __m512i shuffle(__m512i rest, uint16_t mask, __m512i a, int order) {
  const Words in = bits<Words>(a);
  Words out = bits<Words>(rest);
  for (size_t i = 0; i < 16; i++)
    if (mask >> i & 1) out.v[i] = in.v[i / 4 * 4 + (order >> (i % 4 * 2) & 3)];
  return bits<__m512i>(out);
}
inline __m512 load(__m512 rest, uint16_t mask, const void* from) {
  Floats out = bits<Floats>(rest);
  for (size_t i = 0; i < 16; i++)
    if (mask >> i & 1) std::memcpy(&out.v[i], static_cast<const char*>(from) + 4 * i, 4);
  return bits<__m512>(out);
}
inline void store(void* to, uint16_t mask, __m512 a) {
  const Floats in = bits<Floats>(a);
  for (size_t i = 0; i < 16; i++)
    if (mask >> i & 1) std::memcpy(static_cast<char*>(to) + 4 * i, &in.v[i], 4);
}
// In the order of GCC and Intel: halves, quarters, and so on.
template <class Join>
inline float reduce(__m512 a, Join join) {
  Floats in = bits<Floats>(a);
  for (size_t half = 8; half > 0; half /= 2)
    for (size_t i = 0; i < half; i++) in.v[i] = join(in.v[i + half], in.v[i]);
  return in.v[0];
}

inline uint16_t toBf16(float x) {
  const uint32_t word = bits<uint32_t>(x);
  if (x != x) return uint16_t(word >> 16 | 0x40);
  return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
}
inline float fromBf16(uint16_t x) { return bits<float>(uint32_t(x) << 16); }
inline __m256bh toBf16s(__m512 a) { return bits<__m256bh>(map<Lanes<uint16_t, 16>>(bits<Floats>(a), toBf16)); }

// Adds two products to a sum.
inline float addPair(float sum, const uint16_t* a, const uint16_t* b) {
  return std::fma(fromBf16(a[0]), fromBf16(b[0]), std::fma(fromBf16(a[1]), fromBf16(b[1]), sum));
}
inline __m512 addPairs(__m512 sum, __m512bh a, __m512bh b) {
  Floats out = bits<Floats>(sum);
  const auto x = bits<Lanes<uint16_t, 32>>(a), y = bits<Lanes<uint16_t, 32>>(b);
  for (size_t i = 0; i < 16; i++) out.v[i] = addPair(out.v[i], x.v + 2 * i, y.v + 2 * i);
  return bits<__m512>(out);
}

// The tile registers of a thread, and their shapes.
struct Tile {
  size_t rows = 0, bytes = 0;
  uint8_t row[16][64] = {};
};
inline thread_local Tile tiles[8];

inline void configure(const void* from) {
  for (size_t t = 0; t < 8; t++) {
    uint16_t bytes;
    std::memcpy(&bytes, static_cast<const char*>(from) + 16 + 2 * t, 2);
    tiles[t] = Tile();
    tiles[t].bytes = bytes, tiles[t].rows = static_cast<const uint8_t*>(from)[48 + t];
  }
}
inline void release() { std::fill(tiles, tiles + 8, Tile()); }
inline void clear(int t) { std::memset(tiles[t].row, 0, sizeof tiles[t].row); }
inline void loadTile(int t, const void* from, size_t stride) {
  clear(t);
  for (size_t r = 0; r < tiles[t].rows; r++) std::memcpy(tiles[t].row[r], static_cast<const char*>(from) + r * stride, tiles[t].bytes);
}
inline void storeTile(int t, void* to, size_t stride) {
  for (size_t r = 0; r < tiles[t].rows; r++) std::memcpy(static_cast<char*>(to) + r * stride, tiles[t].row[r], tiles[t].bytes);
}
inline void multiplyTiles(int sums, int a, int b) {
  for (size_t m = 0; m < tiles[sums].rows; m++) {
    float* out = reinterpret_cast<float*>(tiles[sums].row[m]);
    const uint16_t* x = reinterpret_cast<const uint16_t*>(tiles[a].row[m]);
    for (size_t k = 0; k < tiles[a].bytes / 4; k++) {
      const uint16_t* y = reinterpret_cast<const uint16_t*>(tiles[b].row[k]);
      for (size_t n = 0; n < tiles[sums].bytes / 4; n++) out[n] = addPair(out[n], x + 2 * k, y + 2 * n);
    }
  }
}

}  // namespace emulated

#define _mm512_cvtepi16_epi32 emulated::fromInt16
#define _mm512_cvtepu16_epi32 emulated::fromUint16
#define _mm512_cvtepi32_epi16 emulated::toInt16
#define _mm512_cvtepi32_ps emulated::toFloats
#define _mm512_cvtps_epi32 emulated::toWords
#define _mm512_shuffle_epi32(a, order) emulated::shuffle(a, 0xffff, a, order)
#define _mm512_mask_shuffle_epi32(rest, mask, a, order) emulated::shuffle(rest, mask, a, order)
#define _mm512_mask_loadu_ps(rest, mask, from) emulated::load(rest, mask, from)
#define _mm512_mask_storeu_ps(to, mask, a) emulated::store(to, mask, a)
#define _mm512_reduce_add_ps(a) emulated::reduce(a, [](float x, float y) { return x + y; })
#define _mm512_reduce_max_ps(a) emulated::reduce(a, [](float x, float y) { return x > y ? x : y; })

#define _mm512_cvtneps_pbh emulated::toBf16s
#define _mm512_dpbf16_ps emulated::addPairs

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated::configure
#define _tile_release emulated::release
#define _tile_zero emulated::clear
#define _tile_loadd emulated::loadTile
#define _tile_stored emulated::storeTile
#define _tile_dpbf16ps emulated::multiplyTiles
