// Where the thread that reads parquet begins.
import { fileURLToPath } from "node:url";
import { load } from "../runtime/load.js";

await load(fileURLToPath(new URL("parquet-thread.ts", import.meta.url)));
