#include "execute.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace steplog {
namespace {

// Entries that packing can fold into its pass over a weight (PackKeys), and how many may wait for it in all.
constexpr size_t foldedEntries = 8, waitingEntries = 32;
// Elements that one task of an update takes, and of row operations.
constexpr size_t updateElements = size_t(1) << 16, rowElements = size_t(1) << 15;
// Tasks a thread of linear layers, at least, where outputs allow it: so that no thread waits long for the last.
constexpr size_t headGroups = 64;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Timer {
 public:
  explicit Timer(int64_t& total) : total_(total), start_(now()) {}
  ~Timer() { total_ += now() - start_; }

 private:
  int64_t& total_;
  int64_t start_;
};

size_t ceilDivide(size_t a, size_t b) { return (a + b - 1) / b; }

}  // namespace

// A linear layer's outputs of one region, cut into tasks of `outputs`.
struct Executor::Item {
  LinearTask task;
  Weight* weight;
  bool few;
};

// ------------------------------------------------------------------ updates
void Executor::replay(void* elements, Dtype dtype, size_t count, Place place, Noise noise, const std::vector<Entry>& entries) {
  const size_t size = dtype == Dtype::F32 ? 4 : 2;
  // Pieces end where the tensor's blocks do, whatever element these begin with.
  const size_t skip = size_t(place.first % updateElements);
  const size_t tasks = ceilDivide(skip + count, updateElements);
  pool_.run(count == 0 ? 0 : tasks, [&](size_t task, size_t) {
    const size_t from = task == 0 ? 0 : task * updateElements - skip;
    const size_t to = std::min(count, (task + 1) * updateElements - skip);
    kernels_.update(static_cast<char*>(elements) + from * size, dtype, to - from, {place.tensor, place.first + from}, noise, entries.data(), entries.size());
  });
}

void Executor::flush(Weight& weight) {
  if (weight.pending.empty()) return;
  Timer timer(timings_.update);
  replay(weight.data(), weight.dtype, weight.elements(), {weight.tensor, 0}, weight.pendingNoise, weight.pending);
  weight.pending.clear();
}

void Executor::settle(Weight& weight, size_t most) {
  if (weight.pending.size() > most) flush(weight);
}

Timings Executor::takeTimings() {
  for (Scratch& each : scratch_) {
    timings_.noise += each.packNanoseconds / int64_t(pool_.threads());
    each.packNanoseconds = 0;
  }
  return std::exchange(timings_, Timings());
}

void* Executor::scratch(size_t thread, size_t bytes) {
  Scratch& own = scratch_[thread];
  if (own.pages.size() < bytes) own.pages = Pages::anonymous(bytes);
  return own.pages.data();
}

// ------------------------------------------------------------------ a pass
Result Executor::run(Program& program, const Recording& recording) {
  const size_t sides = recording.perturbed ? 2 : 1;
  const bool bf16 = recording.multiplyBf16 && kernels_.multipliesBf16;
  Pass pass{program, recording, makePlan(program, sides, bf16), sides, bf16, recording.perturbed ? &recording.perturbation : nullptr, {}, {}};
  if (arena_.size() < pass.plan.bytes) {
    arena_ = Pages();
    arena_ = Pages::anonymous(pass.plan.bytes);
  }
  prepareVectors(pass);
  for (const Step& each : pass.plan.steps) step(pass, each);
  for (const Node& node : program.nodes)
    if (node.weight) settle(*node.weight, waitingEntries);
  return std::move(pass.result);
}

void Executor::step(Pass& pass, const Step& each) {
  const Node& node = pass.program.nodes[size_t(each.nodes[0])];
  if (each.kind == Step::linears) return linears(pass, each);
  if (each.kind == Step::feedForward) return feedForward(pass, each);
  switch (node.op) {
    case Op::embed: return embed(pass, node);
    case Op::attention: return attention(pass, node);
    case Op::rotate: return rotate(pass, node);
    case Op::losses: return losses(pass, each);
    case Op::logits: return logits(pass, each);
    default: return rowsOperation(pass, node);
  }
}

Rows Executor::rowsAt(Pass& pass, size_t offset, size_t rows, size_t columns, bool bf16) {
  const size_t stride = strideOf(columns, bf16);
  (void)pass;
  return {arena_.data() + offset, stride, rows, rows * stride, bf16};
}

Rows Executor::rowsOf(Pass& pass, int value) {
  const Value& each = pass.program.values[size_t(value)];
  const Value& root = pass.program.values[size_t(each.root)];
  const Buffer& buffer = pass.plan.buffers[size_t(each.root)];
  Rows rows = rowsAt(pass, buffer.offset, root.rows, root.columns, buffer.bf16);
  rows.data = static_cast<char*>(rows.data) + each.firstColumn * (buffer.bf16 ? 2 : 4);
  return rows;
}

