/** One fine-tune: progress, loss chart, evaluations, checkpoints, settings and events. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { rowNoteTypes } from "../../../schema/row-findings.ts";
import { client } from "../api/client.ts";
import { cancelFineTune, pauseFineTune, resumeFineTune } from "./operations.ts";
import {
  formatBytes,
  formatClock,
  formatCompact,
  formatCounted,
  formatDuration,
  formatInteger,
  formatLoss,
  formatRate,
  formatShare,
  formatTime,
  none,
} from "../format.ts";
import { Chart } from "./chart.tsx";
import { hyperparameterPairs } from "../parts/form/hyperparameters.tsx";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";
import { isFinal, Progress, Status } from "../parts/status.tsx";
import { smooth } from "./points.ts";
import { runPath } from "../base.ts";
import { Checkpoints } from "./checkpoints.tsx";
import { Continue } from "./continue.tsx";
import { Evaluations } from "./evaluations.tsx";
import { useRun, type Run, type RunEvent, type RunState } from "./run-state.ts";

/** Events that are about the run as a whole. */
const noticeTypes = new Set<string>(["HARDLY_MOVED", "DIVERGED", "OVERFITTED", ...rowNoteTypes]);

export function RunPage({ id }: { id: string }) {
  const [state, change] = useRun(id);
  const { run, failure } = state;
  useEffect(() => {
    document.title = `${run?.name ?? "Fine-tune"} · Steplog`;
  }, [run?.name]);
  if (run === null) {
    return (
      <>
        <h1>Fine-tune</h1>
        {failure ? <Problem title="Cannot load the run" failure={failure} /> : <p class="muted">Loading…</p>}
      </>
    );
  }
  return (
    <>
      <div class="title">
        <h1>{run.name}</h1>
        <Status run={run} />
        <Connection live={state.live} over={isFinal(run.status)} />
        {!isFinal(run.status) && !run.cancelRequested && <Pause run={run} onChanged={change} />}
        {isFinal(run.status) ? <Continue run={run} /> : <Cancel run={run} onCancelled={change} />}
      </div>
      {failure && <Problem title="Live updates stopped" failure={failure} />}
      {run.error && <Problem title="The run failed" failure={run.error} />}
      {run.waitingReason !== null && <p role="status">{run.waitingReason}</p>}
      {state.events.map(
        ({ type, sequence, message }) =>
          noticeTypes.has(type) && (
            <p key={sequence} class="notice" role="status">
              {message}
            </p>
          ),
      )}
      <Progress run={run} />
      <Figures state={state} run={run} />
      <section class="card">
        <h2>Loss</h2>
        <Chart points={state.points} version={state.version} evaluations={validationsOf(run)} />
      </section>
      <Evaluations run={run} />
      <Checkpoints run={run} />
      <div class="columns">
        <Settings run={run} />
        <Events events={state.events} />
      </div>
    </>
  );
}

function Connection({ live, over }: { live: boolean; over: boolean }) {
  if (over) return null;
  return (
    <span class={live ? "live" : "live lost"} role="status">
      {live ? "Live" : "Reconnecting…"}
    </span>
  );
}

