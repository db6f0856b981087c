#!/usr/bin/env bash
# Tests the kernels for AVX-512, bfloat16 and AMX on a processor with only AVX2: runs the same random programs as under the
# sanitizers (driver.cc), with those instructions emulated (emulate.h). It checks results, not speed. Without SIMDe it fails if
# CI=true, and otherwise skips with a message.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! grep -q avx2 /proc/cpuinfo 2>/dev/null; then
  echo "This processor has no AVX2: skipped" >&2
  [[ "${CI:-}" != true ]]
  exit
fi
if [[ ! -e /usr/include/simde/x86/avx512.h ]]; then
  echo "SIMDe is not installed (apt-get install libsimde-dev): skipped" >&2
  [[ "${CI:-}" != true ]]
  exit
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
compiler="${CXX:-g++}"
flags="-std=gnu++17 -O2 -ffp-contract=off -w -Wno-psabi"
{
  echo "-DSTEPLOG_ISA=0 -c ../src/kernels.cc -o $work/kernels0.o"
  for isa in 2 3 4; do
    echo "-mavx2 -mfma -mf16c -mpopcnt -DSTEPLOG_ISA=$isa -include emulate.h -c ../src/kernels.cc -o $work/kernels$isa.o"
  done
  for source in ../src/{pool,file-pages,memory,program,plan,execute,execute-linear,execute-low-rank,execute-attention}.cc driver.cc emulated-cpu.cc; do
    echo "-c $source -o $work/$(basename "$source" .cc).o"
  done
} | xargs -P 2 -I{} sh -c "$compiler $flags {}"
"$compiler" "$work"/*.o -lpthread -o "$work/driver"
"$work/driver" "${PROGRAMS:-40}"
