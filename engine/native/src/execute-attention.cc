// Attention. A task is some queries of one head of one sequence, on one side.
#include <algorithm>
#include <cstring>
#include <new>

#include "execute-common.h"

namespace steplog {
namespace {

void grow(Cache& cache, size_t rows, size_t columns) {
  if (cache.rows == 0) cache.columns = columns, cache.stride = strideOf(columns, false);
  if (cache.rows + rows <= cache.capacity) return;
  // Memory that nobody has touched costs nothing, but every move of pages makes the other threads forget their addresses.
  const size_t capacity = std::max<size_t>(64, 2 * (cache.rows + rows));
  for (Pages* pages : {&cache.keys, &cache.values}) pages->grow(capacity * cache.stride * 4 + 256);
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

void copyRows(const Cache& from, Cache& to, size_t rows) {
  require(rows <= from.rows, "a cache has the rows that are copied");
  if (rows == 0) return;
  grow(to, rows, from.columns);
  std::memcpy(to.keys.data(), from.keys.data(), rows * from.stride * 4);
  std::memcpy(to.values.data(), from.values.data(), rows * from.stride * 4);
  to.rows = rows;
}

}  // namespace

void Executor::copyCache(const Cache& from, Cache& to, size_t rows) {
  try {
    if (!from.failure.empty()) invalid(from.failure);
    copyRows(from, to, rows);
  } catch (const std::bad_alloc&) {
    to.failure = "not enough memory";
  } catch (const Invalid& error) {
    to.failure = error.what();
  }
}

void Executor::attention(Pass& pass, const Node& node) {
  Timer timer(timings_.attention);
  const Rows q = rowsOf(pass, node.in[0]), k = rowsOf(pass, node.in[1]), v = rowsOf(pass, node.in[2]), out = rowsOf(pass, node.out);
  const bool prefixed = node.in.size() > 3;
  const Rows prefixK = prefixed ? rowsOf(pass, node.in[3]) : Rows{}, prefixV = prefixed ? rowsOf(pass, node.in[4]) : Rows{};
  const size_t columns = node.keyValueHeads * node.headSize;
  const Products products = pass.mode.products;
  const size_t each = products == Products::rows ? 1 : kernels_.attentionQueries();
  std::vector<AttentionTask> tasks;
  size_t start = 0;
  for (size_t s = 0; s < node.list->size(); s++) {
    const size_t length = size_t((*node.list)[s]);
    AttentionTask whole{};
    whole.q = q, whole.k = k, whole.v = v, whole.out = out;
    whole.keyRow = start, whole.keys = length;
    whole.prefixK = prefixK, whole.prefixV = prefixV, whole.prefix = prefixK.rows;
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
          task.alone = task.queries == 1 && products != Products::panels;
          task.queryColumn = head * node.headSize;
          task.keyColumn = head / (node.heads / node.keyValueHeads) * node.headSize;
          task.prefixColumn = task.keyColumn + node.firstHead * node.headSize;
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

}  // namespace steplog
