// Pages of the files that a process runs from: its program and its libraries.
#pragma once
#include <cstddef>

namespace steplog {

// Gives back the pages of programs and libraries that were only read: the system keeps them in its cache of the file, and puts
// back those that are used again, sixteen at a time. Pages that were changed in memory stay. Returns the bytes given back; 0 where
// the system does not say which pages are of a file (macOS).
size_t giveBackFilePages();

}  // namespace steplog
