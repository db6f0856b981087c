/**
 * A long log in parts that take about as long as a batch, so that a request to stop waits no longer. How long an entry takes
 * depends on the weights and the machine, so the first part is small, and the next ones follow what was measured. The bits are
 * the same however a log is cut.
 */
import type { LogEntries } from "../../schema/log-entries.ts";

const partMs = 500;
const firstEntries = 64;
/** Of a part at most: its entries are unpacked beside the model. */
const mostEntries = 16_384;
/** One fast part is no reason for a long one. */
const fastestGrowth = 4;

/** Applies entries in order, part by part. `before` is waited for before each part; what it throws ends the work. */
export async function applyInParts(
  entries: LogEntries,
  apply: (part: LogEntries) => Promise<void> | undefined,
  before: () => Promise<void> = async () => {},
): Promise<void> {
  let most = firstEntries;
  for (let at = 0; at < entries.length;) {
    await before();
    const started = performance.now();
    const part = entries.slice(at, at + most);
    await apply(part);
    at += part.length;
    const growth = Math.min(fastestGrowth, partMs / Math.max(1, performance.now() - started));
    most = Math.min(mostEntries, Math.max(1, Math.floor(most * growth)));
  }
}
