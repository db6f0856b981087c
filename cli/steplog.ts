#!/usr/bin/env node
/** The installed steplog command. */
import { main } from "./main.ts";
import { endQuietlyWithReader } from "./output.ts";

endQuietlyWithReader();
await main(process.argv.slice(2));
// An open channel to the parent that started this process would keep it alive.
if (process.connected) process.disconnect();
