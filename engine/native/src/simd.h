// One vector type for every instruction set, so that each kernel is written once. STEPLOG_ISA, a number from binding.gyp,
// selects the instruction set of this translation unit. Each has its own namespace, so that the linker never uses the code of
// one for another.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define STEPLOG_PORTABLE 0
#define STEPLOG_AVX2 1
#define STEPLOG_AVX512 2
#define STEPLOG_AVX512_BF16 3
#define STEPLOG_AMX 4

#if STEPLOG_ISA == STEPLOG_PORTABLE
#define STEPLOG_NAMESPACE portable
#elif STEPLOG_ISA == STEPLOG_AVX2
#define STEPLOG_NAMESPACE avx2
#elif STEPLOG_ISA == STEPLOG_AVX512
#define STEPLOG_NAMESPACE avx512
#elif STEPLOG_ISA == STEPLOG_AVX512_BF16
#define STEPLOG_NAMESPACE avx512bf16
#else
#define STEPLOG_NAMESPACE amx
#endif

#if STEPLOG_ISA != STEPLOG_PORTABLE
#include <immintrin.h>
#endif

#define STEPLOG_INLINE inline __attribute__((always_inline))

namespace steplog {
namespace STEPLOG_NAMESPACE {

#if STEPLOG_ISA >= STEPLOG_AVX512
// ------------------------------------------------------------------ AVX-512
constexpr size_t lanes = 16;
using F = __m512;

STEPLOG_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
STEPLOG_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
STEPLOG_INLINE F set1(float v) { return _mm512_set1_ps(v); }
STEPLOG_INLINE F zero() { return _mm512_setzero_ps(); }
STEPLOG_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
STEPLOG_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
STEPLOG_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
STEPLOG_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
STEPLOG_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
STEPLOG_INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
STEPLOG_INLINE F vmax(F a, F b) { return _mm512_max_ps(a, b); }
STEPLOG_INLINE F vmin(F a, F b) { return _mm512_min_ps(a, b); }
STEPLOG_INLINE F abs(F a) { return _mm512_abs_ps(a); }
STEPLOG_INLINE F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// `magnitude` with the sign of `sign`.
STEPLOG_INLINE F copySign(F magnitude, F sign) {
  const __m512i mask = _mm512_set1_epi32(int(0x80000000u));
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(mask, _mm512_castps_si512(sign), _mm512_castps_si512(magnitude), 0xCA));
}
// a < b ? x : y
STEPLOG_INLINE F selectLess(F a, F b, F x, F y) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x); }
// 2^n for whole numbers n in the range of normal floats.
STEPLOG_INLINE F powerOfTwo(F n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23)); }
STEPLOG_INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
STEPLOG_INLINE float maximum(F a) { return _mm512_reduce_max_ps(a); }
STEPLOG_INLINE F loadPart(const float* p, size_t n, float rest) {
  return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), __mmask16((1u << n) - 1), p);
}
STEPLOG_INLINE void storePart(float* p, F v, size_t n) { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v); }
STEPLOG_INLINE F fromInt16(const int16_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))); }
STEPLOG_INLINE F fromBf16(const uint16_t* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}
// To nearest, ties to even.
STEPLOG_INLINE void storeBf16(uint16_t* p, F v) {
#if STEPLOG_ISA >= STEPLOG_AVX512_BF16
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
#else
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i result = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16)));
#endif
}
// bits(v) + r with the lower half cleared: stochastic rounding.
STEPLOG_INLINE F roundStochastic(F v, const uint16_t* r) {
  const __m512i add = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(r)));
  const __m512i bits = _mm512_add_epi32(_mm512_castps_si512(v), add);
  return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(int(0xffff0000u))));
}
STEPLOG_INLINE void storeUpper(uint16_t* p, F v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16)));
}
// w + a where the bit of the element is set, else w + minus. `bits` starts at the byte of the first element; up to three bytes
// after the last may be read.
STEPLOG_INLINE F addSigned(F w, const uint8_t* bits, size_t element, F a, F minus) {
  uint16_t mask;
  std::memcpy(&mask, bits + element / 8, 2);
  return _mm512_add_ps(w, _mm512_mask_blend_ps(mask, minus, a));
}

