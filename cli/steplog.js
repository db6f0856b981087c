#!/usr/bin/env node
// The command as it is installed: registers the TypeScript loader, then runs main.ts in this process.
import { register } from "tsx/esm/api";

register();
const { main } = await import("./main.ts");
await main(process.argv.slice(2));
