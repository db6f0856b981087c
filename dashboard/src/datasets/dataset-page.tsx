/** One dataset: its rows, as they are stored or as a model sees them, and what uses it. */
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useAnswer } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { at, modelPath, runPath } from "../base.ts";
import {
  formatAgo,
  formatBytes,
  formatCounted,
  formatInteger,
  formatLoss,
  formatShare,
  formatTime,
} from "../format.ts";
import { useEachRow } from "../evaluations/each-row.tsx";
import { CopyAs } from "../parts/copy-as.tsx";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { Status, statusWords } from "../parts/status.tsx";
import { DatasetActions } from "./dataset-actions.tsx";
import { datasetUses, oneDataset, storedRows, type DatasetUsesQuery } from "./operations.ts";
import { Rows } from "./rows.tsx";
import { endInWords, measuredInWords, usesInWords } from "./words.ts";

export function DatasetPage({ id }: { id: string }) {
  const { route } = useLocation();
  const { data, failure, reload } = useAnswer(oneDataset, { id });
  const mayTrain = useMay()("TRAIN");
  const dataset = data?.dataset ?? null;
  useEffect(() => {
    document.title = `${dataset?.name ?? "Dataset"} · Steplog`;
  }, [dataset?.name]);
  if (dataset === null) {
    if (data !== null) return <NotThere />;
    return (
      <>
        <h1>Dataset</h1>
        {failure ? <Problem title="The dataset could not be read" failure={failure} /> : <p class="muted">Loading…</p>}
      </>
    );
  }
  const { name, rows, bytes, createdAt, deletedAt, sha256 } = dataset;
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <a href={at("/datasets")}>Datasets</a>
      </nav>
      <div class="title">
        <h1>{name}</h1>
        {deletedAt === null && (
          <div class="deeds">
            {mayTrain && (
              <a href={at(`/new?dataset=${encodeURIComponent(id)}`)} class="button primary">
                Tune a model on it
              </a>
            )}
            <CopyAs what={`reading “${name}”`} operation={storedRows} variables={{ id }} />
            <DatasetActions dataset={dataset} onChange={reload} onDeleted={() => route(at("/datasets"))} />
          </div>
        )}
      </div>
      <p>
        {formatCounted(rows, "row")}, {formatBytes(bytes)}, stored{" "}
        <time dateTime={createdAt} title={formatTime(createdAt)}>
          {formatAgo(createdAt)}
        </time>
        , used by {usesInWords(dataset.uses)}. Ends: {endInWords(dataset)}.
      </p>
      {deletedAt === null ? (
        <Rows dataset={dataset} />
      ) : (
        <p class="notice">It was deleted {formatTime(deletedAt)}: its rows are gone. What used it still names it.</p>
      )}
      <UsedBy id={id} />
      <p class="muted">
        SHA-256 of the stored file: <code>{sha256}</code>
      </p>
    </>
  );
}

function NotThere() {
  return (
    <>
      <h1>No such dataset</h1>
      <p>It may have been deleted, or belong to another project.</p>
      <p>
        <a href={at("/datasets")}>Show all datasets</a>
      </p>
    </>
  );
}

function UsedBy({ id }: { id: string }) {
  const { data, failure } = useAnswer(datasetUses, { id });
  const evaluations = data?.dataset?.evaluations.nodes ?? [];
  const { column, dialog } = useEachRow(evaluations, measuredInWords);
  if (failure) return <Problem title="What uses it could not be read" failure={failure} />;
  if (!data) return null;
  const { nodes, totalCount } = data.fineTunes;
  return (
    <>
      <section class="card">
        <h2>Runs that use it</h2>
        <DataTable
          name="Runs that use it"
          columns={runColumns}
          rows={nodes}
          keyOf={(run) => run.id}
          empty="No run trains, validates or tests on it."
        />
        {totalCount > nodes.length && <p class="muted">And {formatCounted(totalCount - nodes.length, "older run")}.</p>}
      </section>
      {evaluations.length > 0 && (
        <section class="card">
          <h2>Evaluations on it</h2>
          <DataTable
            name="Evaluations on it"
            columns={[...evaluationColumns, column]}
            rows={evaluations}
            keyOf={(one) => one.id}
            empty=""
          />
          {dialog}
        </section>
      )}
    </>
  );
}

type Run = DatasetUsesQuery["fineTunes"]["nodes"][number];
type Evaluation = NonNullable<DatasetUsesQuery["dataset"]>["evaluations"]["nodes"][number];

/** As `measuredInWords`, with where it is. */
function Measured({ baseModel: { name }, checkpoint }: Evaluation) {
  if (checkpoint === null) return <a href={modelPath(name)}>{name}</a>;
  const { step, fineTune } = checkpoint;
  return (
    <>
      step {formatInteger(step)} of <a href={runPath(fineTune.id)}>{fineTune.name}</a>
    </>
  );
}

const created = { title: "Created", sortBy: (row: { createdAt: string }) => row.createdAt };

const runColumns: readonly Column<Run>[] = [
  { title: "Name", sortBy: ({ name }) => name, cell: ({ id, name }) => <a href={runPath(id)}>{name}</a> },
  { title: "Status", cell: (run) => <Status run={run} /> },
  {
    title: "Base model",
    cell: ({ baseModel: { name } }) => <a href={modelPath(name)}>{name}</a>,
    long: true,
  },
  { ...created, cell: ({ createdAt }) => <time dateTime={createdAt}>{formatAgo(createdAt)}</time> },
];

const evaluationColumns: readonly Column<Evaluation>[] = [
  { title: "Model", cell: (evaluation) => <Measured {...evaluation} /> },
  { title: "Status", cell: ({ status }) => statusWords[status] },
  { title: "Loss", number: true, cell: ({ loss }) => formatLoss(loss) },
  { title: "Accuracy", number: true, cell: ({ accuracy }) => formatShare(accuracy) },
  { ...created, cell: ({ createdAt }) => <time dateTime={createdAt}>{formatAgo(createdAt)}</time> },
];