#elif STEPLOG_ISA == STEPLOG_AVX2
// ------------------------------------------------------------------ AVX2 with FMA
constexpr size_t lanes = 8;
using F = __m256;

STEPLOG_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
STEPLOG_INLINE void store(float* p, F v) { _mm256_storeu_ps(p, v); }
STEPLOG_INLINE F set1(float v) { return _mm256_set1_ps(v); }
STEPLOG_INLINE F zero() { return _mm256_setzero_ps(); }
STEPLOG_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
STEPLOG_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
STEPLOG_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
STEPLOG_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
STEPLOG_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
STEPLOG_INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
STEPLOG_INLINE F vmax(F a, F b) { return _mm256_max_ps(a, b); }
STEPLOG_INLINE F vmin(F a, F b) { return _mm256_min_ps(a, b); }
STEPLOG_INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
STEPLOG_INLINE F round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
STEPLOG_INLINE F copySign(F magnitude, F sign) {
  const F mask = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_and_ps(mask, sign), _mm256_andnot_ps(mask, magnitude));
}
STEPLOG_INLINE F selectLess(F a, F b, F x, F y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
STEPLOG_INLINE F powerOfTwo(F n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)); }
STEPLOG_INLINE float sum(F a) {
  __m128 h = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
STEPLOG_INLINE float maximum(F a) {
  __m128 h = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  h = _mm_max_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}
STEPLOG_INLINE F loadPart(const float* p, size_t n, float rest) {
  alignas(32) float t[8];
  for (size_t i = 0; i < 8; i++) t[i] = i < n ? p[i] : rest;
  return _mm256_load_ps(t);
}
STEPLOG_INLINE void storePart(float* p, F v, size_t n) {
  alignas(32) float t[8];
  _mm256_store_ps(t, v);
  for (size_t i = 0; i < n; i++) p[i] = t[i];
}
STEPLOG_INLINE F fromInt16(const int16_t* p) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))); }
STEPLOG_INLINE F fromBf16(const uint16_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
STEPLOG_INLINE void storeUpperHalves(uint16_t* p, __m256i bits) {
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0xD8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
STEPLOG_INLINE void storeBf16(uint16_t* p, F v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  storeUpperHalves(p, _mm256_blendv_epi8(rounded, quiet, nan));
}
STEPLOG_INLINE F roundStochastic(F v, const uint16_t* r) {
  const __m256i add = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(r)));
  const __m256i bits = _mm256_add_epi32(_mm256_castps_si256(v), add);
  return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(int(0xffff0000u))));
}
STEPLOG_INLINE void storeUpper(uint16_t* p, F v) { storeUpperHalves(p, _mm256_castps_si256(v)); }
STEPLOG_INLINE F addSigned(F w, const uint8_t* bits, size_t element, F a, F minus) {
  int four;  // read as a whole: a load can broadcast it; a byte in a register takes two more instructions
  std::memcpy(&four, bits + element / 8, 4);
  const __m256i toSign = _mm256_sllv_epi32(_mm256_set1_epi32(four), _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
  return _mm256_add_ps(w, _mm256_blendv_ps(minus, a, _mm256_castsi256_ps(toSign)));
}
// The same for 32 elements, whose bits are one word.
constexpr size_t signVectors = 4;
STEPLOG_INLINE void addSignedWord(F w[signVectors], const uint8_t* bits, size_t element, F a, F minus) {
  int word;
  std::memcpy(&word, bits + element / 8, 4);
#pragma GCC unroll 4
  for (int i = 0; i < int(signVectors); i++) {
    const int top = 31 - 8 * i;
    const __m256i toSign = _mm256_sllv_epi32(_mm256_set1_epi32(word), _mm256_setr_epi32(top, top - 1, top - 2, top - 3, top - 4, top - 5, top - 6, top - 7));
    w[i] = _mm256_add_ps(w[i], _mm256_blendv_ps(minus, a, _mm256_castsi256_ps(toSign)));
  }
}

#else
// ------------------------------------------------------------------ portable: GCC's and Clang's vectors (NEON, SSE2)
constexpr size_t lanes = 4;
typedef float F __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));

