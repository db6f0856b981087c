#!/bin/sh
# Installs @tensorflow/tfjs-node where its own installer cannot download libtensorflow: builds its addon against the
# library of a TensorFlow wheel from PyPI. Wants npm, python3 with venv, make and a C++ compiler; takes a few minutes.
#
#   scripts/tfjs-node-from-wheel.sh FOLDER          e.g. ~/.local/share/steplog-tfjs
#   NODE_PATH=FOLDER/node_modules STEPLOG_DEVICE=tfjs-tensorflow npm run worker
#
# TENSORFLOW_WHEEL names another package than tensorflow-cpu (docs/devices.md).
set -eu

folder=${1:?usage: scripts/tfjs-node-from-wheel.sh FOLDER}
wheel=${TENSORFLOW_WHEEL:-tensorflow-cpu}
version=4.22.0

mkdir -p "$folder"
cd "$folder"

if [ ! -d venv ]; then python3 -m venv venv; fi
# Without its dependencies: only the library inside is wanted, not Python's TensorFlow.
venv/bin/pip install --quiet --no-deps "$wheel"
tensorflow=$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')/tensorflow

if [ ! -f package.json ]; then echo '{ "private": true }' >package.json; fi
npm install --no-audit --no-fund --ignore-scripts "@tensorflow/tfjs-node@$version"

# The names that the addon's build (binding.gyp) and its loader look for.
addon=$PWD/node_modules/@tensorflow/tfjs-node
mkdir -p "$addon/deps/lib"
ln -sfn "$tensorflow/include" "$addon/deps/include"
for name in libtensorflow.so libtensorflow.so.2.9.1 libtensorflow_cc.so.2; do
  ln -sf "$tensorflow/libtensorflow_cc.so.2" "$addon/deps/lib/$name"
done
for name in libtensorflow_framework.so libtensorflow_framework.so.2; do
  ln -sf "$tensorflow/libtensorflow_framework.so.2" "$addon/deps/lib/$name"
done

# By npm, which tells node-gyp where Node.js keeps its headers. The messages are shown only when it fails.
if ! (cd "$addon" && npm exec -- node-pre-gyp rebuild --build-from-source) >build.log 2>&1; then
  tail -n 40 build.log
  exit 1
fi

node -e "
  const util = require('node:util');
  util.isNullOrUndefined ??= (value) => value == null;
  process.env.TF_CPP_MIN_LOG_LEVEL = '2';
  const { binding } = require('@tensorflow/tfjs-node').backend();
  console.log('TensorFlow', binding.TF_Version, binding.isUsingGpuDevice() ? 'on GPU' : 'on CPU');
"
echo "Use it with: NODE_PATH=$PWD/node_modules"
