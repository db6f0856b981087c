#!/usr/bin/env bash
# Runs random programs on every instruction set (driver.cc) under the address, undefined-behaviour and thread sanitizers, and
# under valgrind. Without valgrind it fails if CI=true, and otherwise skips with a message.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
compiler="${CXX:-g++}"
# Debugging information of lines alone: all of it would take a third of the time of compiling.
flags=(-std=gnu++17 -ffp-contract=off -g1 -Wno-uninitialized -Wno-maybe-uninitialized)
sets="0 1 2 3 4"
[[ "$(uname -m)" == x86_64 ]] || sets=0
avx2=(-mavx2 -mfma -mf16c -mpopcnt)
avx512=("${avx2[@]}" -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bitalg)

# Whether this machine runs an instruction set, as src/cpu.cc asks the processor. Where that is not known, it may.
runs() {
  local needed flag
  [[ -e /proc/cpuinfo ]] || return 0
  case "$1" in
    0) needed=() ;;
    1) needed=(avx2 fma f16c popcnt) ;;
    2) needed=(avx512f avx512bw avx512dq avx512vl avx512_bitalg) ;;
    3) needed=(avx512_bf16) ;;
    4) needed=(amx_tile amx_bf16) ;;
  esac
  for flag in "${needed[@]}"; do grep -qw "$flag" /proc/cpuinfo || return 1; done
}

# build NAME OPTION... : the driver with these options, two compilers at a time.
build() {
  local name="$1" folder="$work/$1" isa
  shift
  mkdir "$folder"
  local jobs=() unused=()
  for isa in $sets; do
    local own=()
    case "$isa" in
      1) own=("${avx2[@]}") ;;
      2) own=("${avx512[@]}") ;;
      3) own=("${avx512[@]}" -mavx512bf16) ;;
      4) own=("${avx512[@]}" -mavx512bf16 -mamx-tile -mamx-bf16) ;;
    esac
    local object="$folder/kernels$isa.o"
    # What never runs needs no checks, which take most of a compiler's time: on this processor, or in valgrind, which
    # does not know AVX-512. So it is the same in each driver, and compiled for the first.
    if ! runs "$isa" || [[ $name == plain && $isa -gt 1 ]]; then
      own+=(-O0 -fno-sanitize=all)
      object="$work/unused$isa.o"
      unused+=("$object")
      [[ ! -e "$object" ]] || continue
    fi
    jobs+=("-DSTEPLOG_ISA=$isa ${own[*]} -c ../src/kernels.cc -o $object")
  done
  local source
  for source in ../src/{pool,file-pages,memory,program,plan,execute,execute-linear,execute-low-rank,execute-attention,cpu}.cc driver.cc; do
    jobs+=("-c $source -o $folder/$(basename "$source" .cc).o")
  done
  printf '%s\n' "${jobs[@]}" | xargs -P 2 -I{} sh -c "$compiler ${flags[*]} $* {}"
  "$compiler" "$@" "$folder"/*.o "${unused[@]}" -lpthread -o "$work/$name-driver"
}

echo "Address and undefined behaviour:"
build address -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
"$work/address-driver" "${PROGRAMS:-40}"
echo "Threads:"
build thread -O1 -fsanitize=thread
"$work/thread-driver" "${PROGRAMS:-20}"
if command -v valgrind >/dev/null; then
  echo "valgrind, on what it can run:"
  build plain -O1
  STEPLOG_MEMORY_ONLY=1 valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,possible --fair-sched=yes \
    "$work/plain-driver" 3 portable avx2
elif [[ "${CI:-}" == true ]]; then
  echo "valgrind is not installed (apt-get install valgrind)" >&2
  exit 1
else
  echo "valgrind is not installed: skipped"
fi
