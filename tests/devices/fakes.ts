/**
 * Programs that an install runs, as shell scripts on a PATH of their own: an npm that unpacks a package of ours, a python3
 * whose pip unpacks a wheel of ours. Variables change what they do.
 */
import { chmod, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { InstallRequest } from "../../devices/install.ts";
import { scratch } from "../support/models.ts";

const npm = `
case "$1" in
  install)
    package=node_modules/@tensorflow/\${FAKE_NAME:-tfjs-node}
    mkdir -p $package/lib/napi-v3
    echo '{ "binary": { "module_name": "addon", "module_path": "./lib/napi-v{napi_build_version}", "napi_versions": [3, 99] } }' \
      >$package/package.json
    echo "$FAKE_PACKAGE" >$package/lib/napi-v3/addon.js ;;
  exec) echo "LDFLAGS=$LDFLAGS" >>"$FAKE_CALLS"; ls deps/lib deps/include/ >>"$FAKE_CALLS" ;;
  run) echo "Error: getaddrinfo ENOTFOUND storage.googleapis.com"; exit 1 ;;
esac
eval "$FAKE_NPM"`;

const python3 = `
case "$*" in
  "-m pip --version") exit \${FAKE_PIP_MISSING:-0} ;;
  "-m venv"*) echo "ensurepip is not available"; exit 1 ;;
  "-m pip install"*)
    echo "$*" >>"$FAKE_CALLS"
    site="$5"
    mkdir -p "$site/tensorflow/include/tensorflow/c/eager" "$site/tensorflow_cpu-2.21.0.dist-info" "$site/nvidia/cuda_runtime/lib"
    touch "$site/tensorflow/libtensorflow_cc.so.2" "$site/tensorflow/libtensorflow_framework.so.2"
    touch "$site/tensorflow/include/tensorflow/c/eager/c_api.h"
    touch "$site/nvidia/cuda_runtime/lib/libcudart.so.12" "$site/nvidia/cuda_runtime/lib/libother.so.1"
    printf 'Version: 2.21.0\\nRequires-Dist: numpy>=1\\nRequires-Dist: nvidia-cudart-cu12<13.0; extra == "and-cuda"\\n' \\
      >"$site/tensorflow_cpu-2.21.0.dist-info/METADATA"
    eval "$FAKE_PIP" ;;
esac`;

export interface Fakes {
  readonly devicesDir: string;
  /** What the programs were called with. */
  readonly calls: () => Promise<string>;
  readonly request: (changes?: Partial<InstallRequest>, variables?: Readonly<Record<string, string>>) => InstallRequest;
  /** What is in the folder of devices. */
  readonly left: () => Promise<string[]>;
}

/** Of tfjs-cpu, from each source in turn. */
export function installRequest(
  given: Pick<InstallRequest, "devicesDir" | "env"> & Partial<InstallRequest>,
): InstallRequest {
  return {
    name: "tfjs-cpu",
    source: null,
    libraryDir: null,
    wheel: null,
    pipArgs: [],
    replace: false,
    signal: new AbortController().signal,
    onStep: () => {},
    ...given,
  };
}

/** @param missing programs that are not on the PATH */
export async function fakes(missing: readonly string[] = []): Promise<Fakes> {
  const folder = await scratch();
  const devicesDir = join(folder, "devices");
  const calls = join(folder, "calls");
  await writeFile(calls, "");
  const programs = { npm, python3, "g++": "", make: "" };
  for (const [name, script] of Object.entries(programs)) {
    if (missing.includes(name)) continue;
    await writeFile(join(folder, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  }
  return {
    devicesDir,
    calls: () => readFile(calls, "utf8"),
    request: (changes = {}, variables = {}) =>
      installRequest({
        devicesDir,
        env: { PATH: folder, FAKE_CALLS: calls, ...variables },
        source: "wheel",
        ...changes,
      }),
    left: async () => (await readdir(devicesDir)).toSorted(),
  };
}
