#include "plan.h"

#include <algorithm>
#include <map>

namespace steplog {
namespace {

// Most memory for the hidden columns of a feed-forward layer at a time, both sides together.
constexpr size_t hiddenBytes = size_t(16) << 20;
// Queries, keys and values larger than this are computed for some heads at a time.
constexpr size_t headBytes = size_t(16) << 20, headGroups = 4;

class Planner {
 public:
  Planner(Program& program, const Mode& mode) : program_(program), mode_(mode), sides_(mode.sides), bf16_(mode.bf16) {}

  Plan make() {
    countUses();
    foldActivations();
    foldResiduals();
    dropDead();
    countUses();
    makeSteps();
    chooseFormats();
    layOut();
    return std::move(plan_);
  }

 private:
  // ---------------------------------------------------------------- who uses what
  void countUses() {
    uses_.assign(program_.values.size(), {});
    producer_.assign(program_.values.size(), -1);
    for (size_t i = 0; i < program_.nodes.size(); i++) {
      const Node& node = program_.nodes[i];
      for (int value : node.in) uses_[size_t(root(value))].push_back({int(i), value});
      if (node.residual >= 0) uses_[size_t(root(node.residual))].push_back({int(i), node.residual});
      if (node.out >= 0) producer_[size_t(node.out)] = int(i);
    }
  }

  int root(int value) const { return program_.values[size_t(value)].root; }
  bool whole(int value) const { return root(value) == value; }
  // The value is used once, as a whole.
  bool usedOnce(int value) const { return whole(value) && uses_[size_t(value)].size() == 1 && uses_[size_t(value)][0].value == value; }
  int lastUse(int value) const {
    int last = producer_[size_t(root(value))];
    for (const Use& use : uses_[size_t(root(value))]) last = std::max(last, use.node);
    return last;
  }
  Node& node(int index) { return program_.nodes[size_t(index)]; }
  const Value& value(int index) const { return program_.values[size_t(index)]; }

  // ---------------------------------------------------------------- fusing
  // activation(linear(x)): the linear layer applies it to its output.
  void foldActivations() {
    for (Node& activate : program_.nodes) {
      if (activate.op != Op::activate || !usedOnce(activate.in[0])) continue;
      const int producer = producer_[size_t(activate.in[0])];
      Node& linear = node(producer);
      if (linear.op != Op::linear || linear.activation != Activation::none) continue;
      linear.activation = activate.activation;
      linear.out = activate.out;
      producer_[size_t(linear.out)] = producer;
      activate.op = Op::count;
    }
  }

  // r + linear(x): the products are added to the memory of r, if r is not read later.
  void foldResiduals() {
    int previous = -1;
    for (size_t i = 0; i < program_.nodes.size(); i++) {
      Node& sum = program_.nodes[i];
      if (sum.op == Op::count) continue;
      if (sum.op == Op::add && previous >= 0 && node(previous).op == Op::linear) {
        Node& linear = node(previous);
        for (int side = 0; side < 2; side++) {
          const int product = sum.in[size_t(side)], other = sum.in[size_t(1 - side)];
          if (linear.out != product || !usedOnce(product) || product == other) continue;
          if (linear.activation != Activation::none || linear.residual >= 0) continue;
          if (!whole(other) || lastUse(other) != int(i) || root(linear.in[0]) == other) continue;
          linear.residual = other;
          linear.out = sum.out;
          sum.op = Op::count;
          break;
        }
        if (sum.op == Op::count) continue;
      }
      previous = int(i);
    }
  }

  void dropDead() {
    auto& nodes = program_.nodes;
    nodes.erase(std::remove_if(nodes.begin(), nodes.end(), [](const Node& each) { return each.op == Op::count; }), nodes.end());
  }

  // ---------------------------------------------------------------- steps
  void makeSteps() {
    const int count = int(program_.nodes.size());
    for (int i = 0; i < count;) {
      Step step = node(i).op == Op::linear ? linearStep(i, count) : Step{Step::single, {i}, 0, {}, false, 0};
      i = step.nodes.back() + 1;
      plan_.steps.push_back(std::move(step));
    }
  }

