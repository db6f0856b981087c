/** steplog sweep: ends what is due and deletes stored files that nothing names any more, or says what these are. */
import type { Command } from "commander";
import { counted, formatBytes } from "../../schema/units.ts";
import { type BlobCount, type Due, openStore } from "../../store/store.ts";
import { needDatabaseUrl, readConfig, storeOptions } from "../config.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .option("--dry-run", "delete nothing, and say what would be deleted now")
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog sweep --dry-run")
    .action(sweep);
}

async function sweep({ dryRun = false, json }: { readonly dryRun?: boolean; readonly json?: true }): Promise<void> {
  const config = readConfig();
  const store = await openStore({ databaseUrl: needDatabaseUrl(config), ...storeOptions(config) });
  try {
    const due = await store.endDue({ dryRun });
    const report = await store.sweep({ dryRun });
    if (json) return printJson({ dryRun, ...report, due });
    for (const one of due.ended) print(`${dryRun ? "Would end" : "Ended"}: ${named(one)}.`);
    for (const one of due.held) print(`Due, but held: ${named(one)}. ${one.by}`);
    print(`${dryRun ? "To be deleted" : "Deleted"}: ${inWords(report.swept)}.`);
    print(`Unnamed for less than a day: ${inWords(report.waiting)}. In use: ${inWords(report.named)}.`);
  } finally {
    await store.close();
  }
}

/** The kinds of the API in words: "fine-tune "rows" (ID), due since TIME". */
function named({ kind, id, name, expiresAt }: Due): string {
  const noun = kind.toLowerCase().replace("_", "-");
  return `${[noun, ...(name === "" ? [] : [JSON.stringify(name)]), `(${id})`].join(" ")}, due since ${expiresAt.toISOString()}`;
}

function inWords({ count, bytes }: BlobCount): string {
  return `${counted(count, "file")}, ${formatBytes(bytes)}`;
}
