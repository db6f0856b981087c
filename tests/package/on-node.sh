#!/usr/bin/env bash
# on-node.sh RELEASE TARBALL: check.sh with a release of Node from npm's registry, which has its binaries as packages: a major,
# or `lts`, the newest that calls itself so.
set -euo pipefail
release="$1"
tarball="$2"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
package="node-linux-$(node -p process.arch)"
folder="$work/node_modules/$package/bin"
majors=("$release")
[[ "$release" != lts ]] || majors=(32 30 28 26 24)

is_wanted() { [[ "$release" != lts || -n "$("$folder/node" -p 'process.release.lts ?? ""')" ]]; }

echo '{ "private": true }' >"$work/package.json"
for major in "${majors[@]}"; do
  npm install --prefix "$work" --no-audit --no-fund --loglevel silent "$package@$major" || continue
  is_wanted || continue
  PATH="$folder:$PATH" bash "$here/check.sh" "$tarball"
  exit
done
echo "no release of Node $release on npm's registry" >&2
exit 1
