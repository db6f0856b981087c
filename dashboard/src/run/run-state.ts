/**
 * The state of a run's page, kept up to date by three streams. Each resumes after the last item it received, so a broken
 * connection or a restart of the server causes neither gaps nor duplicates in the chart and the events.
 */
import { useEffect, useState } from "preact/hooks";
import { SteplogError } from "../../../client/browser.ts";
import { pause } from "../../../client/pause.ts";
import { client } from "../api/client.ts";
import { heard } from "../api/connection.ts";
import { events, fineTune, results, status, steps, type EventsSubscription, type FineTuneQuery } from "./operations.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { addStep, lastStep, type Point } from "./points.ts";

export type Run = NonNullable<FineTuneQuery["fineTune"]>;
export type RunEvent = EventsSubscription["events"]["event"];

export interface RunState {
  readonly run: Run | null;
  /** Changes in place; `version` increases with each change. */
  readonly points: Point[];
  readonly version: number;
  readonly events: readonly RunEvent[];
  readonly live: boolean;
  readonly failure: Failure | null;
}

/** How often evaluations and checkpoints are refreshed. */
const resultsMs = 2_000;
const retryMs = 1_000;

export function useRun(id: string): [RunState, (run: Partial<Run>) => void] {
  const [state, setState] = useState<RunState>({
    run: null,
    points: [],
    version: 0,
    events: [],
    live: false,
    failure: null,
  });
  const update = (change: (state: RunState) => RunState) => setState(change);
  useEffect(() => {
    const abort = new AbortController();
    watch(id, abort.signal, update).catch((error: unknown) => {
      if (!abort.signal.aborted) update((before) => ({ ...before, failure: asFailure(error) }));
    });
    return () => abort.abort();
  }, [id]);
  return [state, (change) => update((before) => withRun(before, change))];
}

type Update = (change: (state: RunState) => RunState) => void;

const withRun = (state: RunState, change: Partial<Run>): RunState =>
  state.run === null ? state : { ...state, run: { ...state.run, ...change } };

async function watch(id: string, signal: AbortSignal, update: Update): Promise<void> {
  const run = await readRun(id, signal, update);
  if (run === null) return;
  const points = [...run.chart];
  update((before) => ({ ...before, run, points, live: true, failure: null }));
  await Promise.all([
    watchSteps(id, points, signal, update),
    watchStatus(id, signal, update),
    watchEvents(id, signal, update),
    watchResults(id, signal, update),
  ]);
}

/** The current state of the run. Retries while the server is unreachable. */
async function readRun(id: string, signal: AbortSignal, update: Update): Promise<Run | null> {
  while (!signal.aborted) {
    try {
      const { fineTune: found } = await client.query(fineTune, { id });
      if (found === null) throw new SteplogError("NOT_FOUND", "There is no fine-tune with this id.");
      return found;
    } catch (error) {
      if (!(error instanceof SteplogError) || error.code !== "UNAVAILABLE") throw error;
      heard(false);
      update((before) => ({ ...before, failure: asFailure(error) }));
      await pause(retryMs, signal);
    }
  }
  return null;
}

async function watchSteps(id: string, points: Point[], signal: AbortSignal, update: Update): Promise<void> {
  // Thousands of steps may arrive per second; the page is drawn at most once per frame.
  const redraw = oncePerFrame(() => update((before) => ({ ...before, version: before.version + 1 })));
  await client.subscribe({
    patienceMs: Infinity,
    operation: steps,
    variables: () => ({ id, after: lastStep(points) }),
    onItem: ({ steps: { step } }) => {
      if (addStep(points, step)) redraw();
    },
    signal,
  });
}

function oncePerFrame(draw: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

async function watchStatus(id: string, signal: AbortSignal, update: Update): Promise<void> {
  await client.subscribe({
    patienceMs: Infinity,
    operation: status,
    variables: () => ({ id }),
    onItem: ({ fineTuneStatus }) => update((before) => withRun(before, fineTuneStatus)),
    onLive: (live) => {
      heard(live);
      update((before) => (before.live === live ? before : { ...before, live }));
    },
    signal,
  });
}

async function watchEvents(id: string, signal: AbortSignal, update: Update): Promise<void> {
  let last = 0;
  await client.subscribe({
    patienceMs: Infinity,
    operation: events,
    variables: () => ({ id, after: last }),
    onItem: ({ events: { cursor, event } }) => {
      if (cursor <= last) return;
      last = cursor;
      update((before) => ({ ...before, events: [...before.events, event] }));
    },
    signal,
  });
}

/** Evaluations and checkpoints have no stream: they are refreshed while the page is visible. */
async function watchResults(id: string, signal: AbortSignal, update: Update): Promise<void> {
  while (!signal.aborted) {
    await pause(resultsMs, signal);
    if (signal.aborted || document.hidden) continue;
    const answer = await client.query(results, { id }).catch(() => null);
    const found = answer?.fineTune;
    if (found) update((before) => withRun(before, found));
  }
}
