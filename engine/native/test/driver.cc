// Runs random programs on every instruction set of this machine with several numbers of threads, under the sanitizers
// (sanitize.sh). It also checks that losses are equal bit for bit for any number of threads and close between instruction sets,
// and that weights are equal bit for bit everywhere. Before that, it gives back pages of its own files.
//
//   driver PROGRAMS [INSTRUCTION_SET...]      exits with 1 and prints the seed of a program that differs
//
// STEPLOG_MEMORY_ONLY=1 skips the comparisons: valgrind gives x - x by a fused multiply-add the wrong sign of zero.
#include <sys/mman.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "../src/cpu.h"
#include "../src/execute.h"
#include "../src/file-pages.h"

using namespace steplog;

namespace {

struct Random {
  std::mt19937_64 engine;
  size_t upTo(size_t most) { return engine() % most + 1; }
  bool chance(unsigned in = 2) { return engine() % in == 0; }
  float value() { return float(int64_t(engine() % 2001) - 1000) * 1e-3f; }
};

// A program and its initial weights; made again for every device, with the same values.
struct Sketch {
  Recording recording;
  std::vector<std::vector<size_t>> shapes;
  std::vector<Dtype> dtypes;
  std::vector<bool> trainable;
  std::vector<std::vector<float>> values;
  std::vector<std::vector<Entry>> updates;  // before each pass
};

class Writer {
 public:
  explicit Writer(uint64_t seed) { random.engine.seed(seed); }

  Sketch write() {
    const size_t heads = random.upTo(4), groups = random.chance() ? heads : 1, size = 2 * random.upTo(20);
    const size_t columns = heads * size, keys = groups * size, hidden = random.chance(8) ? 1024 + random.upTo(300) : random.upTo(300), vocab = random.upTo(150);
    const bool gated = random.chance(), rms = random.chance(), rotary = random.chance();
    std::vector<int32_t> lengths(random.upTo(4));
    std::vector<int32_t> ids, positions, kept, targets;
    for (int32_t& length : lengths) {
      length = int32_t(random.upTo(60));
      for (int32_t i = 0; i < length; i++) {
        ids.push_back(int32_t(random.engine() % vocab));
        positions.push_back(i);
        if (random.chance(4)) kept.push_back(int32_t(ids.size()) - 1);
      }
    }
    if (kept.empty()) kept.push_back(int32_t(ids.size()) - 1);
    for (size_t i = 0; i < kept.size(); i++) targets.push_back(int32_t(random.engine() % vocab));
    std::vector<double> frequencies;
    for (size_t i = 0; i < size / 2; i++) frequencies.push_back(std::pow(100.0, -double(i)));
    sketch.recording.tables.push_back(frequencies);

    const int32_t table = matrix(vocab, columns), head = random.chance() ? table : matrix(vocab, columns);
    code({0, table, list(ids)});
    int32_t x = made();
    std::vector<int32_t> prefixRows(random.chance() ? 0 : random.upTo(80));
    int32_t prefix = -1;
    if (!prefixRows.empty()) {
      for (size_t i = 0; i < prefixRows.size(); i++) prefixRows[i] = int32_t(i);
      code({0, matrix(prefixRows.size(), 2 * keys), list(prefixRows)});
      prefix = made();
    }
    const int32_t layers = int32_t(random.upTo(2)), where = list(positions), lengthList = list(lengths), keep = list(kept);
    for (int32_t layer = 0; layer < layers; layer++) {
      const int32_t normed = norm(x, columns, rms);
      int32_t q = linear(normed, columns, columns), k = linear(normed, columns, keys), v = linear(normed, columns, keys);
      if (rotary) {
        for (int32_t* each : {&q, &k}) {
          code({7, *each, where, 0, int32_t(size), 0, number(1)});
          *each = made();
        }
      }
      const int32_t window = random.chance() ? 0 : int32_t(random.upTo(20));
      int32_t prefixK = -1, prefixV = -1;
      if (prefix >= 0) {
        code({4, prefix, 0, int32_t(keys)});
        prefixK = made();
        code({4, prefix, int32_t(keys), int32_t(keys)});
        prefixV = made();
      }
      code({9, q, k, v, int32_t(heads), int32_t(groups), lengthList, window > 0 || random.chance(), window, number(1 / std::sqrt(double(size))), number(random.chance() ? 0 : 5), -1, prefixK});
      if (prefix >= 0) code({prefixV});
      int32_t attended = made();
      if (layer + 1 == layers) {
        x = gather(x, keep);
        attended = gather(attended, keep);
      }
      x = sum(x, linear(attended, columns, columns));
      const int32_t again = random.chance(4) ? x : norm(x, columns, rms);
      int32_t up = linear(again, columns, hidden);
      if (gated) {
        code({10, up, 4});
        const int32_t gate = made();
        const int32_t other = linear(again, columns, hidden);
        code({2, gate, other});
        up = made();
      } else {
        code({10, up, int32_t(random.upTo(4))});
        up = made();
      }
      x = sum(x, linear(up, hidden, columns));
    }
    x = norm(x, columns, rms);
    code({12, x, head, -1, number(random.chance() ? 0 : 3), list(targets)});
    sketch.recording.perturbed = random.chance(4) ? false : true;
    sketch.recording.perturbation = {random.chance() ? Noise::normal : Noise::rademacher, random.engine(), 0.00048828125f, random.chance() ? 1 : 2};
    const size_t passes = random.upTo(3);
    for (size_t pass = 0; pass < passes; pass++) {
      std::vector<Entry> entries(random.chance(3) ? 40 : random.upTo(12) - 1);
      for (Entry& entry : entries) entry = {random.engine(), float(random.upTo(100)) / 65536, random.chance(3) ? 0.9990234375f : 1.0f};
      sketch.updates.push_back(entries);
    }
    return std::move(sketch);
  }

