#!/usr/bin/env bash
# install-python.sh FOLDER: a Python with torch, transformers and peft, which load what is rebuilt. Where pip cannot get them,
# FOLDER/why-not says so.
set -euo pipefail
python3 -m venv "$1"
packages=(torch==2.13.0 transformers==5.18.0 peft==0.21.0)
if ! timeout 480 "$1/bin/pip" install --quiet --retries 0 --disable-pip-version-check --no-compile "${packages[@]}" >"$1/pip.log" 2>&1; then
  echo "pip install ${packages[*]} failed: $(grep -m 1 ERROR "$1/pip.log" || tail -n 1 "$1/pip.log")" | tee "$1/why-not"
  exit 0
fi
"$1/bin/python" -c 'import peft, torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)'
