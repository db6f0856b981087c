/** A name under which programs ask for a checkpoint, and which can point at another one later. */
import { change } from "../api/query.ts";
import { formatInteger } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { commands } from "../parts/commands.ts";
import { steplog } from "../parts/copy-as.tsx";
import { Field } from "../parts/form/field.tsx";
import { FormDialog, textOf } from "../parts/form/form-dialog.tsx";
import { toast } from "../parts/toast.tsx";
import { removeAlias, rollBackAlias, setAlias } from "./operations.ts";

interface AliasProps {
  readonly checkpoint: { readonly id: string; readonly step: number };
  readonly onClose: () => void;
}

export function Alias({ checkpoint: { id, step }, onClose }: AliasProps) {
  const variables = (form: FormData) => ({ name: textOf(form, "name"), model: { checkpoint: id } });
  const save = async (form: FormData) => {
    await change(setAlias, variables(form));
    toast(`“${textOf(form, "name")}” is now the checkpoint of step ${formatInteger(step)}.`);
  };
  return (
    <FormDialog
      title={`An alias for step ${formatInteger(step)}`}
      action="Set alias"
      failed="The alias was not set"
      onSend={save}
      repeat={(form) => ({
        what: "where it points",
        operation: setAlias,
        variables: variables(form),
        command: steplog(commands.setAlias(textOf(form, "name"), id)),
      })}
      onClose={onClose}
    >
      <p>
        Programs ask for the model by this name. An alias that exists points here from now on; it can be rolled back.
      </p>
      <Field label="Alias" name="name">
        {(shared) => <input {...shared} required />}
      </Field>
    </FormDialog>
  );
}

interface NamedProps {
  readonly name: string;
  readonly onClose: () => void;
}

export function RollBackAlias({ name, onClose }: NamedProps) {
  const rollBack = async () => {
    const { checkpoint, baseModel } = (await change(rollBackAlias, { name })).rollBackAlias;
    const where = checkpoint
      ? `the checkpoint of step ${formatInteger(checkpoint.step)} of “${checkpoint.fineTune.name}”`
      : `the base model ${baseModel.name}`;
    toast(`“${name}” is ${where} again.`);
  };
  return (
    <Confirm
      title={`Roll “${name}” back?`}
      action="Roll back"
      repeat={{
        what: "the way back of this alias",
        operation: rollBackAlias,
        variables: { name },
        command: steplog(commands.rollBackAlias(name)),
      }}
      onConfirm={rollBack}
      onClose={onClose}
    >
      <p>
        Programs that ask for “{name}” get the model again that it was before it was last set. Requests that came before
        keep the model that they were asked of.
      </p>
    </Confirm>
  );
}

export function RemoveAlias({ name, onClose }: NamedProps) {
  const remove = async () => {
    await change(removeAlias, { name });
    toast(`“${name}” is removed.`);
  };
  return (
    <Confirm
      title={`Remove the alias “${name}”?`}
      action="Remove it"
      danger
      repeat={{
        what: "the removal of this alias",
        operation: removeAlias,
        variables: { name },
        command: steplog(commands.removeAlias(name)),
      }}
      onConfirm={remove}
      onClose={onClose}
    >
      <p>Programs that ask for “{name}” are refused from now on. The checkpoint stays.</p>
    </Confirm>
  );
}
