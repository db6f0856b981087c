// Linear layers without packing: stored weights are read once, in place, for all rows, so that a few rows, as in decoding, cost
// what reading the weights does. For one side, unperturbed weights, and x and y in float32.
//
// A product of a row and an output has four vectors of sums, each of every fourth vector of inputs; inputs left over are added one
// by one at the end. With weights [in, out], sums go over the inputs in order. So the bits of a row depend neither on the rows
// beside it nor on how rows, outputs and sums are shared out below.
#pragma once
#include <type_traits>

#include "linear.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Vectors of sums of a product.
constexpr size_t dotVectors = 4;
// Outputs multiplied together, which share the loads of x, and rows, which share those of the weights.
constexpr size_t dotOutputs = STEPLOG_ISA >= STEPLOG_AVX2 ? 3 : 2, dotRows = STEPLOG_ISA >= STEPLOG_AVX512 ? 8 : 4;
// Vectors of sums in registers, with room for those of the weights and of x.
constexpr size_t dotSums = dotOutputs * dotRows;
// Rows and outputs whose products are finished together. More rows read the weights again.
constexpr size_t dotBlockRows = 32, dotBlockOutputs = 96;
// Inputs of weights [in, out] that are added to the sums together.
constexpr size_t inputsTogether = 4;
static_assert(dotBlockOutputs % panelOutputs == 0, "a block is finished by whole panels");

inline size_t dotsScratch(size_t outputs) {
  const size_t width = roundUp(outputs > dotBlockOutputs ? outputs : dotBlockOutputs, panelOutputs);
  return dotBlockRows * width * 4 + alignment;
}

// Stored weights as float32.
template <Dtype dtype>
struct Stored {
  using Element = std::conditional_t<dtype == Dtype::F32, float, uint16_t>;
  static STEPLOG_INLINE F vector(const Element* w) {
    if constexpr (dtype == Dtype::F32) return load(w);
    else return fromBf16(w);
  }
  static STEPLOG_INLINE float one(const Element* w) {
    if constexpr (dtype == Dtype::F32) return *w;
    else {
      const uint32_t bits = uint32_t(*w) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
  }
  static const Element* at(const Matrix& w, size_t element) { return static_cast<const Element*>(w.data) + element; }
};

// ------------------------------------------------------------------ weights [out, in]
// Products of R rows and O outputs, before the four vectors of each are added. `count` inputs are a multiple of those. If not all
// sums fit the registers, there are several passes over the inputs, which find the weights in the cache. `next`: weights to fetch
// into the second-level cache meanwhile.
template <Dtype dtype, size_t R, size_t O>
STEPLOG_INLINE void dotTile(const float* x, size_t xStride, const typename Stored<dtype>::Element* w, size_t wStride, size_t count, const typename Stored<dtype>::Element* next,
                            float parts[R][O][dotVectors][lanes]) {
  constexpr size_t fitting = dotSums / (R * O), J = fitting >= 4 ? 4 : fitting >= 2 ? 2 : 1;
  for (size_t first = 0; first < dotVectors; first += J) {
    F part[R][O][J];
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++)
#pragma GCC unroll 3
      for (size_t o = 0; o < O; o++)
#pragma GCC unroll 4
        for (size_t j = 0; j < J; j++) part[r][o][j] = zero();
    for (size_t i = first * lanes; i < count; i += dotVectors * lanes) {
#pragma GCC unroll 4
      for (size_t j = 0; j < J; j++) {
        F weights[O];
#pragma GCC unroll 3
        for (size_t o = 0; o < O; o++) {
          // The processor itself finds the weights of a single row, which come in order.
          if constexpr (R > 1) __builtin_prefetch(next + o * wStride + i + j * lanes, 0, 2);
          weights[o] = Stored<dtype>::vector(w + o * wStride + i + j * lanes);
        }
#pragma GCC unroll 16
        for (size_t r = 0; r < R; r++) {
          const F a = load(x + r * xStride + i + j * lanes);
#pragma GCC unroll 3
          for (size_t o = 0; o < O; o++) part[r][o][j] = fma(a, weights[o], part[r][o][j]);
        }
      }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < R; r++)
#pragma GCC unroll 3
      for (size_t o = 0; o < O; o++)
#pragma GCC unroll 4
        for (size_t j = 0; j < J; j++) store(parts[r][o][first + j], part[r][o][j]);
  }
}

