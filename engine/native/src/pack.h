// Packs a piece of a weight for the matrix kernels. On the way, pending updates are applied and written back, and w + e*n and
// w - e*n are made from the same noise, so a step reads and writes each weight once.
//
// A panel has `panelOutputs` outputs of one side: floats [input][output], or, for products in bfloat16, pairs of inputs
// [input / 2][output][2]. Inputs are padded with zeros to a multiple of panelInputs, outputs to a whole panel.
#pragma once
#include "kernels.h"
#include "update.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t panelOutputs = 2 * lanes;
constexpr size_t panelInputs = 32;
// Inputs packed at a time: rows of them fit the first-level cache, for both sides.
constexpr size_t runInputs = runElements;

constexpr size_t roundUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

// The noise setup for packing one weight, made once per task.
struct PackNoise {
  static constexpr size_t most = 8;
  RunEntry pending[most];
  size_t pendingCount;
  RunNoise perturbation;

  explicit PackNoise(const Matrix& w) : pendingCount(w.pendingCount) {
    for (size_t i = 0; i < w.pendingCount; i++) {
      const Entry& entry = w.pending[i];
      pending[i].noise.keys = noiseKeys(w.pendingNoise, entry.seed, w.tensor);
      pending[i].rounding = makeKeys(entry.seed, w.tensor, streamRounding);
      pending[i].entry = entry;
    }
    if (w.perturbation) perturbation.keys = noiseKeys(w.perturbation->noise, w.perturbation->seed, w.tensor);
  }
};

// Values of one run of elements for each side, padded with zeros to a multiple of panelInputs.
inline void sidesOfRun(const Matrix& w, PackNoise& noise, size_t first, size_t count, float* plus, float* minus) {
  alignas(64) float values[runInputs];
  char* at = static_cast<char*>(w.data) + first * (w.dtype == Dtype::F32 ? 4 : 2);
  const float* current = updateRun(at, w.dtype, count, first, w.pendingNoise, noise.pending, noise.pendingCount, values);
  if (w.perturbation) perturbValues(current, count, first, *w.perturbation, noise.perturbation, plus, minus);
  else std::memcpy(plus, current, count * 4);
  for (size_t i = count; i < roundUp(count, panelInputs); i++) {
    plus[i] = 0;
    if (w.perturbation) minus[i] = 0;
  }
}

// dst[c][r] = src[r][c] for a square of `lanes` words.
STEPLOG_INLINE void transposeSquare(const float* src, size_t srcStride, float* dst, size_t dstStride) {
#if STEPLOG_ISA >= STEPLOG_AVX512
#pragma GCC unroll 4
  for (size_t c = 0; c < 4; c++) {
    F row[4];
#pragma GCC unroll 4
    for (size_t r = 0; r < 4; r++) {
      // 128-bit lane l has words 4c, ..., 4c + 3 of row 4l + r, so that only words within 128 bits remain to be exchanged.
      const float* p = src + r * srcStride + 4 * c;
      F v = _mm512_castps128_ps512(_mm_loadu_ps(p));
      v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 4 * srcStride), 1);
      v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 8 * srcStride), 2);
      row[r] = _mm512_insertf32x4(v, _mm_loadu_ps(p + 12 * srcStride), 3);
    }
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(row[0], row[1])), b = _mm512_castps_pd(_mm512_unpackhi_ps(row[0], row[1]));
    const __m512d d = _mm512_castps_pd(_mm512_unpacklo_ps(row[2], row[3])), e = _mm512_castps_pd(_mm512_unpackhi_ps(row[2], row[3]));
    store(dst + (4 * c) * dstStride, _mm512_castpd_ps(_mm512_unpacklo_pd(a, d)));
    store(dst + (4 * c + 1) * dstStride, _mm512_castpd_ps(_mm512_unpackhi_pd(a, d)));
    store(dst + (4 * c + 2) * dstStride, _mm512_castpd_ps(_mm512_unpacklo_pd(b, e)));
    store(dst + (4 * c + 3) * dstStride, _mm512_castpd_ps(_mm512_unpackhi_pd(b, e)));
  }
#elif STEPLOG_ISA == STEPLOG_AVX2
  for (size_t c = 0; c < 8; c += 4) {
    F row[4];
    for (size_t r = 0; r < 4; r++)
      row[r] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(src + r * srcStride + c)), _mm_loadu_ps(src + (r + 4) * srcStride + c), 1);
    const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(row[0], row[1])), b = _mm256_castps_pd(_mm256_unpackhi_ps(row[0], row[1]));
    const __m256d d = _mm256_castps_pd(_mm256_unpacklo_ps(row[2], row[3])), e = _mm256_castps_pd(_mm256_unpackhi_ps(row[2], row[3]));
    store(dst + c * dstStride, _mm256_castpd_ps(_mm256_unpacklo_pd(a, d)));
    store(dst + (c + 1) * dstStride, _mm256_castpd_ps(_mm256_unpackhi_pd(a, d)));
    store(dst + (c + 2) * dstStride, _mm256_castpd_ps(_mm256_unpacklo_pd(b, e)));
    store(dst + (c + 3) * dstStride, _mm256_castpd_ps(_mm256_unpackhi_pd(b, e)));
  }
