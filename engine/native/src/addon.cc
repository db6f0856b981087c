// The N-API interface: checks the arguments from TypeScript and runs jobs off the event loop, one after the other in the order
// of the calls.
#include <napi.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <numeric>
#include <thread>
#include <unordered_map>

#include "arguments.h"
#include "cpu.h"
#include "execute.h"
#include "file-pages.h"

namespace steplog {
namespace {

// Entries that a weight keeps for later: those of a long log would take more memory than the weight.
constexpr size_t mostPending = 16384;

using Work = std::function<void()>;
using Answer = std::function<Napi::Value(Napi::Env)>;

class Device : public Napi::ObjectWrap<Device>, public Names {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeDevice",
                       {
                           InstanceMethod<&Device::createWeight>("createWeight"),
                           InstanceMethod<&Device::mapWeight>("mapWeight"),
                           InstanceMethod<&Device::freeWeight>("freeWeight"),
                           InstanceMethod<&Device::readWeight>("readWeight"),
                           InstanceMethod<&Device::replayWeight>("replayWeight"),
                           InstanceMethod<&Device::update>("update"),
                           InstanceMethod<&Device::run>("run"),
                           InstanceMethod<&Device::replay>("replay"),
                           InstanceMethod<&Device::createCache>("createCache"),
                           InstanceMethod<&Device::copyCache>("copyCache"),
                           InstanceMethod<&Device::freeCache>("freeCache"),
                           InstanceMethod<&Device::timings>("timings"),
                           InstanceMethod<&Device::noise>("noise"),
                           InstanceMethod<&Device::peak>("peak"),
                           InstanceMethod<&Device::copyRate>("copyRate"),
                           InstanceAccessor<&Device::instructionSet>("instructionSet"),
                           InstanceAccessor<&Device::threadCount>("threads"),
                           InstanceAccessor<&Device::multipliesBf16>("multipliesBf16"),
                       });
  }