// sums[R][O] = x [R, inputs] times w [O, inputs].
template <Dtype dtype, size_t R, size_t O>
inline void dots(const float* x, size_t xStride, const typename Stored<dtype>::Element* w, size_t wStride, size_t inputs, const typename Stored<dtype>::Element* next, float* sums, size_t stride) {
  alignas(alignment) float parts[R][O][dotVectors][lanes];
  const size_t count = inputs / (dotVectors * lanes) * (dotVectors * lanes);
  dotTile<dtype, R, O>(x, xStride, w, wStride, count, next, parts);
  for (size_t r = 0; r < R; r++) {
    for (size_t o = 0; o < O; o++) {
      const auto& four = parts[r][o];
      float total = sum(STEPLOG_NAMESPACE::add(STEPLOG_NAMESPACE::add(load(four[0]), load(four[1])), STEPLOG_NAMESPACE::add(load(four[2]), load(four[3]))));
      for (size_t i = count; i < inputs; i++) total += x[r * xStride + i] * Stored<dtype>::one(w + o * wStride + i);
      sums[r * stride + o] = total;
    }
  }
}

// sums [rows, dotBlockOutputs] of outputs from, ..., to - 1.
template <Dtype dtype>
inline void dotBlock(const LinearTask& task, size_t row, size_t rows, size_t from, size_t to, float* sums) {
  const size_t inputs = task.lastInput - task.firstInput, groups = (rows + dotRows - 1) / dotRows;
  if (rows == 1) {
    for (size_t output = from; output < to; output++) {
      const auto* w = Stored<dtype>::at(task.w, output * task.w.inputs + task.firstInput);
      dots<dtype, 1, 1>(task.x.f32(0, row), task.x.stride, w, task.w.inputs, inputs, nullptr, sums + (output - from), dotBlockOutputs);
    }
    return;
  }
  for (size_t output = from; output < to; output += dotOutputs) {
    const auto* w = Stored<dtype>::at(task.w, output * task.w.inputs + task.firstInput);
    for (size_t group = 0; group < groups; group++) {
      const size_t at = group * rows / groups, end = (group + 1) * rows / groups;
      const auto* next = group == 0 ? w + dotOutputs * task.w.inputs : w;
      const float* x = task.x.f32(0, row + at);
      float* out = sums + at * dotBlockOutputs + (output - from);
      withRows<dotRows>(end - at, [&](auto count) {
        constexpr size_t R = decltype(count)::value;
        withRows<dotOutputs>(to - output < dotOutputs ? to - output : dotOutputs, [&](auto outputs) {
          dots<dtype, R, decltype(outputs)::value>(x, task.x.stride, w, task.w.inputs, inputs, next, out, dotBlockOutputs);
        });
      });
    }
  }
}

// ------------------------------------------------------------------ weights [in, out]
// sums [rows, stride] += inputs input, ..., input + K - 1 of x, times outputs from, ..., to - 1 of w.
template <Dtype dtype, size_t K>
inline void addInputs(const LinearTask& task, size_t row, size_t rows, size_t input, float* sums, size_t stride) {
  const size_t count = task.last - task.first;
  const auto* w = Stored<dtype>::at(task.w, input * task.w.outputs + task.first);
  const auto* x = task.x.f32(0, row) + (input - task.firstInput);
  const size_t whole = count / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes) {
    F weights[K];
#pragma GCC unroll 4
    for (size_t k = 0; k < K; k++) weights[k] = Stored<dtype>::vector(w + k * task.w.outputs + i);
    for (size_t r = 0; r < rows; r++) {
      F total = load(sums + r * stride + i);
#pragma GCC unroll 4
      for (size_t k = 0; k < K; k++) total = fma(set1(x[r * task.x.stride + k]), weights[k], total);
      store(sums + r * stride + i, total);
    }
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t i = whole; i < count; i++)
      for (size_t k = 0; k < K; k++) sums[r * stride + i] += x[r * task.x.stride + k] * Stored<dtype>::one(w + k * task.w.outputs + i);
}

