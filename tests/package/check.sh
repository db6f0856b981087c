#!/usr/bin/env bash
# The package as a stranger gets it: check.sh TARBALL installs it into an empty folder with the node and npm of PATH, looks at
# what is inside, type-checks and runs a program that imports it, starts the service, and runs the demo.
set -euo pipefail
tarball="$(realpath "$1")"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$here/../.."
top="$(mktemp -d)"
# A blank and a letter beyond ASCII, as in many a home folder.
work="$top/my modèle dir"
mkdir "$work"
chmod 755 "$top" "$work" # The embedded Postgres runs as another user where this is root.
service=""
trap '[[ -z "$service" ]] || kill -KILL "$service" 2>/dev/null || true; rm -rf "$top"' EXIT
fail() { printf 'the package: %s\n' "$*" >&2; exit 1; }
echo "node $(node --version), npm $(npm --version), $(du -h "$tarball" | cut -f1)"

inside="$(tar tzf "$tarball")"
! grep -E '^package/(tests|bench|scripts|\.ci|dist/bench|dashboard/src)/|\.(ts)$' <<<"$inside" | grep -v '\.d\.ts$' ||
  fail "what is listed above does not belong inside"

cd "$work"
echo '{ "private": true, "type": "module" }' >package.json
npm install --no-audit --no-fund --loglevel error "$tarball"
manifest=node_modules/steplog/package.json
node -e '
  const { scripts, devDependencies } = require(process.argv[1]);
  if (devDependencies) throw new Error("the published package.json has development packages");
  for (const [name, script] of Object.entries(scripts)) {
    const file = script.replace(/^node /, "");
    if (!require("node:fs").existsSync(`node_modules/steplog/${file}`)) throw new Error(`script ${name} has no ${file}`);
  }
' "$work/$manifest"
version="$(npx --no-install steplog --version)"
[[ "$version" == "$(node -p 'require(process.argv[1]).version' "$work/$manifest")" ]] || fail "steplog --version says $version"

cp "$here/consumer.ts" .
node "$root/node_modules/typescript/bin/tsc" --module nodenext --target es2023 --strict --skipLibCheck false --lib es2023,dom,dom.iterable,esnext.disposable \
  --typeRoots "$root/node_modules/@types" --types node consumer.ts

export STEPLOG_DATA="$work/data"
# Not by npx, whose exit code is its own when it is told to stop.
node_modules/.bin/steplog start --port 0 >start.log 2>&1 &
service=$!
# Long enough beside the stages of tests, which come first.
for _ in $(seq 180); do
  url="$(grep -oE 'http://[^ ]+/' start.log | head -n 1 || true)"
  [[ -n "$url" ]] && break
  kill -0 "$service" 2>/dev/null || break
  sleep 1
done
[[ -n "${url:-}" ]] || { cat start.log; fail "steplog start did not start"; }
node -e 'fetch(process.argv[1]).then(async (r) => { if (!r.ok || !(await r.text()).includes("<script")) process.exit(1) })' "$url" ||
  fail "no page at $url"
node consumer.js "$url" node_modules/steplog || fail "the program that imports the package failed"
kill -TERM "$service"
wait "$service" || { cat start.log; fail "steplog start ended with an error"; }
service=""

npx --no-install steplog demo
echo "the package: all checks passed"
