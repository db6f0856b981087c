/** A fine-tune followed to its end: a progress line for its steps, then its outcome, its log and the exit code. */
import { setTimeout as delay } from "node:timers/promises";
import type { FineTune, SteplogClient } from "../client/index.ts";
import { SteplogError } from "../schema/errors.ts";
import { rowNoteTypes } from "../schema/row-findings.ts";
import { counted, formatBytes, formatDuration, formatLoss } from "../schema/units.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { reportFailure } from "./exit.ts";
import { requireWritable } from "./files.ts";
import { inWords } from "./measured.ts";
import { ProgressLine, print, printJson } from "./output.ts";
import { type Remote, commandFor } from "./remote.ts";
import { shortId } from "./short-ids.ts";
import { TrackerFeed } from "./trackers/feed.ts";
import { measured, stepped } from "./trackers/measurements.ts";
import type { OpenTracker } from "./trackers/tracker.ts";

/** Steps over which the rate is measured. */
const rateWindow = 50;
/** Weight of the latest step in the loss that the line shows. */
const smoothing = 0.1;

/**
 * Follows the fine-tune that `begin` gives.
 * @param options log: where to write the .steplog of the last checkpoint, or of a run that has none; trackers: what else is fed;
 *   show: follows the run until it has ended, in place of the progress line
 */
export async function followToEnd(
  service: Remote,
  begin: () => Promise<FineTune>,
  {
    log,
    json,
    trackers = () => [],
    show = showSteps,
  }: {
    readonly log?: string;
    readonly json?: true;
    readonly trackers?: (run: FineTune) => OpenTracker[];
    readonly show?: typeof showSteps;
  },
): Promise<void> {
  // Before the fine-tune is created: it may take hours.
  if (log !== undefined) await requireWritable(log, "file");
  const { client } = service;
  const fineTune = await begin();
  const onInterrupt = () => {
    process.stderr.write(`\n${howToGoOn(service, fineTune)}\n`);
    process.exit(exitCodes.interrupted);
  };
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  if (!json) print(`Fine-tune ${fineTune.name} is ${shortId(fineTune.id)}.`);
  const feed = new TrackerFeed(trackers(fineTune), (message) => process.stderr.write(`${message}\n`));
  const { outcome, notes } = await show(client, fineTune, feed)
    .catch(async (error: unknown) => {
      await closed(feed, null);
      if (!(error instanceof SteplogError && error.code === "UNAVAILABLE")) throw error;
      const message = `${error.message} ${howToGoOn(service, fineTune)}`;
      throw new SteplogError("UNAVAILABLE", message, [], { cause: error });
    })
    .finally(() => process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt));
  for (const point of measured(outcome)) feed.addOnce(point);
  const hasAll = await closed(feed, outcome.status);
  const logUrl = outcome.checkpoints.nodes[0]?.logUrl ?? outcome.logUrl;
  if (log !== undefined && logUrl !== null) await (await client.download(logUrl)).save(log);
  if (json) printJson({ ...outcome, notes });
  else report(outcome, notes, log);
  process.exitCode = exitCodeOf(outcome.status) || (hasAll ? exitCodes.done : exitCodes.trackerLacks);
}

/** Whether each tracker has everything. If not, which ones lack what is told. */
async function closed(feed: TrackerFeed, status: string | null): Promise<boolean> {
  const lacking = await feed.close(status);
  for (const one of lacking) process.stderr.write(`${one}\n`);
  if (lacking.length > 0) process.stderr.write("The same command sends what is missing, once that is mended.\n");
  return lacking.length === 0;
}

/** For people whose command ends before the fine-tune, which does not end with it. */
function howToGoOn(service: Remote, { id }: FineTune): string {
  const page = `${service.url.replace(/\/+$/u, "")}/fine-tunes/${encodeURIComponent(id)}`;
  return [
    "The fine-tune does not stop with this command.",
    `  to follow it:  ${commandFor("follow", shortId(id), service)}`,
    `                 ${page}`,
    `  to pause it:   ${commandFor("pause", shortId(id), service)}`,
    `  to stop it:    ${commandFor("cancel", shortId(id), service)}`,
  ].join("\n");
}

/** Events that are about the run as a whole, and so are shown at its end. */
const noteTypes = new Set<string>([
  "HARDLY_MOVED",
  "DIVERGED",
  "OVERFITTED",
  "NO_END_OF_TURN",
  "STOPPED_EARLY",
  "TIME_LIMIT",
  ...rowNoteTypes,
]);

/** Whether an event is shown with the outcome. */
export const isNote = ({ type }: { readonly type: string }) => noteTypes.has(type);

export interface Ended {
  readonly outcome: FineTune;
  readonly notes: readonly string[];
}

