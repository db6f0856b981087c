// Linear layers, feed-forward layers, and the head with its losses.
#include <algorithm>
#include <cmath>
#include <limits>

#include "execute-common.h"

namespace steplog {
namespace {

// Parts of the vocabulary with separate running softmaxes.
constexpr size_t headGroups = 64;
// Logits that a task computes before it adds them to the softmaxes, and the fewest panels for which it reads all rows. Products
// in bfloat16 are limited by their panels alone.
constexpr size_t logitBytesATask = size_t(2) << 20, fewestPanels = 4;
// Smallest part of a region when work is balanced.
constexpr size_t tasksAThread = 8;

}  // namespace

// The outputs of a linear layer in one region, split into tasks of `outputs`.
struct Executor::Item {
  LinearTask task;
  Weight* weight;
  bool few;
};

namespace {

// Matrix kernels read bfloat16 inputs in groups of 32: columns after the last must be zero.
void clearPadding(const Rows& x, size_t sides, size_t columns) {
  if (!x.bf16 || columns % 32 == 0) return;
  for (size_t side = 0; side < sides; side++)
    for (size_t row = 0; row < x.rows; row++) std::fill(x.half(int(side), row) + columns, x.half(int(side), row) + (columns + 31) / 32 * 32, uint16_t(0));
}

}  // namespace

Rows Executor::input(Pass& pass, const Step& step, const Node& node) {
  Rows x = rowsOf(pass, node.in[0]);
  const Value& value = pass.program.values[size_t(node.in[0])];
  if (step.converts) {
    Timer timer(timings_.rows);
    const RowsTask whole{x, {}, rowsAt(pass, step.converted, value.rows, value.columns, true), 0, 0, 0, value.columns};
    eachRows(value.rows, pass.sides, value.columns, [&](int side, size_t from, size_t to) {
      RowsTask part = whole;
      part.side = side, part.from = from, part.to = to;
      kernels_.copy(part, nullptr);
    });
    x = whole.y;
  }
  clearPadding(x, pass.sides, value.columns);
  return x;
}

LinearTask Executor::taskOf(Pass& pass, const Node& node, const Rows& x, const Rows& y) {
  Weight& weight = *node.weight;
  LinearTask task{};
  task.x = x, task.y = y;
  task.sides = int(pass.sides);
  const bool inOut = node.op == Op::linear && node.flag;
  const Perturbation* perturbation = weight.trainable ? pass.perturbation : nullptr;
  const size_t inputs = weight.shape[inOut ? 0 : 1], outputs = weight.shape[inOut ? 1 : 0];
  settle(weight, foldedEntries);
  task.w = {weight.data(), weight.dtype, inOut, inputs, outputs, weight.tensor, weight.pending.data(), weight.pending.size(), weight.pendingNoise, perturbation};
  task.last = outputs, task.lastInput = inputs;
  for (size_t side = 0; side < pass.sides; side++) task.bias[side] = vectorOf(pass, node.bias.get(), int(side));
  task.activation = node.activation;
  task.accumulate = node.residual >= 0;
  task.multiplyBf16 = x.bf16;
  return task;
}

// One region of tasks over the outputs of all items.
void Executor::runItems(Pass& pass, std::vector<Item>& items) {
  size_t most = std::numeric_limits<size_t>::max(), total = 0;
  for (Item& each : items) {
    most = std::min(most, kernels_.linearOutputs(each.task));
    total += each.task.last - each.task.first;
    if (each.few) flush(*each.weight), each.task.w.pendingCount = 0;
  }
  // As many outputs per task as is best, unless that gives one thread more than its share.
  size_t outputs = most, best = std::numeric_limits<size_t>::max();
  for (size_t candidate = most; candidate >= kernels_.panel; candidate -= kernels_.panel) {
    size_t tasks = 0;
    for (const Item& each : items) tasks += ceilDivide(each.task.last - each.task.first, candidate);
    const size_t longest = ceilDivide(tasks, pool_.threads()) * candidate;
    if (longest < best) best = longest, outputs = candidate;
    if (tasks >= tasksAThread * pool_.threads()) break;
  }
  struct Part {
    const Item* item;
    size_t first, last;
  };
  std::vector<Part> parts;
  size_t bytes = 0;
  for (const Item& each : items) {
    bytes = std::max(bytes, each.few ? kernels_.dotsScratch(outputs) : kernels_.linearScratch(each.task, outputs));
    for (size_t at = each.task.first; at < each.task.last; at += outputs) parts.push_back({&each, at, std::min(each.task.last, at + outputs)});
  }
  pool_.run(parts.size(), [&](size_t index, size_t thread) {
    const Part& part = parts[index];
    LinearTask task = part.item->task;
    task.first = part.first, task.last = part.last;
    task.scratch = scratch(thread, bytes);
    task.packNanoseconds = &scratch_[thread].packNanoseconds;
    const auto few = pass.mode.products == Products::rows ? kernels_.linearRows : kernels_.linearDots;
    (part.item->few ? few : kernels_.linear)(task);
  });
}

void Executor::linears(Pass& pass, const Step& step) {
  Timer timer(timings_.linear);
  std::vector<Item> items;
  Rows x{};
  for (size_t i = 0; i < step.nodes.size(); i++) {
    const Node& node = pass.program.nodes[size_t(step.nodes[i])];
    if (i == 0) x = input(pass, step, node);
    items.push_back({taskOf(pass, node, x, rowsOf(pass, node.out)), node.weight.get(), isFew(pass.mode, x.rows)});
  }
  runItems(pass, items);
  for (Item& each : items) each.weight->pending.clear();
}

// down(activation(up(x))) or down(gate(x) * up(x)), some hidden columns at a time, so that whole hidden rows are
// never in memory.
void Executor::feedForward(Pass& pass, const Step& step) {
  Timer timer(timings_.linear);
  const auto node = [&](size_t i) -> const Node& { return pass.program.nodes[size_t(step.nodes[i])]; };
  const size_t before = step.nodes.size() - 1;
  const bool gated = before == 2;
  const Rows x = input(pass, step, node(0));
  const size_t hidden = pass.program.values[size_t(node(0).out)].columns;
  std::vector<Item> first;
  for (size_t i = 0; i < before; i++)
    first.push_back({taskOf(pass, node(i), x, rowsAt(pass, step.hidden[i], x.rows, step.chunk, !gated && pass.bf16)), node(i).weight.get(), false});
  const Rows product = rowsAt(pass, step.hidden.back(), x.rows, step.chunk, pass.bf16);
  std::vector<Item> down{{taskOf(pass, node(before), product, rowsOf(pass, node(before).out)), node(before).weight.get(), false}};
  const bool residual = down[0].task.accumulate;
  const float* bias[2] = {down[0].task.bias[0], down[0].task.bias[1]};

  for (size_t from = 0; from < hidden; from += step.chunk) {
    const size_t to = std::min(hidden, from + step.chunk);
    for (Item& each : first) each.task.first = each.task.origin = from, each.task.last = to;
    runItems(pass, first);
    if (gated) {
      const RowsTask whole{first[0].task.y, first[1].task.y, product, 0, 0, 0, to - from};
      eachRows(x.rows, pass.sides, to - from, [&](int side, size_t start, size_t end) {
        RowsTask part = whole;
        part.side = side, part.from = start, part.to = end;
        kernels_.multiply(part);
      });
    }
    clearPadding(product, pass.sides, to - from);
    LinearTask& task = down[0].task;
    task.firstInput = from, task.lastInput = to;
    task.accumulate = residual || from > 0;
    for (size_t side = 0; side < pass.sides; side++) task.bias[side] = to == hidden ? bias[side] : nullptr;
    runItems(pass, down);
  }
  for (Item& each : first) each.weight->pending.clear();
  down[0].weight->pending.clear();
}

// Queries, keys, values and attention, some heads at a time, so that all heads are never in memory together. The operations in
// between see values with these heads alone.
void Executor::heads(Pass& pass, const Step& step) {
  auto& nodes = pass.program.nodes;
  Node attending = nodes[size_t(step.nodes.back())];
  const size_t keyValueHeads = attending.keyValueHeads, size = attending.headSize, each = attending.heads / keyValueHeads;
  const Rows x = input(pass, step, nodes[size_t(step.nodes[0])]);
  std::vector<Item> items;
  for (size_t i = 0; i < 3; i++) {
    const Node& node = nodes[size_t(step.nodes[i])];
    items.push_back({taskOf(pass, node, x, {}), node.weight.get(), false});
  }
  Value& out = pass.program.values[size_t(attending.out)];
  for (size_t from = 0; from < keyValueHeads; from += step.chunk) {
    const size_t to = std::min(keyValueHeads, from + step.chunk);
    for (size_t i = 0; i < 3; i++) {
      const size_t scale = i == 0 ? each * size : size;
      LinearTask& task = items[i].task;
      task.first = task.origin = from * scale, task.last = to * scale;
      hold(pass, nodes[size_t(step.nodes[i])].out, step.hidden[i], (to - from) * scale);
      task.y = rowsOf(pass, nodes[size_t(step.nodes[i])].out);
    }
    {
      Timer timer(timings_.linear);
      runItems(pass, items);
    }
    for (size_t i = 3; i + 1 < step.nodes.size(); i++) {
      const Node& node = nodes[size_t(step.nodes[i])];
      hold(pass, node.out, pass.plan.buffers[size_t(node.in[0])].offset, pass.program.values[size_t(node.in[0])].columns);
      if (node.op == Op::rotate) rotate(pass, node);
      else rowsOperation(pass, node);
    }
    attending.keyValueHeads = to - from, attending.heads = (to - from) * each, attending.firstHead = from;
    out.firstColumn = from * each * size;
    attention(pass, attending);
  }
  out.firstColumn = 0;
  for (Item& each : items) each.weight->pending.clear();
}

// Puts a value with these columns into borrowed memory.
void Executor::hold(Pass& pass, int value, size_t offset, size_t columns) {
  pass.program.values[size_t(value)].columns = columns;
  pass.plan.buffers[size_t(value)] = {offset, strideOf(columns, false), false, true};
}

// ------------------------------------------------------------------ the head
// Linear layer and cross-entropy, a panel of the vocabulary at a time: each row has a running softmax per group of the
// vocabulary, and they are combined in the order of the groups, so that results do not depend on the number of threads.
void Executor::losses(Pass& pass, const Step& step) {
  Timer timer(timings_.losses);
  const Node& node = pass.program.nodes[size_t(step.nodes[0])];
  const Rows x = input(pass, step, node);
  const LinearTask whole = taskOf(pass, node, x, {});
  const size_t vocab = whole.last, rows = x.rows, all = rows * pass.sides;
  const size_t panels = ceilDivide(vocab, kernels_.panel);
  const size_t groups = std::min(headGroups, panels), group = ceilDivide(panels, groups) * kernels_.panel;
  const size_t fitting = std::max(fewestPanels, logitBytesATask / (chunkedRows(pass.mode, all) * 4 * kernels_.panel)) * kernels_.panel;
  const size_t most = kernels_.linearOutputs(whole);
  const size_t outputs = std::min(group, x.bf16 ? most : std::min(most, fitting));
  const size_t stride = strideOf(outputs, false);
  const size_t logitBytes = (all * stride * 4 + 319) / 64 * 64;
  const size_t bytes = logitBytes + kernels_.linearScratch(whole, outputs);
  const float softcap = float(node.numbers[0]);
  std::vector<LossPartial> partials(groups * all, LossPartial{-INFINITY, 0});
  std::vector<float> right(all, NAN);

  pool_.run(groups, [&](size_t index, size_t thread) {
    char* own = static_cast<char*>(scratch(thread, bytes));
    const size_t end = std::min(vocab, (index + 1) * group);
    for (size_t first = index * group; first < end; first += outputs) {
      LinearTask task = whole;
      task.first = task.origin = first, task.last = std::min(end, first + outputs);
      task.y = {own, stride, rows, rows * stride, false};
      task.scratch = own + logitBytes;
      task.packNanoseconds = &scratch_[thread].packNanoseconds;
      kernels_.linear(task);
      for (size_t i = 0; i < all; i++) {
        float* logits = task.y.f32(int(i / rows), i % rows);
        kernels_.softmax(logits, task.last - first, softcap, &partials[index * all + i]);
        const size_t target = size_t((*node.list)[i % rows]);
        if (target >= first && target < task.last) right[i] = logits[target - first];
      }
    }
  });
  node.weight->pending.clear();

  pass.result.losses.resize(all);
  for (size_t i = 0; i < all; i++) {
    double peak = -INFINITY, sum = 0;
    for (size_t g = 0; g < groups; g++) peak = std::max(peak, double(partials[g * all + i].peak));
    for (size_t g = 0; g < groups; g++) {
      const LossPartial& partial = partials[g * all + i];
      if (partial.sum != 0) sum += partial.sum * std::exp(double(partial.peak) - peak);
    }
    pass.result.losses[i] = std::log(sum) + peak - double(right[i]);
  }
}

void Executor::logits(Pass& pass, const Step& step) {
  Timer timer(timings_.losses);
  const Node& node = pass.program.nodes[size_t(step.nodes[0])];
  const Rows x = input(pass, step, node);
  const size_t vocab = pass.program.resultColumns, stride = strideOf(vocab, false);
  const size_t all = x.rows * pass.sides;
  const size_t bytes = all * stride * 4 + 256;
  if (logits_.size() < bytes) logits_ = Pages::anonymous(bytes);
  std::vector<Item> items{{taskOf(pass, node, x, {logits_.data(), stride, x.rows, x.rows * stride, false}), node.weight.get(), isFew(pass.mode, x.rows)}};
  runItems(pass, items);
  node.weight->pending.clear();
  const double softcap = node.numbers[0];
  pass.result.logits = reinterpret_cast<const float*>(logits_.data()), pass.result.logitStride = stride;
  if (softcap == 0) return;
  for (size_t row = 0; row < all; row++) {
    float* logits = items[0].task.y.f32(int(row / x.rows), row % x.rows);
    std::transform(logits, logits + vocab, logits, [&](float v) { return float(softcap * std::tanh(v / softcap)); });
  }
}

}  // namespace steplog
