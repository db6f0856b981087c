#!/usr/bin/env bash
# install.sh FOLDER: installs tfjs-cpu there as a user does, and removes and lists it. Where pip cannot get the wheel there
# is nothing to test, and FOLDER/why-not says so; any other failure is one of ours.
set -euo pipefail
export STEPLOG_DEVICES="$1"
steplog() { node dist/cli/steplog.js "$@"; }
mkdir -p "$STEPLOG_DEVICES"
if ! said="$(steplog device install tfjs-cpu --source wheel --json)"; then
  why="$(node -e '
    const { error } = JSON.parse(process.argv[1]);
    console.log(error.issues.map(({ message }) => message).join(" "));
  ' "$said")"
  [[ "$why" == "pip install tensorflow-cpu failed"* ]] || { tail -n 100 "$STEPLOG_DEVICES/tfjs-cpu.log"; exit 1; }
  echo "$why" | tee "$STEPLOG_DEVICES/why-not"
  exit 0
fi
echo "$said"
[[ "$(ls -A "$STEPLOG_DEVICES")" == tfjs-cpu ]] || { ls -A "$STEPLOG_DEVICES"; exit 1; }
listed="$(steplog device list)"
echo "$listed"
grep -E '^tfjs-tensorflow +yes' <<<"$listed"
