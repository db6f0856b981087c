// The innermost products: a few rows of x times one panel give a tile of y.
#pragma once
#include "kernels.h"
#include "pack.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Rows of a tile: as many accumulators of two vectors as fit the registers, next to two vectors of the panel and one of x.
#if STEPLOG_ISA >= STEPLOG_AVX512
constexpr size_t tileRows = 14;
#elif STEPLOG_ISA == STEPLOG_AVX2
constexpr size_t tileRows = 6;
#else
constexpr size_t tileRows = 4;
#endif
constexpr size_t amxRows = 32;

// y [R, panelOutputs] (+)= x [R, inputs] times panel.
template <size_t R>
STEPLOG_INLINE void multiplyTile(const float* x, size_t xStride, const float* panel, size_t inputs, float* y, size_t yStride, bool accumulate) {
  F sums[R][2];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++) {
    sums[r][0] = accumulate ? load(y + r * yStride) : zero();
    sums[r][1] = accumulate ? load(y + r * yStride + lanes) : zero();
  }
  for (size_t k = 0; k < inputs; k++) {
    const F b0 = load(panel + k * panelOutputs), b1 = load(panel + k * panelOutputs + lanes);
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++) {
      const F a = set1(x[r * xStride + k]);
      sums[r][0] = fma(a, b0, sums[r][0]);
      sums[r][1] = fma(a, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++) {
    store(y + r * yStride, sums[r][0]);
    store(y + r * yStride + lanes, sums[r][1]);
  }
}

#if STEPLOG_ISA >= STEPLOG_AVX512_BF16
STEPLOG_INLINE __m512bh asPairs(F v) { return reinterpret_cast<__m512bh>(v); }

// The same for pairs of bfloat16: products are exact, sums are float32.
template <size_t R>
STEPLOG_INLINE void multiplyTilePairs(const uint16_t* x, size_t xStride, const float* panel, size_t inputs, float* y, size_t yStride, bool accumulate) {
  F sums[R][2];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++) {
    sums[r][0] = accumulate ? load(y + r * yStride) : zero();
    sums[r][1] = accumulate ? load(y + r * yStride + lanes) : zero();
  }
  for (size_t k = 0; k < inputs; k += 2) {
    const F b0 = load(panel + k / 2 * panelOutputs), b1 = load(panel + k / 2 * panelOutputs + lanes);
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++) {
      float pair;
      std::memcpy(&pair, x + r * xStride + k, 4);
      const F a = set1(pair);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], asPairs(a), asPairs(b0));
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], asPairs(a), asPairs(b1));
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++) {
    store(y + r * yStride, sums[r][0]);
    store(y + r * yStride + lanes, sums[r][1]);
  }
}
#endif

// Calls `tile` with the number of rows as a constant.
template <size_t R, class Tile>
STEPLOG_INLINE void withRows(size_t rows, Tile&& tile) {
  if constexpr (R > 0) {
    if (rows == R) return tile(std::integral_constant<size_t, R>());
    withRows<R - 1>(rows, tile);
  }
}

#if STEPLOG_ISA == STEPLOG_AMX
// Tiles 0 to 3 are sums, 4 and 5 rows of x, 6 and 7 columns of the panel.
struct alignas(64) TileShape {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t columnBytes[16] = {};
  uint8_t rows[16] = {};
};

// For `rows` (at most 32) rows of x. With 16 or fewer, the second tile of x repeats the first, and its sums are dropped.
inline void shapeTiles(size_t rows) {
  TileShape shape;
  const uint8_t upper = uint8_t(rows < 16 ? rows : 16), lower = uint8_t(rows > 16 ? rows - 16 : rows);
  for (int t = 0; t < 8; t++) {
    shape.columnBytes[t] = 64;
    shape.rows[t] = t >= 6 ? 16 : t == 0 || t == 1 || t == 4 ? upper : lower;
  }
  _tile_loadconfig(&shape);
}

// y [rows, 32] = x [rows, inputs] times panel; inputs a multiple of 32.
inline void multiplyTileAmx(const uint16_t* x, size_t xStride, size_t rows, const char* panel, size_t inputs, float* y) {
  const uint16_t* lower = rows > 16 ? x + 16 * xStride : x;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t k = 0; k < inputs; k += 32) {
    const char* b = panel + k / 2 * panelOutputs * 4;
    _tile_loadd(4, x + k, xStride * 2);
    _tile_loadd(6, b, panelOutputs * 4);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 64, panelOutputs * 4);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower + k, xStride * 2);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, y, panelOutputs * 4);
  _tile_stored(1, y + 16, panelOutputs * 4);
  if (rows > 16) {
    _tile_stored(2, y + 16 * panelOutputs, panelOutputs * 4);
    _tile_stored(3, y + 16 * panelOutputs + 16, panelOutputs * 4);
  }
}
#endif

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
