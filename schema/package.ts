/**
 * This package on disk. Its modules run from dist/, and in tests from the sources too, so files that are not compiled, such
 * as migrations/, are found from the folder of package.json.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const manifest = require.resolve("steplog/package.json");

export const { version } = require(manifest) as { readonly version: string };

/** The path of a file or folder of the package, given from its root: "migrations". */
export function packagePath(path: string): string {
  return join(dirname(manifest), path);
}

/** The compiled file of a module that is to run as a process or a thread: "cli/steplog". */
export function programPath(name: string): string {
  return packagePath(`dist/${name}.js`);
}
