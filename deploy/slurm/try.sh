#!/usr/bin/env bash
# Runs the template on a real Slurm: installs Debian's, makes this machine a cluster of one node, lets `steplog scale` start a
# worker for a run that waits, sees it end when it is idle, and takes everything down. As root, on a machine to throw away.
#
#   DATABASE_URL=postgres://... bash deploy/slurm/try.sh
#
# The database must be empty. What it needs besides: a built clone, curl, and a Postgres that DATABASE_URL reaches.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${DATABASE_URL:?}"
[[ "$(id -u)" -eq 0 ]] || { echo "run it as root" >&2; exit 2; }

work="$(mktemp -d /tmp/steplog-slurm.XXXXXX)"
gateway=""
say() { printf '==> %s s: %s\n' "$SECONDS" "$*"; }
cleanup() {
  local status=$?
  [[ $status -eq 0 ]] || tail -n 30 "$work"/*.log || true
  [[ -z "$gateway" ]] || kill "$gateway" 2>/dev/null || true
  scancel --me 2>/dev/null || true
  for daemon in slurmctld slurmd munged; do
    [[ -e "$work/$daemon.pid" ]] || continue
    pid="$(cat "$work/$daemon.pid")"
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  done
  rm -rf "$work"
  exit $status
}
trap cleanup EXIT

install_slurm() {
  command -v slurmctld >/dev/null && command -v munged >/dev/null && return
  apt-get update -qq
  # No daemon starts by itself: they start below, with a configuration of their own.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
}

# The node has what this machine has; the files and sockets are in a folder of ours.
configure() {
  local host cpus memory
  host="$(hostname -s)" cpus="$(nproc)" memory="$(free -m | awk '/Mem:/ { print int($2 * 0.9) }')"
  cat >"$work/slurm.conf" <<CONF
ClusterName=steplog
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
SchedulerParameters=sched_interval=1
SchedulerTimeSlice=5
InactiveLimit=0
KillWait=10
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  mkdir -p "$work/state" "$work/spool"
  export SLURM_CONF="$work/slurm.conf"
}

start_slurm() {
  # Munge insists on folders that only its user can write.
  mkdir -p "$work/munge" && chmod 700 "$work/munge" && chmod 755 "$work"
  dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none && chmod 600 "$work/munge/key"
  munged --force --key-file="$work/munge/key" --socket="$work/munge.socket" --pid-file="$work/munged.pid" \
    --log-file="$work/munged.log" --seed-file="$work/munge/seed"
  slurmctld -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  until [[ "$(sinfo --noheader --format=%T 2>/dev/null)" == idle ]]; do sleep 0.5; done
}

steplog() { node dist/cli/steplog.js "$@"; }
# Beside this script, and killed by its id: a function would run in a shell of its own.
beside() { node dist/cli/steplog.js "$@" & }

start_gateway() {
  mkdir -p "$work/data/models"
  cp -r demo/base "$work/data/models/demo"
  export STEPLOG_DATA="$work/data" STEPLOG_STORAGE="$work/data/storage" STEPLOG_MODELS="$work/data/models"
  export STEPLOG_LOG_LEVEL=warn STEPLOG_URL="http://127.0.0.1:14000"
  steplog migrate >/dev/null
  beside server --port 14000 >"$work/gateway.log" 2>&1
  gateway=$!
  until curl --silent --fail --output /dev/null "$STEPLOG_URL/readyz"; do sleep 0.2; done
  # A model that no worker has seen cannot be trained yet.
  steplog worker --exit-when-idle 0
}

jobs_left() { squeue --noheader --format=%i | wc -l; }

install_slurm
configure
start_slurm
say "Slurm $(sinfo --version | cut -d' ' -f2) is up"
start_gateway
say "the gateway is up, and no worker runs"
cat >"$work/run.json" <<JSON
{ "baseModel": "demo", "dataset": "$PWD/demo/train.jsonl", "hyperparameters": { "steps": 50, "learningRate": 0.001 } }
JSON
beside tune "$work/run.json" >"$work/tune.log" 2>&1
tune=$!
until steplog queue --json | grep -q '"workersWanted":1'; do sleep 0.2; done

export STEPLOG_COMMAND="node $PWD/dist/cli/steplog.js" STEPLOG_EXIT_WHEN_IDLE=2
resources=(--cpus-per-task=1 --mem=1G --output="$work/worker-%j.log")
scale() { steplog scale --slurm --most 4 --json "$@" -- "${resources[@]}"; }
[[ "$(scale --dry-run)" == *'"missing":1,"submitted":[]'* ]]
[[ "$(jobs_left)" -eq 0 ]]
first="$(scale)"
say "submitted: $first"
# What waits or runs is not submitted again.
[[ "$(scale)" == *'"jobs":1,"missing":0'* ]]
wait "$tune"
say "the run has ended: $(tail -n 1 "$work/tune.log")"
until [[ "$(jobs_left)" -eq 0 ]]; do sleep 0.5; done
say "the worker has ended by itself"

# One that Slurm stops gives its run back.
sed -i 's/"steps": 50/"steps": 100000/' "$work/run.json"
beside tune "$work/run.json" >"$work/tune.log" 2>&1
tune=$!
until [[ "$(scale)" == *'"submitted":["'* ]]; do sleep 0.2; done
until steplog queue --json | grep -q '"held":1'; do sleep 0.2; done
scancel --me
until steplog queue --json | grep -q '"free":1,"held":0'; do sleep 0.2; done
say "a worker that was cancelled has given its run back"
kill "$tune"
wait "$tune" || true
until [[ "$(jobs_left)" -eq 0 ]]; do sleep 0.5; done
say "done"