  // (instruction set or "", threads or 0)
  explicit Device(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Device>(info) {
    guarded(info.Env(), [&] {
      const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
      const Kernels* kernels = findKernels(name);
      if (!kernels) invalid("this processor has no " + name);
      size_t threads = sizeOf(info[1], "the number of threads is a whole number");
      if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
      require(threads <= 1024, "there are at most 1024 threads");
      executor_ = std::make_unique<Executor>(*kernels, threads);
    });
  }

  WeightRef weight(int32_t id) const override { return find(weights_, id, "the weight belongs to this device"); }
  CacheRef cache(int32_t id) const override { return find(caches_, id, "the cache belongs to this device"); }

 private:
  template <class T>
  static T find(const std::unordered_map<int32_t, T>& all, int32_t id, const char* what) {
    const auto found = all.find(id);
    require(found != all.end(), what);
    return found->second;
  }

  // ---------------------------------------------------------------- jobs
  struct Job : public Napi::AsyncWorker {
    Job(Device& device, Work work, Answer answer, const std::vector<Napi::Value>& keep)
        : Napi::AsyncWorker(device.Env()), device(device), work(std::move(work)), answer(std::move(answer)), deferred(device.Env()) {
      for (const Napi::Value& value : keep) references.push_back(Napi::Persistent(value.As<Napi::Object>()));
    }
    void Execute() override { work(); }
    void OnOK() override {
      settle([this] {
        try {
          deferred.Resolve(guarded(Env(), [this] { return answer ? answer(Env()) : Env().Undefined(); }));
        } catch (const Napi::Error& error) {
          deferred.Reject(error.Value());
        }
      });
    }
    void OnError(const Napi::Error& error) override {
      settle([&] { deferred.Reject(error.Value()); });
    }
    // A promise can be settled unless the environment is ending: its thread was terminated while the work ran.
    template <class F>
    void settle(F&& f) {
      try {
        f();
      } catch (const Napi::Error&) {
        return device.abandon();
      }
      device.next();
    }
    Device& device;
    Work work;
    Answer answer;
    Napi::Promise::Deferred deferred;
    std::vector<Napi::ObjectReference> references;
  };

  // Queues work. The answer is made on the event loop. `keep` protects JavaScript values from garbage collection until then.
  Napi::Value promise(Work work, Answer answer = nullptr, const std::vector<Napi::Value>& keep = {}) {
    auto job = std::make_unique<Job>(*this, std::move(work), std::move(answer), keep);
    const Napi::Promise promise = job->deferred.Promise();
    if (jobs_.empty()) job->Queue();
    Ref();
    jobs_.push_back(job.release());
    return promise;
  }

  // A job deletes itself when it is over.
  void next() {
    jobs_.pop_front();
    if (!jobs_.empty()) jobs_.front()->Queue();
    Unref();
  }

  // Nobody waits for the jobs behind the one that is over: they are dropped without running.
  void abandon() {
    jobs_.pop_front();
    for (Job* job : jobs_) delete job;
    jobs_.clear();
  }

  // Errors become JavaScript's. What is thrown beside this, and errors of an environment that is ending, which can be thrown
  // nowhere, are node-addon-api's to handle (binding.gyp).
  template <class F>
  static auto guarded(Napi::Env env, F&& f) -> decltype(f()) {
    try {
      return f();
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(env, "not enough memory");
    }
  }

  // ---------------------------------------------------------------- weights
  // ({shape: number[], dtype, trainable, tensor})
  static WeightRef described(const Napi::Value& value) {
    require(value.IsObject(), "a weight's description is an object");
    const Napi::Object object = value.As<Napi::Object>();
    auto weight = std::make_shared<Weight>();
    const Napi::Value shapes = object.Get("shape");
    require(shapes.IsArray(), "a shape is an array");
    const Napi::Array shape = shapes.As<Napi::Array>();
    size_t elements = 1;
    for (uint32_t i = 0; i < shape.Length(); i++) {
      const size_t size = sizeOf(shape.Get(i), "sizes are whole numbers");
      require(size == 0 || elements <= (size_t(1) << 40) / size, "a weight has at most 2^40 elements");
      elements *= size;
      weight->shape.push_back(size);
    }
    weight->dtype = dtypeOf(object.Get("dtype"));
    weight->trainable = object.Get("trainable").ToBoolean();
    weight->tensor = tensorOf(object.Get("tensor"));
    return weight;
  }

  Napi::Value add(Napi::Env env, const WeightRef& weight) {
    weights_[++last_] = weight;
    return Napi::Number::New(env, last_);
  }

  // (description, bytes Uint8Array) -> id
  Napi::Value createWeight(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const WeightRef weight = described(info[0]);
      const auto bytes = typed<Napi::Uint8Array>(info[1], napi_uint8_array, "bytes are a Uint8Array");
      require(bytes.ByteLength() == weight->bytes(), "the number of bytes fits the shape");
      weight->pages = Pages::anonymous(weight->bytes());
      std::copy_n(bytes.Data(), bytes.ByteLength(), weight->data());
      return add(info.Env(), weight);
    });
  }

  // (description, path, offset, half) -> id. A trainable weight is copied into large pages; a frozen one stays mapped to the
  // file, shared with other processes that map it. half: the file has float16, which is widened to float32.
  Napi::Value mapWeight(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const WeightRef weight = described(info[0]);
      require(info[1].IsString(), "a path is a string");
      const size_t offset = sizeOf(info[2], "an offset is a whole number");
      const bool half = info[3].ToBoolean();
      require(!half || weight->dtype == Dtype::F32, "float16 is widened to float32");
      const std::string path = info[1].As<Napi::String>().Utf8Value();
      if (weight->trainable && !half) {
        weight->pages = Pages::anonymous(weight->bytes());
        readFile(path, offset, weight->data(), weight->bytes(), executor_->threads());
        return add(info.Env(), weight);
      }
      Pages mapped = Pages::ofFile(path, offset, half ? weight->bytes() / 2 : weight->bytes());
      if (half) {
        weight->pages = Pages::anonymous(weight->bytes());
        widenHalves(mapped.data(), reinterpret_cast<float*>(weight->data()), weight->elements());
        return add(info.Env(), weight);
      }
      const bool aligned = reinterpret_cast<uintptr_t>(mapped.data()) % weight->bytesPerElement() == 0;
      if (aligned) {
        weight->pages = std::move(mapped);
      } else {
        weight->pages = Pages::anonymous(weight->bytes());
        std::copy_n(mapped.data(), weight->bytes(), weight->data());
      }
      return add(info.Env(), weight);
    });
  }

  void freeWeight(const Napi::CallbackInfo& info) {
    weights_.erase(int32_t(info[0].ToNumber()));  // queued jobs keep it alive until they have run
  }

  // (id) -> Promise<Uint8Array>
  Napi::Value readWeight(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const WeightRef weight = this->weight(info[0].ToNumber());
      return promise([this, weight] { executor_->settleAll(*weight); },
                     [weight](Napi::Env env) -> Napi::Value {
                       auto bytes = Napi::Uint8Array::New(env, weight->bytes());
                       std::copy_n(weight->data(), weight->bytes(), bytes.Data());
                       return bytes;
                     });
    });
  }

  // (ids Int32Array, seeds, scalars, decays, noise) -> Promise<void>. Delayed until the weights are next used.
  Napi::Value update(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto ids = typed<Napi::Int32Array>(info[0], napi_int32_array, "ids are an Int32Array");
      std::vector<WeightRef> weights;
      for (size_t i = 0; i < ids.ElementLength(); i++) {
        weights.push_back(weight(ids[i]));
        require(weights.back()->trainable, "only trainable weights are updated");
      }
      const std::vector<Entry> entries = entriesOf(info[1], info[2], info[3]);
      const Noise noise = noiseOf(info[4]);
      return promise([this, weights, entries, noise] {
        for (const WeightRef& weight : weights) {
          if (weight->pendingNoise != noise) executor_->settleAll(*weight);
          weight->pendingNoise = noise;
          weight->pending.insert(weight->pending.end(), entries.begin(), entries.end());
          if (weight->pending.size() >= mostPending) executor_->settleAll(*weight);
        }
      });
    });
  }

  // (id, first, bytes Uint8Array, seeds, scalars, decays, noise) -> Promise<void>. Replays onto as many elements of a weight as the
  // bytes have, from the first on, and writes what they are then to the bytes.
  Napi::Value replayWeight(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const WeightRef weight = this->weight(info[0].ToNumber());
      require(weight->trainable, "only trainable weights are updated");
      const size_t first = sizeOf(info[1], "the first element is a whole number"), size = weight->bytesPerElement();
      auto bytes = typed<Napi::Uint8Array>(info[2], napi_uint8_array, "bytes are a Uint8Array");
      require(bytes.ByteLength() % size == 0, "the bytes are whole elements");
      const size_t count = bytes.ByteLength() / size;
      require(first <= weight->elements() && count <= weight->elements() - first, "the elements are the weight's");
      uint8_t* into = bytes.Data();
      const std::vector<Entry> entries = entriesOf(info[3], info[4], info[5]);
      const Noise noise = noiseOf(info[6]);
      return promise(
          [=, this] {
            executor_->settleAll(*weight);
            char* data = weight->data() + first * size;
            executor_->replay(reinterpret_cast<uint8_t*>(data), weight->dtype, count, {weight->tensor, first}, noise, entries);
            std::copy_n(data, count * size, into);
          },
          nullptr, {info[2]});
    });
  }

  // ---------------------------------------------------------------- passes
  // ({code, numbers, lists, tables, perturbation: {seed, size, noise} | null, bf16, products, into: Float32Array | null})
  // -> Promise<Float64Array | Float32Array | undefined>. Logits are written to `into`, if there is one.
  Napi::Value run(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      struct Pass {
        Recording recording;
        Program program;
        Result result;
        size_t rows = 0, vocab = 0;  // of the logits

        void copyRow(size_t row, float* to) const { std::copy_n(result.logits + row * result.logitStride, vocab, to + row * vocab); }
      };
      auto pass = std::make_shared<Pass>();
      record(info[0], pass->recording);
      Program& program = pass->program = decode(pass->recording, *this);
      pass->rows = program.resultRows * (pass->recording.perturbed ? size_t(pass->recording.perturbation.sides) : 1), pass->vocab = program.resultColumns;
      const Napi::Value given = info[0].As<Napi::Object>().Get("into");
      float* into = nullptr;
      std::vector<Napi::Value> keep;
      if (!given.IsNull()) {
        auto array = typed<Napi::Float32Array>(given, napi_float32_array, "logits are written to a Float32Array");
        require(program.result == Op::logits && array.ElementLength() == pass->rows * pass->vocab, "logits fill the memory that is given for them");
        into = array.Data(), keep = {given};
      }
      return promise(
          [this, pass, into] {
            pass->result = executor_->run(pass->program, pass->recording);
            if (into) executor_->pool().run(pass->rows, [&](size_t row, size_t) { pass->copyRow(row, into); });
          },
          [pass, into](Napi::Env env) -> Napi::Value {
            if (into) return env.Undefined();
            if (pass->program.result == Op::losses) {
              auto losses = Napi::Float64Array::New(env, pass->result.losses.size());
              std::copy(pass->result.losses.begin(), pass->result.losses.end(), losses.Data());
              return losses;
            }
            // The next job waits for this answer, so the memory of the logits is still theirs.
            auto logits = Napi::Float32Array::New(env, pass->rows * pass->vocab);
            for (size_t row = 0; row < pass->rows; row++) pass->copyRow(row, logits.Data());
            return logits;
          },
          keep);
    });
  }

  static void record(const Napi::Value& value, Recording& recording) {
    require(value.IsObject(), "a pass is an object");
    const Napi::Object object = value.As<Napi::Object>();
    const auto code = typed<Napi::Int32Array>(object.Get("code"), napi_int32_array, "code is an Int32Array");
    recording.code.assign(code.Data(), code.Data() + code.ElementLength());
    const auto numbers = typed<Napi::Float64Array>(object.Get("numbers"), napi_float64_array, "numbers are a Float64Array");
    recording.numbers.assign(numbers.Data(), numbers.Data() + numbers.ElementLength());
    require(object.Get("lists").IsArray() && object.Get("tables").IsArray(), "lists and tables are arrays");
    const Napi::Array lists = object.Get("lists").As<Napi::Array>(), tables = object.Get("tables").As<Napi::Array>();
    for (uint32_t i = 0; i < lists.Length(); i++) {
      const auto list = typed<Napi::Int32Array>(lists.Get(i), napi_int32_array, "a list is an Int32Array");
      recording.lists.emplace_back(list.Data(), list.Data() + list.ElementLength());
    }
    for (uint32_t i = 0; i < tables.Length(); i++) {
      const auto table = typed<Napi::Float64Array>(tables.Get(i), napi_float64_array, "a table is a Float64Array");
      recording.tables.emplace_back(table.Data(), table.Data() + table.ElementLength());
    }
    recording.multiplyBf16 = object.Get("bf16").ToBoolean();
    const size_t products = sizeOf(object.Get("products"), "products are 0, 1 or 2");
    require(products < size_t(Products::count), "products are 0, 1 or 2");
    recording.products = Products(int(products));
    const Napi::Value perturbation = object.Get("perturbation");
    if (!perturbation.IsObject()) return;
    const Napi::Object given = perturbation.As<Napi::Object>();
    recording.perturbed = true;
    recording.perturbation = {noiseOf(given.Get("noise")), seedOf(given.Get("seed")), given.Get("size").ToNumber().FloatValue(), given.Get("sides").ToNumber().Int32Value()};
  }

  // (bytes Uint8Array, dtype, tensor, first, seeds, scalars, decays, noise) -> Promise<void>, in place.
  Napi::Value replay(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      auto bytes = typed<Napi::Uint8Array>(info[0], napi_uint8_array, "bytes are a Uint8Array");
      const Dtype dtype = dtypeOf(info[1]);
      const size_t size = dtype == Dtype::F32 ? 4 : 2;
      uint8_t* data = bytes.Data();
      require(bytes.ByteLength() % size == 0, "the bytes are whole elements");
      require(reinterpret_cast<uintptr_t>(data) % size == 0, "the bytes are aligned to their elements");
      const size_t count = bytes.ByteLength() / size;
      const Position position = {tensorOf(info[2]), sizeOf(info[3], "the first element is a whole number")};
      const std::vector<Entry> entries = entriesOf(info[4], info[5], info[6]);
      const Noise noise = noiseOf(info[7]);
      return promise([=] { executor_->replay(data, dtype, count, position, noise, entries); }, nullptr, {info[0]});
    });
  }

  Napi::Value createCache(const Napi::CallbackInfo& info) {
    caches_[++last_] = std::make_shared<Cache>();
    return Napi::Number::New(info.Env(), last_);
  }

  // (id, rows) -> id. Copied after the jobs so far, before those that come later.
  Napi::Value copyCache(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const CacheRef from = cache(info[0].ToNumber());
      const size_t rows = sizeOf(info[1], "rows are a whole number");
      const CacheRef to = caches_[++last_] = std::make_shared<Cache>();
      promise([from, to, rows] { Executor::copyCache(*from, *to, rows); });
      return Napi::Number::New(info.Env(), last_);
    });
  }

  void freeCache(const Napi::CallbackInfo& info) { caches_.erase(int32_t(info[0].ToNumber())); }

  // ---------------------------------------------------------------- for benchmarks
  // -> Promise<{part: seconds}>, since the last call
  Napi::Value timings(const Napi::CallbackInfo&) {
    auto timings = std::make_shared<Timings>();
    return promise([this, timings] { *timings = executor_->takeTimings(); },
                   [timings](Napi::Env env) -> Napi::Value {
                     Napi::Object object = Napi::Object::New(env);
                     const std::pair<const char*, int64_t> parts[] = {{"embed", timings->embed},   {"linear", timings->linear}, {"attention", timings->attention}, {"rows", timings->rows},
                                                                      {"losses", timings->losses}, {"noise", timings->noise},   {"update", timings->update}};
                     for (const auto& [name, nanoseconds] : parts) object.Set(name, double(nanoseconds) * 1e-9);
                     return object;
                   });
  }

  // (count, noise, seed, tensor, first) -> Promise<Int8Array>
  Napi::Value noise(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const size_t count = sizeOf(info[0], "the count is a whole number");
      require(count <= size_t(1) << 31, "the count is at most 2^31");
      const Noise kind = noiseOf(info[1]);
      const uint64_t seed = seedOf(info[2]);
      const Position position = {tensorOf(info[3]), sizeOf(info[4], "the first element is a whole number")};
      auto out = std::make_shared<std::vector<int8_t>>(count);
      constexpr size_t part = size_t(1) << 16;
      return promise(
          [=] {
            executor_->pool().run((count + part - 1) / part, [&](size_t task, size_t) {
              const size_t from = task * part, some = std::min(part, count - from);
              executor_->kernels().noise(out->data() + from, some, {position.tensor, position.first + from}, kind, seed);
            });
          },
          [out](Napi::Env env) -> Napi::Value {
            auto array = Napi::Int8Array::New(env, out->size());
            std::copy(out->begin(), out->end(), array.Data());
            return array;
          });
    });
  }

  // (bf16) -> Promise<number>: the peak of all threads in 10^9 floating-point operations per second, over about 10 ms.
  Napi::Value peak(const Napi::CallbackInfo& info) {
    const bool bf16 = info[0].ToBoolean() && executor_->kernels().multipliesBf16;
    auto rates = std::make_shared<std::vector<double>>(executor_->threads());
    return promise(
        [this, bf16, rates] {
          // Each thread waits for the others, so none takes a second task, and all are busy at once.
          std::atomic<size_t> arrived{0};
          executor_->pool().run(rates->size(), [&](size_t task, size_t) {
            arrived++;
            while (arrived < rates->size()) std::this_thread::yield();
            using Clock = std::chrono::steady_clock;
            float out[16];
            double operations = 0, seconds = 0;
            for (const auto start = Clock::now(); seconds < 0.01; seconds = std::chrono::duration<double>(Clock::now() - start).count())
              operations += executor_->kernels().multiplyAdds(size_t(1) << 14, bf16, out);
            (*rates)[task] = operations / seconds;
          });
        },
        [rates](Napi::Env env) -> Napi::Value {
          return Napi::Number::New(env, std::accumulate(rates->begin(), rates->end(), 0.0) / 1e9);
        });
  }

  // -> Promise<number>: 10^9 bytes a second that all threads read and write while they copy memory, at best.
  Napi::Value copyRate(const Napi::CallbackInfo&) {
    auto best = std::make_shared<double>(0);
    return promise(
        [this, best] {
          constexpr size_t bytes = size_t(256) << 20, part = size_t(8) << 20;
          const Pages from = Pages::anonymous(bytes), to = Pages::anonymous(bytes);
          const auto copy = [&](size_t at, size_t) { std::memcpy(to.data() + at * part, from.data() + at * part, part); };
          // Pages that were never written are all the same one.
          executor_->pool().run(bytes / part, [&](size_t at, size_t) { std::memset(from.data() + at * part, 1, part); });
          for (int round = 0; round < 6; round++) {
            using Clock = std::chrono::steady_clock;
            const auto start = Clock::now();
            executor_->pool().run(bytes / part, copy);
            *best = std::max(*best, 2.0 * bytes / std::chrono::duration<double>(Clock::now() - start).count());
          }
        },
        [best](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *best / 1e9); });
  }

  Napi::Value instructionSet(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), executor_->kernels().name); }
  Napi::Value threadCount(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(executor_->threads())); }
  Napi::Value multipliesBf16(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), executor_->kernels().multipliesBf16); }

  std::unique_ptr<Executor> executor_;
  std::unordered_map<int32_t, WeightRef> weights_;
  std::unordered_map<int32_t, CacheRef> caches_;
  std::deque<Job*> jobs_;
  int32_t last_ = 0;
};

// Names of the instruction sets of this processor, best first.
Napi::Value instructionSets(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const Kernels* kernels : usableKernels()) names.Set(i++, kernels->name);
  return names;
}

Napi::Value giveBack(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(giveBackFilePages())); }

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeDevice", Device::define(env));
  exports.Set("instructionSets", Napi::Function::New(env, instructionSets));
  exports.Set("giveBackFilePages", Napi::Function::New(env, giveBack));
  return exports;
}

}  // namespace
}  // namespace steplog

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return steplog::initialise(env, exports); }
NODE_API_MODULE(steplog_native, Init)
