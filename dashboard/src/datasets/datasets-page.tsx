/** All datasets: what is there, what uses it, and adding one. */
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { needsScope, useMay } from "../api/viewer.ts";
import { at, datasetPath } from "../base.ts";
import { formatAgo, formatBytes, formatInteger, formatTime } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { SearchField } from "../parts/search-field.tsx";
import { toast } from "../parts/toast.tsx";
import { toldApart } from "../parts/told-apart.ts";
import { AddDataset } from "./add-dataset.tsx";
import { DatasetActions } from "./dataset-actions.tsx";
import { useDatasets, type DatasetList, type ListedDataset } from "./use-datasets.ts";
import { endInWords, usesInWords } from "./words.ts";

export function DatasetsPage() {
  const { query, route } = useLocation();
  const search = query["q"] ?? "";
  const list = useDatasets(search);
  const mayAdd = useMay()("WRITE");
  const [adding, setAdding] = useState(false);
  useEffect(() => {
    document.title = "Datasets · Steplog";
  }, []);
  const find = (text: string) => route(at(text === "" ? "/datasets" : `/datasets?q=${encodeURIComponent(text)}`), true);
  return (
    <>
      <div class="title">
        <h1>Datasets</h1>
        {mayAdd && (
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Add a dataset
          </button>
        )}
      </div>
      <search class="filters">
        <SearchField label="Search by name" does="Search the datasets" text={search} onText={find} />
      </search>
      {list.failure && <Problem title="The datasets could not be read" failure={list.failure} />}
      {list.total === null && list.failure === null && <p class="muted">Loading…</p>}
      {list.total === 0 && (
        <Nothing search={search} mayAdd={mayAdd} onAdd={() => setAdding(true)} onClear={() => find("")} />
      )}
      {list.rows.length > 0 && <Listed list={list} />}
      {adding && (
        <AddDataset
          onClose={() => setAdding(false)}
          onStored={async ({ name }) => {
            toast(`Stored “${name}”.`);
            await list.reload();
          }}
        />
      )}
    </>
  );
}

interface NothingProps {
  readonly search: string;
  readonly mayAdd: boolean;
  readonly onAdd: () => void;
  readonly onClear: () => void;
}

function Nothing({ search, mayAdd, onAdd, onClear }: NothingProps) {
  if (search !== "")
    return (
      <div class="empty card">
        <p>No dataset has “{search}” in its name.</p>
        <button type="button" onClick={onClear}>
          Show all datasets
        </button>
      </div>
    );
  return (
    <div class="empty card">
      <p>
        There are no datasets yet. A dataset has the rows that a model learns from: prompts, and what it should answer.
      </p>
      {mayAdd ? (
        <button type="button" onClick={onAdd}>
          Add the first dataset
        </button>
      ) : (
        <p class="muted">To add one, {needsScope("WRITE")}.</p>
      )}
    </div>
  );
}

function Listed({ list }: { list: DatasetList }) {
  const { rows, total, after, readMore, reload } = list;
  return (
    <>
      <div class="card listing">
        <DataTable
          name="Datasets"
          columns={columnsWith(toldApart(rows), reload)}
          rows={rows}
          keyOf={({ id }) => id}
          empty="There are no datasets."
        />
      </div>
      <p class="muted" role="status">
        {formatInteger(rows.length)} of {formatInteger(total ?? rows.length)} datasets
      </p>
      {after !== null && (
        <button type="button" class="newer" onClick={() => void readMore()}>
          Show more
        </button>
      )}
    </>
  );
}

const columnsWith = (called: ReadonlyMap<string, string>, reload: () => Promise<void>): Column<ListedDataset>[] => [
  {
    title: "Name",
    sortBy: ({ name }) => name,
    cell: ({ id, name }) => (
      <a href={datasetPath(id)} class="cut" title={name}>
        {name}
      </a>
    ),
  },
  { title: "Rows", number: true, sortBy: ({ rows }) => rows, cell: ({ rows }) => formatInteger(rows) },
  { title: "Size", number: true, sortBy: ({ bytes }) => bytes, cell: ({ bytes }) => formatBytes(bytes) },
  {
    title: "Created",
    sortBy: ({ createdAt }) => createdAt,
    cell: ({ createdAt }) => (
      <time dateTime={createdAt} title={formatTime(createdAt)}>
        {formatAgo(createdAt)}
      </time>
    ),
  },
  {
    title: "Used by",
    sortBy: ({ uses }) => uses.fineTunes + uses.evaluations,
    cell: ({ uses }) => usesInWords(uses),
  },
  {
    title: "Ends",
    sortBy: ({ expiresAt }) => expiresAt,
    cell: (dataset) => (dataset.expiresAt === null ? "Never" : endInWords(dataset)),
  },
  {
    title: "Actions",
    cell: (dataset) => (
      <DatasetActions
        dataset={dataset}
        called={called.get(dataset.id) ?? dataset.name}
        onChange={reload}
        onDeleted={reload}
      />
    ),
  },
];
