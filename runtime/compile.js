// node runtime/compile.js FILE.ts ...: compiles files of the project and all that they import, for those who may not later.
import { resolve } from "node:path";
import { compile } from "./load.js";

for (const file of process.argv.slice(2)) await compile(resolve(file));
