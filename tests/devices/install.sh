#!/usr/bin/env bash
# install.sh FOLDER: installs tfjs-cpu there as a user does, lists it, and removes a copy of it, which the tests after this do not
# use. Where pip cannot get the wheel there is nothing to test, and FOLDER/why-not says so; any other failure is one of ours.
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
node tests/devices/installed.js "$said" "$STEPLOG_DEVICES/tfjs-cpu"
[[ "$(ls -A "$STEPLOG_DEVICES")" == tfjs-cpu ]] || { ls -A "$STEPLOG_DEVICES"; exit 1; }

# Whether both names of it open, and what is installed.
check_list() {
  local listed
  listed="$(steplog device list)"
  echo "$listed"
  grep -qE '^tfjs-tensorflow +yes ' <<<"$listed"
  grep -qE '^tfjs-cpu +yes ' <<<"$listed"
  grep -qE "^tfjs-cpu +TensorFlow\.js, .* TensorFlow [0-9.]+ on CPU .*wheel tensorflow-cpu .* $STEPLOG_DEVICES/tfjs-cpu\$" <<<"$listed"
}
check_list

# What a command says, and with which exit code.
expect_said() {
  local code=0 said
  said="$(steplog "${@:3}" 2>&1)" || code=$?
  [[ "$code" == "$1" && "$said" =~ $2 ]] || { echo "steplog ${*:3}: exit code $code, $said"; exit 1; }
}

expect_said 3 'tfjs-cpu is already installed' device install tfjs-cpu --source wheel
original="$STEPLOG_DEVICES"
copied="$(mktemp -d "$original.copied.XXXXXX")"
export STEPLOG_DEVICES="$copied"
for json in "" --json; do
  cp -al "$original/tfjs-cpu" "$copied/"
  if [[ -z "$json" ]]; then
    check_list
    expect_said 0 '^Removed tfjs-cpu\.$' device remove tfjs-cpu
    expect_said 3 "tfjs-cpu is not installed in $copied" device remove tfjs-cpu
  else
    expect_said 0 '^\{"removed":"tfjs-cpu"\}$' device remove tfjs-cpu --json
    expect_said 3 '"code":"NOT_FOUND"' device remove tfjs-cpu --json
  fi
  [[ -z "$(ls -A "$copied")" ]] || { ls -A "$copied"; exit 1; }
done
rmdir "$copied"
export STEPLOG_DEVICES="$original"
check_list
