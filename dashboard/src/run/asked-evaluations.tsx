/** Evaluations of the run's checkpoints that somebody asked for, newest first. */
import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../api/query.ts";
import { datasetPath } from "../base.ts";
import { useEachRow } from "../evaluations/each-row.tsx";
import { formatInteger, formatLoss, formatShare, none } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { askedEvaluations, type AskedEvaluationsQuery } from "./operations.ts";

type Asked = NonNullable<AskedEvaluationsQuery["fineTune"]>["modelEvaluations"]["nodes"][number];

const everyMs = 2_000;

export function AskedEvaluations({ run }: { run: { readonly id: string } }) {
  const [waits, setWaits] = useState(false);
  const { data, failure } = useAnswer(askedEvaluations, { id: run.id }, waits ? { everyMs } : {});
  const rows = data?.fineTune?.modelEvaluations.nodes ?? [];
  const open = rows.some(({ status }) => status === "QUEUED" || status === "RUNNING");
  useEffect(() => setWaits(open), [open]);
  const { column, dialog } = useEachRow(rows, nameOf);
  if (rows.length === 0 && !failure) return null;
  const answered = rows.some(({ f1, exactMatch }) => f1 !== null || exactMatch !== null);
  return (
    <section class="card">
      <h2>Evaluations that were asked for</h2>
      {failure && <Problem title="They could not be read" failure={failure} />}
      <DataTable
        name="Evaluations that were asked for"
        columns={columnsOf(answered, column)}
        rows={rows}
        keyOf={({ id }) => id}
        empty="None."
      />
      {dialog}
    </section>
  );
}

const nameOf = ({ checkpoint, dataset }: Asked) =>
  `${checkpoint === null ? "" : `step ${formatInteger(checkpoint.step)} `}on ${dataset.name}`;

const share = (title: string, of: (one: Asked) => number | null): Column<Asked> => ({
  title,
  number: true,
  sortBy: of,
  cell: (one) => formatShare(of(one)),
});

/** @param answered whether any of them has scores of generated answers */
const columnsOf = (answered: boolean, rows: Column<Asked>): Column<Asked>[] => [
  {
    title: "Step",
    sortBy: ({ checkpoint }) => checkpoint?.step,
    cell: ({ checkpoint }) => (checkpoint === null ? none : formatInteger(checkpoint.step)),
  },
  {
    title: "Dataset",
    sortBy: ({ dataset }) => dataset.name,
    cell: ({ dataset }) => <a href={datasetPath(dataset.id)}>{dataset.name}</a>,
    long: true,
  },
  share("Accuracy", ({ accuracy }) => accuracy),
  ...(answered ? [share("F1", ({ f1 }) => f1), share("Exact match", ({ exactMatch }) => exactMatch)] : []),
  { title: "Loss", number: true, sortBy: ({ loss }) => loss, cell: ({ loss }) => formatLoss(loss) },
  rows,
  { title: "State", cell: (one) => <State {...one} />, long: true },
];

function State({ status, waitingReason, error }: Asked) {
  if (status === "QUEUED") return <span role="status">{waitingReason ?? "It waits for a worker."}</span>;
  if (status === "RUNNING") return <span role="status">A worker measures it…</span>;
  if (status === "FAILED") return <span class="bad">{error?.message ?? "It failed."}</span>;
  return <>{status === "CANCELLED" ? "cancelled" : "done"}</>;
}