 private:
  void code(std::vector<int32_t> words) { sketch.recording.code.insert(sketch.recording.code.end(), words.begin(), words.end()); }
  int32_t made() { return values++; }
  int32_t list(const std::vector<int32_t>& values) {
    sketch.recording.lists.push_back(values);
    return int32_t(sketch.recording.lists.size()) - 1;
  }
  int32_t number(double value) {
    sketch.recording.numbers.push_back(value);
    return int32_t(sketch.recording.numbers.size()) - 1;
  }
  int32_t weight(std::vector<size_t> shape, float around, float spread) {
    size_t count = 1;
    for (size_t each : shape) count *= each;
    std::vector<float> values(count);
    for (float& each : values) each = around + spread * random.value();
    sketch.shapes.push_back(std::move(shape));
    sketch.dtypes.push_back(random.chance() ? Dtype::F32 : Dtype::BF16);
    sketch.trainable.push_back(!random.chance(5));
    sketch.values.push_back(std::move(values));
    return int32_t(sketch.shapes.size()) - 1;
  }
  int32_t matrix(size_t rows, size_t columns) { return weight({rows, columns}, 0, 1 / std::sqrt(float(columns))); }
  int32_t norm(int32_t x, size_t columns, bool rms) {
    if (rms) code({6, x, weight({columns}, 1, 0.1f), number(1e-5), number(0)});
    else code({5, x, weight({columns}, 1, 0.1f), random.chance() ? -1 : weight({columns}, 0, 0.1f), number(1e-5)});
    return made();
  }
  int32_t linear(int32_t x, size_t inputs, size_t outputs) {
    const bool inOut = random.chance(3);
    const int32_t w = inOut ? matrix(inputs, outputs) : matrix(outputs, inputs);
    code({8, x, w, random.chance() ? -1 : weight({outputs}, 0, 0.1f), inOut});
    return made();
  }
  int32_t gather(int32_t x, int32_t index) {
    code({11, x, index});
    return made();
  }
  int32_t sum(int32_t a, int32_t b) {
    if (random.chance()) code({1, a, b});
    else code({1, b, a});
    return made();
  }

  Random random;
  Sketch sketch;
  int32_t values = 0;
};

struct Outcome {
  std::vector<double> losses;
  std::vector<std::vector<char>> weights;
};

struct Made : Names {
  std::vector<WeightRef> all;
  WeightRef weight(int32_t id) const override {
    require(id >= 0 && size_t(id) < all.size(), "the weight exists");
    return all[size_t(id)];
  }
  CacheRef cache(int32_t) const override { invalid("there are no caches"); }
};

Outcome runOn(const Sketch& sketch, const Kernels& kernels, size_t threads, bool bf16, Products products = Products::byNumber) {
  Executor executor(kernels, threads);
  Made made;
  for (size_t i = 0; i < sketch.shapes.size(); i++) {
    auto weight = std::make_shared<Weight>();
    weight->shape = sketch.shapes[i], weight->dtype = sketch.dtypes[i], weight->trainable = sketch.trainable[i], weight->tensor = uint32_t(i * 2654435761u);
    weight->pages = Pages::anonymous(weight->bytes());
    for (size_t e = 0; e < weight->elements(); e++) {
      if (weight->dtype == Dtype::F32) std::memcpy(weight->data() + 4 * e, &sketch.values[i][e], 4);
      else std::memcpy(weight->data() + 2 * e, reinterpret_cast<const char*>(&sketch.values[i][e]) + 2, 2);
    }
    made.all.push_back(weight);
  }
  Recording recording = sketch.recording;
  recording.multiplyBf16 = bf16, recording.products = products;
  Outcome outcome;
  for (const std::vector<Entry>& entries : sketch.updates) {
    for (const WeightRef& weight : made.all) {
      if (!weight->trainable) continue;
      weight->pendingNoise = recording.perturbation.noise;
      weight->pending.insert(weight->pending.end(), entries.begin(), entries.end());
    }
    Program program = decode(recording, made);
    const Result result = executor.run(program, recording);
    outcome.losses.insert(outcome.losses.end(), result.losses.begin(), result.losses.end());
  }
  for (const WeightRef& weight : made.all) {
    executor.settleAll(*weight);
    outcome.weights.emplace_back(weight->data(), weight->data() + weight->bytes());
  }
  return outcome;
}

bool close(const std::vector<double>& a, const std::vector<double>& b, double relative) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); i++)
    if (!(std::fabs(a[i] - b[i]) <= relative * std::fmax(1, std::fabs(b[i])))) return false;
  return true;
}

