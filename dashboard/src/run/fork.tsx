/** Forks a checkpoint: a new run that continues from it with other data or settings. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { SteplogError } from "../../../client/browser.ts";
import { hyperparameterGroups } from "../../../schema/hyperparameter-groups.ts";
import type { HyperparameterName } from "../../../schema/hyperparameter-table.ts";
import { change, useAnswer } from "../api/query.ts";
import { runPath } from "../base.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { choices, createFineTune } from "../new/operations.ts";
import { commandOf } from "../new/file.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { HyperparameterField } from "../parts/form/hyperparameters.tsx";
import { settingsForked, settingsToFork, textIssues } from "../parts/form/settings.ts";
import { Problem } from "../parts/problem.tsx";
import type { Run } from "./run-state.ts";

interface ForkProps {
  readonly run: Run;
  readonly checkpoint: { readonly id: string; readonly step: number };
  /** Proposed in the place of the run's own. */
  readonly learningRate?: number;
  readonly onClose: () => void;
}

/** What most forks change. */
const common: readonly HyperparameterName[] = ["learningRate", "steps", "seed", "evaluateEvery"];

export function Fork({ run, checkpoint, learningRate, onClose }: ForkProps) {
  const { route } = useLocation();
  const fork = async (form: FormData) => {
    const names = settingsToFork(run.hyperparameters.method);
    const issues = textIssues(Object.fromEntries(names.map((name) => [name, textOf(form, name)])));
    if (issues.length > 0) throw new SteplogError("INVALID_ARGUMENT", "See the marked fields.", issues);
    const answer = await change(createFineTune, { input: { ...inputIn(form, run), from: checkpoint.id } });
    route(runPath(answer.createFineTune.fineTune.id));
  };
  return (
    <FormDialog
      title={`Fork “${run.name}” at step ${formatInteger(checkpoint.step)}`}
      action="Start fork"
      failed="The fork was not created"
      onSend={fork}
      repeat={(form) => ({
        what: "this run",
        operation: createFineTune,
        variables: { input: { ...inputIn(form, run), from: checkpoint.id } },
        command: commandIn(form, run, checkpoint),
      })}
      onClose={onClose}
    >
      <p>Starts a new run from this checkpoint. Fields left empty keep the settings of this run.</p>
      <Field label="Name of the fork" name="name">
        {(shared) => <input {...shared} required maxLength={200} defaultValue={`${run.name}, fork`} />}
      </Field>
      <Rows />
      <Settings run={run} learningRate={learningRate} />
    </FormDialog>
  );
}

function Rows() {
  const { data, failure } = useAnswer(choices, {});
  return (
    <>
      {failure && <Problem title="Datasets cannot be listed" failure={failure} />}
      {(["dataset", "validationDataset"] as const).map((field) => (
        <Field key={field} label={field === "dataset" ? "Training dataset" : "Validation dataset"} name={field}>
          {(shared) => (
            <select {...shared}>
              <option value="">Same as this run</option>
              {data?.datasets.nodes.map(({ id, name, rows }) => (
                <option key={id} value={id}>
                  {name} ({formatCounted(rows, "row")})
                </option>
              ))}
            </select>
          )}
        </Field>
      ))}
    </>
  );
}

/** What most change, then all else that the log of the run does not fix. */
function Settings({ run: { hyperparameters }, learningRate }: { run: Run; learningRate: number | undefined }) {
  const [rate, setRate] = useState(learningRate === undefined ? "" : String(learningRate));
  const others = new Set(settingsToFork(hyperparameters.method).filter((name) => !common.includes(name)));
  const groups = hyperparameterGroups
    .map(({ title, names }) => ({ title, names: names.filter((name) => others.has(name)) }))
    .filter(({ names }) => names.length > 0);
  return (
    <>
      {common.map((name) => (
        <HyperparameterField
          key={name}
          name={name}
          defaultTo={hyperparameters[name]}
          {...(name === "learningRate" && { text: rate, onText: setRate })}
        />
      ))}
      <details>
        <summary>All settings that a fork may change</summary>
        {groups.map(({ title, names }) => (
          <fieldset key={title} class="group">
            <legend>{title}</legend>
            <div class="grid">
              {names.map((name) => (
                <HyperparameterField key={name} name={name} defaultTo={hyperparameters[name]} />
              ))}
            </div>
          </fieldset>
        ))}
      </details>
    </>
  );
}

function inputIn(form: FormData, { hyperparameters }: Run) {
  const [dataset, validationDataset] = [textOf(form, "dataset"), textOf(form, "validationDataset")];
  return {
    name: textOf(form, "name"),
    ...(dataset !== "" && { dataset }),
    ...(validationDataset !== "" && { validationDataset }),
    hyperparameters: settingsForked(form, hyperparameters),
  };
}

/** The command that forks takes no other rows: those are named in a file. */
function commandIn(form: FormData, run: Run, { id, step }: ForkProps["checkpoint"]): string {
  const input = inputIn(form, run);
  return "dataset" in input || "validationDataset" in input
    ? commandOf({ ...input, from: id })
    : steplog(commands.fork(run.id, step, input));
}
