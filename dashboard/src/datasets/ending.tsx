/** Says when a dataset is to be deleted by itself. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { formatTime } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Field } from "../parts/form/field.tsx";
import { toast } from "../parts/toast.tsx";
import { setDatasetExpiry } from "./operations.ts";

interface EndingProps {
  readonly dataset: { readonly id: string; readonly name: string; readonly expiresAt: string | null };
  readonly onSet: () => unknown;
  readonly onClose: () => void;
}

const daySeconds = 86_400;
const choices = [
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["365", "In a year"],
  ["at", "At a time of my own"],
  ["never", "Never"],
] as const;

export function Ending({ dataset: { id, name, expiresAt }, onSet, onClose }: EndingProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [choice, setChoice] = useState("30");
  const [time, setTime] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      const answer = await change(setDatasetExpiry, { id, expiry: expiryOf(choice, time) });
      const end = answer.setExpiry.expiresAt;
      toast(end === null ? `“${name}” does not end by itself.` : `“${name}” ends ${formatTime(end)}.`);
      dialog.current?.close();
      await onSet();
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={title} onClose={onClose}>
      <h2 id={title}>When “{name}” ends</h2>
      <p>
        {expiresAt === null ? "Now it does not end by itself." : `Now it ends ${formatTime(expiresAt)}.`} What ends is
        deleted, unless something that goes on needs it then.
      </p>
      <CheckedForm
        title="The time was not set"
        failure={failure}
        onSubmit={(event) => void save(event)}
        actions={
          <>
            <button type="button" onClick={() => dialog.current?.close()}>
              Keep it as it is
            </button>
            <button type="submit" class="primary">
              Set
            </button>
          </>
        }
      >
        <Field label="It ends" name="expiry">
          {(shared) => (
            <select {...shared} value={choice} onChange={({ currentTarget }) => setChoice(currentTarget.value)}>
              {choices.map(([value, words]) => (
                <option key={value} value={value} selected={value === choice}>
                  {words}
                </option>
              ))}
            </select>
          )}
        </Field>
        {choice === "at" && (
          <Field label="Date and time, as this computer has them" name="at">
            {(shared) => (
              <input
                {...shared}
                type="datetime-local"
                required
                value={time}
                onInput={({ currentTarget }) => setTime(currentTarget.value)}
              />
            )}
          </Field>
        )}
      </CheckedForm>
    </dialog>
  );
}

function expiryOf(choice: string, time: string) {
  if (choice === "never") return { never: true };
  return choice === "at" ? { at: new Date(time).toISOString() } : { ttl: Number(choice) * daySeconds };
}
