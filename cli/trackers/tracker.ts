/** Trackers of experiments that a command feeds while it follows a run. */

/** Measurements at one step, by series: train/loss, validation/accuracy. */
export interface Point {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Tracker {
  /** For people. */
  readonly name: string;
  /** The last step that it has of each series: a second follow goes on after that. */
  readonly last: ReadonlyMap<string, number>;
  write(points: readonly Point[]): Promise<void>;
  /** @param status of the run, once it has ended; null if the command ends before */
  close(status: string | null): Promise<void>;
}

export type OpenTracker = () => Promise<Tracker>;

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
