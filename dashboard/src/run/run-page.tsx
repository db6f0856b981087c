/** One run: how it is doing, its charts, results and checkpoints, its settings, its log and its history. */
import { memo } from "preact/compat";
import { useEffect } from "preact/hooks";
import { at, sweepPath } from "../base.ts";
import { formatSentence } from "../format.ts";
import { rowNoteTypes } from "../../../schema/row-findings.ts";
import { Problem } from "../parts/problem.tsx";
import { isFinal, Progress, Status } from "../parts/status.tsx";
import { Actions } from "./actions.tsx";
import { FailedRun } from "./advice.tsx";
import { Answers } from "./answers.tsx";
import { AskedEvaluations } from "./asked-evaluations.tsx";
import { Charts } from "./charts.tsx";
import { Checkpoints } from "./checkpoints.tsx";
import { Evaluations } from "./evaluations.tsx";
import { Events } from "./events.tsx";
import { Headline } from "./headline.tsx";
import { LogCard } from "./log-card.tsx";
import { useRun, useSettled, type Run, type RunEvent } from "./run-state.ts";
import { Settings } from "./settings.tsx";

/** Events that are about the run as a whole. */
const noticeTypes = new Set<string>(["HARDLY_MOVED", "DIVERGED", "OVERFITTED", ...rowNoteTypes]);

const Crumbs = ({ sweep = null }: { sweep?: Run["sweep"] }) => (
  <nav class="crumbs" aria-label="Where this is">
    <a href={at("/")}>Runs</a>
    {sweep && (
      <>
        {" "}
        / of the sweep <a href={sweepPath(sweep.id)}>{sweep.name}</a>
      </>
    )}
  </nav>
);

export function RunPage({ id }: { id: string }) {
  const [state, change] = useRun(id);
  const { run, failure } = state;
  useEffect(() => {
    document.title = `${run?.name ?? "Run"} · Steplog`;
  }, [run?.name]);
  if (run === null) {
    return (
      <>
        <Crumbs />
        <h1>Run</h1>
        {failure ? <Problem title="Cannot load the run" failure={failure} /> : <p class="muted">Loading…</p>}
      </>
    );
  }
  return (
    <>
      <Crumbs sweep={run.sweep} />
      <div class="title">
        <h1>{run.name}</h1>
        <Status run={run} />
        <Connection live={state.live} over={isFinal(run.status)} />
        {run.tags.map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        ))}
        <span class="actions">
          <Actions run={run} onChange={change} />
        </span>
      </div>
      <Headline run={run} state={state} />
      {!isFinal(run.status) && <Progress run={run} />}
      {failure && <Problem title="Live updates stopped" failure={failure} />}
      {run.error && <Problem title="The run failed" failure={run.error} />}
      <FailedRun run={run} />
      {state.events.map(
        ({ type, sequence, message }) =>
          noticeTypes.has(type) && (
            <p key={sequence} class="notice" role="status">
              {formatSentence(message)}
            </p>
          ),
      )}
      <Charts key={run.id} run={run} state={state} />
      <Cards run={run} events={state.events} />
    </>
  );
}

interface CardsProps {
  readonly run: Run;
  readonly events: readonly RunEvent[];
}

function Cards({ run, events }: CardsProps) {
  return <SettledCards run={useSettled(run)} events={events} />;
}

const SettledCards = memo(({ run, events }: CardsProps) => (
  <>
    <Checkpoints key={run.id} run={run} />
    <Evaluations run={run} />
    <AskedEvaluations run={run} />
    <Answers run={run} />
    <div class="columns">
      <Settings run={run} />
      <div class="stack">
        <LogCard run={run} />
        <Events run={run} events={events} />
      </div>
    </div>
  </>
));

function Connection({ live, over }: { live: boolean; over: boolean }) {
  if (over) return null;
  return (
    <span class={live ? "live" : "live lost"} role="status">
      {live ? "Live" : "Reconnecting…"}
    </span>
  );
}
