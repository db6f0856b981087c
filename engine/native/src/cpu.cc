#include "cpu.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace steplog {

#if defined(__x86_64__)
#if defined(__linux__)
// Linux grants the tile registers on request only (arch_prctl(2), Documentation/arch/x86/xstate.rst).
static bool tilesPermitted() {
  constexpr int requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
#else
static bool tilesPermitted() { return false; }
#endif

// Bits of leaf 7 that __builtin_cpu_supports of older compilers lacks.
static bool leaf7(unsigned subleaf, int index, unsigned bit) {
  unsigned a = 7, b = 0, c = subleaf, d = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  const unsigned values[4] = {a, b, c, d};
  return (values[index] >> bit) & 1;
}

static std::vector<const Kernels*> forThisProcessor() {
  __builtin_cpu_init();
  std::vector<const Kernels*> usable;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && leaf7(0, 2, 12);  // AVX512_BITALG
  const bool bf16 = avx512 && leaf7(1, 0, 5);
  if (bf16 && leaf7(0, 3, 22) && leaf7(0, 3, 24) && tilesPermitted()) usable.push_back(kernelsAmx());
  if (bf16) usable.push_back(kernelsAvx512Bf16());
  if (avx512) usable.push_back(kernelsAvx512());
  if (avx2) usable.push_back(kernelsAvx2());
  usable.push_back(kernelsPortable());
  return usable;
}
#else
static std::vector<const Kernels*> forThisProcessor() { return {kernelsPortable()}; }
#endif

std::vector<const Kernels*> usableKernels() {
  static const std::vector<const Kernels*> usable = forThisProcessor();
  return usable;
}

const Kernels* findKernels(const std::string& name) {
  for (const Kernels* kernels : usableKernels())
    if (name.empty() || name == kernels->name) return kernels;
  return nullptr;
}

}  // namespace steplog
