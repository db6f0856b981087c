/** Forks a checkpoint: a new run that continues from it with other data or settings. */
import { useEffect, useRef, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { choices, createFineTune, type ChoicesQuery } from "../new/operations.ts";
import { formatCounted, formatInteger } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { asFailure, type Failure } from "../api/failure.ts";
import { HyperparameterField, hyperparametersIn } from "../parts/form/hyperparameters.tsx";
import { useLocation } from "preact-iso";
import { runPath } from "../base.ts";
import type { Run } from "./run-state.ts";

interface ForkProps {
  readonly run: Run;
  readonly checkpoint: { readonly id: string; readonly step: number };
  readonly onClose: () => void;
}

const settings = ["learningRate", "steps", "seed", "evaluateEvery"] as const;

export function Fork({ run, checkpoint, onClose }: ForkProps) {
  const { route } = useLocation();
  const dialog = useRef<HTMLDialogElement>(null);
  const [datasets, setDatasets] = useState<ChoicesQuery["datasets"]["nodes"]>([]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const title = `fork-${checkpoint.id}`;
  const attempt = async (work: () => Promise<void>) => {
    setFailure(null);
    try {
      await work();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  useEffect(() => {
    dialog.current?.showModal();
    void attempt(async () => setDatasets((await client.query(choices, {})).datasets.nodes));
  }, []);
  const fork = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const input = readForm(new FormData(event.currentTarget));
    setBusy(true);
    await attempt(async () => {
      const answer = await client.query(createFineTune, { input: { ...input, from: checkpoint.id } });
      dialog.current?.close();
      route(runPath(answer.createFineTune.fineTune.id));
    });
    setBusy(false);
  };
  return (
    <>
      <dialog ref={dialog} aria-labelledby={title} onClose={onClose}>
        <h2 id={title}>
          Fork “{run.name}” at step {formatInteger(checkpoint.step)}
        </h2>
        <p>Starts a new run from this checkpoint. Fields left empty keep the settings of this run.</p>
        <CheckedForm
          title="The fork was not created"
          failure={failure}
          onSubmit={(event) => void fork(event)}
          actions={
            <>
              <button type="button" onClick={() => dialog.current?.close()}>
                Cancel
              </button>
              <button type="submit" class="primary" disabled={busy}>
                Start fork
              </button>
            </>
          }
        >
          <Field label="Name of the fork" name="name">
            {(shared) => <input {...shared} required maxLength={200} defaultValue={`${run.name}, fork`} />}
          </Field>
          {(["dataset", "validationDataset"] as const).map((field) => (
            <Field key={field} label={field === "dataset" ? "Training dataset" : "Validation dataset"} name={field}>
              {(shared) => (
                <select {...shared}>
                  <option value="">Same as this run</option>
                  {datasets.map(({ id, name, rows }) => (
                    <option key={id} value={id}>
                      {name} ({formatCounted(rows, "row")})
                    </option>
                  ))}
                </select>
              )}
            </Field>
          ))}
          {settings.map((name) => (
            <HyperparameterField key={name} name={name} defaultTo={run.hyperparameters[name]} />
          ))}
        </CheckedForm>
      </dialog>
    </>
  );
}

function readForm(form: FormData) {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const given = (name: string) => (text(name) === "" ? {} : { [name]: text(name) });
  return {
    name: text("name"),
    ...given("dataset"),
    ...given("validationDataset"),
    hyperparameters: hyperparametersIn(form),
  };
}
