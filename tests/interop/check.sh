#!/usr/bin/env bash
# check.sh PYTHON FOLDER: transformers and peft, and llama.cpp by its own converter, load what is rebuilt, and write what we
# write. FOLDER gets the npm package node-llama-cpp, whose libraries and sources of llama.cpp are all that is used of it; where
# npm cannot get it, FOLDER/why-not says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
npm run -s test:interop -- --python "$1"
mkdir -p "$2"
version=3.21.1
echo '{ "private": true }' >"$2/package.json"
# The libraries for this processor alone; those for GPUs, which the package names too, are 600 MB.
packages=("node-llama-cpp@$version" "@node-llama-cpp/linux-$(node -p process.arch)@$version")
if ! timeout 240 npm install --prefix "$2" --save-exact --omit=optional --ignore-scripts --no-audit --no-fund "${packages[@]}" >"$2/npm.log" 2>&1; then
  echo "npm install ${packages[*]} failed: $(grep -m 1 'npm error' "$2/npm.log" || tail -n 1 "$2/npm.log")" | tee "$2/why-not"
  exit 0
fi
npm run -s test:interop:llama -- --llama "$2" --python "$1"
