/** steplog sweep: ends what is due and deletes stored files that nothing names any more, or says what these are. */
import type { Command } from "commander";
import { counted, formatBytes } from "../../schema/units.ts";
import { sweepMachine } from "../../worker/sweep-machine.ts";
import { type BlobCount, type Due, type Store, openStore } from "../../store/store.ts";
import { keptDirOf } from "../serving.ts";
import { type ServiceConfig, needDatabaseUrl, readConfig, storeOptions } from "../config.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description(
      "End what is due, and delete stored files that nothing names any more. It needs DATABASE_URL. Runs with several settings are steplog sweeps.",
    )
    .option("--dry-run", "delete nothing, and say what would be deleted now")
    .option("--machine", "sweep what this machine has copied or rebuilt instead: workers do so every hour")
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog sweep --dry-run")
    .action(sweep);
}

interface Options {
  readonly dryRun?: boolean;
  readonly machine?: true;
  readonly json?: true;
}

async function sweep({ dryRun = false, machine, json }: Options): Promise<void> {
  const config = readConfig();
  const store = await openStore({ databaseUrl: needDatabaseUrl(config), ...storeOptions(config) });
  try {
    if (machine) return await sweepHere(store, config, { dryRun, json: json ?? false });
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

async function sweepHere(
  store: Store,
  { dataDir, serve }: ServiceConfig,
  { dryRun, json }: { readonly dryRun: boolean; readonly json: boolean },
): Promise<void> {
  const machine = { store, keptDir: keptDirOf(dataDir), keptBytes: serve.diskBytes };
  const { copies, rebuilt } = await sweepMachine(machine, { dryRun });
  if (json) return printJson({ dryRun, copies, rebuilt });
  for (const path of [...copies.folders, ...rebuilt.swept]) print(`${dryRun ? "Would delete" : "Deleted"}: ${path}`);
  print(
    `${dryRun ? "To be deleted" : "Deleted"}: copies of ${inWords(copies.swept)}; rebuilt checkpoints, ${formatBytes(rebuilt.bytes)}.`,
  );
  print(`Kept: copies of ${inWords(copies.kept)}.`);
}

/** The kinds of the API in words: "fine-tune "rows" (ID), due since TIME". */
function named({ kind, id, name, expiresAt }: Due): string {
  const noun = kind.toLowerCase().replace("_", "-");
  return `${[noun, ...(name === "" ? [] : [JSON.stringify(name)]), `(${id})`].join(" ")}, due since ${expiresAt.toISOString()}`;
}

function inWords({ count, bytes }: BlobCount): string {
  return `${counted(count, "file")}, ${formatBytes(bytes)}`;
}
