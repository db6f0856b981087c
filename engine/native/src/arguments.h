// Reads the arguments of calls from TypeScript. What is not of its type or range throws Invalid, with the given words.
#pragma once
#include <napi.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "weight.h"

namespace steplog {

inline size_t sizeOf(const Napi::Value& value, const char* what) {
  require(value.IsNumber(), what);
  const double number = value.As<Napi::Number>().DoubleValue();
  require(number >= 0 && number <= 9007199254740991.0 && number == std::floor(number), what);
  return size_t(number);
}

inline uint64_t seedOf(const Napi::Value& value) {
  require(value.IsBigInt(), "a seed is a bigint");
  bool lossless = false;
  const uint64_t seed = value.As<Napi::BigInt>().Uint64Value(&lossless);
  require(lossless, "a seed is an unsigned 64-bit number");
  return seed;
}

inline Noise noiseOf(const Napi::Value& value) {
  const size_t kind = sizeOf(value, "the kind of noise is 0 or 1");
  require(kind <= 1, "the kind of noise is 0 or 1");
  return Noise(int(kind));
}

inline Dtype dtypeOf(const Napi::Value& value) {
  const size_t kind = sizeOf(value, "the dtype is 0 or 1");
  require(kind <= 1, "the dtype is 0 or 1");
  return Dtype(int(kind));
}

inline uint32_t tensorOf(const Napi::Value& value) {
  const size_t id = sizeOf(value, "a tensor id is an unsigned 32-bit number");
  require(id <= 0xffffffffu, "a tensor id is an unsigned 32-bit number");
  return uint32_t(id);
}

// IEEE 754 binary16 to binary32. Exact.
inline void widenHalves(const char* from, float* to, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 0) {
      to[i] = std::ldexp(float(fraction), -24) * (sign ? -1.0f : 1.0f);
      continue;
    }
    const uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    std::memcpy(to + i, &bits, 4);
  }
}

template <class T>
T typed(const Napi::Value& value, napi_typedarray_type type, const char* what) {
  require(value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type, what);
  return value.As<T>();
}

// (seeds BigUint64Array, scalars Float32Array, decays Float32Array), one element per entry.
inline std::vector<Entry> entriesOf(const Napi::Value& seeds, const Napi::Value& scalars, const Napi::Value& decays) {
  const auto s = typed<Napi::BigUint64Array>(seeds, napi_biguint64_array, "seeds are a BigUint64Array");
  const auto a = typed<Napi::Float32Array>(scalars, napi_float32_array, "scalars are a Float32Array");
  const auto d = typed<Napi::Float32Array>(decays, napi_float32_array, "decays are a Float32Array");
  require(s.ElementLength() == a.ElementLength() && a.ElementLength() == d.ElementLength(), "entries have a seed, a scalar and a decay each");
  std::vector<Entry> entries(a.ElementLength());
  for (size_t i = 0; i < entries.size(); i++) {
    require(std::isfinite(a[i]) && std::isfinite(d[i]), "scalars and decays are finite");
    entries[i] = {s[i], a[i], d[i]};
  }
  return entries;
}

}  // namespace steplog
