/** What waits for a worker, by what it needs, and why. */
import { useAnswer } from "../../api/query.ts";
import { at, runPath } from "../../base.ts";
import { formatAgo, formatBytes, formatCounted, formatDuration, formatInteger, none } from "../../format.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { waitingRuns, type WaitingRunsQuery } from "../operations.ts";

type Waiting = WaitingRunsQuery["fineTunes"]["nodes"][number];

/** Runs that need the same and wait for the same. */
interface Group {
  readonly key: string;
  /** In the order in which workers take them. */
  readonly runs: readonly Waiting[];
  readonly first: Waiting;
  readonly reason: string;
}

const most = 100;
const everyMs = 5_000;

export function Queue() {
  const { data, failure } = useAnswer(waitingRuns, { first: most }, { everyMs });
  const total = data?.fineTunes.totalCount ?? 0;
  return (
    <section class="card" aria-labelledby="queue">
      <h2 id="queue">Waiting runs</h2>
      {failure && <Problem title="The queue could not be read" failure={failure} />}
      {data && (
        <>
          <p class="muted">
            Runs of your project that wait for a worker, grouped by what they need.
            {total > most && ` Of ${formatInteger(total)}, those that were created last.`}
          </p>
          <DataTable
            name="Waiting runs"
            columns={columns}
            rows={groupsOf(data.fineTunes.nodes)}
            keyOf={({ key }) => key}
            empty="No run is waiting."
          />
          {total > 0 && (
            <p>
              <a href={at("/?status=QUEUED")}>All {formatCounted(total, "run")} that wait</a>
            </p>
          )}
        </>
      )}
    </section>
  );
}

const columns: readonly Column<Group>[] = [
  {
    title: "Needs",
    cell: ({ first: { baseModel } }) => (
      <>
        {baseModel.name}
        <br />
        <small class="muted">
          {baseModel.family}, {formatBytes(baseModel.bytes)} of weights
        </small>
      </>
    ),
    sortBy: ({ first }) => first.baseModel.name,
  },
  { title: "Runs", number: true, cell: ({ runs }) => formatInteger(runs.length), sortBy: ({ runs }) => runs.length },
  { title: "Why they wait", long: true, cell: ({ reason }) => reason },
  {
    title: "Next",
    long: true,
    cell: ({ first }) => (
      <a href={runPath(first.id)} title={`Created ${formatAgo(first.createdAt)}`}>
        {first.name}
      </a>
    ),
  },
  {
    title: "Before it",
    number: true,
    cell: ({ first }) => (first.queuePosition === null ? none : formatCounted(first.queuePosition, "job")),
  },
  {
    title: "Done in about",
    number: true,
    cell: ({ first }) => formatDuration(first.estimatedSecondsLeft),
  },
];

function groupsOf(runs: readonly Waiting[]): Group[] {
  const inLine = runs.toSorted(
    (a, b) => (a.queuePosition ?? 0) - (b.queuePosition ?? 0) || a.createdAt.localeCompare(b.createdAt),
  );
  const groups = new Map<string, { first: Waiting; reason: string; runs: Waiting[] }>();
  for (const run of inLine) {
    // A place in the line is each run's own; what it waits for may be the same.
    const reason = reasonOf(run);
    const key = `${run.baseModel.name}\n${reason}`;
    const group = groups.get(key) ?? { first: run, reason, runs: [] };
    group.runs.push(run);
    groups.set(key, group);
  }
  return [...groups].map(([key, group]) => ({ key, ...group }));
}

const reasonOf = ({ waitingReason }: Waiting) =>
  waitingReason === null
    ? "A worker takes it in a moment."
    : waitingReason.replace(/^Waiting for a worker: .*$/u, inTurn);

const inTurn = "Workers are busy with others; they take these in turn.";
