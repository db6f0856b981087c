/** One base model: what it is, who has it, which runs tuned it, and how it was measured. */
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { canWrite } from "../../../schema/model-kind.ts";
import { change, useAnswer } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { at, datasetPath, runPath } from "../base.ts";
import {
  formatAgo,
  formatBytes,
  formatCompact,
  formatCounted,
  formatInteger,
  formatLoss,
  formatShare,
  formatTime,
  none,
} from "../format.ts";
import { useEachRow } from "../evaluations/each-row.tsx";
import { Confirm } from "../parts/confirm.tsx";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { judged } from "../parts/measure.ts";
import { MenuButton } from "../parts/menu.tsx";
import { Problem } from "../parts/problem.tsx";
import { Status, statusWords } from "../parts/status.tsx";
import { toast } from "../parts/toast.tsx";
import { usesInWords } from "../datasets/words.ts";
import { deleteBaseModel, oneModel, type OneModelQuery } from "./operations.ts";

type Model = NonNullable<OneModelQuery["baseModel"]>;
type Run = OneModelQuery["fineTunes"]["nodes"][number];
type Evaluation = Model["evaluations"]["nodes"][number];

export function ModelPage({ name }: { name: string }) {
  const { data, failure } = useAnswer(oneModel, { name });
  const may = useMay();
  useEffect(() => {
    document.title = `${name} · Steplog`;
  }, [name]);
  if (!data)
    return (
      <>
        <h1>{name}</h1>
        {failure ? <Problem title="The model could not be read" failure={failure} /> : <p class="muted">Loading…</p>}
      </>
    );
  const { baseModel: model, fineTunes } = data;
  if (!model) return <NotThere name={name} />;
  const { nodes, totalCount } = fineTunes;
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <a href={at("/models")}>Models</a>
      </nav>
      <div class="title">
        <h1>{name}</h1>
        <div class="deeds">
          {may("TRAIN") && (
            <a href={at(`/new?model=${encodeURIComponent(name)}`)} class="button primary">
              Tune it
            </a>
          )}
          {canWrite(model) && may("INFER") && (
            <a href={at(`/playground?models=${encodeURIComponent(name)}`)} class="button">
              Try it
            </a>
          )}
          {may("OPERATOR") && <Actions model={model} />}
        </div>
      </div>
      <p>{sentenceOf(model)}</p>
      <About model={model} />
      <section class="card">
        <h2>Runs that start from it</h2>
        <DataTable
          name="Runs that start from it"
          columns={runColumns}
          rows={nodes}
          keyOf={({ id }) => id}
          empty="No run has started from it yet."
        />
        {totalCount > nodes.length && <p class="muted">And {formatCounted(totalCount - nodes.length, "older run")}.</p>}
      </section>
      <section class="card">
        <h2>Evaluations of it</h2>
        <Evaluations of={model} />
      </section>
    </>
  );
}

function Evaluations({ of: { evaluations } }: { of: Model }) {
  const { column, dialog } = useEachRow(evaluations.nodes, ({ dataset }) => `on ${dataset.name}`);
  return (
    <>
      <DataTable
        name="Evaluations of it"
        columns={[...evaluationColumns, column]}
        rows={evaluations.nodes}
        keyOf={({ id }) => id}
        empty="Nobody has evaluated it yet."
      />
      {dialog}
    </>
  );
}

function NotThere({ name }: { name: string }) {
  return (
    <>
      <h1>No such model</h1>
      <p>There is no base model named “{name}”. It may have been deleted, or not been registered yet.</p>
      <p>
        <a href={at("/models")}>Show all models</a>
      </p>
    </>
  );
}

function sentenceOf({ workers, uses }: Model): string {
  const who =
    workers.length === 0
      ? "No running worker has it, so nothing can be trained or asked with it now"
      : `${formatCounted(workers.length, "worker")} can train and answer with it`;
  return `${who}. It is used by ${usesInWords(uses)}.`;
}

function About({ model }: { model: Model }) {
  const { family, dtype, parameters, bytes, contextLength, chatTemplate, hash, createdAt, workers } = model;
  const conversations =
    chatTemplate === null
      ? "not known: its tokenizer cannot be read here now"
      : chatTemplate
        ? "yes: it takes messages, and rows may be conversations"
        : "no: it takes text only";
  const pairs = [
    ["Family", family],
    ["Weights", `${formatInteger(parameters)} (${formatCompact(parameters)}), ${dtype}`],
    ["Size", formatBytes(bytes)],
    ["Context", `${formatCounted(contextLength, "token")} at once`],
    ["Chat template", conversations],
    [
      "Workers",
      workers.map(({ name, device, asleep }) => `${name}, ${device}${asleep ? ", asleep" : ""}`).join("\n") || "none",
    ],
    ["Registered", formatTime(createdAt)],
    ["Base hash", hash],
  ] as const;
  return (
    <section class="card">
      <h2>What it is</h2>
      <dl class="pairs">
        {pairs.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Actions({ model: { id, name, uses } }: { model: Model }) {
  const { route } = useLocation();
  const [asked, setAsked] = useState(false);
  return (
    <>
      <MenuButton
        label="More"
        name={`More actions of ${name}`}
        actions={[{ name: "Delete", danger: true, run: () => setAsked(true) }]}
      />
      {asked && (
        <Confirm
          title={`Delete “${name}”?`}
          action="Delete it"
          danger
          repeat={{ what: "the removal of this model", operation: deleteBaseModel, variables: { id } }}
          onConfirm={async () => {
            await change(deleteBaseModel, { id });
            toast(`Deleted “${name}”.`);
            route(at("/models"));
          }}
          onClose={() => setAsked(false)}
        >
          <p>
            Used by {usesInWords(uses)} of this project. Its completions and evaluations are lost; a model that any run
            needs stays. Folders of it on workers stay too, and are found again.
          </p>
        </Confirm>
      )}
    </>
  );
}

const created = { title: "Created", sortBy: (row: { createdAt: string }) => row.createdAt };

const runColumns: readonly Column<Run>[] = [
  { title: "Name", sortBy: ({ name }) => name, cell: ({ id, name }) => <a href={runPath(id)}>{name}</a> },
  { title: "Status", cell: (run) => <Status run={run} /> },
  {
    title: "Best",
    number: true,
    cell: ({ bestEvaluation: best, hyperparameters }) => {
      if (best === null) return none;
      const { measure, value } = judged(hyperparameters.bestMetric, best);
      return measure.format(value);
    },
  },
  { ...created, cell: ({ createdAt }) => <time dateTime={createdAt}>{formatAgo(createdAt)}</time> },
];

const evaluationColumns: readonly Column<Evaluation>[] = [
  {
    title: "Dataset",
    sortBy: ({ dataset }) => dataset.name,
    cell: ({ dataset: { id, name } }) => <a href={datasetPath(id)}>{name}</a>,
  },
  { title: "Status", cell: ({ status }) => statusWords[status] },
  { title: "Loss", number: true, cell: ({ loss }) => formatLoss(loss) },
  { title: "Accuracy", number: true, cell: ({ accuracy }) => formatShare(accuracy) },
  { ...created, cell: ({ createdAt }) => <time dateTime={createdAt}>{formatAgo(createdAt)}</time> },
];