STEPLOG_INLINE F load(const float* p) { F v; std::memcpy(&v, p, 16); return v; }
STEPLOG_INLINE void store(float* p, F v) { std::memcpy(p, &v, 16); }
STEPLOG_INLINE F set1(float v) { return F{v, v, v, v}; }
STEPLOG_INLINE F zero() { return set1(0); }
STEPLOG_INLINE F add(F a, F b) { return a + b; }
STEPLOG_INLINE F sub(F a, F b) { return a - b; }
STEPLOG_INLINE F mul(F a, F b) { return a * b; }
STEPLOG_INLINE F div(F a, F b) { return a / b; }
// If the product is not exact, this rounds twice; only sums that may differ by a rounding use it that way.
STEPLOG_INLINE F fma(F a, F b, F c) { return a * b + c; }
STEPLOG_INLINE F fnma(F a, F b, F c) { return c - a * b; }
STEPLOG_INLINE F pick(I mask, F x, F y) { return (F)(((I)x & mask) | ((I)y & ~mask)); }
STEPLOG_INLINE F vmax(F a, F b) { return pick(a > b, a, b); }
STEPLOG_INLINE F vmin(F a, F b) { return pick(a < b, a, b); }
STEPLOG_INLINE F abs(F a) { return (F)((I)a & 0x7fffffff); }
STEPLOG_INLINE F round(F a) { return F{std::nearbyintf(a[0]), std::nearbyintf(a[1]), std::nearbyintf(a[2]), std::nearbyintf(a[3])}; }
STEPLOG_INLINE F copySign(F magnitude, F sign) { return (F)(((I)magnitude & 0x7fffffff) | ((I)sign & int32_t(0x80000000u))); }
STEPLOG_INLINE F selectLess(F a, F b, F x, F y) { return pick(a < b, x, y); }
STEPLOG_INLINE F powerOfTwo(F n) { return (F)((__builtin_convertvector(n, I) + 127) << 23); }
STEPLOG_INLINE float sum(F a) { return (a[0] + a[1]) + (a[2] + a[3]); }
STEPLOG_INLINE float maximum(F a) { return std::fmax(std::fmax(a[0], a[1]), std::fmax(a[2], a[3])); }
STEPLOG_INLINE F loadPart(const float* p, size_t n, float rest) {
  F v = set1(rest);
  for (size_t i = 0; i < n; i++) v[i] = p[i];
  return v;
}
STEPLOG_INLINE void storePart(float* p, F v, size_t n) { for (size_t i = 0; i < n; i++) p[i] = v[i]; }
STEPLOG_INLINE F fromInt16(const int16_t* p) { return F{float(p[0]), float(p[1]), float(p[2]), float(p[3])}; }
STEPLOG_INLINE F fromBf16(const uint16_t* p) {
  return (F)I{int32_t(uint32_t(p[0]) << 16), int32_t(uint32_t(p[1]) << 16), int32_t(uint32_t(p[2]) << 16), int32_t(uint32_t(p[3]) << 16)};
}
STEPLOG_INLINE void storeBf16(uint16_t* p, F v) {
  uint32_t bits[4];
  std::memcpy(bits, &v, 16);
  for (size_t i = 0; i < 4; i++) {
    const bool nan = (bits[i] & 0x7fffffff) > 0x7f800000;
    p[i] = uint16_t((nan ? bits[i] | 0x400000 : bits[i] + 0x7fff + ((bits[i] >> 16) & 1)) >> 16);
  }
}
STEPLOG_INLINE F roundStochastic(F v, const uint16_t* r) {
  return (F)(((I)v + I{r[0], r[1], r[2], r[3]}) & int32_t(0xffff0000u));
}
STEPLOG_INLINE void storeUpper(uint16_t* p, F v) {
  uint32_t bits[4];
  std::memcpy(bits, &v, 16);
  for (size_t i = 0; i < 4; i++) p[i] = uint16_t(bits[i] >> 16);
}
STEPLOG_INLINE F addSigned(F w, const uint8_t* bits, size_t element, F a, F minus) {
  const int b = bits[element / 8] >> (element % 8);
  return w + pick(I{-(b & 1), -((b >> 1) & 1), -((b >> 2) & 1), -((b >> 3) & 1)}, a, minus);
}
#endif

