/** One sweep: which setting is best, as a table and as parallel coordinates of its runs. Brushing an axis filters both. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { at, comparePath, runPath, sweepPath } from "../base.ts";
import { mostCompared } from "../compare/address.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { isFinal } from "../parts/status.tsx";
import { axesOf, filtersAsText, filtersIn, isKept, type Axis, type Filters, type Range } from "./axes.ts";
import { byMetric, isOfValidation, metricOf, type Metric, type SweptRun } from "./metric.ts";
import { sweep as sweepQuery, type SweepQuery } from "./operations.ts";
import { Parallel } from "./parallel.tsx";
import { SweepActions } from "./sweep-actions.tsx";
import { SweepTable } from "./sweep-table.tsx";
import { progressInWords, settingsInWords } from "./words.ts";

type Sweep = NonNullable<SweepQuery["sweep"]>;

const refreshMs = 1_000;

export function SweepPage({ id }: { id: string }) {
  const [going, setGoing] = useState(true);
  const { data, failure } = useAnswer(sweepQuery, { id }, going ? { everyMs: refreshMs } : {});
  const sweep = data?.sweep ?? null;
  useEffect(() => {
    document.title = `${sweep?.name ?? "Sweep"} · Steplog`;
  }, [sweep?.name]);
  useEffect(() => {
    if (sweep) setGoing(sweep.runs.some(({ status }) => !isFinal(status)));
  }, [sweep]);
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <a href={at("/sweeps")}>Sweeps</a>
      </nav>
      {sweep === null && <h1>Sweep</h1>}
      {sweep && <OneSweep sweep={sweep} />}
      {failure && <Problem title="The sweep could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data?.sweep === null && <p>There is no sweep at this address: it is deleted, or of another project.</p>}
    </>
  );
}

function OneSweep({ sweep }: { sweep: Sweep }) {
  const { runs, varied } = sweep;
  const metric = metricOf(runs);
  const axes = useMemo(() => axesOf(runs, varied, metric), [runs, varied, metric]);
  const { filters, onRange, clear } = useFilters(sweep.id);
  const [pointed, setPointed] = useState<string | null>(null);
  const { route } = useLocation();
  const ranked = byMetric(runs, metric);
  const shown = ranked.filter((run) => isKept(axes, filters, run));
  return (
    <>
      <div class="title">
        <h1>{sweep.name}</h1>
        <span class="actions">
          <CompareButton shown={shown} all={runs.length} />
          <SweepActions sweep={sweep} best={ranked.find((run) => metric.of(run) !== null) ?? null} />
        </span>
      </div>
      <Headline sweep={sweep} ranked={ranked} metric={metric} />
      {runs.length === 0 ? (
        <p class="card">All runs of this sweep are deleted.</p>
      ) : (
        <>
          <section class="card">
            <h2>Which settings?</h2>
            <p class="muted">
              Each line is a run; the stronger its colour, the better{" "}
              {metric.better === "lower" ? "(a lower loss is better)" : "(a higher score is better)"}. Drag along an
              axis to keep only the runs within, click it to see all. By keyboard: go to an end of an axis and use the
              arrow keys.
            </p>
            <Parallel
              {...{ axes, runs, metric, filters, onRange, pointed }}
              onPoint={setPointed}
              onOpen={(id) => route(runPath(id))}
            />
            <Shown {...{ axes, filters, clear, pointed, metric, sweep }} count={shown.length} />
          </section>
          <SweepTable {...{ metric, varied, pointed }} runs={shown} all={runs} onPoint={setPointed} />
        </>
      )}
    </>
  );
}

/** The ranges are in the address, so that what is shown can be sent to somebody; while somebody drags, they are only here. */
function useFilters(id: string) {
  const { query, route } = useLocation();
  const [dragged, setDragged] = useState<Filters | null>(null);
  const written = useMemo(() => filtersIn(query["only"]), [query["only"]]);
  const filters = dragged ?? written;
  const write = (next: Filters) => {
    setDragged(null);
    route(next.size === 0 ? sweepPath(id) : `${sweepPath(id)}?only=${filtersAsText(next)}`, true);
  };
  const onRange = (key: string, range: Range | null, done: boolean) => {
    const next = new Map(filters);
    if (range === null) next.delete(key);
    else next.set(key, range);
    if (done) write(next);
    else setDragged(next);
  };
  return { filters, onRange, clear: () => write(new Map()) };
}

function CompareButton({ shown, all }: { shown: readonly SweptRun[]; all: number }) {
  if (shown.length < 2) return null;
  const compared = shown.slice(0, mostCompared);
  const which = compared.length === shown.length ? (shown.length === all ? "all" : "these") : "the best";
  return (
    <a class="button primary" href={comparePath(compared.map(({ id }) => id))}>
      Compare {which} {formatInteger(compared.length)}
    </a>
  );
}

interface HeadlineProps {
  readonly sweep: Sweep;
  readonly ranked: readonly SweptRun[];
  readonly metric: Metric;
}

function Headline({ sweep: { runs, varied, passes }, ranked, metric }: HeadlineProps) {
  const [best] = ranked;
  const value = best ? metric.of(best) : null;
  return (
    <p class="headline" role="status">
      {runs.length > 0 && progressInWords(runs)}{" "}
      {best && value !== null ? (
        <>
          {isOfValidation(metric) ? metric.title : "Lowest training loss"}
          {runs.every(({ status }) => isFinal(status)) ? "" : " so far"}: <strong>{metric.format(value)}</strong> with{" "}
          <a href={runPath(best.id)}>{settingsInWords(best, varied) || best.name}</a>
          {best.bestEvaluation && isOfValidation(metric) && `, at step ${formatInteger(best.bestEvaluation.step)}`}.
          {!isOfValidation(metric) && " These runs have measured no validation rows, which would tell more."}
        </>
      ) : (
        "Nothing is measured yet."
      )}{" "}
      <span class="muted">{formatCounted(passes, "forward pass", "forward passes")} for the steps of all runs.</span>
    </p>
  );
}

interface ShownProps {
  readonly axes: readonly Axis[];
  readonly filters: Filters;
  readonly clear: () => void;
  readonly pointed: string | null;
  readonly metric: Metric;
  readonly sweep: Sweep;
  readonly count: number;
}

/** What is left of the runs; and the run that is pointed at, in words. */
function Shown({ axes, filters, clear, pointed, metric, sweep: { runs, varied }, count }: ShownProps) {
  const run = runs.find(({ id }) => id === pointed);
  const isNarrowed = axes.some(({ key }) => filters.has(key));
  return (
    <p class="sweep-shown">
      <span role="status">
        {isNarrowed
          ? `${formatInteger(count)} of ${formatCounted(runs.length, "run")} shown.`
          : `All ${formatCounted(runs.length, "run")} shown.`}
      </span>
      {isNarrowed && (
        <button type="button" class="quiet" onClick={clear}>
          Show all
        </button>
      )}
      {run && (
        <span>
          <strong>{settingsInWords(run, varied) || run.name}</strong>: {metric.title.toLowerCase()}{" "}
          {metric.format(metric.of(run))}
        </span>
      )}
    </p>
  );
}
