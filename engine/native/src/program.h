// A pass as recorded in TypeScript: a list of operations on activations, all checked before anything is computed.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "weight.h"

namespace steplog {

// The numbers are those in engine/devices/native.ts.
enum class Op : int {
  embed = 0,
  add,
  multiply,
  scale,
  slice,
  layerNorm,
  rmsNorm,
  rotate,
  linear,
  attention,
  activate,
  gather,
  losses,
  logits,
  addLowRank,
  count,
};

using List = std::vector<int32_t>;
using WeightRef = std::shared_ptr<Weight>;
using CacheRef = std::shared_ptr<Cache>;

// An activation [rows, columns]. A slice consists of columns of another activation.
struct Value {
  size_t rows = 0, columns = 0;
  int root = -1;           // the value that owns its memory
  size_t firstColumn = 0;  // within the root
};

// The term of an adapter for a run of rows: scale * b (a x).
struct LowRank {
  WeightRef a, b;
  float scale = 0;
  size_t first = 0, rows = 0;
};

struct Node {
  Op op;
  std::vector<int> in;  // values
  int out = -1;
  WeightRef weight, bias;
  std::vector<double> numbers;
  const List* list = nullptr;
  const std::vector<double>* table = nullptr;
  size_t heads = 0, keyValueHeads = 0, headSize = 0, window = 0;
  size_t firstHead = 0;  // position of the current key heads among those of the prefix
  bool flag = false;  // causal; interleaved; [in, out]
  Activation activation = Activation::none;
  std::vector<CacheRef> caches;
  std::vector<LowRank> parts;
  // Set when operations are fused (plan.h).
  int residual = -1;  // a linear layer adds its output to this value, in its memory
};

// How the rows of a pass are multiplied: by dot products of stored weights if there are few, by packed panels if there are many;
// or in one of these ways whatever their number, so that no row's bits depend on it. The numbers are those in
// engine/devices/native.ts.
enum class Products : int { byNumber = 0, panels, rows, count };

// A recorded pass, not checked yet.
struct Recording {
  std::vector<int32_t> code;
  std::vector<double> numbers;
  std::vector<List> lists;
  std::vector<std::vector<double>> tables;
  bool perturbed = false;
  Perturbation perturbation{};
  bool multiplyBf16 = false;
  Products products = Products::byNumber;
};

struct Program {
  std::vector<Node> nodes;
  std::vector<Value> values;
  // The result's shape: losses [sides * rows]; logits [sides * rows, columns].
  Op result = Op::losses;
  size_t resultRows = 0, resultColumns = 0;
};

// Finds the weights and caches of a recording by their ids.
struct Names {
  virtual WeightRef weight(int32_t id) const = 0;
  virtual CacheRef cache(int32_t id) const = 0;
  virtual ~Names() = default;
};

// Checks every id, shape, index and number. Throws Invalid. The recording must outlive the program.
Program decode(const Recording&, const Names&);

}  // namespace steplog
