// A task of a linear layer: some outputs of one weight, for all rows. Each task packs its own part of the weight, so tasks share
// nothing and can run in any order.
#pragma once
#include <time.h>
#include <type_traits>

#include "gemm.h"
#include "kernels.h"
#include "rows.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

constexpr size_t alignment = 64;
// Bytes of the panels of both sides in a task. In float32, many panels are better than few, even if they exceed the second-level
// cache: each task reads all rows and writes their sums once.
constexpr size_t panelBudget(bool pairs) { return size_t(1) << (!pairs ? 21 : STEPLOG_ISA == STEPLOG_AMX ? 20 : 19); }
// Most inputs of a panel, if sums may be continued.
constexpr size_t mostInputs = 1024;

// Inputs packed at a time. Sums that are written as bfloat16 or through an activation cannot be continued, so their inputs are
// not split.
inline size_t inputsAtOnce(const LinearTask& task) {
  const size_t inputs = task.lastInput - task.firstInput;
  if (task.y.bf16 || task.activation != Activation::none) return inputs;
  const size_t parts = (inputs + mostInputs - 1) / mostInputs;
  return parts == 0 ? 0 : roundUp((inputs + parts - 1) / parts, runInputs);
}

inline size_t panelBytesFor(size_t inputs, bool pairs) { return roundUp(inputs, panelInputs) * panelOutputs * (pairs ? 2 : 4); }

inline size_t linearScratch(const LinearTask& task, size_t outputs) {
  const size_t panels = (outputs + panelOutputs - 1) / panelOutputs;
  return 2 * panels * panelBytesFor(inputsAtOnce(task), task.multiplyBf16) + amxRows * panelOutputs * 4 + alignment;
}

inline size_t linearOutputs(const LinearTask& task) {
  const size_t both = 2 * panelBytesFor(inputsAtOnce(task), task.multiplyBf16);
  const size_t panels = panelBudget(task.multiplyBf16) / (both == 0 ? 1 : both);
  return (panels == 0 ? 1 : panels) * panelOutputs;
}

inline int64_t nowNanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

// y (+)= activation(sums + bias), with sums [rows, panelOutputs], which may be the memory of y.
template <Activation kind>
STEPLOG_INLINE void finishRows(const LinearTask& task, int side, size_t row, size_t rows, size_t output, const float* sums, size_t stride, bool last, bool onto) {
  const size_t column = output - task.origin;
  const bool biased = last && task.bias[side];
  const F bias[2] = {biased ? load(task.bias[side] + output) : zero(), biased ? load(task.bias[side] + output + lanes) : zero()};
  for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; half++) {
      const F v = activated(STEPLOG_NAMESPACE::add(load(sums + r * stride + half * lanes), bias[half]), kind);
      if (task.y.bf16) {
        storeBf16(task.y.half(side, row + r) + column + half * lanes, v);
        continue;
      }
      float* y = task.y.f32(side, row + r) + column + half * lanes;
      store(y, onto ? STEPLOG_NAMESPACE::add(load(y), v) : v);
    }
  }
}

inline void finishTile(const LinearTask& task, int side, size_t row, size_t rows, size_t output, const float* sums, size_t stride, bool last, bool onto) {
  switch (task.activation) {
    case Activation::none: return finishRows<Activation::none>(task, side, row, rows, output, sums, stride, last, onto);
    case Activation::relu: return finishRows<Activation::relu>(task, side, row, rows, output, sums, stride, last, onto);
    case Activation::gelu: return finishRows<Activation::gelu>(task, side, row, rows, output, sums, stride, last, onto);
    case Activation::geluTanh: return finishRows<Activation::geluTanh>(task, side, row, rows, output, sums, stride, last, onto);
    case Activation::silu: return finishRows<Activation::silu>(task, side, row, rows, output, sums, stride, last, onto);
  }
}