// Never written by the program, so its pages are those of the file: two of the largest size that a system has.
constexpr size_t pageSize = 65536;
alignas(pageSize) const unsigned char table[2 * pageSize] = {1, 2};

// Whether a page that was changed in memory, as a debugger does, survives, and the others read as before.
bool keepsChangedPages() {
  volatile unsigned char* const bytes = const_cast<unsigned char*>(table);
  const auto changed = const_cast<unsigned char*>(bytes + pageSize);
  if (mprotect(changed, pageSize, PROT_READ | PROT_WRITE) != 0) return false;
  bytes[pageSize + 7] = 3;
  if (mprotect(changed, pageSize, PROT_READ) != 0) return false;
  giveBackFilePages();
  return bytes[0] == 1 && bytes[1] == 2 && bytes[pageSize] == 0 && bytes[pageSize + 7] == 3;
}

}  // namespace

int main(int count, char** arguments) {
  const uint64_t programs = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 20;
  std::vector<const Kernels*> sets;
  for (int i = 2; i < count; i++)
    if (const Kernels* found = findKernels(arguments[i])) sets.push_back(found);
  if (count <= 2) sets = usableKernels();
  const bool memoryOnly = std::getenv("STEPLOG_MEMORY_ONLY") != nullptr;
  size_t wrong = 0;
  const auto expect = [&](bool holds, uint64_t seed, const char* name, const char* what) {
    if (!holds && !memoryOnly) std::printf("program %llu on %s: %s\n", static_cast<unsigned long long>(seed), name, what), wrong++;
  };
  if (!keepsChangedPages()) std::printf("giving back pages of files lost a change\n"), wrong++;
  for (const Kernels* kernels : sets) {
    for (const bool bf16 : {false, kernels->multipliesBf16}) {
      float out[16];
      expect(kernels->multiplyAdds(3, bf16, out) > 0 && out[0] > 0 && std::isfinite(out[0]), 0, kernels->name, "multiply-adds do not give a number");
    }
  }
  for (uint64_t seed = 1; seed <= programs; seed++) {
    const Sketch sketch = Writer(seed).write();
    const Outcome truth = runOn(sketch, *kernelsPortable(), 1, false);
    for (const Kernels* kernels : sets) {
      for (const bool bf16 : {false, true}) {
        if (bf16 && !kernels->multipliesBf16) continue;
        // The portable kernels on one thread are the truth.
        const Outcome one = kernels == kernelsPortable() ? truth : runOn(sketch, *kernels, 1, bf16), three = runOn(sketch, *kernels, 3, bf16);
        expect(one.losses == three.losses, seed, kernels->name, "losses depend on the number of threads");
        if (!sketch.recording.perturbed) {
          const Outcome rows = runOn(sketch, *kernels, 1, bf16, Products::rows), shared = runOn(sketch, *kernels, 3, bf16, Products::rows);
          expect(rows.losses == shared.losses, seed, kernels->name, "losses by rows depend on the number of threads");
          expect(close(rows.losses, truth.losses, bf16 ? 3e-2 : 1e-4), seed, kernels->name, "losses by rows are not those of the portable kernels");
        }
        expect(close(one.losses, truth.losses, bf16 ? 3e-2 : 1e-4), seed, kernels->name, "losses are not those of the portable kernels");
        expect(one.weights == truth.weights && three.weights == truth.weights, seed, kernels->name, "weights are not those of the portable kernels");
      }
    }
  }
  std::printf("%llu programs on", static_cast<unsigned long long>(programs));
  for (const Kernels* kernels : sets) std::printf(" %s", kernels->name);
  std::printf(": %zu wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}
