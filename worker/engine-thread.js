// Where the engine thread begins.
import { fileURLToPath } from "node:url";
import { load } from "../runtime/load.js";

await load(fileURLToPath(new URL("engine-thread.ts", import.meta.url)));