// ------------------------------------------------------------------ vectors: biases and the weights of norms
void Executor::prepareVectors(Pass& pass) {
  for (const Node& node : pass.program.nodes) {
    for (const Weight* weight : {node.bias.get(), node.weight.get()}) {
      if (!weight || weight->shape.size() != 1 || pass.vectors.count(weight)) continue;
      flush(const_cast<Weight&>(*weight));
      const size_t count = weight->elements(), padded = strideOf(count, true);
      std::vector<float>& values = pass.vectors[weight];
      values.assign(pass.sides * padded, 0.0f);
      const Perturbation* perturbation = weight->trainable ? pass.perturbation : nullptr;
      float* minus = pass.sides == 2 ? values.data() + padded : nullptr;
      kernels_.perturb(weight->data(), weight->dtype, count, {weight->tensor, 0}, perturbation, values.data(), minus);
      if (minus && !perturbation) std::copy_n(values.data(), count, minus);
    }
  }
}

const float* Executor::vectorOf(Pass& pass, const Weight* weight, int side) {
  if (!weight) return nullptr;
  return pass.vectors.at(weight).data() + size_t(side) * strideOf(weight->elements(), true);
}

// ------------------------------------------------------------------ row by row
void Executor::eachRows(size_t rows, size_t sides, size_t cost, const std::function<void(int, size_t, size_t)>& work) {
  const size_t most = std::max<size_t>(1, rowElements / std::max<size_t>(1, cost));
  const size_t parts = ceilDivide(rows, most);
  pool_.run(parts * sides, [&](size_t task, size_t) {
    const size_t part = task % parts;
    work(int(task / parts), part * most, std::min(rows, (part + 1) * most));
  });
}

void Executor::embed(Pass& pass, const Node& node) {
  Timer timer(timings_.embed);
  Weight& table = *node.weight;
  settle(table, foldedEntries);
  const Rows out = rowsOf(pass, node.out);
  const size_t columns = table.shape[1], rowBytes = columns * table.bytesPerElement();
  const Perturbation* perturbation = table.trainable ? pass.perturbation : nullptr;
  eachRows(out.rows, 1, columns * 8, [&](int, size_t from, size_t to) {
    std::vector<char> copy(rowBytes);
    for (size_t row = from; row < to; row++) {
      const uint64_t first = uint64_t((*node.list)[row]) * columns;
      std::memcpy(copy.data(), table.data() + first * table.bytesPerElement(), rowBytes);
      // The table itself takes its pending update later, where it is multiplied with or when enough has come together.
      kernels_.update(copy.data(), table.dtype, columns, {table.tensor, first}, table.pendingNoise, table.pending.data(), table.pending.size());
      float* minus = pass.sides == 2 ? out.f32(1, row) : nullptr;
      kernels_.perturb(copy.data(), table.dtype, columns, {table.tensor, first}, perturbation, out.f32(0, row), minus);
      if (minus && !perturbation) std::memcpy(minus, out.f32(0, row), columns * 4);
    }
  });
}

void Executor::rowsOperation(Pass& pass, const Node& node) {
  Timer timer(timings_.rows);
  RowsTask task{};
  task.x = rowsOf(pass, node.in[0]);
  if (node.in.size() > 1) task.other = rowsOf(pass, node.in[1]);
  task.y = rowsOf(pass, node.out);
  const Value& out = pass.program.values[size_t(node.out)];
  task.columns = out.columns;
  eachRows(out.rows, pass.sides, out.columns, [&](int side, size_t from, size_t to) {
    RowsTask part = task;
    part.side = side, part.from = from, part.to = to;
    switch (node.op) {
      case Op::add: return kernels_.add(part);
      case Op::multiply: return kernels_.multiply(part);
      case Op::scale: return kernels_.scale(part, float(node.numbers[0]));
      case Op::activate: return kernels_.activate(part, node.activation);
      case Op::gather: return kernels_.copy(part, node.list->data());
      default: return norm(pass, node, part);
    }
  });
}

void Executor::norm(Pass& pass, const Node& node, const RowsTask& part) {
  const float* weight = vectorOf(pass, node.weight.get(), part.side);
  const float epsilon = float(node.numbers[0]);
  if (node.op == Op::layerNorm) return kernels_.layerNorm(part, weight, vectorOf(pass, node.bias.get(), part.side), epsilon);
  kernels_.rmsNorm(part, node.weight->elements(), weight, float(node.numbers[1]), epsilon);
}

