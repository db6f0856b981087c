/**
 * steplog scale: submits workers to Slurm, as many as there is work for. They end by themselves when they are idle, so nothing
 * is ever cancelled here; and those that wait or run are counted, so that repeating it submits nothing twice.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import { counted, secondsOfDay } from "../../schema/units.ts";
import { type Store, openStore } from "../../store/store.ts";
import { needDatabaseUrl, readConfig } from "../config.ts";
import { reportFailure } from "../exit.ts";
import { type ShareOptions, addShareOptions, integer, shareOf } from "../options.ts";
import { print, printJson } from "../output.ts";
import { stopSignal } from "../process.ts";
import { type SlurmWorker, countJobs, submitJob, usualScript } from "../slurm.ts";

export function define(command: Command): void {
  addShareOptions(command)
    .description(
      "Start as many workers as there is work for, as jobs of Slurm. They end by themselves when they are idle. It needs DATABASE_URL.",
    )
    .argument("[sbatch-options...]", "after --: options of sbatch, such as --partition=gpu --gres=gpu:1 --mem=64G")
    .option("--slurm", "submit the workers as jobs of Slurm")
    .option("--most <number>", "workers at once, at most", integer(1, 10_000), 8)
    .option("--name <name>", "name of the jobs, by which they are counted, and of the workers' pool", "steplog-worker")
    .option("--script <file>", "the job's script", usualScript)
    .option("--every <seconds>", "go on until Ctrl-C, and look so often; otherwise once", integer(1, secondsOfDay))
    .option("--dry-run", "print what would be submitted, and submit nothing")
    .option("--json", "print one JSON object a look")
    .addHelpText(
      "after",
      "\nExample:\n  steplog scale --slurm --most 4 --every 10 --memory-from 16000 --name steplog-gpu -- --gres=gpu:1 --mem=64G",
    )
    .action(scale);
}

interface ScaleOptions extends ShareOptions {
  readonly slurm?: true;
  readonly most: number;
  readonly name: string;
  readonly script: string;
  readonly every?: number;
  readonly dryRun?: true;
  readonly json?: true;
}

async function scale(options: readonly string[], given: ScaleOptions): Promise<void> {
  if (!given.slurm) throw new SteplogError("INVALID_ARGUMENT", "Give --slurm: it is the only engine so far.");
  const config = readConfig();
  const { directUrl, storageDir } = config;
  const store = await openStore({ databaseUrl: needDatabaseUrl(config), directUrl, storageDir });
  try {
    const look = () => lookOnce(store, given, { name: given.name, script: given.script, options });
    if (given.every === undefined) await look();
    else await repeat(look, given.every * 1_000);
  } finally {
    await store.close();
  }
}

async function lookOnce(store: Store, given: ScaleOptions, worker: SlurmWorker): Promise<void> {
  const wanted = await store.queue.workersWanted({ ...shareOf(given), pool: given.name });
  const there = await countJobs(given.name);
  const missing = Math.max(0, Math.min(wanted, given.most) - there);
  const submitted: string[] = [];
  if (!given.dryRun) while (submitted.length < missing) submitted.push(await submitJob(worker));
  if (given.json) return printJson({ workersWanted: wanted, jobs: there, missing, submitted });
  const jobs = given.dryRun ? "" : submitted.map((id) => ` ${id}`).join("");
  const deed = given.dryRun ? "would be submitted" : "submitted";
  print(
    `${counted(wanted, "worker")} wanted, ${there} in Slurm's queue: ${missing} ${deed}${jobs === "" ? "." : `:${jobs}`}`,
  );
}

/** A look that fails is told, and made again: Slurm and Postgres are away for a while now and then. */
async function repeat(look: () => Promise<void>, everyMs: number): Promise<void> {
  const signal = stopSignal();
  while (!signal.aborted) {
    await look().catch((error: unknown) => reportFailure(asSteplogError(error)));
    await delay(everyMs, undefined, { signal }).catch(() => {});
  }
}
