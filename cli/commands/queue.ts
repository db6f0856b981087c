/** steplog queue: what waits and what runs, for people and for autoscalers. */
import type { Command } from "commander";
import { counted, formatBytes } from "../../schema/units.ts";
import { type QueueEntry, type Share, openStore, workersWantedSql } from "../../store/store.ts";
import { needDatabaseUrl, readConfig } from "../config.ts";
import { type ShareOptions, addShareOptions, shareOf } from "../options.ts";
import { print, printJson, printTable } from "../output.ts";

export function define(command: Command): void {
  addShareOptions(command)
    .description("Show what waits and what runs in DATABASE_URL, by what it needs, for people and for autoscalers.")
    .option("--pool <name>", "workers of this pool (STEPLOG_WORKER_POOL): for what they can do, and what they hold")
    .option("--json", "print one JSON object")
    .option("--sql", "print the query that counts the workers wanted, for an autoscaler, and connect to nothing")
    .addHelpText("after", "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog queue --json")
    .action(queue);
}

async function queue(options: ShareOptions & { pool?: string; json?: true; sql?: true }): Promise<void> {
  const share = { ...shareOf(options), ...(options.pool !== undefined && { pool: options.pool }) };
  if (options.sql) return print(workersWantedSql(share));
  const { wanted, entries } = await readQueue(share);
  if (options.json) return printJson({ workersWanted: wanted, entries });
  if (entries.length === 0) return print("Nothing waits, and nothing runs.");
  printTable(headings, entries.map(rowOf));
  for (const lack of new Set(entries.flatMap((entry) => entry.lack ?? []))) print(lack);
  for (const entry of entries) for (const pool of entry.leftBy) print(leftWords(entry, pool));
  print(`To do all of it at once: ${counted(wanted, "worker")}.`);
}

async function readQueue(share: Share) {
  const config = readConfig();
  const { directUrl, storageDir } = config;
  const store = await openStore({ databaseUrl: needDatabaseUrl(config), directUrl, storageDir });
  try {
    return { wanted: await store.queue.workersWanted(share), entries: await store.queue.depth(share) };
  } finally {
    await store.close();
  }
}

function leftWords({ kind, model, memoryBytes }: QueueEntry, pool: string): string {
  const about = [kind, ...(model === null ? [] : [`of ${model}`]), `(${formatBytes(memoryBytes)})`].join(" ");
  return `Workers of the pool ${pool} cannot do ${about}: no more of them are wanted for it.`;
}

const headings = ["kind", "model", "family", "precision", "memory", "free", "held", "waiting", "oldest"];

function rowOf({ kind, model, family, precision, memoryBytes, ...entry }: QueueEntry): string[] {
  const oldest = entry.oldestSeconds === null ? "" : `${Math.round(entry.oldestSeconds)} s`;
  const about = [kind, model ?? "", family ?? "", precision?.toLowerCase() ?? "", formatBytes(memoryBytes)];
  return [...about, ...[entry.free, entry.held, entry.waiting].map(String), oldest];
}
