// Runs programs: one at a time, on all threads of a pool.
#pragma once
#include <array>
#include <map>

#include "plan.h"
#include "pool.h"

namespace steplog {

// Wall time of passes by part, in nanoseconds. `noise` is the part of linear layers and losses that their threads spent packing
// weights, including noise and update.
struct Timings {
  int64_t embed = 0, linear = 0, attention = 0, rows = 0, losses = 0, noise = 0, update = 0;
};

struct Result {
  std::vector<double> losses;  // [sides * rows]
  // [sides * rows, vocab], rows `logitStride` floats apart. The executor's memory: valid until its next pass.
  const float* logits = nullptr;
  size_t logitStride = 0;
};

class Executor {
 public:
  Executor(const Kernels& kernels, size_t threads) : kernels_(kernels), pool_(threads), scratch_(pool_.threads()) {}

  Result run(Program&, const Recording&);
  // Applies the pending updates of a weight, before it is read.
  void settleAll(Weight&);
  // Makes `to`, which is empty, a cache of the first rows of another. A failure is told by the next pass over it.
  static void copyCache(const Cache& from, Cache& to, size_t rows);
  // Applies entries to elements first, first + 1, ... of a tensor that is not a weight of the device.
  void replay(void* elements, Dtype, size_t count, Position, Noise, const std::vector<Entry>&);

  const Kernels& kernels() const { return kernels_; }
  size_t threads() const { return pool_.threads(); }
  Timings takeTimings();
  Pool& pool() { return pool_; }

 private:
  // Operands of one run.
  struct Pass {
    Program& program;
    const Recording& recording;
    Plan plan;
    Mode mode;
    size_t sides;
    bool bf16;
    const Perturbation* perturbation;
    std::map<const Weight*, std::vector<float>> vectors;  // biases and norms: [sides][padded]
    Result result;
  };
  struct Item;  // one linear layer of a step

  void step(Pass&, const Step&);
  void embed(Pass&, const Node&);
  void rowsOperation(Pass&, const Node&);
  void norm(Pass&, const Node&, const RowsTask&);
  void rotate(Pass&, const Node&);
  void attention(Pass&, const Node&);
  void addLowRank(Pass&, const Node&);
  void linears(Pass&, const Step&);
  void feedForward(Pass&, const Step&);
  void heads(Pass&, const Step&);
  void losses(Pass&, const Step&);
  void logits(Pass&, const Step&);

  LinearTask taskOf(Pass&, const Node&, const Rows& x, const Rows& y);
  void runItems(Pass&, std::vector<Item>&);
  void hold(Pass&, int value, size_t offset, size_t columns);
  Rows input(Pass&, const Step&, const Node&);
  Rows rowsOf(Pass&, int value);
  Rows rowsAt(Pass&, size_t offset, size_t rows, size_t columns, bool bf16);
  void eachRows(size_t rows, size_t sides, size_t cost, const std::function<void(int side, size_t from, size_t to)>& work);
  const float* vectorOf(Pass&, const Weight*, int side);
  void prepareVectors(Pass&);
  void requireWhole() const;
  static void requireCaches(const Program&);
  void flush(Weight&);
  void settle(Weight&, size_t most);
  void* scratch(size_t thread, size_t bytes);

  struct Scratch {
    Pages pages;
    int64_t packNanoseconds = 0;
    char pad[64];
  };

  const Kernels& kernels_;
  Pool pool_;
  std::vector<Scratch> scratch_;
  Pages arena_, logits_;
  // A pass failed halfway: some weights have taken an update that others have not.
  bool halfway_ = false;
  Timings timings_;
};

}  // namespace steplog
