/** The command, run: what cli/steplog.js starts. */
import { main } from "./main.ts";

await main(process.argv.slice(2));