function Figures({ state, run }: { state: RunState; run: Run }) {
  const { progress } = run;
  const evaluations = validationsOf(run);
  const [before, after] = [evaluations[0], evaluations.length > 1 ? evaluations.at(-1) : undefined];
  const judged = evaluations.some(({ accuracy }) => accuracy !== null);
  const figures: readonly [string, string, (string | undefined)?][] = [
    ["Step", formatInteger(progress.step), `of ${formatInteger(progress.steps)}`],
    ["Loss", formatLoss(smooth(state.points).at(-1)), "smoothed"],
    ["Steps per second", formatRate(progress.stepsPerSecond)],
    isFinal(run.status)
      ? ["Duration", formatDuration(seconds(run.startedAt, run.finishedAt))]
      : ["Time left", formatDuration(run.estimatedSecondsLeft)],
    judged
      ? ["Accuracy", formatShare(after?.accuracy), before && `from ${formatShare(before.accuracy)}`]
      : ["Validation loss", formatLoss(after?.loss), before && `from ${formatLoss(before.loss)}`],
  ];
  return (
    <dl class="figures">
      {figures.map(([name, value, note]) => (
        <div key={name} class="card">
          <dt>{name}</dt>
          <dd>
            {value} {note !== undefined && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function validationsOf({ evaluations }: Run): Run["evaluations"] {
  return evaluations.filter(({ kind }) => kind === "VALIDATION");
}

function seconds(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : (Date.parse(to) - Date.parse(from)) / 1_000;
}

/** A run that is to pause may be resumed before it has. */
function Pause({ run, onChanged }: { run: Run; onChanged: (run: Partial<Run>) => void }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const { id, pauseRequested } = run;
  const act = async () => {
    try {
      if (pauseRequested) onChanged((await client.query(resumeFineTune, { id })).resumeFineTune);
      else onChanged((await client.query(pauseFineTune, { id })).pauseFineTune);
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => void act()}>
        {pauseRequested ? "Resume" : "Pause"}
      </button>
      {failure && <Problem title={`The run was not ${pauseRequested ? "resumed" : "paused"}`} failure={failure} />}
    </>
  );
}

function Cancel({ run, onCancelled }: { run: Run; onCancelled: (run: Partial<Run>) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const cancel = async () => {
    try {
      const { cancelFineTune: cancelled } = await client.query(cancelFineTune, { id: run.id });
      dialog.current?.close();
      onCancelled(cancelled);
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <>
      <button type="button" class="danger" disabled={run.cancelRequested} onClick={() => dialog.current?.showModal()}>
        Cancel run
      </button>
      <dialog ref={dialog} aria-labelledby="cancel-title">
        <h2 id="cancel-title">Cancel “{run.name}”?</h2>
        <p>The run stops after the current step. The steps done so far and their log are kept.</p>
        {failure && <Problem title="The run was not cancelled" failure={failure} />}
        <div class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Keep running
          </button>
          <button type="button" class="danger" onClick={() => void cancel()}>
            Cancel run
          </button>
        </div>
      </dialog>
    </>
  );
}

function Settings({ run }: { run: Run }) {
  const { dataset, validationDataset, testDataset, from } = run;
  const settings: readonly (readonly [string, ComponentChildren])[] = [
    ...(from ? [["Continues from", <Origin key="from" from={from} />] as const] : []),
    ["Base model", `${run.baseModel.name} (${formatBytes(run.baseModel.bytes)})`],
    ["Dataset", `${dataset.name} (${formatCounted(dataset.rows, "row")})`],
    [
      "Validation",
      validationDataset ? `${validationDataset.name} (${formatCounted(validationDataset.rows, "row")})` : none,
    ],
    ["Test", testDataset ? `${testDataset.name} (${formatCounted(testDataset.rows, "row")})` : none],
    ["Label words", run.labelWords.map((word) => `“${word}”`).join(", ") || none],
    ...hyperparameterPairs(run.hyperparameters, run.pickedRate),
    ["Skipped steps", formatCompact(run.progress.skippedSteps)],
    ["Steps with no difference", formatCompact(run.progress.zeroSteps)],
    ["Device", run.device ?? none],
    ["Created", formatTime(run.createdAt)],
    ["Started", formatTime(run.startedAt)],
    ["Finished", formatTime(run.finishedAt)],
  ];
  return (
    <section class="card">
      <h2>Settings</h2>
      <dl class="pairs">
        {settings.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Origin({ from }: { from: NonNullable<Run["from"]> }) {
  return (
    <>
      step {formatInteger(from.step)} of <a href={runPath(from.fineTune.id)}>{from.fineTune.name}</a>
    </>
  );
}

function Events({ events }: { events: readonly RunEvent[] }) {
  return (
    <section class="card">
      <h2>Events</h2>
      {events.length === 0 && <p class="muted">None yet.</p>}
      <ol class="events" aria-live="polite">
        {events.toReversed().map((event) => (
          <li key={event.sequence}>
            <time dateTime={event.at}>{formatClock(event.at)}</time>
            <span>{event.message}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
