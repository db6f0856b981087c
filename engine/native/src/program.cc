#include "program.h"

#include <cmath>

namespace steplog {
namespace {

// Limits that keep all later products of sizes far from overflow.
constexpr size_t mostRows = size_t(1) << 24, mostColumns = size_t(1) << 24;

class Decoder {
 public:
  Decoder(const Recording& recording, const Names& names) : recording_(recording), names_(names) {}

  Program decode() {
    require(!recording_.code.empty(), "a pass has at least one operation");
    if (recording_.perturbed) {
      require(recording_.products == Products::byNumber, "products are chosen for unperturbed passes");
      require(std::isfinite(recording_.perturbation.size), "the perturbation is finite");
      require(recording_.perturbation.sides == 1 || recording_.perturbation.sides == 2, "a perturbed pass has one or two sides");
    }
    while (at_ < recording_.code.size()) {
      require(!ended_, "losses or logits end a pass");
      operation();
    }
    require(ended_, "a pass ends with losses or logits");
    return std::move(program_);
  }

 private:
  void operation() {
    const int32_t code = word();
    require(code >= 0 && code < int32_t(Op::count), "the operation is known");
    Node node;
    node.op = Op(code);
    switch (node.op) {
      case Op::embed: return embed(node);
      case Op::add:
      case Op::multiply: return pair(node);
      case Op::scale: return scale(node);
      case Op::slice: return slice(node);
      case Op::layerNorm: return layerNorm(node);
      case Op::rmsNorm: return rmsNorm(node);
      case Op::rotate: return rotate(node);
      case Op::linear: return linear(node);
      case Op::attention: return attention(node);
      case Op::activate: return activate(node);
      case Op::gather: return gather(node);
      case Op::losses:
      case Op::logits: return head(node);
      case Op::addLowRank: return addLowRank(node);
      case Op::count: break;
    }
  }

  void embed(Node& node) {
    node.weight = matrix();
    node.list = &list();
    for (int32_t id : *node.list) require(id >= 0 && size_t(id) < node.weight->shape[0], "ids are rows of the table");
    finish(node, node.list->size(), node.weight->shape[1]);
  }

  void pair(Node& node) {
    const Value a = value(node), b = value(node);
    require(a.rows == b.rows && a.columns == b.columns, "both operands have the same shape");
    finish(node, a.rows, a.columns);
  }

  void scale(Node& node) {
    const Value x = value(node);
    node.numbers = {number()};
    finish(node, x.rows, x.columns);
  }

  void slice(Node& node) {
    const Value x = value(node);
    const size_t first = size(), count = size();
    require(count > 0 && first + count <= x.columns, "a slice is within the columns");
    Value out = x;
    out.columns = count;
    out.firstColumn += first;
    program_.values.push_back(out);
  }

  void layerNorm(Node& node) {
    const Value x = value(node);
    node.weight = vector(x.columns);
    node.bias = vector(x.columns);
    node.numbers = {number()};
    finish(node, x.rows, x.columns);
  }

  void rmsNorm(Node& node) {
    const Value x = value(node);
    const int32_t id = word();
    node.weight = names_.weight(id);
    require(node.weight->shape.size() == 1 && node.weight->shape[0] > 0, "a norm's weight is a vector");
    require(x.columns % node.weight->shape[0] == 0, "the columns are whole groups of the norm");
    node.numbers = {number(), number()};
    finish(node, x.rows, x.columns);
  }

  void rotate(Node& node) {
    const Value x = value(node);
    node.list = &list();
    node.table = &table();
    node.headSize = size();
    node.flag = word() != 0;
    node.numbers = {number()};
    require(node.list->size() == x.rows, "every row has a position");
    for (int32_t position : *node.list) require(position >= 0, "positions count from 0");
    require(node.headSize > 0 && x.columns % node.headSize == 0, "the columns are whole heads");
    require(2 * node.table->size() <= node.headSize, "a head has columns for every frequency");
    finish(node, x.rows, x.columns);
  }

  void linear(Node& node) {
    const Value x = value(node);
    node.weight = matrix();
    const int32_t bias = word();
    node.flag = word() != 0;
    const size_t inputs = node.weight->shape[node.flag ? 0 : 1], outputs = node.weight->shape[node.flag ? 1 : 0];
    require(inputs == x.columns, "a linear layer takes as many columns as its weight has inputs");
    node.bias = vectorOf(bias, outputs);
    finish(node, x.rows, outputs);
  }

  void addLowRank(Node& node) {
    require(!recording_.perturbed, "low-rank terms are for unperturbed passes");
    const Value y = value(node), x = value(node);
    require(y.rows == x.rows, "both operands have the same rows");
    const size_t count = size();
    for (size_t part = 0, end = 0; part < count; part++) {
      LowRank term;
      term.a = matrix(), term.b = matrix();
      term.scale = float(number());
      term.first = size(), term.rows = size();
      require(term.a->shape[1] == x.columns && term.a->shape[0] > 0, "A takes x's columns");
      require(term.b->shape[1] == term.a->shape[0] && term.b->shape[0] == y.columns, "B takes what A gives, to y's columns");
      require(term.rows > 0 && term.first >= end && term.first + term.rows <= y.rows, "runs of rows come in order and do not overlap");
      end = term.first + term.rows;
      node.parts.push_back(std::move(term));
    }
    finish(node, y.rows, y.columns);
  }

