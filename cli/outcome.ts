/** A fine-tune that was created, followed to its end: what it did, where its log is, and the exit code. */
import { writeFile } from "node:fs/promises";
import type { Client } from "../client/client.ts";
import { exitCodes, reportFailure } from "./exit.ts";
import type { Outcome, OutcomeEvaluation } from "./follow.ts";
import { follow } from "./follow.ts";
import { print, printJson } from "./output.ts";
import { formatBytes } from "../schema/units.ts";

export interface CreatedFineTune {
  readonly id: string;
  readonly name: string;
  readonly hyperparameters: { readonly steps: number };
}

/** @param options log: where to write the last checkpoint's .steplog */
export async function followToEnd(
  client: Client,
  fineTune: CreatedFineTune,
  { log, json }: { log?: string; json?: true },
): Promise<void> {
  if (!json) print(`Fine-tune ${fineTune.name} is ${fineTune.id}.`);
  const outcome = await follow(client, fineTune.id, fineTune.hyperparameters.steps);
  const [checkpoint] = outcome.checkpoints.nodes;
  if (log !== undefined && checkpoint) {
    await writeFile(log, Buffer.from(await (await client.download(checkpoint.logUrl)).arrayBuffer()));
  }
  if (json) printJson(outcome);
  else report(outcome, log);
  process.exitCode = exitCodeOf(outcome);
}

function report(outcome: Outcome, log: string | undefined): void {
  const { step: steps, skippedSteps, zeroSteps } = outcome.progress;
  const unmoved = zeroSteps > 0 ? `, ${zeroSteps} without a difference` : "";
  print(`${outcome.status} after ${steps} steps (${skippedSteps} skipped${unmoved}).`);
  if (outcome.pickedRate !== null) print(`  AUTO took the learning rate ${outcome.pickedRate}`);
  for (const one of outcome.inContext) print(`  with rows in its context: ${inWords(one)} validation rows`);
  for (const one of outcome.probes)
    print(`  by a linear classifier on its hidden states: ${inWords(one)} validation rows`);
  for (const one of outcome.evaluations) print(`  at step ${one.step}: ${inWords(one)} validation rows`);
  const best = outcome.bestEvaluation;
  if (best && best.step !== outcome.evaluations.at(-1)?.step) print(`  the best was at step ${best.step}`);
  for (const one of outcome.tests) print(`  test at step ${one.step}: ${inWords(one)} rows`);
  const [checkpoint] = outcome.checkpoints.nodes;
  if (checkpoint) print(`  checkpoint ${checkpoint.id}: ${formatBytes(checkpoint.logBytes)} at ${checkpoint.logUrl}`);
  if (checkpoint && log !== undefined) print(`  its log is in ${log}`);
  if (outcome.error) reportFailure(outcome.error);
}

function inWords({ loss, accuracy, f1, exactMatch, rows }: OutcomeEvaluation): string {
  const shares = { accuracy, F1: f1, "exact match": exactMatch };
  const known = Object.entries(shares).flatMap(([name, share]) =>
    share === null ? [] : [`, ${name} ${(100 * share).toFixed(1)}%`],
  );
  return `loss ${loss.toFixed(4)}${known.join("")} on ${rows}`;
}

function exitCodeOf({ status }: Outcome): number {
  if (status === "SUCCEEDED") return exitCodes.done;
  return status === "CANCELLED" ? exitCodes.runCancelled : exitCodes.runFailed;
}
