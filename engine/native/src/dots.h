// Linear layers without packing: stored weights are read once, in place, for all rows, so that a few rows, as in decoding, cost
// what reading the weights does. For one side, unperturbed weights, and y in float32.
//
// There are two orders of sums. `linearDots` is for evaluations, whose bits it gave from the start: a product of a row and an output has four
// vectors of sums, each of every fourth vector of inputs. `linearRows` is for sequences that are decoded together: one vector,
// so that the sums of eight rows and three outputs fit the registers. In both, inputs left over are added one by one at the
// end, and with weights [in, out] sums go over the inputs in order. So the bits of a row depend neither on the rows beside it
// nor on how rows, outputs and sums are shared out below.
#pragma once
#include <type_traits>

#include "linear.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Vectors of sums of a product in linearDots.
constexpr size_t dotVectors = 4;
// Outputs multiplied together, which share the loads of x, and rows, which share those of the weights: as many as there are
// registers for sums, beside those of the weights and of x.
constexpr size_t dotOutputs = STEPLOG_ISA >= STEPLOG_AVX2 ? 3 : 2, dotRows = STEPLOG_ISA >= STEPLOG_AVX512 ? 8 : 4;
// Rows and outputs whose products are finished together. More rows read the weights again.
constexpr size_t dotBlockRows = 32, dotBlockOutputs = 96;
// Inputs of weights [in, out] that are added to the sums together.
constexpr size_t inputsTogether = 4;
static_assert(dotBlockOutputs % panelOutputs == 0, "a block is finished by whole panels");

inline size_t dotsScratch(size_t outputs) {
  const size_t width = roundUp(outputs > dotBlockOutputs ? outputs : dotBlockOutputs, panelOutputs);
  return dotBlockRows * width * 4 + alignment;
}

inline float widened(uint16_t half) {
  const uint32_t bits = uint32_t(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
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
    else return widened(*w);
  }
  static const Element* at(const Matrix& w, size_t element) { return static_cast<const Element*>(w.data) + element; }
};

// ------------------------------------------------------------------ weights [out, in]
// How a row and stored weights are multiplied, `inputs` of them by an instruction. In float32:
template <Dtype dtype>
struct InFloats : Stored<dtype> {
  using X = float;
  using Vector = F;
  static constexpr size_t inputs = lanes;
  static const X* row(const Rows& x, size_t row) { return x.f32(0, row); }
  static STEPLOG_INLINE Vector row(const X* x) { return load(x); }
  static STEPLOG_INLINE Vector weights(const typename Stored<dtype>::Element* w) { return Stored<dtype>::vector(w); }
  static STEPLOG_INLINE F multiplied(Vector x, Vector w, F sums) { return fma(x, w, sums); }
  static STEPLOG_INLINE float one(X x, typename Stored<dtype>::Element w) { return x * Stored<dtype>::one(&w); }
};

#if STEPLOG_ISA >= STEPLOG_AVX512_BF16
// By pairs of bfloat16, of which a lane adds two to its sum: twice as many products, and no weight is converted.
struct InPairs : Stored<Dtype::BF16> {
  using X = uint16_t;
  using Vector = __m512bh;
  static constexpr size_t inputs = 2 * lanes;
  static const X* row(const Rows& x, size_t row) { return x.half(0, row); }
  static STEPLOG_INLINE Vector row(const X* x) { return asPairs(load(reinterpret_cast<const float*>(x))); }
  static STEPLOG_INLINE Vector weights(const Element* w) { return row(w); }
  static STEPLOG_INLINE F multiplied(Vector x, Vector w, F sums) { return _mm512_dpbf16_ps(sums, x, w); }
  static STEPLOG_INLINE float one(X x, Element w) { return widened(x) * widened(w); }
};
#endif

template <size_t V>
STEPLOG_INLINE float total(const F (&sums)[V]) {
  if constexpr (V == 1) return sum(sums[0]);
  else return sum(STEPLOG_NAMESPACE::add(STEPLOG_NAMESPACE::add(sums[0], sums[1]), STEPLOG_NAMESPACE::add(sums[2], sums[3])));
}

// sums [R, O] = x [R, inputs] times w [O, inputs], with V vectors of sums of each. `next`: weights to fetch into the second-level
// cache meanwhile.
template <class In, size_t V, size_t R, size_t O>
STEPLOG_INLINE void dots(const typename In::X* x, size_t xStride, const typename In::Element* w, size_t wStride, size_t inputs, const typename In::Element* next, float* sums, size_t stride) {
  static_assert(V == 1 || V == dotVectors, "total adds them");
  F part[R][O][V];
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++)
#pragma GCC unroll 3
    for (size_t o = 0; o < O; o++)
