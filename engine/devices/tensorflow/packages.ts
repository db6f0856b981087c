/**
 * Where @tensorflow/tfjs-node is looked for: first among the devices that `steplog device install` made, in a folder each,
 * which no npm install touches; then beside Steplog.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setFlagsFromString } from "node:v8";

/** What can be installed, the name of its folder, and the npm package in it. In the order in which they are tried. */
export const installable = {
  "tfjs-gpu": "@tensorflow/tfjs-node-gpu",
  "tfjs-cpu": "@tensorflow/tfjs-node",
} as const;

export type InstallableName = keyof typeof installable;

export const installableNames: readonly InstallableName[] = ["tfjs-gpu", "tfjs-cpu"];

/** The folder of an installed device, below the folder of all of them. */
export function installedFolder(devicesDir: string, name: InstallableName): string {
  return join(devicesDir, name);
}

/** A package that may be there. */
export interface Candidate {
  readonly package: string;
  /** Such as "@tensorflow/tfjs-node in /var/lib/steplog/devices/tfjs-cpu". */
  readonly label: string;
  /** Its addon. */
  load(): unknown;
}

/** @param only this installed device, and nothing else; null for all that may be there */
export function candidates(devicesDir: string | null, only: InstallableName | null): Candidate[] {
  const wanted = only === null ? installableNames : [only];
  const installed = wanted.flatMap((name) => {
    if (devicesDir === null) return [];
    const folder = installedFolder(devicesDir, name);
    return existsSync(folder) || only !== null ? [candidateIn(folder, installable[name])] : [];
  });
  return only === null ? [...installed, ...wanted.map((name) => candidateBeside(installable[name]))] : installed;
}

function candidateIn(folder: string, name: string): Candidate {
  const require = createRequire(join(folder, "package.json"));
  return { package: name, label: `${name} in ${folder}`, load: () => addonOf(require, name) };
}

function candidateBeside(name: string): Candidate {
  return { package: name, label: name, load: () => addonOf(createRequire(import.meta.url), name) };
}

/** What node-pre-gyp reads in a package.json: where the addon is. */
interface Manifest {
  readonly binary: {
    readonly module_name: string;
    readonly module_path: string;
    readonly napi_versions: readonly number[];
  };
}

/**
 * The addon of a package, without the package's JavaScript: that is all of TensorFlow.js, which nothing here uses. It would take
 * as long to load as libtensorflow and 32 MB of memory. TensorFlow's environment variables are set: no informational logs,
 * and no TF32, whose ten bits of mantissa would hide the difference of two losses.
 *
 * V8's space for new objects stops growing: a step makes many small ones, for which it would take 30 MB more (decision 37).
 */
function addonOf(require: NodeJS.Require, name: string): unknown {
  setFlagsFromString("--semi-space-growth-factor=1");
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
  process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
  const manifest = require.resolve(`${name}/package.json`);
  const { binary } = require(manifest) as Manifest;
  const version = Math.max(...binary.napi_versions.filter((each) => each <= Number(process.versions["napi"])));
  const folder = binary.module_path.replace("{napi_build_version}", String(version));
  return require(join(dirname(manifest), folder, binary.module_name));
}
