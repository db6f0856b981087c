/** Step 2: the model to tune. Those that a live worker can train come first. */
import type { Failure } from "../api/failure.ts";
import type { Answer } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { weightsInMemory } from "../../../schema/weights-memory.ts";
import { formatBytes, formatCompact, formatInteger } from "../format.ts";
import { useState } from "preact/hooks";
import { AddModel } from "../models/add-model.tsx";
import { DataTable, type Column } from "../parts/data-table.tsx";
import { Problem } from "../parts/problem.tsx";
import type { Change, Draft } from "./draft.ts";
import { FoundModels } from "./found-models.tsx";
import type { ModelsQuery } from "./operations.ts";

type Model = ModelsQuery["baseModels"]["nodes"][number];
type Worker = ModelsQuery["workers"][number];

export interface ModelChoice extends Model {
  /** A lower bound. */
  readonly neededBytes: number;
  /** Names of the live workers that can train it. */
  readonly trainedBy: readonly string[];
  /** Why none of them can; null if one can. */
  readonly why: string | null;
}

/** Those that can be trained now first. The estimate says for each worker what it lacks for all the settings of a run. */
export function modelChoices({ baseModels, workers }: ModelsQuery): ModelChoice[] {
  const all = baseModels.nodes.map((model) => choiceOf(model, workers));
  return [...all.filter(({ why }) => why === null), ...all.filter(({ why }) => why !== null)];
}

function choiceOf(model: Model, workers: readonly Worker[]): ModelChoice {
  const neededBytes = weightsInMemory(model);
  const trainers = workers.filter(({ kinds }) => kinds.includes("FINE_TUNE"));
  const have = trainers.filter(({ models }) => models.some(({ hash }) => hash === model.hash));
  const know = have.filter(({ families }) => families.includes(model.family));
  const able = know.filter(({ memoryBytes }) => memoryBytes >= neededBytes);
  const why = () => {
    if (trainers.length === 0) return "No worker is running.";
    if (have.length === 0) return "No running worker has it in its models folder.";
    if (know.length === 0) return `No running worker can train the family ${model.family}.`;
    const most = Math.max(...know.map(({ memoryBytes }) => memoryBytes));
    return `Its weights need ${formatBytes(neededBytes)} of memory; the largest worker that has it has ${formatBytes(most)}.`;
  };
  return { ...model, neededBytes, trainedBy: able.map(({ name }) => name), why: able.length > 0 ? null : why() };
}

interface ModelStepProps {
  readonly draft: Draft;
  readonly change: Change;
  readonly models: Answer<ModelsQuery>;
  readonly problem: Failure | null;
  readonly onDone: () => void;
}

export function ModelStep({ draft, change, models, problem, onDone }: ModelStepProps) {
  const { data, failure, reload } = models;
  const [adding, setAdding] = useState(false);
  const mayAdd = useMay()("OPERATOR");
  const { from, baseModel } = draft;
  const chosen = from !== null || data?.baseModels.nodes.some(({ name }) => name === baseModel);
  return (
    <div class="step-body">
      {failure && <Problem title="Models cannot be listed" failure={failure} />}
      {problem && <Problem title="The run cannot use this model" failure={problem} />}
      {from && (
        <p class="notice">
          It continues from a checkpoint, at step {formatInteger(from.step)}, of a run of {baseModel}, as the run that
          you copy did.{" "}
          <button type="button" onClick={() => change({ from: null })}>
            Start from a base model instead
          </button>
        </p>
      )}
      {data && !from && (
        <DataTable
          name="Base models"
          columns={columns(baseModel, (name) => change({ baseModel: name }))}
          rows={modelChoices(data)}
          keyOf={({ hash }) => hash}
          empty="There are no base models yet. Add one, or start a worker that has some in its models folder: it registers them."
        />
      )}
      {data && !from && (
        <>
          <p class="muted">
            Weights in memory is what the weights alone take. A run needs more, by its settings: the estimate in the
            next step has all of it.
          </p>
          <p>
            <button type="button" onClick={() => setAdding(true)}>
              Add a model
            </button>
          </p>
        </>
      )}
      {adding && <AddModel mayAdd={mayAdd} onAdded={reload} onClose={() => setAdding(false)} />}
      {data && <FoundModels models={data.foundModels} reload={reload} />}
      {chosen && (
        <div class="actions">
          <button type="button" class="primary" onClick={onDone}>
            Next: the settings
          </button>
        </div>
      )}
    </div>
  );
}

function columns(chosen: string, choose: (name: string) => void): Column<ModelChoice>[] {
  return [
    {
      title: "Model",
      cell: ({ name }) => (
        <label class="check">
          <input type="radio" name="baseModel" checked={name === chosen} onChange={() => choose(name)} />
          {name}
        </label>
      ),
    },
    { title: "Family", cell: ({ family }) => family },
    {
      title: "Weights",
      number: true,
      cell: ({ parameters, dtype }) => `${formatCompact(parameters)} ${dtype}`,
    },
    { title: "Weights in memory", number: true, cell: ({ neededBytes }) => formatBytes(neededBytes) },
    {
      title: "Trained by",
      long: true,
      cell: ({ trainedBy, why }) =>
        why !== null ? <span class="muted">{why}</span> : <span class="good">{trainedBy.join(", ")}</span>,
    },
  ];
}
