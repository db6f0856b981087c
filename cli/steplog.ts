#!/usr/bin/env node
/** The installed steplog command. */
import { main } from "./main.ts";

await main(process.argv.slice(2));
