/** A name under which programs ask for a checkpoint, and which can point at another one later. */
import { useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { toast } from "../parts/toast.tsx";
import { setAlias } from "./operations.ts";

interface AliasProps {
  readonly checkpoint: { readonly id: string; readonly step: number };
  readonly onClose: () => void;
}

export function Alias({ checkpoint, onClose }: AliasProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await change(setAlias, { name, model: { checkpoint: checkpoint.id } });
      toast(`“${name}” now is the checkpoint of step ${checkpoint.step}.`);
      dialog.current?.close();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="alias" onClose={onClose}>
      <h2 id="alias">An alias for step {checkpoint.step}</h2>
      <p>
        Programs ask for the model by this name. An alias that exists points here from now on; it can be rolled back.
      </p>
      <CheckedForm
        title="The alias was not set"
        failure={failure}
        onSubmit={(event) => void save(event)}
        actions={
          <>
            <button type="button" onClick={() => dialog.current?.close()}>
              Keep it as it is
            </button>
            <button type="submit" class="primary">
              Set alias
            </button>
          </>
        }
      >
        <Field label="Alias" name="name">
          {(shared) => (
            <input {...shared} required value={name} onInput={({ currentTarget }) => setName(currentTarget.value)} />
          )}
        </Field>
      </CheckedForm>
    </dialog>
  );
}
