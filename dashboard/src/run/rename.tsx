/** Another name or other tags for a run. */
import { change } from "../api/query.ts";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { updateFineTune } from "./operations.ts";
import type { Run } from "./run-state.ts";

interface RenameProps {
  readonly run: Run;
  readonly onChange: (run: Partial<Run>) => void;
  readonly onClose: () => void;
}

export function Rename({ run, onChange, onClose }: RenameProps) {
  const { id } = run;
  const save = async (form: FormData) =>
    onChange((await change(updateFineTune, { id, input: inputIn(form) })).updateFineTune);
  return (
    <FormDialog
      title="Rename or tag"
      action="Save"
      failed="The run was not changed"
      onSend={save}
      repeat={(form) => ({
        what: "this change",
        operation: updateFineTune,
        variables: { id, input: inputIn(form) },
        command: steplog(commands.update(id, inputIn(form))),
      })}
      onClose={onClose}
    >
      <Field label="Name" name="name">
        {(shared) => <input {...shared} required defaultValue={run.name} />}
      </Field>
      <Field label="Tags, separated by commas" name="tags">
        {(shared) => <input {...shared} defaultValue={run.tags.join(", ")} />}
      </Field>
    </FormDialog>
  );
}

function inputIn(form: FormData) {
  const tags = textOf(form, "tags")
    .split(",")
    .flatMap((tag) => tag.trim() || []);
  return { name: textOf(form, "name"), tags };
}
