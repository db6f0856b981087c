#!/usr/bin/env bash
# What a GPU worker does on this machine, in under eight minutes and without a network: whether the device opens, the bits of a
# log, where operations run, steps of opt-1.3b, 6.7b and 13b beside MeZO in PyTorch, replay, memory. Writes one JSON file.
#
#   bench/gpu.sh --out gpu.json                     on a machine with an NVIDIA GPU
#   bench/gpu.sh --tiny --out tiny.json             small shapes, in a minute; also without a GPU
#   bench/gpu.sh --table gpu.json                   writes the tables of docs/GPU.md
#
# It takes TensorFlow from where `steplog device install tfjs-gpu` puts it (STEPLOG_DEVICES, or data/devices of the clone), or
# from NODE_PATH. STEPLOG_PYTHON, or --python, names a Python with torch. The clone needs its packages (npm ci), which may have
# been copied.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

export STEPLOG_DEVICES="${STEPLOG_DEVICES:-$root/data/devices}"

# By default TensorFlow takes all the memory of a GPU when it starts, and its use could not be seen, nor torch run beside it.
export TF_FORCE_GPU_ALLOW_GROWTH="${TF_FORCE_GPU_ALLOW_GROWTH:-true}"
# What the driver compiles for this GPU is kept for the next process, all of it.
export CUDA_CACHE_MAXSIZE="${CUDA_CACHE_MAXSIZE:-4294967296}"
export NVIDIA_TF32_OVERRIDE="${NVIDIA_TF32_OVERRIDE:-0}"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

# Only what has changed, so that whatever else runs from dist/ is left alone. A clone without a compiler was built elsewhere.
compiler="$root/node_modules/typescript/bin/tsc"
[[ ! -e "$compiler" ]] || node "$compiler" -p "$root/tsconfig.build.json"
exec node "$root/dist/bench/gpu/main.js" --spent "$SECONDS" "$@"