#else
  for (size_t r = 0; r < lanes; r++)
    for (size_t c = 0; c < lanes; c++) dst[c * dstStride + r] = src[r * srcStride + c];
#endif
}

// Writes rows [lanes][runInputs] of values to inputs at, ..., at + padded - 1 and outputs column, ..., column + lanes - 1 of a
// panel.
inline void rowsToPanel(const float* rows, size_t padded, bool pairs, void* panel, size_t at, size_t column) {
  if (!pairs) {
    float* out = static_cast<float*>(panel) + at * panelOutputs + column;
    for (size_t i = 0; i < padded; i += lanes) transposeSquare(rows + i, runInputs, out + i * panelOutputs, panelOutputs);
    return;
  }
  alignas(64) uint16_t halves[lanes * runInputs];
  for (size_t r = 0; r < lanes; r++)
    for (size_t i = 0; i < padded; i += lanes) storeBf16(halves + r * runInputs + i, load(rows + r * runInputs + i));
  // A pair of bfloat16 moves as one word.
  const float* words = reinterpret_cast<const float*>(halves);
  float* out = static_cast<float*>(panel) + at / 2 * panelOutputs + column;
  for (size_t i = 0; i < padded / 2; i += lanes) transposeSquare(words + i, runInputs / 2, out + i * panelOutputs, panelOutputs);
}

// Outputs first, ..., last - 1 of a weight [out, in], inputs firstInput, ..., lastInput - 1.
inline void packOutIn(const Matrix& w, PackNoise& noise, size_t first, size_t last, size_t firstInput, size_t lastInput,
                      bool pairs, char* const panels[2], size_t panelBytes) {
  alignas(64) float rows[2][lanes * runInputs];
  const int sides = w.perturbation ? w.perturbation->sides : 1;
  for (size_t output = first; output < roundUp(last - first, panelOutputs) + first; output += lanes) {
    const size_t panel = (output - first) / panelOutputs, column = (output - first) % panelOutputs;
    for (size_t input = firstInput; input < lastInput; input += runInputs) {
      const size_t count = lastInput - input < runInputs ? lastInput - input : runInputs;
      const size_t padded = roundUp(count, panelInputs);
      for (size_t r = 0; r < lanes; r++) {
        float* plus = rows[0] + r * runInputs;
        float* minus = rows[1] + r * runInputs;
        if (output + r < last) {
          sidesOfRun(w, noise, (output + r) * w.inputs + input, count, plus, minus);
        } else {
          for (size_t i = 0; i < padded; i++) plus[i] = minus[i] = 0;
        }
      }
      for (int side = 0; side < sides; side++) rowsToPanel(rows[side], padded, pairs, panels[side] + panel * panelBytes, input - firstInput, column);
    }
  }
}

// The same for a weight [in, out].
inline void packInOut(const Matrix& w, PackNoise& noise, size_t first, size_t last, size_t firstInput, size_t lastInput,
                      bool pairs, char* const panels[2], size_t panelBytes) {
  alignas(64) float rows[2][runInputs];
  const int sides = w.perturbation ? w.perturbation->sides : 1;
  const size_t padded = roundUp(lastInput - firstInput, panelInputs);
  for (size_t input = 0; input < padded; input++) {
    for (size_t output = first; output < last; output += runInputs) {
      const size_t count = last - output < runInputs ? last - output : runInputs;
      const bool real = firstInput + input < lastInput;
      const size_t whole = roundUp(count, panelOutputs);
      if (real) sidesOfRun(w, noise, (firstInput + input) * w.outputs + output, count, rows[0], rows[1]);
      for (int side = 0; side < sides; side++) {
        for (size_t i = real ? count : 0; i < whole; i++) rows[side][i] = 0;
        for (size_t i = 0; i < whole; i += panelOutputs) {
          char* panel = panels[side] + (output - first + i) / panelOutputs * panelBytes;
          if (!pairs) {
            std::memcpy(reinterpret_cast<float*>(panel) + input * panelOutputs, rows[side] + i, panelOutputs * 4);
            continue;
          }
          alignas(64) uint16_t halves[panelOutputs];
          for (size_t j = 0; j < panelOutputs; j += lanes) storeBf16(halves + j, load(rows[side] + i + j));
          uint16_t* out = reinterpret_cast<uint16_t*>(panel) + (input / 2) * panelOutputs * 2 + input % 2;
          for (size_t j = 0; j < panelOutputs; j++) out[2 * j] = halves[j];
        }
      }
    }
  }
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
