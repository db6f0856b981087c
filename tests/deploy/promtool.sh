#!/usr/bin/env bash
# promtool.sh FOLDER: puts promtool there, out of Debian's package prometheus. The package is not installed: it would start a
# Prometheus.
set -euo pipefail
mkdir -p "$1"
cd "$1"
root=()
[[ "$(id -u)" -eq 0 ]] || root=(sudo -n)
# Of lists that are old, the file may be gone.
apt-get download -qq prometheus || { "${root[@]}" apt-get update -qq && apt-get download -qq prometheus; }
dpkg-deb -x prometheus_*.deb package
mv package/usr/bin/promtool .
rm -r package prometheus_*.deb
./promtool --version
