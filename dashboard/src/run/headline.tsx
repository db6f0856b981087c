/** How a run is doing and what happens next, in one line of words. */
import { formatClock, formatDuration, formatInteger, formatLoss } from "../format.ts";
import { measureOf } from "../parts/measure.ts";
import { isFinal } from "../parts/status.tsx";
import { recentLoss, stepCount, usualWindow } from "./points.ts";
import type { Run, RunState } from "./run-state.ts";

export function Headline({ run, state }: { run: Run; state: RunState }) {
  return (
    <p class="headline" role="status">
      {[nowOf(run), resultOf(run, state)].filter((part) => part !== null).join(" ")}
    </p>
  );
}

function nowOf(run: Run): string {
  const { step, steps } = run.progress;
  return now[run.status](run, `step ${formatInteger(step)} of ${formatInteger(steps)}`);
}

const kept = "What was done so far and its log are kept.";
const now: Record<Run["status"], (run: Run, at: string) => string> = {
  QUEUED: queuedOf,
  RUNNING: runningOf,
  PAUSED: (_run, at) => `It waits at ${at} until somebody resumes it.`,
  SUCCEEDED: (run) => `It did ${formatInteger(run.progress.step)} steps in ${formatDuration(secondsOf(run))}.`,
  FAILED: (_run, at) => `It stopped at ${at}. ${kept}`,
  CANCELLED: (_run, at) => `It was cancelled at ${at}. ${kept}`,
};

function queuedOf({ waitingReason, estimatedSecondsLeft: left }: Run): string {
  const reason = waitingReason ?? "It starts as soon as a worker takes it.";
  return left === null ? reason : `${reason} It will have ended in about ${formatDuration(left)}.`;
}

function runningOf(run: Run, at: string): string {
  const { cancelRequested, pauseRequested, waitingReason, estimatedSecondsLeft: left } = run;
  if (cancelRequested) return `It stops after its current step, ${at}.`;
  if (pauseRequested) return `It pauses after its current step, ${at}.`;
  if (waitingReason !== null) return `At ${at}. ${waitingReason}`;
  if (left === null) return run.progress.step === 0 ? "A worker is loading the model." : `At ${at}.`;
  return `At ${at}; done in ${formatDuration(left)}, at ${formatClock(inSeconds(left))}.`;
}

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

function secondsOf({ startedAt, finishedAt }: Run): number | null {
  return startedAt === null || finishedAt === null ? null : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000;
}

/** The best evaluation against the first, or else how low the loss of the last steps is. */
function resultOf(run: Run, { points }: RunState): string | null {
  const validations = run.evaluations.filter(({ kind }) => kind === "VALIDATION");
  const measure = measureOf(run.hyperparameters.bestMetric, validations);
  const valueOf = (one: Run["evaluations"][number]) => measure.format(measure.of(one));
  const best = validations.find(({ step }) => step === run.bestEvaluation?.step);
  const first = validations.find(({ step }) => step === 0);
  if (best && best !== first) {
    const soFar = isFinal(run.status) ? "" : " so far";
    const before = first ? ` (${valueOf(first)} before training)` : "";
    return `Best ${measure.name}${soFar}: ${valueOf(best)} at step ${formatInteger(best.step)}${before}.`;
  }
  const loss = recentLoss(points, usualWindow(stepCount(points)));
  return loss === null ? null : `The loss of its last steps is ${formatLoss(loss)}.`;
}
