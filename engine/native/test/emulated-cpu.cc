// Replaces src/cpu.cc: a processor with everything that emulate.h emulates.
#include "../src/cpu.h"

namespace steplog {

std::vector<const Kernels*> usableKernels() { return {kernelsAmx(), kernelsAvx512Bf16(), kernelsAvx512(), kernelsPortable()}; }

const Kernels* findKernels(const std::string& name) {
  for (const Kernels* kernels : usableKernels())
    if (name.empty() || name == kernels->name) return kernels;
  return nullptr;
}

}  // namespace steplog
