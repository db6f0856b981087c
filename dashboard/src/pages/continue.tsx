/** Continues a run that has ended: a new run that adds steps to its log. */
import { useRef, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { continueFineTune } from "../api/operations.ts";
import { asFailure, Problem, type Failure } from "../parts/problem.tsx";
import { navigate, runPath } from "../route.ts";
import type { Run } from "./run-state.ts";

export function Continue({ run }: { run: Run }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const steps = Number(new FormData(event.currentTarget).get("steps"));
    setBusy(true);
    try {
      const answer = await client.query(continueFineTune, { input: { fineTune: run.id, steps } });
      dialog.current?.close();
      navigate(runPath(answer.continueFineTune.fineTune.id));
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
        <form onSubmit={(event) => void submit(event)}>
          <label>
            Additional steps
            <input name="steps" type="number" min={1} required defaultValue={run.progress.steps} />
          </label>
          {failure && <Problem title="The run was not continued" failure={failure} />}
          <div class="actions">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="submit" class="primary" disabled={busy}>
              Start
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