  Step linearStep(int i, int count) {
    const auto isLinear = [&](int at) { return at < count && node(at).op == Op::linear; };
    const auto inner = [&](int at) { return isLinear(at) && node(at).residual < 0 && usedOnce(node(at).out) && !few(at); };
    // up, down
    if (inner(i) && isLinear(i + 1) && node(i + 1).in[0] == node(i).out && distinct({i, i + 1}) && apart(i, i + 1)) return feedForward({i, i + 1});
    // gate, up, gate * up, down
    if (inner(i) && inner(i + 1) && i + 3 < count && node(i + 2).op == Op::multiply && isLinear(i + 3) && usedOnce(node(i + 2).out) &&
        node(i + 1).in[0] == node(i).in[0] && node(i + 3).in[0] == node(i + 2).out && joins(node(i + 2), node(i).out, node(i + 1).out) &&
        distinct({i, i + 1, i + 3}) && apart(i, i + 3))
      return feedForward({i, i + 1, i + 3});
    if (inner(i) && inner(i + 1) && inner(i + 2)) {
      Step heads = headsStep(i, count);
      if (heads.chunk > 0) return heads;
    }
    Step step{Step::linears, {i}, 0, {}, false, 0};
    if (node(i).residual >= 0) return step;
    for (int next = i + 1; isLinear(next) && node(next).residual < 0 && node(next).in[0] == node(i).in[0]; next++) {
      std::vector<int> together = step.nodes;
      together.push_back(next);
      if (!distinct(together) || readsBf16(next) != readsBf16(i)) break;
      // The first layer of a feed-forward pair belongs to the pair.
      if (isLinear(next + 1) && node(next + 1).in[0] == node(next).out) break;
      step.nodes = together;
    }
    return step;
  }

  // Queries, keys and values of one input, the operations on each head of them, and their attention. `chunk` is 0 if the
  // operations are different, or too small to be worth it.
  Step headsStep(int i, int count) {
    Step step{Step::heads, {i, i + 1, i + 2}, 0, {}, false, 0};
    const int input = node(i).in[0];
    if (node(i + 1).in[0] != input || node(i + 2).in[0] != input || !distinct(step.nodes)) return step;
    int made[3] = {node(i).out, node(i + 1).out, node(i + 2).out};
    int at = i + 3;
    for (; at < count && (node(at).op == Op::rotate || node(at).op == Op::rmsNorm); at++) {
      int* whose = std::find(made, made + 3, node(at).in[0]);
      if (whose == made + 3 || !usedOnce(node(at).out)) return step;
      *whose = node(at).out;
      step.nodes.push_back(at);
    }
    if (at >= count || node(at).op != Op::attention || !node(at).caches.empty() || !std::equal(made, made + 3, node(at).in.begin())) return step;
    // A prefix is computed before and has its own memory.
    const Node& attention = node(at);
    for (size_t each = 3; each < step.nodes.size(); each++) {
      const Node& head = node(step.nodes[each]);
      const size_t size = head.op == Op::rotate ? head.headSize : head.weight->elements();
      if (size != attention.headSize) return step;
    }
    step.nodes.push_back(at);
    const size_t columns = value(node(i).out).columns + 2 * value(node(i + 1).out).columns;
    if (sides_ * value(node(i).out).rows * columns * 4 > headBytes) step.chunk = (attention.keyValueHeads + headGroups - 1) / headGroups;
    return step;
  }

  // The sums of the last layer must not overwrite the input that the first layer reads for later chunks.
  bool apart(int up, int down) { return node(down).residual < 0 || root(node(down).residual) != root(node(up).in[0]); }

  bool readsBf16(int at) const {
    const Node& layer = program_.nodes[size_t(at)];
    return steplog::readsBf16(mode_, layer, value(layer.in[0]).rows);
  }
  bool few(int at) const { return isFew(mode_, value(program_.nodes[size_t(at)].out).rows); }

  static bool joins(const Node& product, int a, int b) {
    return (product.in[0] == a && product.in[1] == b) || (product.in[0] == b && product.in[1] == a);
  }

