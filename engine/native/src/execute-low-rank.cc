// Terms of adapters, added to runs of rows. Always dot products in float32: a row's bits do not depend on the rows beside it.
#include <algorithm>

#include "execute-common.h"

namespace steplog {
namespace {

// Outputs of a task of the second product, and rows of a task of both.
constexpr size_t outputsATask = 256, rowsATask = 64;

// Rows first, ..., first + rows - 1.
Rows rowsIn(const Rows& all, size_t first, size_t rows) { return {all.f32(0, first), all.stride, rows, 0, false}; }

}  // namespace

void Executor::addLowRank(Pass& pass, const Node& node) {
  Timer timer(timings_.linear);
  const Rows y = rowsOf(pass, node.in[0]), x = rowsOf(pass, node.in[1]), out = rowsOf(pass, node.out);
  const size_t columns = pass.program.values[size_t(node.out)].columns;
  if (out.data != y.data) {
    const RowsTask whole{y, {}, out, 0, 0, 0, columns};
    eachRows(out.rows, 1, columns, [&](int, size_t from, size_t to) {
      RowsTask part = whole;
      part.from = from, part.to = to;
      kernels_.copy(part, nullptr);
    });
  }
  // scale * A x of each part.
  std::vector<std::vector<float>> hidden;
  for (const LowRank& part : node.parts) {
    flush(*part.a), flush(*part.b);
    hidden.emplace_back(part.rows * strideOf(part.a->shape[0], false));
  }
  const auto low = [&](size_t index) {
    const LowRank& part = node.parts[index];
    const size_t stride = strideOf(part.a->shape[0], false);
    return Rows{hidden[index].data(), stride, part.rows, 0, false};
  };
  struct Task {
    size_t part, row, rows, first, last;
  };
  const auto split = [&](size_t most, const auto& outputsOf) {
    std::vector<Task> tasks;
    for (size_t part = 0; part < node.parts.size(); part++)
      for (size_t row = 0, rows = node.parts[part].rows; row < rows; row += rowsATask)
        for (size_t first = 0, end = outputsOf(node.parts[part]); first < end; first += most)
          tasks.push_back({part, row, std::min(rowsATask, rows - row), first, std::min(end, first + most)});
    return tasks;
  };

  const std::vector<Task> first = split(kernels_.panel, [](const LowRank& part) { return part.a->shape[0]; });
  const size_t bytes = kernels_.dotsScratch(kernels_.panel);
  pool_.run(first.size(), [&](size_t index, size_t thread) {
    const Task& own = first[index];
    const LowRank& part = node.parts[own.part];
    const size_t rank = part.a->shape[0], inputs = part.a->shape[1];
    LinearTask task{};
    task.x = rowsIn(x, part.first + own.row, own.rows), task.y = rowsIn(low(own.part), own.row, own.rows);
    task.w = {part.a->data(), part.a->dtype, false, inputs, rank, part.a->tensor, nullptr, 0, Noise::normal, nullptr};
    task.sides = 1, task.first = own.first, task.last = own.last, task.lastInput = inputs;
    task.scratch = scratch(thread, bytes);
    kernels_.linearDots(task);
    for (size_t row = 0; row < own.rows; row++)
      for (size_t i = own.first; i < own.last; i++) task.y.f32(0, row)[i] *= part.scale;
  });

  const std::vector<Task> second = split(outputsATask, [&](const LowRank&) { return columns; });
  pool_.run(second.size(), [&](size_t index, size_t) {
    const Task& own = second[index];
    const LowRank& part = node.parts[own.part];
    kernels_.addLowRank({rowsIn(low(own.part), own.row, own.rows), rowsIn(out, part.first + own.row, own.rows), part.b->data(), part.b->dtype, part.b->shape[1], own.first, own.last});
  });
}

}  // namespace steplog