void Executor::rotate(Pass& pass, const Node& node) {
  Timer timer(timings_.rows);
  const List& positions = *node.list;
  const std::vector<double>& frequencies = *node.table;
  // Angles of every position that occurs, once.
  std::map<int32_t, int32_t> slotOf;
  List slots;
  for (int32_t position : positions) slots.push_back(slotOf.emplace(position, int32_t(slotOf.size())).first->second);
  const size_t pairs = frequencies.size();
  std::vector<float> cosines(slotOf.size() * pairs), sines(slotOf.size() * pairs);
  for (const auto& [position, slot] : slotOf) {
    for (size_t i = 0; i < pairs; i++) {
      cosines[size_t(slot) * pairs + i] = float(std::cos(position * frequencies[i]) * node.numbers[0]);
      sines[size_t(slot) * pairs + i] = float(std::sin(position * frequencies[i]) * node.numbers[0]);
    }
  }
  const Rotation shape{node.headSize, pairs, node.flag, cosines.data(), sines.data(), slots.data()};
  const Value& out = pass.program.values[size_t(node.out)];
  const RowsTask whole{rowsOf(pass, node.in[0]), {}, rowsOf(pass, node.out), 0, 0, 0, out.columns};
  eachRows(out.rows, pass.sides, out.columns, [&](int side, size_t from, size_t to) {
    RowsTask part = whole;
    part.side = side, part.from = from, part.to = to;
    kernels_.rotate(part, shape);
  });
}

// ------------------------------------------------------------------ attention
namespace {

void grow(Cache& cache, size_t rows, size_t columns) {
  if (cache.rows == 0) cache.columns = columns, cache.stride = strideOf(columns, false);
  if (cache.rows + rows <= cache.capacity) return;
  const size_t capacity = std::max(2 * cache.capacity, std::max<size_t>(64, cache.rows + rows));
  for (Pages* pages : {&cache.keys, &cache.values}) {
    Pages larger = Pages::anonymous(capacity * cache.stride * 4 + 256);
    std::memcpy(larger.data(), pages->data() ? pages->data() : larger.data(), cache.rows * cache.stride * 4);
    *pages = std::move(larger);
  }
  cache.capacity = capacity;
}

void append(Cache& cache, const Rows& keys, const Rows& values, size_t from, size_t rows) {
  for (size_t row = 0; row < rows; row++) {
    const size_t at = (cache.rows + row) * cache.stride;
    std::memcpy(reinterpret_cast<float*>(cache.keys.data()) + at, keys.f32(0, from + row), cache.columns * 4);
    std::memcpy(reinterpret_cast<float*>(cache.values.data()) + at, values.f32(0, from + row), cache.columns * 4);
  }
  cache.rows += rows;
}

}  // namespace

void Executor::attention(Pass& pass, const Node& node) {
  Timer timer(timings_.attention);
  const Rows q = rowsOf(pass, node.in[0]), k = rowsOf(pass, node.in[1]), v = rowsOf(pass, node.in[2]), out = rowsOf(pass, node.out);
  const size_t columns = node.keyValueHeads * node.headSize, each = kernels_.attentionQueries();
  std::vector<AttentionTask> tasks;
  size_t start = 0;
  for (size_t s = 0; s < node.list->size(); s++) {
    const size_t length = size_t((*node.list)[s]);
    AttentionTask whole{};
    whole.q = q, whole.k = k, whole.v = v, whole.out = out;
    whole.keyRow = start, whole.keys = length;
    size_t past = 0;
    if (!node.caches.empty()) {
      Cache& cache = *node.caches[s];
      past = cache.rows;
      grow(cache, length, columns);
      append(cache, k, v, start, length);
      whole.k = {cache.keys.data(), cache.stride, cache.rows, 0, false};
      whole.v = {cache.values.data(), cache.stride, cache.rows, 0, false};
      whole.keyRow = 0, whole.keys = cache.rows;
    }
    whole.headSize = node.headSize, whole.causal = node.flag, whole.window = node.window;
    whole.scale = float(node.numbers[0]), whole.softcap = float(node.numbers[1]);
    for (size_t side = 0; side < pass.sides; side++) {
      for (size_t head = 0; head < node.heads; head++) {
        for (size_t at = 0; at < length; at += each) {
          AttentionTask task = whole;
          task.side = int(side);
          task.queryRow = start + at, task.queries = std::min(each, length - at), task.past = past + at;
          task.queryColumn = head * node.headSize;
          task.keyColumn = head / (node.heads / node.keyValueHeads) * node.headSize;
          tasks.push_back(task);
        }
      }
    }
    start += length;
  }
  const size_t bytes = kernels_.attentionScratch(node.headSize);
  pool_.run(tasks.size(), [&](size_t index, size_t thread) {
    AttentionTask task = tasks[index];
    task.scratch = scratch(thread, bytes);
    kernels_.attention(task);
  });
}

