/** The same deed for many runs. Where some cannot, the others are done. */
import { asFailure, type Failure } from "../api/failure.ts";
import type { ListedRun } from "./use-runs.ts";

interface Failed {
  readonly run: ListedRun;
  readonly failure: Failure;
}

/** More would only wait, in the browser and for the service. */
const atOnce = 4;

/** @returns those for which it did not work */
export async function forEachRun(
  runs: readonly ListedRun[],
  act: (run: ListedRun) => Promise<unknown>,
  onDone: (count: number) => void,
): Promise<readonly Failed[]> {
  const failed: Failed[] = [];
  const waiting = runs.values();
  let done = 0;
  const lane = async () => {
    for (const run of waiting) {
      await act(run).catch((error: unknown) => failed.push({ run, failure: asFailure(error) }));
      onDone((done += 1));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return failed;
}

/** Names told one by one. */
const mostNamed = 5;

/** One failure that names each run and why; null for none. */
export function failureOf(failed: readonly Failed[]): Failure | null {
  const [first] = failed;
  if (!first) return null;
  const named = failed.slice(0, mostNamed).map(({ run, failure }) => `“${run.name}”: ${failure.message}`);
  const others = failed.length - named.length;
  const rest = others > 0 ? [`So it was with ${others} more, which are still selected.`] : [];
  return { ...first.failure, issues: [], message: [...named, ...rest].join(" ") };
}
