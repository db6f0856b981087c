/**
 * TensorFlow's library for C, as a folder of an installed device: the addon is linked against it, and finds it when it is
 * loaded. Of a wheel it is inside library/, otherwise it stays where it is and links lead to it.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";

export interface Library {
  /** For people: "TensorFlow 2.21.0 of pip's tensorflow-cpu". */
  readonly description: string;
  /** The folder with libtensorflow.so.2 or libtensorflow_cc.so.2, and libtensorflow_framework.so.2. */
  readonly folder: string;
  readonly main: string;
  /** Has tensorflow/c/c_api.h. */
  readonly include: string;
  /** NVIDIA's libraries that pip installed beside it; none for a CPU, or where the system has them. */
  readonly cuda: readonly string[];
}

const framework = "libtensorflow_framework.so.2";
const mains = ["libtensorflow_cc.so.2", "libtensorflow.so.2"] as const;

/** The library in a folder, if it is one: as pip installs it, as its archive unpacks (lib, include), or as a system has it. */
export function libraryIn(folder: string, description: string): Library | null {
  for (const lib of [folder, join(folder, "lib")]) {
    const main = mains.find((name) => existsSync(join(lib, name)));
    if (main === undefined || !existsSync(join(lib, framework))) continue;
    const includes = [join(lib, "include"), join(dirname(lib), "include"), "/usr/local/include", "/usr/include"];
    const include = includes.find((path) => existsSync(join(path, "tensorflow", "c", "eager", "c_api.h")));
    if (include === undefined) continue;
    return { description, folder: lib, main, include, cuda: cudaBeside(dirname(lib)) };
  }
  return null;
}

/** Whether a TensorFlow of Python's was built for CUDA. */
export function isBuiltForCuda(folder: string): boolean {
  try {
    const info = readFileSync(join(folder, "python", "platform", "build_info.py"), "utf8");
    return /is_cuda_build["']\s*,\s*True/u.test(info);
  } catch {
    return false;
  }
}

/**
 * The libraries by which TensorFlow reaches a GPU. It opens them by name while it runs, and looks only where the dynamic
 * linker looks, so the addon itself is linked to them: then they are in memory already, whatever the environment of a worker
 * says. Those that they open in turn are beside them.
 */
const opened = /^lib(?:cudart|cublas|cublasLt|cudnn|cufft|cusolver|cusparse|nvJitLink|cupti|nccl|nvrtc)\.so\.\d+$/u;

function cudaBeside(site: string): string[] {
  const nvidia = join(site, "nvidia");
  return foldersIn(nvidia).flatMap((name) => {
    const lib = join(nvidia, name, "lib");
    return filesIn(lib).flatMap((file) => (/\.so(?:\.\d+)*$/u.test(file) ? [join(lib, file)] : []));
  });
}

function foldersIn(path: string): string[] {
  return existsSync(path)
    ? readdirSync(path, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []))
    : [];
}

function filesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/**
 * Makes the folder below an npm package in which its build and its addon look for the library, with links to it.
 * @param root of the installed device: links to what is inside are relative
 */
export async function linkLibrary(
  root: string,
  addon: string,
  { folder, main, include, cuda }: Library,
): Promise<void> {
  const deps = join(addon, "deps");
  const lib = join(deps, "lib");
  await rm(deps, { recursive: true, force: true });
  await mkdir(lib, { recursive: true });
  const link = (target: string, path: string) =>
    symlink(target.startsWith(`${root}/`) ? relative(dirname(path), target) : target, path);
  await link(include, join(deps, "include"));
  for (const name of ["libtensorflow.so", main]) await link(join(folder, main), join(lib, name));
  for (const name of ["libtensorflow_framework.so", framework]) await link(join(folder, framework), join(lib, name));
  for (const path of cuda) await link(path, join(lib, basename(path)));
}

/** For the linker, by the names that linkLibrary gave; empty without NVIDIA's libraries. */
export function linkFlags({ cuda }: Library): string {
  const names = cuda.map((path) => basename(path)).filter((name) => opened.test(name));
  if (names.length === 0) return "";
  return ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", ...names.map((name) => `-l:${name}`)].join(" ");
}
