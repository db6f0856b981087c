/** One run of the table. What there is no room for as a column stands below its name. */
import { memo } from "preact/compat";
import type { FineTuneSort, Method } from "../../../client/schema-types.ts";
import { hyperparameterTable } from "../../../schema/hyperparameter-table.ts";
import { runPath } from "../base.ts";
import { formatAgo, formatDuration, formatInteger, formatLoss, formatMoment, formatTime, none } from "../format.ts";
import { measureOf } from "../parts/measure.ts";
import { isFinal, Progress, Status } from "../parts/status.tsx";
import { bestTitle, dateTitle } from "./run-head.tsx";
import { Spark } from "./sparks.tsx";
import type { ListedRun } from "./use-runs.ts";

interface RowProps {
  readonly run: ListedRun;
  /** Its name, and what tells it from others of it. */
  readonly called: string;
  readonly index: number;
  readonly sort: FineTuneSort;
  /** In words: it changes while nothing else does. */
  readonly age: string;
  readonly losses: readonly number[] | undefined;
  readonly selected: boolean;
  /** The same at each render, as `onToggle`: else every row would be rendered with each that comes. */
  readonly measure: (row: HTMLElement | null) => void;
  readonly onToggle: (id: string, through: boolean) => void;
}

export const Row = memo(function Row({ run, called, index, sort, age, losses, selected, measure, onToggle }: RowProps) {
  const method = methodWords(run.hyperparameters.method);
  const date = dateOf(run, sort);
  const time = date !== null && (
    <time dateTime={date} title={formatTime(date)}>
      {age}
    </time>
  );
  return (
    <tr ref={measure} data-index={index} data-id={run.id} aria-rowindex={index + 2} class={selected ? "selected" : ""}>
      <td class="choice">
        <input
          type="checkbox"
          checked={selected}
          onMouseDown={keepText}
          onClick={({ shiftKey }) => onToggle(run.id, shiftKey)}
          aria-label={`Select ${called}`}
        />
      </td>
      <th scope="row">
        <div class="named">
          <a href={runPath(run.id)} title={run.name}>
            {run.name}
          </a>
          {run.tags.map((tag) => (
            <span key={tag} class="tag">
              {tag}
            </span>
          ))}
        </div>
        <small class="about">
          {run.baseModel.name} · {method.name}
          <span class="about-date"> · {time}</span>
        </small>
      </th>
      <td data-label="Status">
        <Status run={run} />
      </td>
      <td data-label="Progress">
        {run.status === "FAILED" && run.error ? (
          <span class="cut" title={run.error.message}>
            {run.error.message}
          </span>
        ) : (
          <ProgressCell run={run} />
        )}
      </td>
      <td data-label="Time left" class={numberOf("run-left", secondsLeftOf(run))}>
        <TimeLeft run={run} />
      </td>
      <td data-label="Loss" class={numberOf("", run.loss)}>
        <Spark losses={losses} /> {formatLoss(run.loss)}
      </td>
      <td data-label={bestTitle(sort)} class={numberOf("", run.bestEvaluation)}>
        <Best run={run} sort={sort} />
      </td>
      <td data-label="Method" class="run-method">
        <span title={method.help}>{method.name}</span>
      </td>
      <td data-label="Base model" class="run-base">
        <span class="cut" title={run.baseModel.name}>
          {run.baseModel.name}
        </span>
      </td>
      <td data-label={dateTitle(sort)} class="run-date">
        {time}
      </td>
    </tr>
  );
});

/** "LoRA adapter", and what that is. */
function methodWords(method: Method): { readonly name: string; readonly help: string } {
  const { label, meaning } = hyperparameterTable.method.values[method];
  return { name: label, help: meaning.replaceAll("`", "") };
}

const dateOf = (run: ListedRun, sort: FineTuneSort) => (sort === "FINISHED" ? run.finishedAt : run.createdAt);

export function ageOf(run: ListedRun, sort: FineTuneSort): string {
  const date = dateOf(run, sort);
  return date === null ? none : formatAgo(date);
}

/** A click that selects from one run to another would mark the text between them. */
function keepText(event: MouseEvent): void {
  if (event.shiftKey) event.preventDefault();
}

/** @param value null where there is none yet */
const numberOf = (column: string, value: unknown) => `${column} number${value === null ? " blank" : ""}`;

const secondsLeftOf = (run: ListedRun) => (isFinal(run.status) ? null : run.estimatedSecondsLeft);

function TimeLeft({ run }: { run: ListedRun }) {
  const seconds = secondsLeftOf(run);
  if (seconds === null) return <>{none}</>;
  const end = new Date(Date.now() + seconds * 1_000).toISOString();
  return <span title={`Ends about ${formatMoment(end)}`}>{formatDuration(seconds)}</span>;
}

/** Where the column of the time left is not, it is below the progress. */
function ProgressCell({ run }: { run: ListedRun }) {
  const { queuePosition } = run;
  const seconds = secondsLeftOf(run);
  const isBehind = queuePosition !== null && queuePosition > 0;
  return (
    <>
      <Progress run={run} />
      {isBehind && <small class="muted">{formatInteger(queuePosition)} ahead</small>}
      {seconds !== null && (
        <small class="muted left-note">
          {isBehind && ", "}
          {formatDuration(seconds)} left
        </small>
      )}
    </>
  );
}

/** By what the run judges its checkpoints, as far as it was measured; in the order of the loss, that. */
function Best({ run: { bestEvaluation, hyperparameters }, sort }: { run: ListedRun; sort: FineTuneSort }) {
  if (bestEvaluation === null) return <>{none}</>;
  const { of, format, name } = measureOf(sort === "LOSS" ? "LOSS" : hyperparameters.bestMetric, [bestEvaluation]);
  return <span title={name}>{format(of(bestEvaluation))}</span>;
}
