// The peak of the processor: multiply-adds on registers alone, with as many sums at once as the products have. Benchmarks
// report the share of it that the products reach.
#pragma once
#include "gemm.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Does `rounds` multiply-adds on each sum and returns the number of floating-point operations. The sums go to `out` [lanes],
// so that the compiler must compute them.
inline double multiplyAdds(size_t rounds, bool bf16, float* out) {
#if STEPLOG_ISA == STEPLOG_AMX
  if (bf16) {
    alignas(64) uint16_t ones[16 * 32];
    for (uint16_t& each : ones) each = 0x3f80;
    alignas(64) float sums[16 * 16];
    shapeTiles(amxRows);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ones, 64);
    _tile_loadd(5, ones, 64);
    _tile_loadd(6, ones, 64);
    _tile_loadd(7, ones, 64);
    for (size_t k = 0; k < rounds; k++) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    _tile_release();
    store(out, load(sums));
    return double(rounds) * 4 * 16 * 16 * 32 * 2;
  }
#endif
  constexpr size_t count = 2 * tileRows;
  F sums[count];
  for (size_t i = 0; i < count; i++) sums[i] = set1(float(i));
#if STEPLOG_ISA == STEPLOG_AVX512_BF16
  if (bf16) {
    float pair;
    const uint32_t bits = 0x3f803f80;  // 1 and 1
    std::memcpy(&pair, &bits, 4);
    const F ones = set1(pair);
    for (size_t k = 0; k < rounds; k++) {
#pragma GCC unroll 28
      for (size_t i = 0; i < count; i++) sums[i] = _mm512_dpbf16_ps(sums[i], asPairs(ones), asPairs(ones));
    }
  } else
#endif
  {
    (void)bf16;
    const F half = set1(0.5f), one = set1(1.0f);
    for (size_t k = 0; k < rounds; k++) {
#pragma GCC unroll 28
      for (size_t i = 0; i < count; i++) sums[i] = fma(sums[i], half, one);
    }
  }
  F total = zero();
  for (size_t i = 0; i < count; i++) total = STEPLOG_NAMESPACE::add(total, sums[i]);
  store(out, total);
  return double(rounds) * count * lanes * 2 * (STEPLOG_ISA == STEPLOG_AVX512_BF16 && bf16 ? 2 : 1);
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
