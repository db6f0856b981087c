// How a program is run: which operations are fused into one step, and where each activation is stored and for how long. Since
// the whole pass is known before it runs, activations whose lifetimes do not overlap share memory, which does not grow with the
// depth of the model.
#pragma once
#include "program.h"

namespace steplog {

// Steps of a plan.
struct Step {
  enum Kind { single, linears, feedForward, heads } kind = single;
  // linears: linear layers with the same input. feedForward: [gate,] up, down. heads: queries, keys, values, the operations on
  // each head of them, attention.
  std::vector<int> nodes;
  // feedForward: hidden columns computed at a time, and the memory of [gate,] up, product. heads: key heads computed at a time,
  // and the memory of their queries, keys and values.
  size_t chunk = 0;
  std::vector<size_t> hidden;
  // Where the input is first copied as bfloat16, unless it is bfloat16 already.
  bool converts = false;
  size_t converted = 0;
};

// Where a root value is stored.
struct Buffer {
  size_t offset = 0, stride = 0;
  bool bf16 = false, used = false;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Buffer> buffers;  // by value; of roots
  size_t bytes = 0;
};

// What a plan depends on, beside the program.
struct Mode {
  size_t sides = 1;
  bool perturbed = false, bf16 = false;
  Products products = Products::byNumber;
};

// Linear layers with at most this many rows on one side are multiplied without packing, if that goes by their number.
constexpr size_t fewRows = 3;
// Layers are cut as for this many rows where bits must not depend on the number: tiles of AMX start a new sum with every chunk.
constexpr size_t rowsOfChunks = 128;

// Padding columns let kernels read and write whole vectors, and spread rows over the sets of the cache.
inline size_t strideOf(size_t columns, bool bf16) { return (columns + 31) / 32 * 32 + (bf16 ? 32 : 16); }
inline size_t bytesOf(size_t sides, size_t rows, size_t columns, bool bf16) {
  return sides * rows * strideOf(columns, bf16) * (bf16 ? 2 : 4) + 256;
}

// Whether rows are multiplied without packing, which does not support noise.
inline bool isFew(const Mode& mode, size_t rows) {
  if (mode.products != Products::byNumber) return mode.products == Products::rows;
  return mode.sides == 1 && !mode.perturbed && rows <= fewRows;
}
// Whether a linear layer, or the head, reads its input as bfloat16.
inline bool readsBf16(const Mode& mode, const Node& node, size_t rows) {
  if (!mode.bf16 || !isFew(mode, rows)) return mode.bf16;
  const bool inOut = node.op == Op::linear && node.flag;
  return mode.products == Products::rows && node.op != Op::losses && node.weight->dtype == Dtype::BF16 && !inOut;
}
inline size_t chunkedRows(const Mode& mode, size_t rows) { return mode.products == Products::byNumber ? rows : rowsOfChunks; }

// Fuses operations of the program, changing its nodes, and lays out memory.
Plan makePlan(Program&, const Mode&);

}  // namespace steplog
