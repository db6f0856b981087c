// node runtime/run.js FILE.ts [ARGUMENT...]: runs a TypeScript file of the project.
import { resolve } from "node:path";
import { load } from "./load.js";

const [node = "", , file = "", ...args] = process.argv;
const path = resolve(file);
process.argv = [node, path, ...args];
await load(path);
