/** Continues a run that has ended: a new run that adds steps to its log. */
import { useRef, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { continueFineTune } from "./operations.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { asFailure, type Failure } from "../api/failure.ts";
import { useLocation } from "preact-iso";
import { runPath } from "../base.ts";
import type { Run } from "./run-state.ts";

export function Continue({ run }: { run: Run }) {
  const { route } = useLocation();
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const given = new FormData(event.currentTarget);
    const numberOf = (name: string) => Number(given.get(name));
    const more = { steps: numberOf("steps"), maxSeconds: numberOf("maxSeconds") };
    setBusy(true);
    setFailure(null);
    try {
      const answer = await client.query(continueFineTune, { input: { fineTune: run.id, ...more } });
      dialog.current?.close();
      route(runPath(answer.continueFineTune.fineTune.id));
    } catch (error) {
      setFailure(asFailure(error));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        Continue
      </button>
      <dialog ref={dialog} aria-labelledby="continue-title">
        <h2 id="continue-title">Continue “{run.name}”</h2>
        <p>Starts a new run from the last checkpoint, with the same data and settings.</p>
        <CheckedForm
          title="The run was not continued"
          failure={failure}
          onSubmit={(event) => void submit(event)}
          actions={
            <>
              <button type="button" onClick={() => dialog.current?.close()}>
                Cancel
              </button>
              <button type="submit" class="primary" disabled={busy}>
                Start
              </button>
            </>
          }
        >
          <Field label="Additional steps" name="steps">
            {(shared) => <input {...shared} type="number" min={1} required defaultValue={run.progress.steps} />}
          </Field>
          <Field label="Longest training, in seconds (0: no limit)" name="maxSeconds">
            {(shared) => (
              <input {...shared} type="number" min={0} required defaultValue={run.hyperparameters.maxSeconds} />
            )}
          </Field>
        </CheckedForm>
      </dialog>
    </>
  );
}