// The rows of a tile times the panel of outputs from `output` on. `onto`: adds to the sums in y.
STEPLOG_INLINE void productTile(const LinearTask& task, int side, size_t row, size_t rows, size_t output, size_t input, size_t inputs,
                                const char* panel, float* tile, bool last, bool onto) {
  const size_t at = input - task.firstInput;
#if STEPLOG_ISA == STEPLOG_AMX
  if (task.multiplyBf16) {
    multiplyTileAmx(task.x.half(side, row) + at, task.x.stride, rows, panel, roundUp(inputs, panelInputs), tile);
    return finishTile(task, side, row, rows, output, tile, panelOutputs, last, onto);
  }
#endif
  float* sums = task.y.bf16 ? tile : task.y.f32(side, row) + (output - task.origin);
  const size_t stride = task.y.bf16 ? panelOutputs : task.y.stride;
  withRows<tileRows>(rows, [&](auto count) {
    constexpr size_t R = decltype(count)::value;
    const float* packed = reinterpret_cast<const float*>(panel);
#if STEPLOG_ISA == STEPLOG_AVX512_BF16
    if (task.multiplyBf16) return multiplyTilePairs<R>(task.x.half(side, row) + at, task.x.stride, packed, inputs, sums, stride, onto);
#endif
    multiplyTile<R>(task.x.f32(side, row) + at, task.x.stride, packed, inputs, sums, stride, onto);
  });
  const bool finishes = task.y.bf16 || task.bias[side] || task.activation != Activation::none;
  if (last && finishes) finishTile(task, side, row, rows, output, sums, stride, true, false);
}

// The rows of one side times the packed panels, for the packed inputs. A few rows stay in the first-level cache for all panels.
// Prefetching the next rows or y was measured and gained nothing.
inline void multiplyPanels(const LinearTask& task, int side, size_t input, size_t inputs, const char* panels, size_t panelBytes, float* tile) {
  const bool last = input + inputs == task.lastInput;
  const bool onto = task.accumulate || input > task.firstInput;
  const bool tiles = STEPLOG_ISA == STEPLOG_AMX && task.multiplyBf16;
  const size_t most = tiles ? amxRows : tileRows;
#if STEPLOG_ISA == STEPLOG_AMX
  size_t shaped = 0;
#endif
  for (size_t row = 0; row < task.x.rows; row += most) {
    const size_t rows = task.x.rows - row < most ? task.x.rows - row : most;
#if STEPLOG_ISA == STEPLOG_AMX
    if (tiles && rows != shaped) shapeTiles(shaped = rows);
#endif
    const char* panel = panels;
    for (size_t output = task.first; output < task.last; output += panelOutputs, panel += panelBytes)
      productTile(task, side, row, rows, output, input, inputs, panel, tile, last, onto);
  }
}

inline void linear(const LinearTask& task) {
  const size_t step = inputsAtOnce(task);
  const bool pairs = task.multiplyBf16;
  const size_t panelBytes = panelBytesFor(step, pairs);
  const size_t count = (task.last - task.first + panelOutputs - 1) / panelOutputs;
  char* scratch = static_cast<char*>(task.scratch);
  scratch += (alignment - reinterpret_cast<uintptr_t>(scratch) % alignment) % alignment;
  float* tile = reinterpret_cast<float*>(scratch);
  char* plus = scratch + amxRows * panelOutputs * 4;
  char* panels[2] = {plus, plus + count * panelBytes};
  PackNoise noise(task.w);
  for (size_t input = task.firstInput; input < task.lastInput; input += step) {
    const size_t end = task.lastInput - input < step ? task.lastInput : input + step;
    const int64_t start = nowNanoseconds();
    (task.w.inOut ? packInOut : packOutIn)(task.w, noise, task.first, task.last, input, end, pairs, panels, panelBytes);
    *task.packNanoseconds += nowNanoseconds() - start;
    for (int side = 0; side < task.sides; side++)
      multiplyPanels(task, side, input, end - input, panels[task.w.perturbation ? side : 0], panelBytes, tile);
  }
#if STEPLOG_ISA == STEPLOG_AMX
  if (pairs) _tile_release();
#endif
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