  // The pending updates of a weight are applied by one task at a time.
  bool distinct(const std::vector<int>& nodes) {
    for (size_t i = 0; i < nodes.size(); i++)
      for (size_t j = 0; j < i; j++)
        if (node(nodes[i]).weight == node(nodes[j]).weight) return false;
    return true;
  }

  Step feedForward(const std::vector<int>& nodes) {
    Step step{Step::feedForward, nodes, 0, {}, false, 0};
    const Value& hidden = value(node(nodes[0]).out);
    const size_t bytes = sides_ * chunkedRows(mode_, hidden.rows) * (bf16_ ? 2 : 4) * (nodes.size() == 3 ? 3 : 1);
    // Whole panels of every instruction set, in chunks of equal size.
    const size_t chunks = std::max<size_t>(1, (hidden.columns * bytes + hiddenBytes - 1) / hiddenBytes);
    step.chunk = std::min(hidden.columns, ((hidden.columns + chunks - 1) / chunks + 127) / 128 * 128);
    return step;
  }

  // ---------------------------------------------------------------- formats
  // Values that only matrix products read are stored in the format of the products.
  void chooseFormats() {
    plan_.buffers.resize(program_.values.size());
    if (!bf16_) return;
    for (const Node& node : program_.nodes) {
      if (node.out < 0 || node.op == Op::embed || node.op == Op::rotate || node.op == Op::addLowRank || node.residual >= 0) continue;
      const auto& uses = uses_[size_t(node.out)];
      const bool all = std::all_of(uses.begin(), uses.end(), [&](const Use& use) { return multiplies(use); });
      plan_.buffers[size_t(node.out)].bf16 = all && !uses.empty();
    }
  }

  struct Use {
    int node, value;
  };

  bool multiplies(const Use& use) const {
    const Node& node = program_.nodes[size_t(use.node)];
    const bool product = node.op == Op::linear || node.op == Op::losses || node.op == Op::logits;
    if (!product || node.residual == use.value || !readsBf16(use.node)) return false;
    // Kernels read inputs in groups of 32, where the neighbours of a slice are not zero.
    return whole(use.value) || value(use.value).columns % 32 == 0;
  }

  // ---------------------------------------------------------------- memory
  void layOut() {
    stepOf_.assign(program_.nodes.size(), 0);
    int at = 0;
    for (size_t s = 0, i = 0; s < plan_.steps.size(); s++) {
      const int last = plan_.steps[s].nodes.back();
      for (; int(i) <= last; i++) stepOf_[i] = int(s);
    }
    for (Step& step : plan_.steps) layOutStep(step, at++);
    plan_.bytes = std::max<size_t>(top_, 256);
  }

  void layOutStep(Step& step, int at) {
    std::vector<std::pair<size_t, size_t>> temporary;
    const auto borrow = [&](size_t bytes) {
      const size_t offset = take(bytes);
      temporary.push_back({offset, bytes});
      return offset;
    };
    const Node& first = node(step.nodes[0]);
    if (step.kind == Step::feedForward) {
      const size_t rows = value(first.out).rows;
      for (size_t i = 0; i + 1 < step.nodes.size(); i++) step.hidden.push_back(borrow(bytesOf(sides_, rows, step.chunk, bf16_ && step.nodes.size() == 2)));
      if (step.nodes.size() == 3) step.hidden.push_back(borrow(bytesOf(sides_, rows, step.chunk, bf16_)));
    }
    if (step.kind == Step::heads) {
      const Node& attention = node(step.nodes.back());
      const size_t keys = step.chunk * attention.headSize, queries = keys * (attention.heads / attention.keyValueHeads);
      for (size_t columns : {queries, keys, keys}) step.hidden.push_back(borrow(bytesOf(sides_, value(first.out).rows, columns, false)));
    }
    const bool product = step.kind != Step::single || first.op == Op::losses || first.op == Op::logits;
    const Value& input = value(first.in.empty() ? 0 : first.in[0]);
    if (product && readsBf16(step.nodes[0]) && !plan_.buffers[size_t(input.root)].bf16) {
      step.converts = true;
      step.converted = borrow(bytesOf(sides_, input.rows, input.columns, true));
    }
    if (step.kind == Step::feedForward || step.kind == Step::heads) placeOutput(node(step.nodes.back()), at);
    else for (int index : step.nodes) placeOutput(node(index), at);
    for (const auto& [offset, bytes] : temporary) give(offset, bytes);
    releaseAfter(at);
  }

