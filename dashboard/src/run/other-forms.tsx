/** The weights of a checkpoint in another form than that of training: an adapter folded into its base, another number format. */
import type { WeightsDtype } from "../../../client/schema-types.ts";
import { change, useAnswer } from "../api/query.ts";
import { formatInteger } from "../format.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { checkpointForms, materialiseCheckpoint, type CheckpointFormsQuery } from "./operations.ts";
import type { Checkpoint, Run } from "./run-state.ts";
import { Files } from "./weights.tsx";

interface OtherFormsProps {
  readonly run: Run;
  readonly checkpoint: Checkpoint;
  readonly onClose: () => void;
}

type Form = NonNullable<CheckpointFormsQuery["checkpoint"]>["exports"][number];

const everyMs = 2_000;

const dtypes: readonly (readonly [WeightsDtype, string])[] = [
  ["FLOAT32", "float32"],
  ["BFLOAT16", "bfloat16"],
  ["FLOAT16", "float16"],
];

/** Stays open: what was asked for is followed here. */
export function OtherForms({ run, checkpoint: { id, step }, onClose }: OtherFormsProps) {
  const { data, failure, reload } = useAnswer(checkpointForms, { id }, { everyMs });
  const forms = data?.checkpoint?.exports ?? [];
  const isAdapter = run.hyperparameters.method === "LORA";
  const variables = (form: FormData) => ({
    id,
    merged: form.has("merged"),
    dtype: dtypes.find(([dtype]) => dtype === textOf(form, "dtype"))?.[0] ?? null,
  });
  return (
    <FormDialog
      title={`The weights of step ${formatInteger(step)} in other forms`}
      action="Make them"
      failed="They are not made"
      cancel="Close"
      stays
      onSend={async (form) => {
        await change(materialiseCheckpoint, variables(form));
        reload();
      }}
      repeat={(form) => ({
        what: "the making of these weights",
        operation: materialiseCheckpoint,
        variables: variables(form),
        command: steplog(commands.rebuild(id, variables(form))),
      })}
      onClose={onClose}
    >
      <p>A worker makes them from the log, for programs that do not load them as they were trained.</p>
      {isAdapter && (
        <label class="check">
          <input type="checkbox" name="merged" defaultChecked />
          Add the adapter into the weights of its base model
        </label>
      )}
      <Field label="Number format" name="dtype" help="Values are rounded to the nearest.">
        {(shared) => (
          <select {...shared}>
            {isAdapter && <option value="">As they were trained</option>}
            {dtypes.map(([dtype, name]) => (
              <option key={dtype} value={dtype}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {failure && <Problem title="What there is could not be read" failure={failure} />}
      {forms.length > 0 && (
        <ul class="plain" aria-label="Forms that were asked for">
          {forms.map((form) => (
            <li key={nameOf(form)}>
              <Made form={form} />
            </li>
          ))}
        </ul>
      )}
    </FormDialog>
  );
}

function nameOf({ merged, dtype }: Form): string {
  const format = dtypes.find(([one]) => one === dtype)?.[1];
  return [merged ? ["with the adapter added"] : [], format ?? []].flat().join(", ");
}

function Made({ form }: { form: Form }) {
  const { status, bytes, files, error, waitingReason } = form;
  if (files.length > 0)
    return (
      <>
        {nameOf(form)} <Files files={files} bytes={bytes} />
      </>
    );
  if (status === "FAILED")
    return (
      <>
        {nameOf(form)}: <span class="bad long">{error ?? "they could not be made."}</span>
      </>
    );
  return (
    <span role="status">
      {nameOf(form)}: {waitingReason ?? error ?? "a worker makes them…"}
    </span>
  );
}
