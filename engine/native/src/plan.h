// How a program is run: which operations are joined into one step, where each activation lies, and when it goes. Since a
// pass is known whole before it runs, memory is shared by activations whose lives do not meet, and does not grow with
// the depth of the model.
#pragma once
#include "program.h"

namespace steplog {

// Steps of a plan.
struct Step {
  enum Kind { single, linears, feedForward, heads } kind = single;
  // linears: of one input; feedForward: [gate,] up, down; heads: queries, keys, values, what is done to each head of them,
  // attention.
  std::vector<int> nodes;
  // feedForward: hidden columns that are computed at a time, and where they lie: [gate,] up, product. heads: key heads that
  // are computed at a time, and where their queries, keys and values lie.
  size_t chunk = 0;
  std::vector<size_t> hidden;
  // Where the input is copied to as bfloat16 first; none when it is stored so already.
  bool converts = false;
  size_t converted = 0;
};

// Where a root value lies.
struct Buffer {
  size_t offset = 0, stride = 0;
  bool bf16 = false, used = false;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Buffer> buffers;  // by value; of roots
  size_t bytes = 0;
};

// Linear layers of at most so many rows, of one side, are multiplied without packing.
constexpr size_t fewRows = 3;

// Columns of padding let kernels read and write whole vectors, and keep rows from falling into one set of the cache.
inline size_t strideOf(size_t columns, bool bf16) { return (columns + 31) / 32 * 32 + (bf16 ? 32 : 16); }
inline size_t bytesOf(size_t sides, size_t rows, size_t columns, bool bf16) {
  return sides * rows * strideOf(columns, bf16) * (bf16 ? 2 : 4) + 256;
}

// Rows few enough to be multiplied without packing, which knows no noise.
inline bool isFew(size_t sides, bool perturbed, size_t rows) { return sides == 1 && !perturbed && rows <= fewRows; }

// Joins operations of the program (changing its nodes) and lays out memory.
Plan makePlan(Program&, size_t sides, bool perturbed, bool multiplyBf16);

}  // namespace steplog
