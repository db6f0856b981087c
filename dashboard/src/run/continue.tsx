/** Continues a run that has ended: a new run that adds steps to its log. */
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { change } from "../api/query.ts";
import { runPath } from "../base.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, numberOf } from "../parts/form/form-dialog.tsx";
import { continueFineTune } from "./operations.ts";
import type { Run } from "./run-state.ts";

export function Continue({ run }: { run: Run }) {
  const [asked, setAsked] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setAsked(true)}>
        Continue
      </button>
      {asked && <ContinueForm run={run} onClose={() => setAsked(false)} />}
    </>
  );
}

function ContinueForm({ run, onClose }: { run: Run; onClose: () => void }) {
  const { route } = useLocation();
  const moreIn = (form: FormData) => ({
    steps: numberOf(form, "steps") ?? 0,
    maxSeconds: numberOf(form, "maxSeconds") ?? 0,
  });
  const variables = (form: FormData) => ({ input: { fineTune: run.id, ...moreIn(form) } });
  const start = async (form: FormData) => {
    const answer = await change(continueFineTune, variables(form));
    route(runPath(answer.continueFineTune.fineTune.id));
  };
  return (
    <FormDialog
      title={`Continue “${run.name}”`}
      action="Start"
      failed="The run was not continued"
      onSend={start}
      repeat={(form) => ({
        what: "the continuation",
        operation: continueFineTune,
        variables: variables(form),
        command: steplog(commands.continueRun(run.id, moreIn(form))),
      })}
      onClose={onClose}
    >
      <p>Starts a new run from the last checkpoint, with the same data and settings.</p>
      <Field label="Additional steps" name="steps">
        {(shared) => <input {...shared} type="number" min={1} required defaultValue={run.progress.steps} />}
      </Field>
      <Field label="Time limit in seconds (0: none)" name="maxSeconds">
        {(shared) => <input {...shared} type="number" min={0} required defaultValue={run.hyperparameters.maxSeconds} />}
      </Field>
    </FormDialog>
  );
}
