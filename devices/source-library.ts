/** A library that is on this machine: one that the user names, of a Python, of the linker's folders. It stays where it is. */
import { existsSync } from "node:fs";
import { delimiter } from "node:path";
import { StepFailure } from "./failures.ts";
import type { Library } from "./library.ts";
import { isBuiltForCuda, libraryIn } from "./library.ts";
import { run } from "./programs.ts";
import type { SourceOptions } from "./source-options.ts";

const step = "Finding a libtensorflow on this machine";
const advice =
  "It needs libtensorflow.so.2 or libtensorflow_cc.so.2, libtensorflow_framework.so.2 and include/tensorflow/c/c_api.h; " +
  "name its folder with --library or TENSORFLOW_LIB.";

/** @throws StepFailure */
export async function libraryHere(options: SourceOptions): Promise<Library> {
  const { libraryDir, surroundings } = options;
  if (libraryDir !== null) {
    const library = libraryIn(libraryDir, libraryDir);
    if (library) return library;
    const why = existsSync(libraryDir) ? `${libraryDir} has none` : `there is no folder ${libraryDir}`;
    throw new StepFailure(step, why, advice);
  }
  const folders = [...linkerFolders(surroundings.env), "/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu"];
  for (const folder of folders) {
    const library = libraryIn(folder, folder);
    if (library) return library;
  }
  const python = await libraryOfPython(options);
  if (typeof python !== "string") return python;
  throw new StepFailure(step, `none in ${folders.join(", ")}, and ${python}`, advice);
}

function linkerFolders(env: NodeJS.ProcessEnv): string[] {
  return (env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
}

/** Without importing it, which takes seconds. */
const findSpec =
  "import importlib.util as u; s = u.find_spec('tensorflow'); print(s.submodule_search_locations[0] if s else '')";

/** The one of a Python's TensorFlow, or why it does not serve. */
async function libraryOfPython({ surroundings, root, name }: SourceOptions): Promise<Library | string> {
  const { status, output } = await run(surroundings, "python3", { args: ["-c", findSpec], cwd: root });
  const folder = output.trim().split("\n").at(-1) ?? "";
  if (status !== 0 || folder === "") return "python3 has no tensorflow";
  if (name === "tfjs-gpu" && !isBuiltForCuda(folder)) return `${folder} was built without CUDA`;
  return libraryIn(folder, folder) ?? `${folder} has no library`;
}