// ------------------------------------------------------------------ linear layers
namespace {

// Matrix kernels read bfloat16 inputs in groups of 32: what lies beyond the last column must be zero.
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

Executor::Item Executor::item(Pass& pass, const Step& step, const Node& node) {
  const Rows x = input(pass, step, node);
  return {taskOf(pass, node, x, rowsOf(pass, node.out)), node.weight.get(), isFew(pass.sides, x.rows) && !x.bf16};
}

// One region of tasks over the outputs of all items.
void Executor::runItems(Pass& pass, std::vector<Item>& items) {
  (void)pass;
  size_t most = std::numeric_limits<size_t>::max(), total = 0;
  for (Item& each : items) {
    most = std::min(most, kernels_.linearOutputs(each.task));
    total += each.task.last - each.task.first;
    if (each.few) flush(*each.weight), each.task.w.pendingCount = 0;
  }
  // As many outputs a task as the cache allows, as long as no thread gets more work than it must.
  size_t outputs = most, best = std::numeric_limits<size_t>::max();
  for (size_t candidate = most; candidate >= kernels_.panel; candidate -= kernels_.panel) {
    size_t tasks = 0;
    for (const Item& each : items) tasks += ceilDivide(each.task.last - each.task.first, candidate);
    const size_t longest = ceilDivide(tasks, pool_.threads()) * candidate;
    if (longest < best) best = longest, outputs = candidate;
    if (tasks >= 8 * pool_.threads()) break;
  }
  struct Part {
    const Item* item;
    size_t first, last;
  };
  std::vector<Part> parts;
  size_t bytes = 0;
  for (const Item& each : items) {
    bytes = std::max(bytes, each.few ? outputs * 4 + 64 : kernels_.linearScratch(each.task, outputs));
    for (size_t at = each.task.first; at < each.task.last; at += outputs) parts.push_back({&each, at, std::min(each.task.last, at + outputs)});
  }
  pool_.run(parts.size(), [&](size_t index, size_t thread) {
    const Part& part = parts[index];
    LinearTask task = part.item->task;
    task.first = part.first, task.last = part.last;
    task.scratch = scratch(thread, bytes);
    task.packNanoseconds = &scratch_[thread].packNanoseconds;
    (part.item->few ? kernels_.linearFew : kernels_.linear)(task);
  });
}

void Executor::linears(Pass& pass, const Step& step) {
  Timer timer(timings_.linear);
  std::vector<Item> items;
  Rows x{};
  for (size_t i = 0; i < step.nodes.size(); i++) {
    const Node& node = pass.program.nodes[size_t(step.nodes[i])];
    if (i == 0) x = input(pass, step, node);
    items.push_back({taskOf(pass, node, x, rowsOf(pass, node.out)), node.weight.get(), isFew(pass.sides, x.rows) && !x.bf16});
  }
  runItems(pass, items);
  for (Item& each : items) each.weight->pending.clear();
}

// down(activation(up(x))) or down(gate(x) * up(x)), some hidden columns at a time: the whole hidden row never exists.
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

// ------------------------------------------------------------------ the head
// Linear layer and cross-entropy, a panel of the vocabulary at a time: a running softmax a row and group of the
// vocabulary, put together in the groups' order, so that the number of threads does not show.
void Executor::losses(Pass& pass, const Step& step) {
  Timer timer(timings_.losses);
  const Node& node = pass.program.nodes[size_t(step.nodes[0])];
  const Rows x = input(pass, step, node);
  const LinearTask whole = taskOf(pass, node, x, {});
  const size_t vocab = whole.last, rows = x.rows, all = rows * pass.sides;
  const size_t panels = ceilDivide(vocab, kernels_.panel);
  const size_t groups = std::min(headGroups, panels), group = ceilDivide(panels, groups) * kernels_.panel;
  const size_t outputs = std::min(group, kernels_.linearOutputs(whole));
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
  const Pages pages = Pages::anonymous(x.rows * stride * 4 + 256);
  std::vector<Item> items{{taskOf(pass, node, x, {pages.data(), stride, x.rows, x.rows * stride, false}), node.weight.get(), isFew(pass.sides, x.rows) && !x.bf16}};
  runItems(pass, items);
  node.weight->pending.clear();
  const double softcap = node.numbers[0];
  pass.result.logits.resize(x.rows * vocab);
  for (size_t row = 0; row < x.rows; row++) {
    const float* from = items[0].task.y.f32(0, row);
    float* to = pass.result.logits.data() + row * vocab;
    std::copy_n(from, vocab, to);
    if (softcap > 0) std::transform(to, to + vocab, to, [&](float v) { return float(softcap * std::tanh(v / softcap)); });
  }
}

}  // namespace steplog
