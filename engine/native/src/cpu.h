// Which instruction sets this processor has.
#pragma once
#include <string>
#include <vector>

#include "kernels.h"

namespace steplog {

// Those of this processor, best first.
std::vector<const Kernels*> usableKernels();
// One of them by name, or null. An empty name is the best.
const Kernels* findKernels(const std::string& name);

}  // namespace steplog
