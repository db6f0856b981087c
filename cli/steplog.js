#!/usr/bin/env node
// The command as it is installed.
import { fileURLToPath } from "node:url";
import { load } from "../runtime/load.js";

await load(fileURLToPath(new URL("run.ts", import.meta.url)));
