/**
 * The library inside a TensorFlow wheel, which pip fetches from wherever it is configured to. Only the library is kept: not
 * Python's TensorFlow, nor what that depends on. For GPUs the wheel's extra "and-cuda" names NVIDIA's libraries, as wheels
 * too, so that a GPU of today is served by its driver alone.
 */
import { readFile, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../schema/units.ts";
import { StepFailure, mustSucceed, noRoomAdvice } from "./failures.ts";
import type { Library } from "./library.ts";
import { libraryIn } from "./library.ts";
import { run } from "./programs.ts";
import type { SourceOptions } from "./source-options.ts";

/** @throws StepFailure */
export async function libraryOfWheel(options: SourceOptions): Promise<Library> {
  const wheel = options.wheel ?? wheelFor(options.name);
  await needRoom(options);
  const pip = await findPip(options);
  const site = join(options.root, "library");
  options.onStep(`pip downloads ${wheel}`);
  await pipInstall(options, pip, site, ["--no-deps", wheel]);
  const { version, cuda } = await readMetadata(site, wheel);
  if (options.name === "tfjs-gpu" && cuda.length > 0) {
    options.onStep("pip downloads the CUDA libraries");
    await pipInstall(options, pip, site, cuda);
  }
  const library = libraryIn(join(site, "tensorflow"), `TensorFlow ${version} of the wheel ${wheel}`);
  if (library) return library;
  throw new StepFailure(
    `Reading the wheel ${wheel}`,
    "it has no libtensorflow_cc.so.2 with headers",
    "Name another with --wheel.",
  );
}

/** TensorFlow publishes wheels for CUDA for x86-64 only. @throws StepFailure */
function wheelFor(name: SourceOptions["name"]): string {
  if (process.platform !== "linux")
    throw new StepFailure("Choosing a wheel", `wheels for ${process.platform} cannot be linked`, "Use --source host.");
  if (process.arch === "x64") return name === "tfjs-gpu" ? "tensorflow" : "tensorflow-cpu";
  if (name === "tfjs-cpu") return "tensorflow";
  const advice = "Name one with --wheel, or build a libtensorflow and name its folder with --library.";
  throw new StepFailure("Choosing a wheel", `TensorFlow publishes none for CUDA on ${process.arch}`, advice);
}

/** While wheels are unpacked; afterwards about half of it. */
const roomBytes = { "tfjs-cpu": 2.5e9, "tfjs-gpu": 12e9 };

/** @throws StepFailure */
async function needRoom({ root, name }: SourceOptions): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  if (free >= roomBytes[name]) return;
  const why = `the wheel needs ${formatBytes(roomBytes[name])}, and the disk has ${formatBytes(free)} free`;
  throw new StepFailure("Looking for room", why, noRoomAdvice);
}

type Command = readonly [program: string, ...args: string[]];

/** pip of python3; where Debian split it off, that of a virtual environment. @throws StepFailure */
async function findPip({ surroundings, root }: SourceOptions): Promise<Command> {
  const own = await run(surroundings, "python3", { args: ["-m", "pip", "--version"], cwd: root });
  if (own.status === 0) return ["python3", "-m", "pip"];
  const venv = join(root, "venv");
  const made = await run(surroundings, "python3", { args: ["-m", "venv", venv], cwd: root });
  mustSucceed("Finding pip", made, () => "apt-get install python3-venv (or python3-pip)");
  return [join(venv, "bin", "python"), "-m", "pip"];
}

async function pipInstall(
  { surroundings, pipArgs, root }: SourceOptions,
  [program, ...start]: Command,
  target: string,
  wanted: readonly string[],
): Promise<void> {
  const flags = ["--target", target, "--upgrade", "--no-compile", "--only-binary=:all:", "--progress-bar", "off"];
  const ran = await run(surroundings, program, {
    args: [...start, "install", ...flags, ...pipArgs, ...wanted],
    cwd: root,
    env: {
      // An index that cannot be reached would otherwise cost minutes before the others are asked.
      PIP_RETRIES: surroundings.env["PIP_RETRIES"] ?? "1",
      PIP_DISABLE_PIP_VERSION_CHECK: "1",
      PIP_ROOT_USER_ACTION: "ignore",
      PIP_USER: "0",
      TMPDIR: root,
    },
  });
  const name = wanted.filter((word) => !word.startsWith("-")).join(" ");
  mustSucceed(`pip install ${name}`, ran, adviseOnPip);
}

function adviseOnPip(output: string): string {
  if (/no matching distribution|could not find a version/iu.test(output)) {
    return (
      "Name an index that has it (PIP_INDEX_URL or pip's configuration). If the wheel is not made for this python3, add " +
      '--pip-args "--python-version 3.12".'
    );
  }
  return "pip's own settings and variables apply (PIP_INDEX_URL, PIP_PROXY, PIP_CERT); --pip-args passes others.";
}

/** Of the wheel that pip unpacked: its version, and what its extra "and-cuda" requires. @throws StepFailure */
async function readMetadata(site: string, wheel: string): Promise<{ version: string; cuda: string[] }> {
  const info = (await readdir(site)).find((name) => /^tensorflow.*\.dist-info$/u.test(name));
  if (info === undefined)
    throw new StepFailure(`Reading the wheel ${wheel}`, "it is no TensorFlow", "Name another with --wheel.");
  const lines = (await readFile(join(site, info, "METADATA"), "utf8")).split("\n");
  const version = lines.flatMap((line) => /^Version: (\S+)/u.exec(line)?.[1] ?? []).at(0) ?? "unknown";
  const cuda = lines.flatMap((line) => {
    const [, requirement, marker = ""] = /^Requires-Dist: ([^;]+);(.*)/u.exec(line) ?? [];
    return requirement !== undefined && /extra\s*==\s*["']and-cuda["']/u.test(marker) ? [requirement.trim()] : [];
  });
  return { version, cuda };
}

/** Deletes what only Python and the build needed, two thirds of the files. */
export async function keepLibrary(root: string): Promise<void> {
  const site = join(root, "library");
  const drop = (path: string) => rm(path, { recursive: true, force: true });
  await drop(join(root, "venv"));
  for (const name of await readdir(site).catch(() => [])) {
    if (!["tensorflow", "nvidia"].includes(name)) await drop(join(site, name));
  }
  const tensorflow = join(site, "tensorflow");
  for (const name of await readdir(tensorflow).catch(() => [])) {
    if (!/\.so(?:\.\d+)*$/u.test(name)) await drop(join(tensorflow, name));
  }
}