// ------------------------------------------------------------------ for all instruction sets
#if STEPLOG_ISA != STEPLOG_AVX2
constexpr size_t signVectors = 1;
STEPLOG_INLINE void addSignedWord(F w[signVectors], const uint8_t* bits, size_t element, F a, F minus) { w[0] = addSigned(w[0], bits, element, a, minus); }
#endif

// e^x, to about 2 units in the last place; 0 below -87, and never infinity (x is clamped to 88). NaN stays NaN: vmin and vmax
// return their second operand if one is NaN.
STEPLOG_INLINE F exp(F x) {
  const F clamped = vmin(set1(88.37626f), vmax(set1(-87.33654f), x));
  const F n = round(mul(clamped, set1(1.44269504f)));
  F r = fnma(n, set1(0.693359375f), clamped);
  r = fnma(n, set1(-2.12194440e-4f), r);
  F p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  const F e = add(fma(mul(p, r), r, r), set1(1.0f));
  return selectLess(x, set1(-87.33654f), zero(), mul(e, powerOfTwo(n)));
}

// Small arguments use the odd Taylor polynomial, because 1 - 2 / (e^2x + 1) would cancel.
STEPLOG_INLINE F tanh(F x) {
  const F size = abs(x);
  const F square = mul(x, x);
  F p = set1(-0.0218694885f);
  p = fma(p, square, set1(0.0539682540f));
  p = fma(p, square, set1(-0.1333333333f));
  p = fma(p, square, set1(0.3333333333f));
  const F small = fnma(mul(mul(p, square), size), set1(1.0f), size);
  const F large = sub(set1(1.0f), div(set1(2.0f), add(exp(add(size, size)), set1(1.0f))));
  return copySign(selectLess(size, set1(0.25f), small, large), x);
}

// Error function: Abramowitz and Stegun 7.1.26, with an absolute error of 1.5e-7; near 0 that is too coarse, so a series.
STEPLOG_INLINE F erf(F x) {
  const F size = abs(x);
  const F square = mul(x, x);
  F series = set1(-1.0f / 1320.0f);
  series = fma(series, square, set1(1.0f / 216.0f));
  series = fma(series, square, set1(-1.0f / 42.0f));
  series = fma(series, square, set1(0.1f));
  series = fma(series, square, set1(-1.0f / 3.0f));
  series = fma(series, square, set1(1.0f));
  const F small = mul(mul(series, size), set1(1.1283791671f));
  const F t = div(set1(1.0f), fma(size, set1(0.3275911f), set1(1.0f)));
  F p = set1(1.061405429f);
  p = fma(p, t, set1(-1.453152027f));
  p = fma(p, t, set1(1.421413741f));
  p = fma(p, t, set1(-0.284496736f));
  p = fma(p, t, set1(0.254829592f));
  const F large = sub(set1(1.0f), mul(mul(p, t), exp(sub(zero(), square))));
  return copySign(selectLess(size, set1(0.5f), small, large), x);
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
