// Runs a pass step by step, and operations on rows. Linear layers are in execute-linear.cc, attention in execute-attention.cc.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "execute-common.h"

namespace steplog {
namespace {

// Pending entries of a weight, at most, before they are applied without waiting for a pass.
constexpr size_t waitingEntries = 32;
// Elements per task, of an update and of row operations.
constexpr size_t updateElements = size_t(1) << 16, rowElements = size_t(1) << 15;

// Memory of logits that is kept for the next pass, instead of being mapped and cleared again for every token.
constexpr size_t keptLogitBytes = size_t(64) << 20;

}  // namespace

// ------------------------------------------------------------------ updates
void Executor::replay(void* elements, Dtype dtype, size_t count, Position position, Noise noise, const std::vector<Entry>& entries) {
  const size_t size = dtype == Dtype::F32 ? 4 : 2;
  // Pieces end at blocks of the tensor, whatever element the run starts with.
  const size_t skip = size_t(position.first % updateElements);
  const size_t tasks = ceilDivide(skip + count, updateElements);
  pool_.run(count == 0 ? 0 : tasks, [&](size_t task, size_t) {
    const size_t from = task == 0 ? 0 : task * updateElements - skip;
    const size_t to = std::min(count, (task + 1) * updateElements - skip);
    kernels_.update(static_cast<char*>(elements) + from * size, dtype, to - from, {position.tensor, position.first + from}, noise, entries.data(), entries.size());
  });
}

void Executor::flush(Weight& weight) {
  if (weight.pending.empty()) return;
  Timer timer(timings_.update);
  replay(weight.data(), weight.dtype, weight.elements(), {weight.tensor, 0}, weight.pendingNoise, weight.pending);
  weight.pending.clear();
}

void Executor::settleAll(Weight& weight) {
  requireWhole();
  flush(weight);
}

void Executor::requireWhole() const {
  require(!halfway_, "an earlier pass failed halfway, so the weights are no longer valid: load the model again");
}

void Executor::requireCaches(const Program& program) {
  for (const Node& node : program.nodes)
    for (const CacheRef& cache : node.caches)
      if (!cache->failure.empty()) invalid("a cache could not be copied: " + cache->failure);
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
  requireWhole();
  requireCaches(program);
  const size_t sides = recording.perturbed ? size_t(recording.perturbation.sides) : 1;
  const bool bf16 = recording.multiplyBf16 && kernels_.multipliesBf16;
  const Mode mode{sides, recording.perturbed, bf16, recording.products};
  Pass pass{program, recording, makePlan(program, mode), mode, sides, bf16, recording.perturbed ? &recording.perturbation : nullptr, {}, {}};
  if (logits_.size() > keptLogitBytes) logits_ = Pages();
  if (arena_.size() < pass.plan.bytes) {
    arena_ = Pages();
    arena_ = Pages::anonymous(pass.plan.bytes);
  }
  halfway_ = true;
  prepareVectors(pass);
  for (const Step& each : pass.plan.steps) step(pass, each);
  for (const Node& node : program.nodes)
    if (node.weight) settle(*node.weight, waitingEntries);
  halfway_ = false;
  return std::move(pass.result);
}

void Executor::step(Pass& pass, const Step& each) {
  const Node& node = pass.program.nodes[size_t(each.nodes[0])];
  if (each.kind == Step::linears) return linears(pass, each);
  if (each.kind == Step::feedForward) return feedForward(pass, each);
  if (each.kind == Step::heads) return heads(pass, each);
  switch (node.op) {
    case Op::embed: return embed(pass, node);
    case Op::attention: return attention(pass, node);
    case Op::addLowRank: return addLowRank(pass, node);
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
      // A side that is not read.
      std::vector<float> spare(perturbation && !minus ? padded : 0);
      float* other = minus ? minus : spare.data();
      kernels_.perturb(weight->data(), weight->dtype, count, {weight->tensor, 0}, perturbation, values.data(), other);
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
    std::vector<float> spare(perturbation && pass.sides == 1 ? strideOf(columns, true) : 0);
    for (size_t row = from; row < to; row++) {
      const uint64_t first = uint64_t((*node.list)[row]) * columns;
      std::memcpy(copy.data(), table.data() + first * table.bytesPerElement(), rowBytes);
      // The table itself is updated later: when it is used in a product, or when enough entries are pending.
      kernels_.update(copy.data(), table.dtype, columns, {table.tensor, first}, table.pendingNoise, table.pending.data(), table.pending.size());
      float* minus = pass.sides == 2 ? out.f32(1, row) : nullptr;
      kernels_.perturb(copy.data(), table.dtype, columns, {table.tensor, first}, perturbation, out.f32(0, row), minus ? minus : spare.data());
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
  // The angles of each position that occurs, once.
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

}  // namespace steplog
