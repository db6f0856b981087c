/** All work of the service, by kind and what it needs: for operators, since it is of all projects. */
import { useAnswer } from "../../api/query.ts";
import { formatDuration, formatInteger, none } from "../../format.ts";
import { DataTable, type Column } from "../../parts/data-table.tsx";
import { Problem } from "../../parts/problem.tsx";
import { queuedWork, type QueuedWorkQuery } from "../operations.ts";

type Work = NonNullable<QueuedWorkQuery["service"]["queue"]>[number];

const everyMs = 5_000;

const kindWords: Readonly<Record<string, string>> = {
  FINE_TUNE: "Runs",
  EVALUATE: "Evaluations",
  COMPLETE: "Requests to models",
  MATERIALISE: "Weights to rebuild",
  EXPORT: "Weights in other forms",
  REGISTER: "Models to register",
  DOWNLOAD: "Models to download",
  MEASURE: "Measurements for estimates",
};

export function AllWork() {
  const { data, failure } = useAnswer(queuedWork, {}, { everyMs });
  const queue = data?.service.queue;
  if (!failure && !queue) return null;
  return (
    <section class="card" aria-labelledby="work">
      <h2 id="work">All work</h2>
      {failure && <Problem title="The work could not be read" failure={failure} />}
      {queue && (
        <>
          <p class="muted">Of all projects: what waits for a worker, and what workers do now.</p>
          <DataTable
            name="All work"
            columns={columns}
            rows={queue}
            keyOf={(work) => JSON.stringify([work.kind, work.model, work.lack, queue.indexOf(work)])}
            empty="Nothing waits, and no worker has anything to do."
          />
        </>
      )}
    </section>
  );
}

const columns: readonly Column<Work>[] = [
  { title: "What", cell: ({ kind }) => kindWords[kind] ?? kind, sortBy: ({ kind }) => kindWords[kind] ?? kind },
  { title: "Model", long: true, cell: ({ model }) => model ?? none },
  { title: "Wait", number: true, cell: ({ waiting }) => formatInteger(waiting), sortBy: ({ waiting }) => waiting },
  { title: "Under way", number: true, cell: ({ running }) => formatInteger(running), sortBy: ({ running }) => running },
  {
    title: "Oldest waits for",
    number: true,
    cell: ({ oldestSeconds }) => (oldestSeconds === null ? none : formatDuration(oldestSeconds)),
    sortBy: ({ oldestSeconds }) => oldestSeconds ?? 0,
  },
  {
    title: "Why it waits",
    long: true,
    cell: ({ waiting, lack }) =>
      waiting === 0 ? none : (lack ?? "Workers are busy with others; they take it in turn."),
  },
];
