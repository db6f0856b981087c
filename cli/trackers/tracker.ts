/** Trackers of experiments that a command feeds while it follows a run. */
import { SteplogError, passing } from "../../schema/errors.ts";
import { isFileError } from "../../schema/file-errors.ts";

/** Measurements at one step, by series: train/loss, validation/accuracy. */
export interface Point {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Tracker {
  /** The last step that it has of each series: what is written next goes on after that. */
  readonly last: ReadonlyMap<string, number>;
  /** May fail with some of the points written. Then the tracker is opened again, and `last` tells. */
  write(points: readonly Point[]): Promise<void>;
  /** @param status of the run, once it has ended; null where there is more to come, from another opening */
  close(status: string | null): Promise<void>;
}

export interface OpenTracker {
  /** For people. */
  readonly name: string;
  /** Opened again, what a broken write left behind is read or cleared away. */
  open(): Promise<Tracker>;
}

/** Whether a tracker that failed may work again by itself: a server that is away, a full disk. */
export function mayPass(error: unknown): boolean {
  if (error instanceof SteplogError) return error.code in passing;
  return isFileError(error) && fullDisk.has(error.code);
}

const fullDisk: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EMFILE"]);

/** Notes the last step of each series of a point. */
export function note(last: Map<string, number>, { step, values }: Point): void {
  for (const series of Object.keys(values)) last.set(series, Math.max(step, last.get(series) ?? -1));
}

/** What a tracker lacks. */
export function missing(points: readonly Point[], last: ReadonlyMap<string, number>): Point[] {
  return points.flatMap(({ step, values }) => {
    const fresh = Object.entries(values).filter(([series]) => step > (last.get(series) ?? -1));
    return fresh.length > 0 ? [{ step, values: Object.fromEntries(fresh) }] : [];
  });
}
