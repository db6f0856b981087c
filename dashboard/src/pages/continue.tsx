/** More steps for a run that has ended: a new run, which goes on with its log. */
import { useRef, useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { continueFineTune } from "../api/operations.ts";
import { asFailure, Problem, type Failure } from "../parts/problem.tsx";
import { navigate, runPath } from "../route.ts";
import type { Run } from "./run-state.ts";

export function Continue({ run }: { run: Run }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const goOn = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const steps = Number(new FormData(event.currentTarget).get("steps"));
    setBusy(true);
    try {
      const answer = await request(continueFineTune, { input: { fineTune: run.id, steps } });
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
        <p>A new run goes on from its last checkpoint, with its data and settings.</p>
        <form onSubmit={(event) => void goOn(event)}>
          <label>
            Steps more
            <input name="steps" type="number" min={1} required defaultValue={run.progress.steps} />
          </label>
          {failure && <Problem title="It was not continued" failure={failure} />}
          <div class="actions">
            <button type="button" onClick={() => dialog.current?.close()}>
              Leave it
            </button>
            <button type="submit" class="primary" disabled={busy}>
              Continue it
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
