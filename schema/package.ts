/**
 * This package on disk. The same module runs from the sources (tests, development) and from dist/ (everywhere else), so
 * files that are not compiled, such as migrations/, are found from the folder of package.json.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const manifest = require.resolve("steplog/package.json");
const root = dirname(manifest);
const compiled = import.meta.url.endsWith(".js");

export const { version } = require(manifest) as { readonly version: string };

/** The path of a file or folder of the package, given from its root: "migrations". */
export function packagePath(path: string): string {
  return join(root, path);
}

export interface Program {
  readonly path: string;
  /** Options of node that the program needs: a source needs tsx, which is installed for development only. */
  readonly execArgv: readonly string[];
}

/** A module to start as a process or a thread, named without its extension from the root: "cli/steplog". */
export function program(name: string): Program {
  return compiled
    ? { path: packagePath(`dist/${name}.js`), execArgv: [] }
    : { path: packagePath(`${name}.ts`), execArgv: ["--import", pathToFileURL(require.resolve("tsx")).href] };
}
