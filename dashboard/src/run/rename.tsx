/** Another name or other tags for a run. */
import { useEffect, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { updateFineTune } from "./operations.ts";
import type { Run } from "./run-state.ts";

interface RenameProps {
  readonly run: Run;
  readonly onChange: (run: Partial<Run>) => void;
  readonly onClose: () => void;
}

export function Rename({ run, onChange, onClose }: RenameProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState(run.name);
  const [tags, setTags] = useState(run.tags.join(", "));
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const save = async (event: Event) => {
    event.preventDefault();
    const words = tags.split(",").flatMap((tag) => tag.trim() || []);
    try {
      onChange((await change(updateFineTune, { id: run.id, input: { name, tags: words } })).updateFineTune);
      dialog.current?.close();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="rename" onClose={onClose}>
      <h2 id="rename">Rename or tag</h2>
      <CheckedForm
        title="The run was not changed"
        failure={failure}
        onSubmit={(event) => void save(event)}
        actions={
          <>
            <button type="button" onClick={() => dialog.current?.close()}>
              Keep it as it is
            </button>
            <button type="submit" class="primary">
              Save
            </button>
          </>
        }
      >
        <Field label="Name" name="name">
          {(shared) => (
            <input {...shared} required value={name} onInput={({ currentTarget }) => setName(currentTarget.value)} />
          )}
        </Field>
        <Field label="Tags, with commas between them" name="tags">
          {(shared) => <input {...shared} value={tags} onInput={({ currentTarget }) => setTags(currentTarget.value)} />}
        </Field>
      </CheckedForm>
    </dialog>
  );
}
