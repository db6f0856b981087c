/** All base models: what there is to tune, who has it, and folders that are no base model yet. */
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change, useAnswer } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { modelPath } from "../base.ts";
import { formatBytes, formatCompact, formatCounted, formatInteger } from "../format.ts";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import { AddModel } from "./add-model.tsx";
import { Downloads, isUnderWay } from "./downloads.tsx";
import { models, registerFoundModel, type ModelsQuery } from "./operations.ts";

type Listed = ModelsQuery["baseModels"]["nodes"][number];
type Found = ModelsQuery["foundModels"][number];

/** Workers report every few seconds; a registration is followed more closely. */
const [usualMs, waitingMs] = [10_000, 1_000];

export function ModelsPage() {
  const [everyMs, setEveryMs] = useState(usualMs);
  const { data, failure, reload } = useAnswer(models, {}, { everyMs });
  const [adding, setAdding] = useState(false);
  const downloads = data?.modelDownloads ?? [];
  const mayAdd = useMay()("OPERATOR");
  const isWaiting = (data?.foundModels ?? []).some(({ registering }) => registering) || downloads.some(isUnderWay);
  useEffect(() => {
    document.title = "Models · Steplog";
  }, []);
  useEffect(() => setEveryMs(isWaiting ? waitingMs : usualMs), [isWaiting]);
  return (
    <>
      <div class="title">
        <h1>Models</h1>
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          Add a model
        </button>
      </div>
      {failure && <Problem title="The models could not be read" failure={failure} />}
      {!data && !failure && <p class="muted">Loading…</p>}
      {data && (
        <>
          {downloads.length > 0 && <Downloads downloads={downloads} mayAdd={mayAdd} onChange={reload} />}
          {data.baseModels.nodes.length === 0 ? (
            <Nothing onAdd={() => setAdding(true)} />
          ) : (
            <div class="card listing">
              <DataTable name="Models" columns={columns} rows={data.baseModels.nodes} keyOf={({ id }) => id} empty="" />
            </div>
          )}
          {data.foundModels.length > 0 && <FoundModels found={data.foundModels} onChange={reload} />}
        </>
      )}
      {adding && <AddModel mayAdd={mayAdd} onAdded={reload} onClose={() => setAdding(false)} />}
    </>
  );
}

function Nothing({ onAdd }: { onAdd: () => void }) {
  return (
    <div class="empty card">
      <p>
        There are no base models yet. A base model is what a run starts from. Add one, or start a worker that has some:
        it registers them.
      </p>
      <button type="button" onClick={onAdd}>
        Add the first model
      </button>
    </div>
  );
}

const columns: readonly Column<Listed>[] = [
  {
    title: "Name",
    sortBy: ({ name }) => name,
    cell: ({ name }) => (
      <a href={modelPath(name)} class="cut" title={name}>
        {name}
      </a>
    ),
  },
  { title: "Family", sortBy: ({ family }) => family, cell: ({ family }) => family },
  {
    title: "Weights",
    number: true,
    sortBy: ({ parameters }) => parameters,
    cell: ({ parameters, dtype }) => `${formatCompact(parameters)} ${dtype}`,
  },
  { title: "Size", number: true, sortBy: ({ bytes }) => bytes, cell: ({ bytes }) => formatBytes(bytes) },
  {
    title: "Context",
    number: true,
    sortBy: ({ contextLength }) => contextLength,
    cell: ({ contextLength }) => formatCounted(contextLength, "token"),
  },
  {
    title: "Workers",
    sortBy: ({ workers }) => workers.length,
    cell: ({ workers }) =>
      workers.length === 0 ? (
        <span class="bad">none has it</span>
      ) : (
        <span title={workers.map(({ name }) => name).join(", ")}>{formatCounted(workers.length, "worker")}</span>
      ),
  },
  {
    title: "Runs",
    number: true,
    sortBy: ({ uses }) => uses.fineTunes,
    cell: ({ uses }) => formatInteger(uses.fineTunes),
  },
];

function FoundModels({ found, onChange }: { found: readonly Found[]; onChange: () => void }) {
  const mayRegister = useMay()("WRITE");
  const [failure, setFailure] = useState<Failure | null>(null);
  const register = async (name: string) => {
    try {
      await change(registerFoundModel, { name });
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
    onChange();
  };
  return (
    <section class="card">
      <h2>Found in the models folder</h2>
      <p class="muted">Workers have these folders. Once one is registered, runs can start from it.</p>
      <DataTable
        name="Found models"
        columns={foundColumns(mayRegister ? register : null)}
        rows={found}
        keyOf={({ name }) => name}
        empty=""
      />
      {failure && <Problem title="The model was not registered" failure={failure} />}
    </section>
  );
}

/** @param register null for who may not */
const foundColumns = (register: ((name: string) => Promise<void>) | null): Column<Found>[] => [
  { title: "Folder", sortBy: ({ name }) => name, cell: ({ name }) => name },
  {
    title: "What it is",
    long: true,
    cell: ({ family, parameters, dtype, bytes }) =>
      family === null
        ? "cannot be used"
        : `${family}, ${formatCompact(parameters ?? 0)} weights, ${dtype ?? ""}, ${formatBytes(bytes ?? 0)}`,
  },
  { title: "Problem", long: true, cell: ({ problem }) => problem ?? "none" },
  {
    title: "Action",
    cell: ({ name, family, registering }) =>
      family !== null &&
      register && (
        <button
          type="button"
          disabled={registering}
          onClick={() => void register(name)}
          aria-label={`${registering ? "Registering…" : "Register"} ${name}`}
        >
          {registering ? "Registering…" : "Register"}
        </button>
      ),
  },
];
