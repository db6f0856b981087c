/**
 * The state of a run's page, kept up to date by three streams. Each resumes after the last item it received, so a broken
 * connection or a restart of the server causes neither gaps nor duplicates in the chart and the events.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { SteplogError } from "../../../client/browser.ts";
import { pause } from "../../../client/pause.ts";
import { client } from "../api/client.ts";
import { heard } from "../api/connection.ts";
import { useAgain } from "../api/query.ts";
import {
  events,
  fineTune,
  results,
  status,
  steps,
  type EventsSubscription,
  type FineTuneQuery,
  type ListedCheckpointFragment,
} from "./operations.ts";
import { asFailure, quietly, type Failure } from "../api/failure.ts";
import { addStep, lastStep, type Point } from "./points.ts";

export type Run = NonNullable<FineTuneQuery["fineTune"]>;
export type Checkpoint = ListedCheckpointFragment;
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
const hiddenMs = 1_000;

export function useRun(id: string): [RunState, (run: Partial<Run>) => void] {
  const [state, setState] = useState(nothing);
  const latest = useRef(nothing);
  const draw = useRef(oncePerFrame(() => setState(latest.current)));
  const update: Update = (change) => {
    latest.current = change(latest.current);
    draw.current();
  };
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    watch(id, abort.signal, update).catch((error: unknown) => {
      if (!abort.signal.aborted) update((before) => ({ ...before, failure: asFailure(error) }));
    });
    return () => abort.abort();
  }, [id, round]);
  useAgain(state.failure, () => {
    if (state.run === null || state.failure !== null) setRound((before) => before + 1);
    else void refresh(id, update);
  });
  return [state, (change) => update((before) => withRun(before, change))];
}

const nothing: RunState = { run: null, points: [], version: 0, events: [], live: false, failure: null };

/** A step comes by two streams, and thousands may come in a second: whatever arrives between two frames is drawn together. */
function oncePerFrame(draw: () => void): () => void {
  let waiting = false;
  const now = () => {
    waiting = false;
    draw();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    // A page that nobody sees has no frames, but a title.
    if (document.hidden) setTimeout(now, hiddenMs);
    else requestAnimationFrame(now);
  };
}

type Update = (change: (state: RunState) => RunState) => void;

const withRun = (state: RunState, change: Partial<Run>): RunState =>
  state.run === null ? state : { ...state, run: { ...state.run, ...change } };

/**
 * The run as it was before, as long as nothing changed but what changes with each step: what shows none of that need not be
 * rendered anew then.
 */
export function useSettled(run: Run): Run {
  const kept = useRef(run);
  if (!isSettled(kept.current, run)) kept.current = run;
  return kept.current;
}

const withEachStep = new Set<string>(["loss", "estimatedSecondsLeft"] satisfies (keyof Run)[]);

function isSettled(before: Run, now: Run): boolean {
  if (before === now) return true;
  return (Object.keys(now) as (keyof Run)[]).every((name) => {
    if (withEachStep.has(name) || before[name] === now[name]) return true;
    return textOf(before, name) === textOf(now, name);
  });
}

/** Of its progress, only the kinds of steps that are told apart. */
function textOf(run: Run, name: keyof Run): string {
  if (name !== "progress") return JSON.stringify(run[name]);
  const { skippedSteps, zeroSteps } = run.progress;
  return `${skippedSteps} ${zeroSteps}`;
}

async function watch(id: string, signal: AbortSignal, update: Update): Promise<void> {
  const run = await readRun(id, signal, update);
  if (run === null) return;
  const points = [...run.chart];
  update((before) => ({ ...before, run, points, events: [], live: true, failure: null }));
  await Promise.all([
    watchSteps(id, points, signal, update),
    watchStatus(id, signal, update),
    watchEvents(id, signal, update),
    watchResults(id, signal, update),
  ]);
}

/** What has no stream, such as its name and tags, as somebody may have changed it elsewhere. */
async function refresh(id: string, update: Update): Promise<void> {
  const answer = await client.query(fineTune, { id }).catch(quietly);
  if (answer === null) return;
  const found = answer.fineTune;
  update((before) => (found ? withRun(before, found) : { ...before, failure: asFailure(gone) }));
}

const gone = new SteplogError("NOT_FOUND", "Somebody has deleted this run.");

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
  await client.subscribe({
    patienceMs: Infinity,
    operation: steps,
    variables: () => ({ id, after: lastStep(points) }),
    onItem: ({ steps: { step } }) => {
      if (addStep(points, step)) update((before) => ({ ...before, version: before.version + 1 }));
    },
    signal,
  });
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
    const answer = await client.query(results, { id }).catch(quietly);
    const found = answer?.fineTune;
    if (found) update((before) => withRun(before, found));
  }
}