  void attention(Node& node) {
    const Value q = value(node), k = value(node), v = value(node);
    node.heads = size();
    node.keyValueHeads = size();
    node.list = &list();
    node.flag = word() != 0;
    node.window = size();
    const double scale = number(), softcap = number();
    node.numbers = {scale, softcap};
    const int32_t caches = word();
    require(node.heads > 0 && node.keyValueHeads > 0 && node.heads % node.keyValueHeads == 0, "the key heads divide the heads");
    require(q.columns % node.heads == 0, "the query columns are whole heads");
    node.headSize = q.columns / node.heads;
    require(k.columns == node.keyValueHeads * node.headSize && v.columns == k.columns, "keys and values have the size of their heads");
    require(softcap >= 0, "a softcap is not negative");
    require(node.window == 0 || node.flag, "a window is causal");
    size_t rows = 0;
    for (int32_t length : *node.list) {
      require(length > 0, "a sequence has at least one token");
      rows += size_t(length);
    }
    require(rows == q.rows && rows == k.rows && rows == v.rows, "the sequences' lengths add up to the rows");
    if (caches >= 0) cachesOf(node, listAt(caches), k.columns);
    prefixOf(node, k.columns);
    finish(node, q.rows, q.columns);
  }

  // A prefix: keys and values before those of every sequence, as operands 3 and 4.
  void prefixOf(Node& node, size_t columns) {
    const int32_t keys = word();
    require(keys >= -1, "a prefix is a value or none");
    if (keys < 0) return;
    at_--;
    const Value k = value(node), v = value(node);
    require(k.rows == v.rows, "a prefix has as many keys as values");
    require(k.columns == columns && v.columns == columns, "a prefix has the columns of the keys");
  }

  void cachesOf(Node& node, const List& ids, size_t columns) {
    require(!recording_.perturbed && node.flag, "caches are for unperturbed causal passes");
    require(ids.size() == node.list->size(), "every sequence has a cache");
    for (int32_t id : ids) {
      CacheRef cache = names_.cache(id);
      for (const CacheRef& other : node.caches) require(other != cache, "every sequence has its own cache");
      require(cache->rows == 0 || cache->columns == columns, "a cache keeps its number of columns");
      node.caches.push_back(std::move(cache));
    }
  }

  void activate(Node& node) {
    const Value x = value(node);
    const int32_t kind = word();
    require(kind >= int32_t(Activation::relu) && kind <= int32_t(Activation::silu), "the activation is known");
    node.activation = Activation(kind);
    finish(node, x.rows, x.columns);
  }

  void gather(Node& node) {
    const Value x = value(node);
    node.list = &list();
    for (int32_t row : *node.list) require(row >= 0 && size_t(row) < x.rows, "gathered rows exist");
    finish(node, node.list->size(), x.columns);
  }

  void head(Node& node) {
    const Value x = value(node);
    node.weight = matrix();
    require(node.weight->shape[1] == x.columns, "the head has as many inputs as the last activation has columns");
    const size_t vocab = node.weight->shape[0];
    node.bias = vector(vocab);
    node.numbers = {number()};
    require(node.numbers[0] >= 0, "a softcap is not negative");
    if (node.op == Op::losses) {
      node.list = &list();
      require(node.list->size() == x.rows, "every row has a target");
      for (int32_t target : *node.list) require(target >= 0 && size_t(target) < vocab, "targets are in the vocabulary");
    }
    program_.result = node.op;
    program_.resultRows = x.rows;
    program_.resultColumns = vocab;
    program_.nodes.push_back(node);
    ended_ = true;
  }

  void finish(Node& node, size_t rows, size_t columns) {
    require(rows < mostRows && columns < mostColumns, "an activation has at most 2^24 rows and columns");
    require(rows > 0 && columns > 0, "an activation is not empty");
    const int id = int(program_.values.size());
    program_.values.push_back({rows, columns, id, 0});
    node.out = id;
    program_.nodes.push_back(std::move(node));
  }

  // ---------------------------------------------------------------- reading the recording
  int32_t word() {
    require(at_ < recording_.code.size(), "the recording is complete");
    return recording_.code[at_++];
  }
  size_t size() {
    const int32_t value = word();
    require(value >= 0, "sizes are not negative");
    return size_t(value);
  }
  double number() {
    const int32_t index = word();
    require(index >= 0 && size_t(index) < recording_.numbers.size(), "the number was recorded");
    const double value = recording_.numbers[size_t(index)];
    require(std::isfinite(value), "numbers are finite");
    return value;
  }
  const List& listAt(int32_t index) const {
    require(index >= 0 && size_t(index) < recording_.lists.size(), "the list was recorded");
    return recording_.lists[size_t(index)];
  }
  const List& list() { return listAt(word()); }
  const std::vector<double>& table() {
    const int32_t index = word();
    require(index >= 0 && size_t(index) < recording_.tables.size(), "the table was recorded");
    return recording_.tables[size_t(index)];
  }
  Value value(Node& node) {
    const int32_t id = word();
    require(id >= 0 && size_t(id) < program_.values.size(), "an operand comes before its use");
    node.in.push_back(id);
    return program_.values[size_t(id)];
  }
  WeightRef matrix() {
    WeightRef weight = names_.weight(word());
    require(weight->shape.size() == 2, "the weight is a matrix");
    return weight;
  }
  WeightRef vectorOf(int32_t id, size_t size) const {
    if (id < 0) return nullptr;
    WeightRef weight = names_.weight(id);
    require(weight->shape.size() == 1 && weight->shape[0] == size, "the vector has one element per column");
    return weight;
  }
  WeightRef vector(size_t size) { return vectorOf(word(), size); }

  const Recording& recording_;
  const Names& names_;
  Program program_;
  size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace

Program decode(const Recording& recording, const Names& names) { return Decoder(recording, names).decode(); }

}  // namespace steplog