template <Dtype dtype>
inline void sumInputs(const LinearTask& task, size_t row, size_t rows, float* sums, size_t stride) {
  for (size_t i = 0; i < rows * stride; i++) sums[i] = 0;
  size_t input = task.firstInput;
  for (; input + inputsTogether <= task.lastInput; input += inputsTogether) addInputs<dtype, inputsTogether>(task, row, rows, input, sums, stride);
  for (; input < task.lastInput; input++) addInputs<dtype, 1>(task, row, rows, input, sums, stride);
}

// ------------------------------------------------------------------ the task
// y (+)= activation(sums + bias) for outputs from, ..., to - 1.
inline void finishDots(const LinearTask& task, size_t row, size_t rows, size_t from, size_t to, const float* sums, size_t stride) {
  for (size_t output = from; output < to; output += panelOutputs)
    finishTile(task, 0, row, rows, output, sums + (output - from), stride, true, task.accumulate);
}

template <Dtype dtype>
inline void linearDotsOf(const LinearTask& task, float* sums) {
  for (size_t row = 0; row < task.x.rows; row += dotBlockRows) {
    const size_t rows = task.x.rows - row < dotBlockRows ? task.x.rows - row : dotBlockRows;
    if (task.w.inOut) {
      const size_t stride = roundUp(task.last - task.first, panelOutputs);
      sumInputs<dtype>(task, row, rows, sums, stride);
      finishDots(task, row, rows, task.first, task.last, sums, stride);
      continue;
    }
    for (size_t output = task.first; output < task.last; output += dotBlockOutputs) {
      const size_t end = task.last - output < dotBlockOutputs ? task.last : output + dotBlockOutputs;
      dotBlock<dtype>(task, row, rows, output, end, sums);
      finishDots(task, row, rows, output, end, sums, dotBlockOutputs);
    }
  }
}

inline void linearDots(const LinearTask& task) {
  char* scratch = static_cast<char*>(task.scratch);
  scratch += (alignment - reinterpret_cast<uintptr_t>(scratch) % alignment) % alignment;
  float* sums = reinterpret_cast<float*>(scratch);
  if (task.w.dtype == Dtype::F32) linearDotsOf<Dtype::F32>(task, sums);
  else linearDotsOf<Dtype::BF16>(task, sums);
}

// ------------------------------------------------------------------ a few inputs
// The first `count` weights; zeros after them.
template <Dtype dtype>
STEPLOG_INLINE F someWeights(const typename Stored<dtype>::Element* w, size_t count) {
  if (count >= lanes) return Stored<dtype>::vector(w);
  alignas(alignment) float some[lanes] = {};
  for (size_t i = 0; i < count; i++) some[i] = Stored<dtype>::one(w + i);
  return load(some);
}

// The rank of an adapter is a vector or two: its inputs left over would be most of the work of a dot product as above.
template <Dtype dtype>
inline void addLowRankOf(const LowRankTask& task) {
  const auto* b = static_cast<const typename Stored<dtype>::Element*>(task.b);
  for (size_t output = task.first; output < task.last; output++) {
    for (size_t row = 0; row < task.x.rows; row++) {
      const float* x = task.x.f32(0, row);
      F total = zero();
      for (size_t i = 0; i < task.rank; i += lanes) {
        const size_t left = task.rank - i;
        total = fma(left < lanes ? loadPart(x + i, left, 0.0f) : load(x + i), someWeights<dtype>(b + output * task.rank + i, left), total);
      }
      task.y.f32(0, row)[output] += sum(total);
    }
  }
}

inline void addLowRank(const LowRankTask& task) { (task.dtype == Dtype::F32 ? addLowRankOf<Dtype::F32> : addLowRankOf<Dtype::BF16>)(task); }

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
