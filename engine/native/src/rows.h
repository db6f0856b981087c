// Operations on rows: norms, activations, sums, rotary positions, and the softmax of the loss.
//
// Rows are padded to whole vectors, so elementwise loops run over whole vectors. The padding is undefined: reductions must not
// read it.
#pragma once
#include <type_traits>

#include "kernels.h"
#include "simd.h"

namespace steplog {
namespace STEPLOG_NAMESPACE {

// Polynomial of tanh's argument: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
STEPLOG_INLINE F geluTanh(F x) {
  const F inner = mul(set1(0.7978845608f), fma(mul(mul(x, x), x), set1(0.044715f), x));
  return mul(mul(set1(0.5f), x), STEPLOG_NAMESPACE::add(set1(1.0f), tanh(inner)));
}

STEPLOG_INLINE F activated(F x, Activation kind) {
  switch (kind) {
    case Activation::none: return x;
    case Activation::relu: return selectLess(x, zero(), zero(), x);  // NaN stays NaN
    case Activation::gelu: return mul(mul(set1(0.5f), x), STEPLOG_NAMESPACE::add(set1(1.0f), erf(mul(x, set1(0.7071067812f)))));
    case Activation::geluTanh: return geluTanh(x);
    case Activation::silu: return div(x, STEPLOG_NAMESPACE::add(set1(1.0f), exp(sub(zero(), x))));
  }
  return x;
}

// Writes a vector in the format of its row.
STEPLOG_INLINE void put(const Rows& y, int side, size_t row, size_t column, F v) {
  if (y.bf16) storeBf16(y.half(side, row) + column, v);
  else store(y.f32(side, row) + column, v);
}

template <class Operation>
STEPLOG_INLINE void eachVector(const RowsTask& task, Operation&& operation) {
  for (size_t row = task.from; row < task.to; row++)
    for (size_t column = 0; column < task.columns; column += lanes) put(task.y, task.side, row, column, operation(row, column));
}

inline void activate(const RowsTask& task, Activation kind) {
  eachVector(task, [&](size_t row, size_t column) { return activated(load(task.x.f32(task.side, row) + column), kind); });
}

inline void addRows(const RowsTask& task) {
  eachVector(task, [&](size_t row, size_t column) {
    return add(load(task.x.f32(task.side, row) + column), load(task.other.f32(task.side, row) + column));
  });
}

inline void multiplyRows(const RowsTask& task) {
  eachVector(task, [&](size_t row, size_t column) {
    return mul(load(task.x.f32(task.side, row) + column), load(task.other.f32(task.side, row) + column));
  });
}

inline void scaleRows(const RowsTask& task, float factor) {
  eachVector(task, [&](size_t row, size_t column) { return mul(load(task.x.f32(task.side, row) + column), set1(factor)); });
}

inline void copyRows(const RowsTask& task, const int32_t* index) {
  for (size_t row = task.from; row < task.to; row++) {
    const size_t source = index ? size_t(index[row]) : row;
    for (size_t column = 0; column < task.columns; column += lanes) {
      const F v = task.x.bf16 ? fromBf16(task.x.half(task.side, source) + column) : load(task.x.f32(task.side, source) + column);
      put(task.y, task.side, row, column, v);
    }
  }
}

// Sum of each(vector) over a row. `each` gets zeros after the last column.
template <class Each>
STEPLOG_INLINE float reduceRow(const float* x, size_t columns, float rest, Each&& each) {
  F total[2] = {zero(), zero()};
  size_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    total[0] = add(total[0], each(load(x + c)));
    total[1] = add(total[1], each(load(x + c + lanes)));
  }
  for (; c + lanes <= columns; c += lanes) total[0] = add(total[0], each(load(x + c)));
  if (c < columns) total[1] = add(total[1], each(loadPart(x + c, columns - c, rest)));
  return sum(add(total[0], total[1]));
}

inline void layerNorm(const RowsTask& task, const float* weight, const float* bias, float epsilon) {
  const float size = float(task.columns);
  for (size_t row = task.from; row < task.to; row++) {
    const float* x = task.x.f32(task.side, row);
    const float mean = reduceRow(x, task.columns, 0, [](F v) { return v; }) / size;
    const F center = set1(mean);
    // After the last column the value is the mean, which adds nothing.
    const float variance = reduceRow(x, task.columns, mean, [&](F v) { const F d = sub(v, center); return mul(d, d); }) / size;
    const F inverse = set1(1.0f / std::sqrt(variance + epsilon));
    for (size_t c = 0; c < task.columns; c += lanes) {
      F v = mul(sub(load(x + c), center), inverse);
      if (weight) v = mul(v, load(weight + c));
      if (bias) v = add(v, load(bias + c));
      put(task.y, task.side, row, c, v);
    }
  }
}

inline void rmsNorm(const RowsTask& task, size_t group, const float* weight, float offset, float epsilon) {
  for (size_t row = task.from; row < task.to; row++) {
    for (size_t start = 0; start < task.columns; start += group) {
      const float* x = task.x.f32(task.side, row) + start;
      const float square = reduceRow(x, group, 0, [](F v) { return mul(v, v); }) / float(group);
      const F inverse = set1(1.0f / std::sqrt(square + epsilon));
      for (size_t c = 0; c < group; c += lanes) {
        const F v = mul(mul(load(x + c), inverse), add(load(weight + c), set1(offset)));
        const size_t left = group - c;
        if (left >= lanes) {
          put(task.y, task.side, row, start + c, v);
        } else if (task.y.bf16) {  // must not write the columns of the next group
          alignas(64) uint16_t halves[lanes];
          storeBf16(halves, v);
          for (size_t i = 0; i < left; i++) task.y.half(task.side, row)[start + c + i] = halves[i];
        } else {
          storePart(task.y.f32(task.side, row) + start + c, v, left);
        }
      }
    }
  }
}

inline void rotate(const RowsTask& task, const Rotation& shape) {
  const size_t pairs = shape.pairs, headSize = shape.headSize;
  const bool interleaved = shape.interleaved;
  for (size_t row = task.from; row < task.to; row++) {
    const float* cosine = shape.cosines + size_t(shape.slots[row]) * pairs;
    const float* sine = shape.sines + size_t(shape.slots[row]) * pairs;
    for (size_t head = 0; head < task.columns; head += headSize) {
      const float* x = task.x.f32(task.side, row) + head;
      float* y = task.y.f32(task.side, row) + head;
      size_t i = 0;
      if (!interleaved) {
        for (; i + lanes <= pairs; i += lanes) {
          const F a = load(x + i), b = load(x + i + pairs), c = load(cosine + i), s = load(sine + i);
          store(y + i, sub(mul(a, c), mul(b, s)));
          store(y + i + pairs, add(mul(b, c), mul(a, s)));
        }
      }
      for (; i < pairs; i++) {
        const size_t one = interleaved ? 2 * i : i, two = interleaved ? 2 * i + 1 : i + pairs;
        const float a = x[one], b = x[two];
        y[one] = a * cosine[i] - b * sine[i];
        y[two] = b * cosine[i] + a * sine[i];
      }
      if (x != y) for (size_t c = 2 * pairs; c < headSize; c++) y[c] = x[c];
    }
  }
}

inline void softmax(float* logits, size_t columns, float softcap, LossPartial* partial) {
  if (softcap > 0)
    for (size_t c = 0; c < columns; c += lanes) store(logits + c, mul(set1(softcap), tanh(mul(load(logits + c), set1(1.0f / softcap)))));
  F peaks = set1(partial->peak);
  size_t c = 0;
  for (; c + lanes <= columns; c += lanes) peaks = vmax(load(logits + c), peaks);
  if (c < columns) peaks = vmax(loadPart(logits + c, columns - c, -INFINITY), peaks);
  const float peak = maximum(peaks);
  const F center = set1(peak);
  const float total = reduceRow(logits, columns, -INFINITY, [&](F v) { return exp(sub(v, center)); });
  partial->sum = partial->sum * std::exp(partial->peak - peak) + total;
  partial->peak = peak;
}

}  // namespace STEPLOG_NAMESPACE
}  // namespace steplog