  void placeOutput(const Node& node, int at) {
    if (node.out < 0) return;
    Buffer& buffer = plan_.buffers[size_t(node.out)];
    const Value& out = value(node.out);
    buffer.stride = strideOf(out.columns, buffer.bf16);
    buffer.used = true;
    const int shared = node.residual >= 0 ? node.residual : inPlace(node, at);
    if (shared >= 0) {
      const Held held = held_.at(root(shared));
      held_.erase(root(shared));
      buffer.offset = held.offset;
      held_[node.out] = held;
    } else {
      const size_t bytes = bytesOf(sides_, out.rows, out.columns, buffer.bf16);
      buffer.offset = take(bytes);
      held_[node.out] = {buffer.offset, bytes};
    }
  }

  // The operand whose memory an elementwise operation may overwrite.
  int inPlace(const Node& node, int at) const {
    const bool elementwise = node.op == Op::add || node.op == Op::multiply || node.op == Op::scale || node.op == Op::layerNorm ||
                             node.op == Op::rmsNorm || node.op == Op::rotate || node.op == Op::activate || node.op == Op::attention || node.op == Op::addLowRank;
    if (!elementwise) return -1;
    // These read the others after they have written.
    const bool firstAlone = node.op == Op::attention || node.op == Op::addLowRank;
    const size_t candidates = firstAlone ? 1 : node.in.size();
    for (size_t i = 0; i < candidates; i++) {
      const int operand = node.in[i];
      if (!whole(operand) || held_.count(operand) == 0 || lastStep(operand) != at) continue;
      if (plan_.buffers[size_t(operand)].bf16 != plan_.buffers[size_t(node.out)].bf16) continue;
      // Another operand in the same memory (a value added to its own slice) would be overwritten before it is read.
      bool alone = true;
      for (size_t j = 0; j < node.in.size(); j++) alone = alone && (j == i || node.in[j] == operand || root(node.in[j]) != operand);
      if (firstAlone) alone = std::none_of(node.in.begin() + 1, node.in.end(), [&](int other) { return root(other) == operand; });
      if (alone) return operand;
    }
    return -1;
  }

  int lastStep(int rootValue) const {
    int last = -1;
    for (const Use& use : uses_[size_t(rootValue)]) last = std::max(last, stepOf_[size_t(use.node)]);
    return last;
  }

  void releaseAfter(int at) {
    for (auto it = held_.begin(); it != held_.end();) {
      if (lastStep(it->first) <= at && stepOf_[size_t(producer_[size_t(it->first)])] <= at) {
        give(it->second.offset, it->second.bytes);
        it = held_.erase(it);
      } else {
        ++it;
      }
    }
  }

  // The first free range that fits, else at the end.
  size_t take(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second < bytes) continue;
      const size_t offset = it->first, left = it->second - bytes;
      free_.erase(it);
      if (left > 0) free_[offset + bytes] = left;
      return offset;
    }
    const size_t offset = end_;
    end_ += bytes;
    top_ = std::max(top_, end_);
    return offset;
  }

  void give(size_t offset, size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    auto next = free_.lower_bound(offset);
    if (next != free_.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      auto before = std::prev(next);
      if (before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        free_.erase(before);
      }
    }
    if (offset + bytes == end_) end_ = offset;
    else free_[offset] = bytes;
  }

  struct Held {
    size_t offset, bytes;
  };

  Program& program_;
  const Mode mode_;
  const size_t sides_;
  const bool bf16_;
  Plan plan_;
  std::vector<std::vector<Use>> uses_;  // of roots, including uses of their slices
  std::vector<int> producer_;
  std::vector<int> stepOf_;
  std::map<int, Held> held_;
  std::map<size_t, size_t> free_;
  size_t end_ = 0, top_ = 0;
};

}  // namespace

Plan makePlan(Program& program, const Mode& mode) { return Planner(program, mode).make(); }

}  // namespace steplog
