/** Runs in the words of a command line: their status in its colour, how far they are, and what they measured best. */
import type { FineTuneStatus } from "../client/schema-types.ts";
import { formatDuration, formatLoss } from "../schema/units.ts";
import { coloursOf } from "./terminal.ts";

interface Asked {
  readonly status: FineTuneStatus;
  readonly pauseRequested: boolean;
  readonly cancelRequested: boolean;
}

/** The status, or what it is about to be. */
export function statusInWords({ status, pauseRequested, cancelRequested }: Asked): string {
  const { green, red, yellow, cyan, dim } = coloursOf();
  if (status === "RUNNING" && cancelRequested) return yellow("CANCELLING");
  if (status === "RUNNING" && pauseRequested) return yellow("PAUSING");
  const colour = { SUCCEEDED: green, FAILED: red, RUNNING: cyan, PAUSED: yellow, QUEUED: String, CANCELLED: dim }[
    status
  ];
  return colour(status);
}

export function progressInWords({ step, steps }: { readonly step: number; readonly steps: number }): string {
  return `${step}/${steps} ${Math.floor((100 * step) / Math.max(1, steps))}%`;
}

/** Of one that waits or runs; "-" for others, and where nothing is known. */
export function timeLeftInWords(run: {
  readonly status: FineTuneStatus;
  readonly queuePosition: number | null;
  readonly estimatedSecondsLeft: number | null;
}): string {
  if (run.estimatedSecondsLeft !== null) return formatDuration(run.estimatedSecondsLeft);
  return run.queuePosition === null ? "-" : `${run.queuePosition} before it`;
}

interface Best {
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

/** The score of an evaluation if it has one, else its loss. */
export function bestInWords(best: Best | null): string {
  if (!best) return "-";
  const { loss, accuracy, f1, exactMatch } = best;
  const shares = { F1: f1, accuracy, "exact match": exactMatch };
  const [known] = Object.entries(shares).flatMap(([name, share]) => (share === null ? [] : [[name, share] as const]));
  if (known) return `${(100 * known[1]).toFixed(1)}% ${known[0]}`;
  return lossInWords(loss);
}

export function lossInWords(loss: number | null): string {
  return loss === null ? "-" : formatLoss(loss);
}

/** 2026-11-29T19:09:16.000Z as 2026-11-29 19:09. */
export function timeInWords(at: string | null): string {
  return at === null ? "-" : at.slice(0, 16).replace("T", " ");
}
