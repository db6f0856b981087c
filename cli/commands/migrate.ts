/** steplog migrate: brings the tables of DATABASE_URL up to date, and ends. Gateways and workers do the same when they start. */
import type { Command } from "commander";
import { openStore } from "../../store/store.ts";
import { needDatabaseUrl, readConfig } from "../config.ts";
import { print, printJson } from "../output.ts";
import { createLog, migrateWhenUp, stopSignal } from "../process.ts";
import { exitCodes } from "../exit-codes.ts";

export function define(command: Command): void {
  command
    .description(
      "Bring the tables of DATABASE_URL up to date, and end. Gateways and workers do the same when they start.",
    )
    .option("--json", "print {migrated}")
    .addHelpText("after", "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog migrate")
    .action(migrate);
}

async function migrate({ json }: { readonly json?: true }): Promise<void> {
  const config = readConfig();
  const { directUrl, storageDir } = config;
  const log = createLog("migrate", config.logLevel);
  const store = await openStore({ databaseUrl: needDatabaseUrl(config), directUrl, storageDir, log });
  try {
    const migrated = await migrateWhenUp(store, log, stopSignal());
    if (json) printJson({ migrated });
    else if (migrated) print("The tables are up to date.");
    if (!migrated) process.exitCode = exitCodes.interrupted;
  } finally {
    await store.close();
  }
}
