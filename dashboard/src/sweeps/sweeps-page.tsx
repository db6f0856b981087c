/** All sweeps: which settings they try, how far they are, and what was best. */
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { needsScope, useMay } from "../api/viewer.ts";
import { at, runPath, sweepPath } from "../base.ts";
import { formatAgo, formatCounted, formatTime, none } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { judged } from "../parts/measure.ts";
import { sweeps, type SweepsQuery } from "./operations.ts";
import { isGoing, statusesInWords, variedInWords } from "./words.ts";

type Listed = SweepsQuery["sweeps"]["nodes"][number];

const refreshMs = 5_000;

export function SweepsPage() {
  const { query } = useLocation();
  const after = query["after"] ?? null;
  const { data, failure } = useAnswer(sweeps, { after }, { everyMs: refreshMs });
  useEffect(() => {
    document.title = "Sweeps · Steplog";
  }, []);
  const mayTrain = useMay()("TRAIN");
  const rows = data?.sweeps.nodes ?? [];
  return (
    <>
      <div class="title">
        <h1>Sweeps</h1>
        {mayTrain && (
          <a href={at("/sweeps/new")} class="button primary">
            New sweep
          </a>
        )}
      </div>
      {failure && <Problem title="The sweeps could not be read" failure={failure} />}
      {data === null && failure === null && <p class="muted">Loading…</p>}
      {data && rows.length === 0 && <Nothing older={after !== null} mayTrain={mayTrain} />}
      {rows.length > 0 && (
        <div class="card listing">
          <DataTable name="Sweeps" columns={columns} rows={rows} keyOf={({ id }) => id} empty="There are no sweeps." />
        </div>
      )}
      {data && <Pages after={after} page={data.sweeps.pageInfo} />}
    </>
  );
}

function Nothing({ older, mayTrain }: { older: boolean; mayTrain: boolean }) {
  if (older) return <p class="muted">There are no older sweeps.</p>;
  return (
    <div class="empty card">
      <p>
        There are no sweeps yet. A sweep trains the same model on the same rows several times, each time with other
        settings, to find out which are best.
      </p>
      {mayTrain ? (
        <a href={at("/sweeps/new")} class="button">
          Start the first sweep
        </a>
      ) : (
        <p class="muted">To create one, {needsScope("TRAIN")}.</p>
      )}
    </div>
  );
}

function Pages({ after, page }: { after: string | null; page: SweepsQuery["sweeps"]["pageInfo"] }) {
  if (after === null && !page.hasNextPage) return null;
  return (
    <div class="actions">
      {after !== null && (
        <a class="button" href={at("/sweeps")}>
          Newest
        </a>
      )}
      {page.hasNextPage && page.endCursor !== null && (
        <a class="button" href={at(`/sweeps?after=${encodeURIComponent(page.endCursor)}`)}>
          Older
        </a>
      )}
    </div>
  );
}

const runsOf = ({ statuses }: Listed) => statuses.reduce((sum, { count }) => sum + count, 0);

const columns: readonly Column<Listed>[] = [
  {
    title: "Name",
    sortBy: ({ name }) => name,
    cell: ({ id, name }) => (
      <a href={sweepPath(id)} class="cut" title={name}>
        {name}
      </a>
    ),
  },
  { title: "Tries", cell: ({ varied }) => variedInWords(varied) || none },
  {
    title: "Runs",
    sortBy: runsOf,
    cell: (sweep) => (
      <>
        {formatCounted(runsOf(sweep), "run")}
        {runsOf(sweep) > 0 && (
          <small class={isGoing(sweep.statuses) ? "" : "muted"}>: {statusesInWords(sweep.statuses)}</small>
        )}
      </>
    ),
  },
  { title: "Best", cell: ({ best }) => (best?.bestEvaluation ? <Best run={best} best={best.bestEvaluation} /> : none) },
  {
    title: "Created",
    sortBy: ({ createdAt }) => createdAt,
    cell: ({ createdAt }) => (
      <time dateTime={createdAt} title={formatTime(createdAt)}>
        {formatAgo(createdAt)}
      </time>
    ),
  },
];

type BestRun = NonNullable<Listed["best"]>;

function Best({ run, best }: { run: BestRun; best: NonNullable<BestRun["bestEvaluation"]> }) {
  const { measure, value } = judged(run.hyperparameters.bestMetric, best);
  return (
    <a href={runPath(run.id)} title={run.name}>
      {measure.better === "lower" ? `loss ${measure.format(value)}` : measure.format(value)}
      <span class="hidden"> of {run.name}</span>
    </a>
  );
}