#pragma GCC unroll 4
      for (size_t v = 0; v < V; v++) part[r][o][v] = zero();
  const size_t count = inputs / (V * In::inputs) * (V * In::inputs);
  for (size_t i = 0; i < count; i += V * In::inputs) {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; v++) {
      const size_t at = i + v * In::inputs;
      typename In::Vector weights[O];
#pragma GCC unroll 3
      for (size_t o = 0; o < O; o++) {
        // The processor itself finds the weights of a single row, which come in order.
        if constexpr (R > 1) __builtin_prefetch(next + o * wStride + at, 0, 2);
        weights[o] = In::weights(w + o * wStride + at);
      }
#pragma GCC unroll 16
      for (size_t r = 0; r < R; r++) {
        const typename In::Vector row = In::row(x + r * xStride + at);
#pragma GCC unroll 3
        for (size_t o = 0; o < O; o++) part[r][o][v] = In::multiplied(row, weights[o], part[r][o][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < R; r++)
#pragma GCC unroll 3
    for (size_t o = 0; o < O; o++) sums[r * stride + o] = total(part[r][o]);
  for (size_t i = count; i < inputs; i++)
    for (size_t r = 0; r < R; r++)
      for (size_t o = 0; o < O; o++) sums[r * stride + o] += In::one(x[r * xStride + i], w[o * wStride + i]);
}

// sums [rows, dotBlockOutputs] of outputs from, ..., to - 1, in the order of linearDots.
template <Dtype dtype>
inline void dotBlock(const LinearTask& task, size_t row, size_t rows, size_t from, size_t to, float* sums) {
  using In = InFloats<dtype>;
  const size_t inputs = task.lastInput - task.firstInput;
  for (size_t output = from; output < to; output++) {
    const auto* w = In::at(task.w, output * task.w.inputs + task.firstInput);
    for (size_t r = 0; r < rows; r++)
      dots<In, dotVectors, 1, 1>(task.x.f32(0, row + r), task.x.stride, w, task.w.inputs, inputs, nullptr, sums + r * dotBlockOutputs + (output - from), dotBlockOutputs);
  }
}

// The same in the order of linearRows.
template <class In>
inline void rowsBlock(const LinearTask& task, size_t row, size_t rows, size_t from, size_t to, float* sums) {
  const size_t inputs = task.lastInput - task.firstInput, groups = (rows + dotRows - 1) / dotRows;
  // The weights of a single row are read in order, which is faster than several outputs at a time.
  const size_t together = rows == 1 ? 1 : dotOutputs;
  for (size_t output = from; output < to; output += together) {
    const auto* w = In::at(task.w, output * task.w.inputs + task.firstInput);
    const size_t outputs = to - output < together ? to - output : together;
    for (size_t group = 0; group < groups; group++) {
      const size_t at = group * rows / groups, end = (group + 1) * rows / groups;
      const auto* next = group == 0 ? w + dotOutputs * task.w.inputs : w;
      float* out = sums + at * dotBlockOutputs + (output - from);
      withRows<dotRows>(end - at, [&](auto count) {
        withRows<dotOutputs>(outputs, [&](auto width) {
          dots<In, 1, decltype(count)::value, decltype(width)::value>(In::row(task.x, row + at), task.x.stride, w, task.w.inputs, inputs, next, out, dotBlockOutputs);
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

// `block` computes sums of weights [out, in].
template <Dtype dtype, class Block>
inline void linearInPlace(const LinearTask& task, const Block& block) {
  char* scratch = static_cast<char*>(task.scratch);
  scratch += (alignment - reinterpret_cast<uintptr_t>(scratch) % alignment) % alignment;
  float* sums = reinterpret_cast<float*>(scratch);
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
      block(task, row, rows, output, end, sums);
      finishDots(task, row, rows, output, end, sums, dotBlockOutputs);
    }
  }
}

inline void linearDots(const LinearTask& task) {
  if (task.w.dtype == Dtype::F32) linearInPlace<Dtype::F32>(task, dotBlock<Dtype::F32>);
  else linearInPlace<Dtype::BF16>(task, dotBlock<Dtype::BF16>);
}

inline void linearRows(const LinearTask& task) {
#if STEPLOG_ISA >= STEPLOG_AVX512_BF16
  if (task.x.bf16) return linearInPlace<Dtype::BF16>(task, rowsBlock<InPairs>);
#endif
  if (task.w.dtype == Dtype::F32) linearInPlace<Dtype::F32>(task, rowsBlock<InFloats<Dtype::F32>>);
  else linearInPlace<Dtype::BF16>(task, rowsBlock<InFloats<Dtype::BF16>>);
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
  // A few rows at a time: those of a prompt would be fetched anew for each output.
  for (size_t from = 0; from < task.x.rows; from += dotBlockRows) {
    const size_t to = task.x.rows - from < dotBlockRows ? task.x.rows : from + dotBlockRows;
    for (size_t output = task.first; output < task.last; output++) {
      for (size_t row = from; row < to; row++) {
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
}

inline void addLowRank(const LowRankTask& task) { (task.dtype == Dtype::F32 ? addLowRankOf<Dtype::F32> : addLowRankOf<Dtype::BF16>)(task); }

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
