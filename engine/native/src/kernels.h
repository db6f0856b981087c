// What the instruction sets share: the table of kernels that each one fills in, and their arguments. Kernels trust their
// arguments; the caller has checked the memory.
#pragma once
#include <cstddef>
#include <cstdint>

namespace steplog {

enum class Dtype : int { F32 = 0, BF16 = 1 };
enum class Noise : int { normal = 0, rademacher = 1 };
enum class Activation : int { none = 0, relu = 1, gelu = 2, geluTanh = 3, silu = 4 };

// One entry of the log. Without decay, `decay` is 1, and multiplying by it changes no bit.
struct Entry {
  uint64_t seed;
  float scalar;
  float decay;
};

// Position of elements in the noise of their tensor (docs/STEP_LOG.md, "Noise").
struct Position {
  uint32_t tensor;
  uint64_t first;
};

struct Perturbation {
  Noise noise;
  uint64_t seed;
  float size;  // e of docs/STEP_LOG.md; w + e*n on the plus side, w - e*n on the minus side
  int sides = 2;  // 1: only the plus side
};

// Rows of float32, or of bfloat16 if a matrix product reads them next. The sides are one after the other.
struct Rows {
  void* data;
  size_t stride;      // elements from one row to the next
  size_t rows;        // of one side
  size_t sideStride;  // elements from the plus side to the minus side
  bool bf16;

  float* f32(int side, size_t row) const { return static_cast<float*>(data) + side * sideStride + row * stride; }
  uint16_t* half(int side, size_t row) const { return static_cast<uint16_t*>(data) + side * sideStride + row * stride; }
};

// A weight as a matrix product uses it. The first product that reads the weight after the steps in `pending` also applies and
// writes back their updates, in the same pass over memory that packs it.
struct Matrix {
  void* data;
  Dtype dtype;
  bool inOut;      // [in, out] rather than [out, in]
  size_t inputs;
  size_t outputs;
  uint32_t tensor;
  const Entry* pending;
  size_t pendingCount;
  Noise pendingNoise;
  const Perturbation* perturbation;  // null: both sides use the weight itself
};

// y[side] (+)= activation(x[side] * w[side] + bias[side]) for outputs first, ..., last - 1 and inputs firstInput, ...,
// lastInput - 1. Column 0 of y is output `origin`, column 0 of x is input `firstInput`. `accumulate` excludes an activation.
struct LinearTask {
  Rows x;
  Matrix w;
  Rows y;
  int sides;
  size_t first, last, origin;
  size_t firstInput, lastInput;
  const float* bias[2];  // [outputs] or null; by side
  bool accumulate;       // adds to y
  Activation activation;
  bool multiplyBf16;
  void* scratch;  // linearScratch bytes
  int64_t* packNanoseconds;  // counter of this thread, for the timings of a step
};

// y += x times b transposed, for outputs first, ..., last - 1 and all rows, in float32. b is [outputs, rank].
struct LowRankTask {
  Rows x, y;
  const void* b;
  Dtype dtype;
  size_t rank, first, last;
};

struct RowsTask {
  Rows x, other, y;  // `other` for operations with two operands
  int side;
  size_t from, to, columns;
};

// Rotary positions: row r uses the angles of slot slots[r].
struct Rotation {
  size_t headSize, pairs;
  bool interleaved;
  const float* cosines;  // [slots, pairs]
  const float* sines;
  const int32_t* slots;  // [rows]
};

struct AttentionTask {
  Rows q, k, v, out;
  int side;
  size_t queryRow;    // first row of the sequence's queries, in q and out
  size_t keyRow;      // first row of its keys, in k and v
  size_t queries;     // rows of the task's queries
  bool alone;         // there is one, multiplied by kernels of its own, which round otherwise
  size_t keys;        // all keys
  size_t past;        // position of the first query among the keys (keys - queries of the sequence, plus the task's start)
  Rows prefixK, prefixV;  // keys and values before those of every sequence
  size_t prefix;      // number of them; 0: none
  size_t queryColumn, keyColumn;  // of the head
  size_t prefixColumn;
  size_t headSize;
  bool causal;
  size_t window;   // 0: none
  float scale;
  float softcap;   // 0: none
  void* scratch;   // attentionScratch(headSize) bytes
};

// Running softmax of a row: after all outputs, loss = log(sum) + peak - target.
struct LossPartial {
  float peak;
  float sum;
};

struct Kernels {
  const char* name;
  bool multipliesBf16;
  // Linear tasks have a multiple of this many outputs.
  size_t panel;

  // Applies entries in order. Nothing else changes stored weights.
  void (*update)(void* weights, Dtype, size_t count, Position, Noise, const Entry*, size_t entries);
  // n of `count` elements.
  void (*noise)(int8_t* out, size_t count, Position, Noise, uint64_t seed);
  // Stored elements as float32 for each side. Without a perturbation, plus has the plain values and `minus` may be null.
  void (*perturb)(const void* weights, Dtype, size_t count, Position, const Perturbation*, float* plus, float* minus);

  // Most outputs for a task of this kind.
  size_t (*linearOutputs)(const LinearTask&);
  // Bytes of scratch for a task with these outputs.
  size_t (*linearScratch)(const LinearTask&, size_t outputs);
  void (*linear)(const LinearTask&);
  // The same for one unperturbed side, without packing: for a few rows, as fast as memory. linearDots is for x in float32. The bits of
  // linearRows are others; it takes x in bfloat16 as well, for weights [out, in] in bfloat16, if multipliesBf16.
  size_t (*dotsScratch)(size_t outputs);
  void (*linearDots)(const LinearTask&);
  void (*linearRows)(const LinearTask&);
  void (*addLowRank)(const LowRankTask&);

  // Rows from, ..., to - 1 of one side. y may be x.
  void (*layerNorm)(const RowsTask&, const float* weight, const float* bias, float epsilon);
  void (*rmsNorm)(const RowsTask&, size_t group, const float* weight, float offset, float epsilon);
  void (*activate)(const RowsTask&, Activation);
  void (*add)(const RowsTask&);
  void (*multiply)(const RowsTask&);
  void (*scale)(const RowsTask&, float factor);
  void (*rotate)(const RowsTask&, const Rotation&);
  void (*copy)(const RowsTask&, const int32_t* index);  // y's row is x's row index[row]; null: the same row

  size_t (*attentionScratch)(size_t headSize);
  size_t (*attentionQueries)();  // rows of queries per task
  void (*attention)(const AttentionTask&);

  // Adds the logits [columns] of one row to its running softmax. softcap 0: none.
  void (*softmax)(float* logits, size_t columns, float softcap, LossPartial*);

  // Multiply-adds on registers alone, in the format of products. Returns the number of floating-point operations. `out` has
  // room for 16 floats.
  double (*multiplyAdds)(size_t rounds, bool bf16, float* out);
};

// Tables of the instruction sets in this binary; null if the processor lacks the instruction set.
const Kernels* kernelsPortable();
const Kernels* kernelsAvx2();
const Kernels* kernelsAvx512();
const Kernels* kernelsAvx512Bf16();
const Kernels* kernelsAmx();

}  // namespace steplog
