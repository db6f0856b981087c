/** Every step of a run, or of a part of it: where a run is long, its charts draw several steps as one. */
import { SteplogError } from "../../../client/browser.ts";
import { client } from "../api/client.ts";
import { exactSteps } from "./operations.ts";
import { lastStep, type Point } from "./points.ts";

/** Most steps of one answer. */
const most = 2_000;

/** The steps `from` to `to`, as far as they are done. @param onRead is told the last step of each answer */
export async function readExactly(
  id: string,
  from: number,
  to: number,
  onRead: (step: number) => void,
): Promise<Point[]> {
  const points: Point[] = [];
  for (let after = from - 1; after < to;) {
    // Not kept, as the answers of queries are: a run may have a million steps.
    const { fineTune } = await client.query(exactSteps, { id, after, first: Math.min(most, to - after) });
    if (!fineTune) throw new SteplogError("NOT_FOUND", "Somebody has deleted this run.");
    if (fineTune.metrics.length === 0) break;
    for (const step of fineTune.metrics) points.push({ ...step, count: 1 });
    after = lastStep(points);
    onRead(after);
  }
  return points;
}
