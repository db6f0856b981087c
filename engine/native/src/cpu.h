// Which instruction sets this processor has.
#pragma once
#include <string>
#include <vector>

#include "kernels.h"

namespace steplog {

// Those that can be used here, the best first.
std::vector<const Kernels*> usableKernels();
// One of them by name; null when it is not there. An empty name takes the best.
const Kernels* findKernels(const std::string& name);

}  // namespace steplog