/** Shows every step until the run has ended; while no steps come, why the run waits. */
export async function showSteps(client: SteplogClient, { id, progress }: FineTune, feed?: TrackerFeed): Promise<Ended> {
  const line = new ProgressLine();
  const arrivals: { step: number; at: number }[] = [];
  const ended = new AbortController();
  const isQuiet = () => performance.now() - (arrivals.at(-1)?.at ?? -Infinity) > waitingMs;
  const waiting = showWaiting(client, id, line, { isQuiet, signal: ended.signal });
  const evaluated = feed?.isFed ? feedEvaluations(client, id, feed, ended.signal) : undefined;
  const notes: string[] = [];
  let loss: number | null = null;
  try {
    for await (const update of client.follow(id)) {
      if (update.type === "event" && isNote(update.event)) notes.push(update.event.message);
      if (update.type !== "step") continue;
      const { step } = update;
      feed?.add(stepped(step));
      arrivals.push({ step: step.step, at: performance.now() });
      if (arrivals.length > rateWindow) arrivals.shift();
      if (step.loss !== null) loss = loss === null ? step.loss : loss + smoothing * (step.loss - loss);
      line.show(progressText(step.step, progress.steps, loss, rateOf(arrivals)));
    }
  } finally {
    ended.abort();
    await Promise.all([waiting, evaluated]);
  }
  line.end();
  return { outcome: await client.fineTune(id), notes };
}

/** How often trackers get what was measured on validation and test rows. */
const evaluationsMs = 5_000;

async function feedEvaluations(client: SteplogClient, id: string, feed: TrackerFeed, signal: AbortSignal) {
  while (!signal.aborted) {
    // What a service that is away has meanwhile comes with the next look.
    const run = await client.fineTune(id).catch(() => null);
    for (const point of run ? measured(run) : []) feed.addOnce(point);
    await delay(evaluationsMs, undefined, { signal }).catch(() => {});
  }
}

/** How often a run without steps is asked why it waits. */
const waitingMs = 2_000;

/** Shows each reason once. */
async function showWaiting(
  client: SteplogClient,
  id: string,
  line: ProgressLine,
  { isQuiet, signal }: { isQuiet: () => boolean; signal: AbortSignal },
): Promise<void> {
  let shown: string | null = null;
  while (!signal.aborted) {
    // If the service does not answer, the stream of steps says so.
    const run = isQuiet() ? await client.fineTune(id).catch(() => null) : null;
    const paused = run?.status === "PAUSED" ? `Paused. To go on: steplog resume ${shortId(id)}` : null;
    const reason = run?.waitingReason ?? paused;
    if (reason !== null && reason !== shown && !signal.aborted) line.note(reason);
    shown = reason;
    await delay(waitingMs, undefined, { signal }).catch(() => {});
  }
}

/** Steps per second over the window. */
function rateOf(arrivals: readonly { step: number; at: number }[]): number | null {
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  if (!first || !last || last.at === first.at) return null;
  return (1000 * (last.step - first.step)) / (last.at - first.at);
}

function progressText(step: number, steps: number, loss: number | null, rate: number | null): string {
  const width = String(steps).length;
  const parts = [`step ${String(step).padStart(width)}/${steps}`, `loss ${loss === null ? "-" : formatLoss(loss)}`];
  if (rate !== null) parts.push(`${rate.toFixed(1)} steps/s`, `ETA ${formatDuration((steps - step) / rate)}`);
  return parts.join("   ");
}

function report(outcome: FineTune, notes: readonly string[], log: string | undefined): void {
  const { step: steps, skippedSteps, zeroSteps } = outcome.progress;
  const unmoved = zeroSteps > 0 ? `, ${zeroSteps} without a difference` : "";
  print(`${outcome.status} after ${counted(steps, "step")} (${skippedSteps} skipped${unmoved}).`);
  if (outcome.pickedRate !== null) print(`  AUTO chose the learning rate ${outcome.pickedRate}`);
  for (const one of outcome.inContext) print(`  in-context baseline: ${inWords(one, "validation row")}`);
  for (const one of outcome.probes) print(`  linear probe baseline: ${inWords(one, "validation row")}`);
  for (const one of outcome.evaluations) print(`  at step ${one.step}: ${inWords(one, "validation row")}`);
  const best = outcome.bestEvaluation;
  if (best && best.step !== outcome.evaluations.at(-1)?.step) print(`  best at step ${best.step}`);
  for (const one of outcome.tests) print(`  test at step ${one.step}: ${inWords(one, "row")}`);
  const [checkpoint] = outcome.checkpoints.nodes;
  if (checkpoint)
    print(`  checkpoint ${shortId(checkpoint.id)}: ${formatBytes(checkpoint.logBytes)} at ${checkpoint.logUrl}`);
  if (log !== undefined && (checkpoint || outcome.logUrl !== null)) print(`  log written to ${log}`);
  for (const note of notes) print(`  ${note}`);
  if (outcome.error) reportFailure(outcome.error);
}
