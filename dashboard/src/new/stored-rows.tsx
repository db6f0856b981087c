/** Choosing a stored dataset, by its name. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { ask, useAnswer } from "../api/query.ts";
import { formatAgo, formatCounted } from "../format.ts";
import { Field } from "../parts/form/field.tsx";
import { Problem } from "../parts/problem.tsx";
import type { Change, Draft, NamedRows } from "./draft.ts";
import { choices, type ChoicesQuery } from "./operations.ts";

type Datasets = ChoicesQuery["datasets"];

export function StoredRows({ draft, change }: { draft: Draft; change: Change }) {
  const { nodes, more, failure, loading } = useDatasets();
  const [search, setSearch] = useState("");
  const found = nodes.filter(({ name }) => name.toLowerCase().includes(search.trim().toLowerCase()));
  if (nodes.length === 0 && !failure) {
    return <p class="muted">{loading ? "Reading the datasets…" : "No rows are stored yet. Use your own."}</p>;
  }
  return (
    <>
      {failure && <Problem title="Datasets cannot be listed" failure={failure} />}
      <label>
        Search stored rows by name
        <input type="search" value={search} onInput={({ currentTarget }) => setSearch(currentTarget.value)} />
      </label>
      <fieldset class="choices scrolling" tabIndex={0}>
        <legend>Rows to train on</legend>
        {found.map((one) => (
          <label key={one.id} class="check">
            <input
              type="radio"
              name="dataset"
              checked={draft.dataset?.id === one.id}
              onChange={() => change({ dataset: { id: one.id, name: one.name, rows: one.rows } })}
            />
            <span>
              {one.name}{" "}
              <small class="muted">
                {formatCounted(one.rows, "row")}, {formatAgo(one.createdAt)}
              </small>
            </span>
          </label>
        ))}
        {found.length === 0 && <p class="muted">None of the {nodes.length} datasets has this in its name.</p>}
      </fieldset>
      {more && (
        <button type="button" onClick={more}>
          Show older datasets, too
        </button>
      )}
      {draft.dataset && <p>Chosen: {inWords(draft.dataset)}.</p>}
    </>
  );
}

/** A hundred at first, and more when asked. */
function useDatasets() {
  const first = useAnswer(choices, {});
  const [older, setOlder] = useState<Datasets | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const last = older ?? first.data?.datasets;
  const read = () => {
    ask(choices, { after: last?.pageInfo.endCursor ?? null })
      .then(({ datasets }) => setOlder({ ...datasets, nodes: [...(older?.nodes ?? []), ...datasets.nodes] }))
      .catch((error: unknown) => setFailure(asFailure(error)));
  };
  return {
    nodes: [...(first.data?.datasets.nodes ?? []), ...(older?.nodes ?? [])],
    more: last?.pageInfo.hasNextPage ? read : null,
    failure: failure ?? first.failure,
    loading: first.loading,
  };
}

const inWords = ({ name, rows }: NamedRows) => `${name} (${formatCounted(rows, "row")})`;

interface SelectProps {
  readonly name: string;
  readonly label: string;
  readonly chosen: NamedRows | null;
  readonly datasets: readonly NamedRows[];
  readonly onChoose: (dataset: NamedRows | null) => void;
}

export function DatasetSelect({ name, label, chosen, datasets, onChoose }: SelectProps) {
  // What was chosen may be older than those that are listed.
  const listed = chosen === null || datasets.some(({ id }) => id === chosen.id) ? datasets : [chosen, ...datasets];
  const choose = (id: string) => {
    const found = listed.find((one) => one.id === id);
    onChoose(found ? { id: found.id, name: found.name, rows: found.rows } : null);
  };
  return (
    <Field label={label} name={name}>
      {(shared) => (
        <select {...shared} onChange={({ currentTarget }) => choose(currentTarget.value)}>
          <option value="" selected={chosen === null}>
            None
          </option>
          {listed.map((one) => (
            <option key={one.id} value={one.id} selected={one.id === chosen?.id}>
              {inWords(one)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface OtherRowsProps {
  readonly draft: Draft;
  readonly change: Change;
  readonly datasets: readonly NamedRows[];
}

/** Validation and test rows that are stored as datasets of their own. */
export function OtherRows({ draft, change, datasets }: OtherRowsProps) {
  return (
    <div class="grid">
      <DatasetSelect
        name="validationDataset"
        label="Validation rows (optional)"
        chosen={draft.validationDataset}
        datasets={datasets}
        onChoose={(validationDataset) => change({ validationDataset })}
      />
      <DatasetSelect
        name="testDataset"
        label="Test rows (optional)"
        chosen={draft.testDataset}
        datasets={datasets}
        onChoose={(testDataset) => change({ testDataset })}
      />
    </div>
  );
}
